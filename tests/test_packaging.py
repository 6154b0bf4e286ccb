"""What leaves the house: a wheel with one name in it, which works where the user has folders named like ours."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import dmpcrl_ctrl

ROOT = Path(__file__).resolve().parent.parent
PACKED = ["dmpcrl_ctrl", "plants", "controllers", "cosim", "validation", "tests", "examples", "docs", ".ci"]
FILES = ["pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "CHANGELOG.md", "Makefile"]

USES_IT = """
import controllers, plants                                  # the user's own
from dmpcrl_ctrl.controllers import CentralizedMPC, LQR     # ours
from dmpcrl_ctrl.plants import power_network
import dmpcrl_ctrl.cosim, dmpcrl_ctrl.validation, sys
assert controllers.MINE and plants.MINE
assert len(power_network(scenario=1).state_names) == 16
print(dmpcrl_ctrl.__file__)
"""


def run(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_REQUIRE"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a source distribution, and the wheel that was built from it; made from a copy of the checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in PACKED:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", copy / "dist", copy, cwd=copy)
    return copy / "dist"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A user's folder with packages of their own that are named like folders of ours."""
    for name in ("controllers", "plants"):
        (tmp_path / "project" / name).mkdir(parents=True)
        (tmp_path / "project" / name / "__init__.py").write_text("MINE = True\n", encoding="utf-8")
    return tmp_path / "project"


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_the_wheel_holds_one_name_and_all_of_it(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    version, checkout = dmpcrl_ctrl.__version__, dist.parent
    assert {name.split("/")[0] for name in names} == {"dmpcrl_ctrl", f"dmpcrl_ctrl-{version}.dist-info"}
    sources = {
        ("" if folder == "dmpcrl_ctrl" else "dmpcrl_ctrl/") + path.relative_to(checkout).as_posix()
        for folder in ("dmpcrl_ctrl", "plants", "controllers", "cosim", "validation")
        for pattern in ("*.py", "*.j2", "*.js", "*.css", "py.typed")
        for path in (checkout / folder).rglob(pattern)
    }
    assert sources == {name for name in names if ".dist-info/" not in name}
    assert f"dmpcrl_ctrl-{version}.dist-info/licenses/LICENSE" in names


def test_the_source_distribution_can_be_tested(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"tests/test_packaging.py", "tests/conftest.py", "Makefile", "examples/hycon2_scenario1.toml"} <= names
    assert not any(name.startswith(("runs/", "build/")) or name.endswith(".pyc") for name in names)


def test_the_wheel_works_beside_folders_of_the_same_names(dist: Path, place: Path, tmp_path: Path) -> None:
    """An empty environment that holds the wheel alone; the packages it needs are lent by this one, for speed."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=os.name != "nt")
    python = python_of(environment)
    (wheel,) = dist.glob("*.whl")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=place,
    )
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip())
    # A .pth inside a folder that a .pth adds is not read, so the editable install of this checkout stays out of sight.
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    found = run(python, "-c", USES_IT, cwd=place).strip()
    assert Path(found).resolve().is_relative_to(environment.resolve())
    assert "power_network" in run(python, "-m", "dmpcrl_ctrl", "list", cwd=place)


@pytest.mark.long
def test_the_wheel_installs_with_all_it_needs_and_runs(dist: Path, place: Path, tmp_path: Path) -> None:
    """As a user does it: pip takes everything from the index, then the command line runs a loop."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True, symlinks=os.name != "nt")
    python = python_of(environment)
    (wheel,) = dist.glob("*.whl")
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=place)
    run(python, "-c", USES_IT, cwd=place)
    experiment = ROOT / "examples" / "hycon2_scenario1.toml"
    command = ("-m", "dmpcrl_ctrl", "run", experiment, "--out", "out", "--set", "simulation.t_end=5.0")
    run(python, *command, cwd=place)
    assert sorted(path.name for path in (place / "out").iterdir()) == ["report.html", "run.h5", "summary.json"]
