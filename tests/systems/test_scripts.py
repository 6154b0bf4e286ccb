"""The scripts of examples/ and docs/: they import without running, and what they draw comes out."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dmpcrl_ctrl.validation.experiment import Override, load_experiment

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*(ROOT / "examples").glob("*.py"), *(ROOT / "docs").glob("*.py")])


def load(path: Path) -> ModuleType:
    """The script as a module; what stands under `__main__` does not run."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_can_be_imported_and_says_what_it_does(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load(path)
    assert module.__doc__ is not None and f"python {path.relative_to(ROOT).as_posix()}" in module.__doc__
    assert capsys.readouterr().out == ""
    assert path.stem not in sys.modules


def test_the_picture_of_the_readme_can_be_drawn_anew(tmp_path: Path) -> None:
    script = load(ROOT / "docs" / "pictures.py")
    experiment = load_experiment(
        ROOT / "examples" / "hycon2_scenario1.toml",
        [Override.read(text) for text in ("simulation.t_end=3.0", "controller.compare_central=false")],
    )
    script.power_network(experiment, tmp_path / "network.png")
    assert (tmp_path / "network.png").read_bytes().startswith(b"\x89PNG")


def test_the_learning_picture_stands_on_white(tmp_path: Path) -> None:
    (tmp_path / "fig5.svg").write_text('<svg viewBox="0 0 4 2"><title>t</title></svg>', encoding="utf-8")
    load(ROOT / "docs" / "pictures.py").on_white(tmp_path / "fig5.svg", tmp_path / "learning.svg")
    drawn = '<svg viewBox="0 0 4 2"><rect width="100%" height="100%" fill="white"/><title>t</title></svg>'
    assert (tmp_path / "learning.svg").read_text(encoding="utf-8") == drawn
