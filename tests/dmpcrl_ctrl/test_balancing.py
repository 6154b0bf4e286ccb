"""When the penalty is scaled, and by how much."""

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions, iterate
from dmpcrl_ctrl.balancing import Balancing, balanced_factor
from dmpcrl_ctrl.consensus import ADMMState, Sweep, cold_state
from dmpcrl_ctrl.status import Status
from tests.scalar_agents import ALL_SHARE_ONE, AllSolved, OneByOne, Scalar, circle


def test_the_penalty_is_scaled_towards_its_best_value_and_the_solution_stays() -> None:
    agents = [Scalar(1.0, c, 1e-4) for c in (0.0, 1.0, 5.0)]
    fixed, balanced = (
        iterate(OneByOne(agents), np.full(1, 1e-4), circle(ALL_SHARE_ONE), cold_state(ALL_SHARE_ONE, 1),
                ADMMOptions(iterations=200, tolerance=1e-10, acceleration=0, balance_at=at))
        for at in ((), (10, 20, 30, 40, 50))
    )  # fmt: skip
    assert fixed.status is Status.NOT_CONVERGED
    assert balanced.status is Status.OPTIMAL
    assert balanced.state.factor > 100.0
    assert balanced.state.z == pytest.approx([2.0], abs=1e-8)


def test_given_iterations_are_kept_to() -> None:
    balancing = Balancing((2, 5))
    assert [count for count in range(1, 8) if balancing.due(count)] == [2, 5]


def test_an_iteration_is_stuck_where_two_more_gain_less_than_a_fifth() -> None:
    falling = Balancing(None).after(1.0).after(0.9).after(0.79)
    assert not falling.due(3)
    assert falling.after(0.78).due(4)
    assert not Balancing(None).after(1.0).after(1.0).due(2)


def test_the_waits_grow_and_the_changes_end() -> None:
    balancing, changes = Balancing(None), []
    for count in range(1, 1_000_000):
        balancing = balancing.after(1.0)
        if balancing.due(count):
            changes.append(count)
            balancing = balancing.changed()
        if len(changes) == 12:
            break
    assert np.diff([0, *changes]).tolist() == [3, 3, 3, 3, 3, 6, 12, 24, 48, 96, 192, 384]
    assert not Balancing(None, changes=20, waited=10**9, sizes=(1.0, 1.0, 1.0)).due(1)


@pytest.mark.parametrize(
    ("gap", "moved", "factor"), [(1.0, 1.0, 1.0), (4.0, 1.0, 4.0), (1.0, 4.0, 0.25), (100.0, 1.0, 8.0), (1.0, 0.0, 8.0)]
)
def test_the_factor_follows_the_ratio_of_gaps_to_moves(gap: float, moved: float, factor: float) -> None:
    held = ALL_SHARE_ONE[:1]
    state = ADMMState(np.ones(1), np.ones(1), np.zeros(1))
    sweep = Sweep(state, state, AllSolved([]), np.array([gap]), np.array([3.0 * moved]), np.zeros(1))
    assert balanced_factor(sweep, np.array([3.0]), circle(held), 1e-9) == factor


def test_what_has_converged_is_left_alone() -> None:
    held = ALL_SHARE_ONE[:1]
    state = ADMMState(np.ones(1), np.ones(1), np.zeros(1))
    sweep = Sweep(state, state, AllSolved([]), np.array([1e-11]), np.zeros(1), np.zeros(1))
    assert balanced_factor(sweep, np.ones(1), circle(held), 1e-9) == 1.0
