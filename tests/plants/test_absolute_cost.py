"""Absolute values by hand, in the loop's cost, and what is no such cost."""

import numpy as np
import pytest

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants import AbsoluteCost, power_network

NONE = np.zeros(0)


def test_the_cost_is_the_weighted_sum_of_absolute_values() -> None:
    cost = AbsoluteCost(np.array([[1.0, -2.0], [0.0, 3.0]]), np.array([[1.0, 0.0], [0.5, 2.0]]))
    assert cost(np.array([1.0, 2.0]), NONE, NONE, NONE) == pytest.approx([3.0, 1.5 + 12.0])


def test_ties_are_paid_for_by_both_ends() -> None:
    """|P_12| = 4, |P_23| = |P_34| = 2 times the differences of the angles; half of each for each end."""
    plain, priced = power_network(1), power_network(1, tie_cost=1.0)
    x = np.zeros(16)
    x[::4] = 0.1, 0.05, -0.05, 0.0
    u, reference = np.zeros(4), np.zeros(20)
    by_hand = 0.5 * np.array([0.2, 0.2 + 0.2, 0.2 + 0.1, 0.1])
    assert priced.stage_cost(x, u, reference) - plain.stage_cost(x, u, reference) == pytest.approx(by_hand)


def test_what_is_no_such_cost_is_refused() -> None:
    with pytest.raises(PlantError, match=r"rows \(q, n\) and shares \(M, q\), got \(1, 2\) and \(1, 3\)"):
        AbsoluteCost(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(PlantError, match="shares of at least 0"):
        AbsoluteCost(np.ones((1, 2)), -np.ones((1, 1)))
    with pytest.raises(PlantError, match="tie_cost must be at least 0, got -1"):
        power_network(1, tie_cost=-1.0)
