"""A ratio is held against its goal from the right side."""

import math

import pytest

from benchmarks.measure import Ratio
from benchmarks.row import least, most, unknown


@pytest.mark.parametrize(("median", "small", "large"), [(2.0, True, False), (3.0, True, True), (4.0, False, True)])
def test_a_goal_is_reached_from_its_side(median: float, small: bool, large: bool) -> None:
    found = Ratio(median, 1.0, 5.0, median, 1.0)
    low, high = most("a", 3.0, found, "why"), least("a", 3.0, found, "why")
    assert (low.goal, low.reached) == ("<= 3", small)
    assert (high.goal, high.reached) == (">= 3", large)
    assert high.value == low.value == median and high.spread == (1.0, 5.0)


def test_what_is_not_known_is_not_missed_either() -> None:
    row = unknown("a", ">= 3", "no peer")
    assert math.isnan(row.value) and (row.spread, row.reached, row.note) == (None, None, "no peer")
