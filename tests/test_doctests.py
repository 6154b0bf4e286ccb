"""Every example in a docstring gives what it says, in every module and under the one name it is imported by."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("dmpcrl_ctrl", "plants", "controllers", "cosim", "validation")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if path.stem != "__main__")
WITH_EXAMPLES = [path for path in SOURCES if "\n    >>> " in path.read_text(encoding="utf-8")]


def module_name(path: Path) -> str:
    """plants/zoh.py -> dmpcrl_ctrl.plants.zoh"""
    first, *rest = path.relative_to(ROOT).with_suffix("").parts
    parts = (first, *rest) if first == "dmpcrl_ctrl" else ("dmpcrl_ctrl", first, *rest)
    return ".".join(part for part in parts if part != "__init__")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_examples_of_a_module(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    found = doctest.testmod(module)
    assert found.failed == 0  # what differs stands in the captured output
    assert found.attempted > 0 or path not in WITH_EXAMPLES


def test_there_are_examples_in_every_folder_that_has_public_names() -> None:
    assert {path.parent.name for path in WITH_EXAMPLES} >= {"dmpcrl_ctrl", "plants", "controllers"}
