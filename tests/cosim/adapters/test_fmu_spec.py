"""The file in which an FMU from here says what it holds."""

from pathlib import Path

import pytest

from dmpcrl_ctrl.cosim.adapters.fmu_spec import FORMAT, SPEC, read_spec
from dmpcrl_ctrl.errors import FMUError


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / SPEC).write_text(f'{{"format": "{FORMAT}", "seed": 3}}', encoding="utf-8")
    assert read_spec(tmp_path / SPEC) == {"format": FORMAT, "seed": 3}


@pytest.mark.parametrize("text", ['{"format": "other"}', "[]"])
def test_what_is_not_from_here(tmp_path: Path, text: str) -> None:
    (tmp_path / SPEC).write_text(text, encoding="utf-8")
    with pytest.raises(FMUError, match="expected format 'dmpcrl_ctrl fmu 1'"):
        read_spec(tmp_path / SPEC)


def test_what_is_not_there_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(FMUError, match=r"dmpcrl_ctrl.json cannot be read"):
        read_spec(tmp_path / SPEC)
    (tmp_path / SPEC).write_text("{", encoding="utf-8")
    with pytest.raises(FMUError, match=r"dmpcrl_ctrl.json cannot be read"):
        read_spec(tmp_path / SPEC)
