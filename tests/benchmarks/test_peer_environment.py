"""The peer's environment is made once, from pinned versions, and what is missing is said."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import peer_environment
from benchmarks.peer import PeerError
from benchmarks.peer_environment import PACKAGES, folder, interpreter

Commands = list[list[str]]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    """What is run instead of being run; every command succeeds and leaves nothing behind."""
    ran: Commands = []

    def run(command: list[Any], **options: Any) -> subprocess.CompletedProcess[str]:
        ran.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("DMPCRL_PEER", str(tmp_path / "peer"))
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(peer_environment, "_python_3_11", lambda: "python3.11")
    return ran


def make(tmp_path: Path) -> Path:
    python = tmp_path / "peer" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "peer" / "pyvenv.cfg").touch()
    return python


def test_the_folder_is_in_build_unless_one_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DMPCRL_PEER", raising=False)
    assert folder().name == ".peer"
    monkeypatch.setenv("DMPCRL_PEER", str(tmp_path))
    assert folder() == tmp_path.resolve()


def test_every_version_is_pinned() -> None:
    assert PACKAGES[0] == "dmpcrl==1.0.0"
    assert all(package.count("==") == 1 for package in PACKAGES)


def test_an_environment_that_is_ready_is_used_as_it_is(commands: Commands, tmp_path: Path) -> None:
    python = make(tmp_path)
    (tmp_path / "peer" / "ready").touch()
    assert interpreter() == str(python)
    assert commands == []


def test_one_that_somebody_else_made_is_tried(commands: Commands, tmp_path: Path) -> None:
    python = make(tmp_path)
    assert interpreter() == str(python)
    assert [command[:2] for command in commands] == [[str(python), "-c"]]


def test_one_that_is_not_there_is_made(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_environment, "_works", lambda python: False)
    make(tmp_path)
    interpreter()
    (made, installed) = commands
    assert made == ["python3.11", "-m", "venv", "--clear", str(tmp_path.resolve() / "peer")]
    assert installed[-len(PACKAGES) :] == list(PACKAGES)
    assert (tmp_path / "peer" / "ready").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "peer").mkdir()
    (tmp_path / "peer" / "thesis.tex").touch()
    with pytest.raises(PeerError, match="which is no environment of Python: name an empty folder"):
        interpreter()
    assert commands == []


def test_without_python_3_11_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DMPCRL_PEER", str(tmp_path / "peer"))
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(PeerError, match=r"needs Python 3\.11: install it so that `python3\.11` runs"):
        interpreter()


def test_an_installation_that_fails_says_why_and_is_not_ready(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(command: list[str], **options: Any) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="looking\nERROR: no matching distribution\n")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(PeerError, match="environment cannot be made: ERROR: no matching distribution$"):
        interpreter()
    assert not (tmp_path / "peer" / "ready").exists()
