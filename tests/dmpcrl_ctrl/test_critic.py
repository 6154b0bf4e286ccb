"""The critic that agents fit apart is the one of a dense solver, and on a known value function it is exact."""

import numpy as np
import pytest

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.critic import critic_weights, cross_products, quadratic_features, root_mean_squares
from dmpcrl_ctrl.plan import Plan

SIZES, GAMMA = (3, 1, 4), 0.9


def rows(seed: int, K: int) -> tuple[list[Array], list[Array]]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(K, f)) for f in SIZES], [rng.normal(size=(K, f)) for f in SIZES]


def fitted(before: list[Array], after: list[Array], targets: Array, ridge: float) -> list[Array]:
    shares = [cross_products(own, ahead, GAMMA) for own, ahead in zip(before, after, strict=True)]
    return [critic_weights(own, targets, np.sum(shares, axis=0), ridge) for own in before]


@pytest.mark.parametrize("K", [5, 20])
def test_all_agents_together_solve_the_equations_of_least_squares_td(K: int) -> None:
    before, after = rows(1, K)
    targets = np.random.default_rng(2).normal(size=K)
    X, Z = np.hstack(before), np.hstack(before) - GAMMA * np.hstack(after)
    expected = np.linalg.solve(X.T @ Z + K * 0.1 * np.eye(X.shape[1]), X.T @ targets)
    assert np.concatenate(fitted(before, after, targets, 0.1)) == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_weights_that_explain_everything_are_found() -> None:
    before, after = rows(3, 30)
    truth = np.arange(1.0, 9.0)
    targets = (np.hstack(before) - GAMMA * np.hstack(after)) @ truth
    assert np.concatenate(fitted(before, after, targets, 1e-12)) == pytest.approx(truth, rel=1e-6)


def test_features_are_quadratic_in_what_an_agent_knows() -> None:
    neighbour = np.array([[5.0, np.nan], [0.0, np.nan]])
    plan = Plan(np.array([[2.0, 3.0], [0.0, 0.0]]), np.zeros((1, 1)), np.zeros((1, 0)), {4: neighbour})
    assert quadratic_features(plan).tolist() == [1, 2, 3, 5, 4, 6, 10, 9, 15, 25]


def test_sizes_of_features_without_any_are_one() -> None:
    assert root_mean_squares(np.array([[3.0, 0.0], [-4.0, 0.0]])) == pytest.approx([np.sqrt(12.5), 1.0])
