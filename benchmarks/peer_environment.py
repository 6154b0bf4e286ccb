"""The peer's own environment: the versions that its published results were made with need Python 3.11 and old packages.

It stands in .peer, or where the environment variable DMPCRL_PEER says; it is set up where it is not there.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peer import ROOT, PeerError

PACKAGES = (
    "dmpcrl==1.0.0",
    "mpcrl==1.1.4.post2",
    "csnlp==1.5.6.post1",
    "numpy==1.25.2",
    "scipy==1.11.2",
    "gymnasium==0.29.1",
    "casadi==3.6.3",
    "numba==0.58.1",
)


def folder() -> Path:
    """Where the environment is, or is to be."""
    return Path(os.environ.get("DMPCRL_PEER") or ROOT / ".peer").resolve()


def interpreter() -> str:
    """The peer's own Python, after setting up its environment where there is none.

    Raises
    ------
    PeerError
        There is no Python 3.11, a package cannot be installed, or the folder is full of something else.
    """
    python = folder() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # written last: an installation that was broken off is made anew
    if not (folder() / "ready").exists() and not _works(python):
        _require_ours(folder())
        _run([_python_3_11(), "-m", "venv", "--clear", str(folder())], "its environment cannot be made")
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        _run(install, "its packages cannot be installed")
        (folder() / "ready").touch()
    return str(python)


def _require_ours(place: Path) -> None:
    """PeerError where something else would be cleared away."""
    if place.exists() and not (place / "pyvenv.cfg").exists() and (not place.is_dir() or any(place.iterdir())):
        raise PeerError(f"DMPCRL_PEER names {place}, which is no environment of Python: name an empty folder")


def _python_3_11() -> str:
    if list(sys.version_info[:2]) == [3, 11]:
        return sys.executable
    found = shutil.which("python3.11")
    if found is None:
        raise PeerError("the peer needs Python 3.11: install it so that `python3.11` runs, or set DMPCRL_PEER")
    return found


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    return subprocess.run([python, "-c", "import dmpcrl.mpc.mpc_admm"], capture_output=True).returncode == 0


def _run(command: list[str], what: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise PeerError(f"the peer is not to be had, {what}: {said[-1] if said else 'it does not say why'}") from error
