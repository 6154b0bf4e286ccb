"""Comparing what is claimed with what is found: what agrees, what counts, which fault comes first."""

import numpy as np
import pytest

from dmpcrl_ctrl.validation.comparison import Compared, compared, verdict
from dmpcrl_ctrl.validation.verdict import Outcome


def at(index: tuple[int, ...]) -> str:
    return f"entry {index}"


def test_what_is_within_the_allowance_agrees() -> None:
    found = compared(at, [1.0, 2.0, np.inf], [1.0, 2.0 + 1e-9, np.inf], [0.0, 2e-9, 0.0])
    assert (found.count, found.faults, found.fault) == (3, 0, "")
    assert found.worst == pytest.approx(1e-9, rel=1e-6) and found.share == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("claimed", "seen"), [(1.0, 1.1), (np.nan, np.nan), (np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (-np.inf, np.inf)]
)
def test_everything_else_is_a_fault(claimed: float, seen: float) -> None:
    found = compared(at, [[0.0, claimed]], [[0.0, seen]], 1e-3)
    assert found.faults == 1 and found.share > 1.0
    assert found.fault.startswith(f"entry (0, 1): claimed {claimed!r}, found {seen!r}")


def test_the_first_fault_is_told_and_the_worst_counts() -> None:
    parts = [compared(at, [0.0], [0.0]), compared(at, [1.0], [1.5], 0.1), compared(at, [1.0], [9.0], 0.1)]
    told = verdict("check", parts, "0.1")
    assert told.outcome is Outcome.FAILED
    assert told.example == "entry (0,): claimed 1.0, found 1.5, allowed 1.0e-01 apart"
    assert told.detail == f"2 of 3 numbers, first {told.example}"


def test_words_for_what_passes_and_what_does_not_apply() -> None:
    assert verdict("check", [Compared(3)], "none").detail == "3 numbers, equal"
    small = verdict("check", [compared(at, [1.0], [1.25], 0.5)], "half", "not all")
    assert small.outcome is Outcome.PASSED
    assert small.detail == "1 numbers, largest difference 2.5e-01, allowed half; not all"
    assert verdict("check", [], "none").outcome is Outcome.SKIPPED
    assert verdict("check", [compared(at, [], [])], "none", "why").detail == "why"
