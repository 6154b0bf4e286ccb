"""The small rows can be measured, and what is asked for by another name is refused."""

import pytest

from benchmarks.__main__ import line, main
from benchmarks.rows import ROWS, Row


def test_a_row_is_measured_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["local-solve"]) == 0
    assert "| local solve / its matrix-vector product | <= 3 |" in capsys.readouterr().out


def test_a_row_says_whether_its_goal_is_reached() -> None:
    assert line(Row("a", "<= 2", 2.5, (2.0, 3.0), False, "why")) == "| a | <= 2 | 2.5 (2 to 3) | no | why |"
    assert line(Row("b", "", 0.5, None, None, "")) == "| b |  | 0.5 |  |  |"


def test_a_row_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locale-solve"]) == 2
    assert capsys.readouterr().err == f"there is no row 'locale-solve'; there are {', '.join(ROWS)}\n"
