"""A ratio that is to be small says whether it is."""

import pytest

from benchmarks.measure import Ratio
from benchmarks.row import most


@pytest.mark.parametrize(("limit", "reached"), [(2.0, True), (1.9, False)])
def test_a_limit_is_reached_or_not(limit: float, reached: bool) -> None:
    row = most("a / b", limit, Ratio(2.0, 1.5, 2.5, 4.0, 2.0), "why")
    assert (row.value, row.spread, row.reached) == (2.0, (1.5, 2.5), reached)
    assert row.goal == f"<= {limit:g}"
