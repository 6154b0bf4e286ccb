"""The small rows can be measured, and what is asked for by another name is refused."""

from pathlib import Path

import pytest

import benchmarks.__main__ as front
from benchmarks.__main__ import line, main
from benchmarks.rows import ROWS, Row


def test_a_row_is_measured_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["local-solve"]) == 0
    assert "| local solve / its matrix-vector product | <= 3 |" in capsys.readouterr().out


def test_rows_are_replaced_where_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, rows = (
        tmp_path / "performance.md",
        {"a": Row("first", "", 1.0, None, None, ""), "b": Row("second", "", 2.0, None, None, "")},
    )
    monkeypatch.setattr(front, "TABLE", page)
    monkeypatch.setattr(front, "ROWS", {name: lambda row=row: row for name, row in rows.items()})
    assert main([]) == 0
    whole = page.read_text()
    rows["a"] = Row("first", "<= 4", 3.0, None, True, "anew")
    monkeypatch.setattr(front, "ROWS", {name: lambda row=row: row for name, row in rows.items()})
    assert main(["a"]) == 0 and page.read_text() == whole
    assert main(["--write", "a"]) == 0
    assert page.read_text() == whole.replace("| first |  | 1 |  |  |", "| first | <= 4 | 3 | yes | anew |")
    assert capsys.readouterr().out.count(f"wrote {page}") == 2


def test_a_row_says_whether_its_goal_is_reached() -> None:
    assert line(Row("a", "<= 2", 2.5, (2.0, 3.0), False, "why")) == "| a | <= 2 | 2.5 (2 to 3) | no | why |"
    assert line(Row("b", "", 0.5, None, None, "")) == "| b |  | 0.5 |  |  |"


def test_a_row_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locale-solve"]) == 2
    assert capsys.readouterr().err == f"there is no row 'locale-solve'; there are {', '.join(ROWS)}\n"
