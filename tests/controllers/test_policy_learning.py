"""Learning a policy where its gradient is known in closed form: two coupled regulators without bounds.

The plant is x+ = A x + B u with cost x'x + u'u / 2, the policy of one-stage programs is u = K(theta) x, any K can be
made, and with V the solution of V = Q + K'R K + gamma (A + B K)'V (A + B K) the slope of Q by the input at the policy
is G x with G = 2 ( (R + gamma B'V B) K + gamma B'V A ). So the natural gradient w is known: (dK/dtheta) w = G.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC, PolicyLearning
from dmpcrl_ctrl.controllers.mpc import MPC
from dmpcrl_ctrl.controllers.policy_learning import PolicyState
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.exploration import Exploration
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.projection import within
from dmpcrl_ctrl.qlearning import flat
from dmpcrl_ctrl.schedule import Geometric

GAMMA, A, B = 0.9, np.array([[0.9, 0.2], [0.3, 0.8]]), np.diag([1.0, 0.6])
Q, R = np.eye(2), 0.5 * np.eye(2)
MODELS = (
    LocalModel([[0.9]], [[1.0]], [[1.0]], [[0.5]], P=[[0.4]], A_ij={1: [[0.0]]}, declared={1: (0,)}),
    LocalModel([[0.8]], [[0.6]], [[1.0]], [[0.5]], P=[[0.4]], A_ij={0: [[0.0]]}, declared={0: (0,)}),
)
PROBLEM = MPCProblem(MODELS, 1, GAMMA)
MADE = [Parametrization(model, [Free("A"), *(Free(("A_ij", j)) for j in model.A_ij)]) for model in MODELS]
EXACT = ADMMOptions(iterations=500, tolerance=1e-12)


def learner(mpc: MPC | None = None, strength: float = 0.02, **options: Any) -> PolicyLearning:
    given = CentralizedMPC(PROBLEM, 1.0) if mpc is None else mpc
    return PolicyLearning(given, MADE, exploration=Exploration(Geometric(1.0), strength), **options)


def driven(learning: PolicyLearning, transitions: int, seed: int = 0) -> list[PolicyState]:
    """States of the block after each sample, in a plant that starts anew every fourth."""
    state, rng, x = learning.init(seed), np.random.default_rng(seed), np.array([1.0, -1.0])
    states: list[PolicyState] = []
    applied = cost = np.zeros(2)
    while not states or states[-1].transitions < transitions:
        state, u, _ = learning.step(state, len(states), np.concatenate([x, np.zeros(4)]), applied, cost)
        states.append(state)
        applied, cost, x = u, x**2 + 0.5 * u**2, A @ x + B @ u
        if len(states) % 4 == 0:
            state, x = replace(state, last=None), rng.normal(size=2)
    return states


def gain(learning: PolicyLearning, theta: Sequence[Any]) -> Array:
    deployed = learning.controller(theta)
    return np.array([np.concatenate(deployed.evaluate(e).action) for e in np.eye(2)]).T


def value(K: Array) -> Array:
    closed = np.sqrt(GAMMA) * (A + B @ K)
    return np.asarray(solve_discrete_lyapunov(closed.T, Q + K.T @ R @ K))


def known_natural_gradient(learning: PolicyLearning) -> Array:
    theta, columns = learning.theta, []
    for i in (0, 1):
        for name in theta[i]:
            ends = []
            for sign in (1.0, -1.0):
                moved = [dict(own) for own in theta]
                moved[i][name] = moved[i][name] + sign * 1e-5
                ends.append(gain(learning, moved))
            columns.append(((ends[0] - ends[1]) / 2e-5).ravel())
    K = gain(learning, theta)
    V = value(K)
    slope = 2.0 * ((R + GAMMA * B.T @ V @ B) @ K + GAMMA * B.T @ V @ A)
    return np.asarray(np.linalg.solve(np.array(columns).T, slope.ravel()))


def test_the_estimated_natural_gradient_is_the_known_one() -> None:
    """Over independent batches: within four standard errors of their mean, which are a hundredth of it."""
    learning = learner(step_size=0.0, update_every=25, ridge=1e-6)
    found = []
    for seed in range(4):
        state = next(s for s in driven(learning, 24, seed) if len(s.seen) == 24)
        found.append(np.concatenate(learning.natural_gradient(state)))
    expected = known_natural_gradient(learning)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert np.linalg.norm(error) < 0.03 * np.linalg.norm(expected)
    assert (np.abs(np.mean(found, axis=0) - expected) < 4.0 * error + 1e-3).all()


def test_it_learns_the_optimal_feedback() -> None:
    learning = learner(step_size=Geometric(0.15, 0.9), update_every=20, ridge=1e-6)
    after = driven(learning, 120)[-1]
    assert (after.updates, after.skipped) == (6, 0)
    P = solve_discrete_are(np.sqrt(GAMMA) * A, np.sqrt(GAMMA) * B, Q, R)
    start, found = (np.trace(value(gain(learning, theta))) for theta in (learning.theta, after.theta))
    assert np.trace(P) - 1e-9 <= found < np.trace(P) + 0.01 * (start - np.trace(P))


def test_agents_learn_what_one_central_learner_does() -> None:
    thetas = []
    for mpc in (CentralizedMPC(PROBLEM, 1.0), DistributedMPC(PROBLEM, 1.0, admm=EXACT)):
        after = driven(learner(mpc, step_size=0.05, update_every=6), 12)[-1]
        assert after.updates == 2
        thetas.append(np.concatenate([flat(own) for own in after.theta]))
    assert np.abs(thetas[0] - flat(MADE[0].initial).tolist() * 2).max() > 1e-3
    assert thetas[0] == pytest.approx(thetas[1], rel=1e-6, abs=1e-7)


def test_a_transition_across_a_kink_is_counted_and_not_learned_from() -> None:
    """The policy's first input reaches its bound at the very state that is measured."""
    model = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], u_min=[-1.0], u_max=[1.0])
    mpc = CentralizedMPC(MPCProblem((model,), 2), 1.0)
    made = [Parametrization(model, [Free("b")])]
    learning = PolicyLearning(mpc, made, exploration=Exploration(Geometric(0.0)), update_every=9)
    for state, expected in ((-2.0, 1), (-1.5, 0)):
        carried = learning.init(0)
        for x, applied in ((state, 0.0), (0.5, 0.7)):
            carried, _, _ = learning.step(carried, 0, np.array([x, 0.0, 0.0]), np.array([applied]), np.ones(1))
        assert (carried.skipped, carried.transitions) == (expected, 1 - expected)


def test_parameters_stay_in_their_sets_and_a_new_policy_forgets_the_old_one() -> None:
    learning = learner(step_size=5.0, update_every=4, sets={"A": within(0.75, 0.95)})
    states = driven(learning, 8)
    after = states[-1]
    assert (after.updates, after.seen, after.last) == (2, (), None)
    assert all(0.75 <= own["A"].item() <= 0.95 for own in after.theta)
    resumed = learning.resumed(states[1])
    assert (resumed.theta, resumed.seen, resumed.last) == (states[1].theta, states[1].seen, None)


def test_a_ridge_is_positive() -> None:
    with pytest.raises(LearningError, match="ridge must be positive, got 0"):
        learner(ridge=0.0)
