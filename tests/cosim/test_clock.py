import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmpcrl_ctrl.cosim.clock import FINEST_BASE, Clock, Schedule
from dmpcrl_ctrl.errors import ClockError

schedules = st.builds(Schedule, st.integers(1, 50), st.integers(0, 120))


def test_a_million_steps_of_a_tenth_end_at_exactly_100000_seconds() -> None:
    clock = Clock.common({"controller": 0.1})
    step = clock.ticks(0.1)
    assert clock.seconds(1_000_000 * step) == 100_000.0
    # Adding floats would not: the error is known, and it is not zero.
    assert math.fsum([0.1] * 10) == 1.0 != sum([0.1] * 10)
    for k in (1, 3, 7, 299_999, 999_999):
        assert clock.seconds(k * step) == float(Fraction(k, 10))


def test_a_third_and_a_tenth_share_ticks() -> None:
    clock = Clock.common({"a": 1 / 3, "b": 0.1})
    assert clock.base == 30
    assert (clock.ticks(1 / 3), clock.ticks(0.1), clock.ticks(1)) == (10, 3, 30)
    assert clock.exact(10) == Fraction(1, 3)


def test_strings_and_fractions_are_taken_literally() -> None:
    assert Clock.common({"a": "1/7", "b": Fraction(3, 4), "c": 2, "d": np.float64(0.5)}).base == 28


def test_pi_has_no_tick_in_common_with_anything() -> None:
    with pytest.raises(ClockError, match=r"^mpc: sample time beside lqr: sample time 0\.333.* s: 3\.14159") as caught:
        Clock.common({"mpc: sample time": math.pi, "lqr: sample time": 1 / 3})
    assert "\n" not in str(caught.value)


def test_two_times_without_a_common_divisor_are_both_named() -> None:
    first, second = Fraction(1, 10_000_019), Fraction(1, 10_000_079)
    assert math.lcm(first.denominator, second.denominator) > FINEST_BASE
    with pytest.raises(ClockError, match=r"b: sample time 1/10000079 s and a: sample time 1/10000019 s have no common"):
        Clock.common({"other": 0.5, "a: sample time": first, "b: sample time": second})


def test_a_time_between_two_ticks_is_an_error() -> None:
    with pytest.raises(ClockError, match=r"0\.25 s falls between two ticks"):
        Clock(10).ticks(0.25)


@given(schedules, st.integers(0, 400))
def test_after_is_the_next_instant(schedule: Schedule, tick: int) -> None:
    following = schedule.after(tick)
    assert schedule.due(following) and following > tick
    assert not any(schedule.due(t) for t in range(tick + 1, following))


@given(schedules, st.integers(0, 400))
def test_number_counts_the_instants_before(schedule: Schedule, tick: int) -> None:
    assert schedule.number(tick) == sum(schedule.due(t) for t in range(tick))


@given(schedules, st.integers(0, 10**18))
def test_the_instants_are_an_arithmetic_sequence_for_ever(schedule: Schedule, k: int) -> None:
    instant = schedule.offset + k * schedule.period
    assert schedule.due(instant) and schedule.number(instant) == k


@pytest.mark.parametrize(("period", "offset"), [(0, 0), (-1, 0), (1, -1)])
def test_a_schedule_needs_a_period_and_no_past(period: int, offset: int) -> None:
    with pytest.raises(ClockError, match=f"got {period} and {offset} ticks"):
        Schedule(period, offset)
