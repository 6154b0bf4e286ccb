"""Times as fractions: what a float stands for, and what no fraction stands for."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmpcrl_ctrl.errors import ClockError
from dmpcrl_ctrl.plants.exact_time import exact_seconds, ticks_per_second, to_ticks


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (0.1, Fraction(1, 10)),
        (1 / 3, Fraction(1, 3)),
        (1e6 + 0.1, Fraction(10_000_001, 10)),
        (1e-9, Fraction(1, 10**9)),
        (2.5e-7, Fraction(1, 4_000_000)),
        (3, Fraction(3)),
        ("1/7", Fraction(1, 7)),
        ("0.05", Fraction(1, 20)),
        (Fraction(22, 7), Fraction(22, 7)),
        (np.float64(0.25), Fraction(1, 4)),
        (np.int32(4), Fraction(4)),
        (-0.5, Fraction(-1, 2)),
        (0.0, Fraction(0)),
    ],
)
def test_a_number_is_the_simple_fraction_it_stands_for(value: float, exact: Fraction) -> None:
    assert exact_seconds(value) == exact


@settings(max_examples=200)
@given(st.integers(-(10**9), 10**9), st.integers(1, 1000))
def test_every_fraction_with_a_small_denominator_survives_the_float(numerator: int, denominator: int) -> None:
    fraction = Fraction(numerator, denominator)
    assert exact_seconds(float(fraction)) == fraction


@pytest.mark.parametrize("value", [np.pi, 2**0.5, float("nan"), float("inf"), True, "soon", "1/0", None, [1.0]])
def test_what_stands_for_no_time_is_refused_with_its_value(value: Any) -> None:
    with pytest.raises(ClockError) as caught:
        exact_seconds(value)
    assert (str(value) if not isinstance(value, list) else "[1.0]") in str(caught.value)


def test_a_sum_that_misses_its_fraction_is_told_which_one_it_missed() -> None:
    with pytest.raises(ClockError, match=r"0\.30000000000000004 s .*\(is it 3/10\?\)"):
        exact_seconds(0.1 + 0.2)


def test_the_base_is_the_least_on_which_all_times_fall() -> None:
    assert ticks_per_second([0.1, 0.25, 3]) == 20
    assert ticks_per_second([1 / 3, 0.1]) == 30
    assert ticks_per_second([]) == 1


def test_ticks_are_exact_and_never_between_two() -> None:
    assert to_ticks(0.3, 10) == 3
    with pytest.raises(ClockError, match=r"0\.25 s falls between two ticks of 1/10 s"):
        to_ticks(0.25, 10)
