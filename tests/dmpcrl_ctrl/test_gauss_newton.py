"""The step that agents find apart is the one of a dense least-squares solver; on a Riccati equation it is exact."""

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.gauss_newton import explained, gauss_newton_step, inner_products
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.qlearning import gradient_by_theta, gradient_step
from dmpcrl_ctrl.value import agent_data

SIZES = (3, 1, 0, 5)


def batch(seed: int, K: int = 6) -> tuple[Array, list[Array]]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=K), [rng.normal(size=(K, p)) for p in SIZES]


def steps(deltas: Array, gradients: list[Array], alpha: float) -> list[Array]:
    products = np.sum([inner_products(own) for own in gradients], axis=0)
    return [gauss_newton_step(deltas, own, products, alpha) for own in gradients]


@pytest.mark.parametrize("alpha", [1e-3, 0.5, 1e4])
def test_all_agents_together_make_the_damped_least_squares_step(alpha: float) -> None:
    deltas, gradients = batch(1)
    G, K = np.hstack(gradients), len(deltas)
    rows = np.vstack([G, np.sqrt(K / alpha) * np.eye(G.shape[1])])
    expected = np.linalg.lstsq(rows, np.append(deltas, np.zeros(G.shape[1])))[0]
    assert np.concatenate(steps(deltas, gradients, alpha)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("K", [4, 9, 14])
def test_without_damping_it_is_the_least_of_the_least_squares_steps(K: int) -> None:
    """Fewer transitions than parameters, as many, more."""
    deltas, gradients = batch(2, K)
    expected = np.linalg.lstsq(np.hstack(gradients), deltas)[0]
    assert np.concatenate(steps(deltas, gradients, np.inf)) == pytest.approx(expected, rel=1e-8, abs=1e-11)


def test_small_steps_are_those_of_first_order() -> None:
    deltas, gradients = batch(3)
    for own, step in zip(gradients, steps(deltas, gradients, 1e-9), strict=True):
        assert step == pytest.approx(gradient_step(deltas, own, 1e-9), rel=1e-7)
    assert all(not step.any() for step in steps(deltas, gradients, 0.0))


def test_the_order_of_agents_and_of_transitions_does_not_matter() -> None:
    deltas, gradients = batch(4)
    found = steps(deltas, gradients, 0.3)
    turned = steps(deltas, gradients[::-1], 0.3)[::-1]
    shuffled = np.random.default_rng(0).permutation(len(deltas))
    mixed = steps(deltas[shuffled], [own[shuffled] for own in gradients], 0.3)
    for one, two, three in zip(found, turned, mixed, strict=True):
        assert one == pytest.approx(two, rel=1e-10)
        assert one == pytest.approx(three, rel=1e-10)


def test_averaging_that_has_not_ended_does_no_harm() -> None:
    """A belief of the products that is no sum of squares still gives a step no longer than the damping allows."""
    deltas, gradients = batch(5)
    products = np.sum([inner_products(own) for own in gradients], axis=0)
    products -= 2.0 * products.max() * np.eye(len(deltas))[np.triu_indices(len(deltas))]
    step = gauss_newton_step(deltas, gradients[0], products, 0.1)
    assert np.abs(gradients[0].T @ deltas).max() > 0.0
    assert np.linalg.norm(step) <= 0.1 / len(deltas) * np.linalg.norm(gradients[0], 2) * np.linalg.norm(deltas)


def test_what_a_step_explains_adds_up_over_the_agents() -> None:
    deltas, gradients = batch(6)
    found = steps(deltas, gradients, np.inf)
    told = np.sum([explained(own, step) for own, step in zip(gradients, found, strict=True)], axis=0)
    assert told == pytest.approx(np.hstack(gradients) @ np.concatenate(found), rel=1e-10)


def test_one_full_step_reaches_the_riccati_solution() -> None:
    """Q(s, a) with one stage is linear in terminal weight and constant, and holds the true Q for the right ones."""
    gamma, rng, agents = 0.9, np.random.default_rng(7), []
    known, truth = [], []
    for n in (1, 2):
        A, B = rng.normal(size=(n, n)), rng.normal(size=(n, 1))
        agents.append(LocalModel(A, B, np.eye(n), [[0.5]], P=0.1 * np.eye(n)))
        truth.append(solve_discrete_are(np.sqrt(gamma) * A, np.sqrt(gamma) * B, np.eye(n), np.array([[0.5]])))
        known.append((A, B))
    problem = MPCProblem(tuple(agents), 1, gamma)
    made = [Parametrization(model, [Free("P"), Free("V0")]) for model in agents]
    theta = [own.initial for own in made]
    deltas, gradients = [], []
    for _ in range(8):
        s, a = [rng.normal(size=n) for n in (1, 2)], [rng.normal(size=1) for _ in agents]
        found = CentralEvaluator(problem).evaluate(agent_data(problem, s), a)
        # Q*(s, a) = |s|^2 + |a|^2 / 2 + gamma ( |A s + B a|^2_P* + 3 )
        value = sum(x @ x + 0.5 * u @ u + 3.0 * gamma for x, u in zip(s, a, strict=True))
        for (A, B), P, x, u in zip(known, truth, s, a, strict=True):
            value += gamma * (A @ x + B @ u) @ P @ (A @ x + B @ u)
        deltas.append(value - found.value)
        gradients.append(gradient_by_theta(made, theta, found.gradient))
    own = [np.array([row[i] for row in gradients]) for i in (0, 1)]
    for i, step in enumerate(steps(np.array(deltas), own, np.inf)):
        P = theta[i]["P"] + step[:-1].reshape(truth[i].shape)
        assert pytest.approx(truth[i], rel=1e-7) == P
    assert sum(step[-1] for step in steps(np.array(deltas), own, np.inf)) == pytest.approx(6.0 * gamma, rel=1e-7)
