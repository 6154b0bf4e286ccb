"""Tests of dmpcrl_ctrl.columns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dmpcrl_ctrl.columns import Columns


@given(st.integers(1, 5), st.integers(0, 7), st.integers(0, 25))
def test_columns_are_the_newest_of_all_that_came(capacity: int, first: int, more: int) -> None:
    every = np.random.default_rng(more).normal(size=(3, first + more))
    columns = Columns.of([every[:2, :first], every[2:, :first]], capacity)
    for k in range(first, first + more):
        columns = columns.with_newest([every[:, k : k + 1]])
    np.testing.assert_array_equal(columns.array, every[:, max(0, first + more - capacity) :])


def test_two_that_began_as_the_same_do_not_disturb_each_other() -> None:
    begun = Columns.of([np.zeros((2, 1))], 4)
    one, other = (begun.with_newest([np.full((2, 1), value)]) for value in (1.0, 2.0))
    one = one.with_newest([np.full((2, 1), 3.0)])
    np.testing.assert_array_equal(begun.array, np.zeros((2, 1)))
    np.testing.assert_array_equal(one.array[0], [0.0, 1.0, 3.0])
    np.testing.assert_array_equal(other.array[0], [0.0, 2.0])
