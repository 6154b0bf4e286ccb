"""Pairs are timed in turn, and a slope is that of a power."""

import pytest

from benchmarks.measure import in_turn, slope, timed


def test_things_are_timed_in_turn_and_the_first_pair_does_not_count() -> None:
    order, told = [], iter([99.0, 9.0, 2.0, 3.0, 4.0])

    def one() -> float:
        order.append("one")
        return next(told)

    def other() -> float:
        order.append("other")
        return 2.0

    found = in_turn(one, other, pairs=4)
    assert order == ["one", "other"] * 5
    assert (found.median, found.one, found.other) == (1.75, 3.5, 2.0)
    assert (found.low, found.high) == (1.375, 2.625)


def test_a_call_is_repeated_and_its_time_divided() -> None:
    calls = []
    assert 0.0 <= timed(lambda: calls.append(1), 5)() < 1.0
    assert len(calls) == 5


def test_a_slope_is_the_power_of_growth() -> None:
    assert slope([1, 4, 16], [3.0, 24.0, 192.0]) == pytest.approx(1.5)
