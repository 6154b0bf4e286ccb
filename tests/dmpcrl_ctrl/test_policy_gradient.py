"""The policy's derivative against central differences, and against a closed loop whose cost is known in closed form."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.errors import EvaluationError, LearningError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.policy_gradient import policy_pullback
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.value import agent_data

# one state below its soft bound, one input at its bound in the second stage, all kinds of parameters
FIRST = LocalModel(
    [[0.9, 0.3], [-0.2, 0.8]],
    [[1.0], [0.4]],
    [[1.0, 0.2], [0.2, 0.7]],
    [[0.5]],
    A_ij={1: [[0.3], [-0.1]]},
    E=[[0.5], [0.1]],
    b=[0.1, -0.05],
    P=[[0.6, 0.1], [0.1, 0.4]],
    f=[0.1, -0.2, 0.05],
    C=[[1.0, 0.5]],
    lower=[0.1],
    x_lb=[0.05],
    slack_weight=[0.6],
    slack_quadratic=[0.3],
    u_min=[-2.0],
    u_max=[2.0],
    x_setpoint=[0.2, -0.1],
    u_setpoint=[0.15],
)
SECOND = LocalModel(
    [[1.1]],
    [[0.8]],
    [[2.0]],
    [[0.3]],
    A_ij={0: [[0.2, 0.1]]},
    P=[[0.5]],
    C=[[1.0]],
    upper=[0.35],
    slack_weight=[9.0],
    slack_quadratic=[0.1],
    u_min=[-0.3],
    u_max=[0.3],
    G=[[1.0]],
    G_ij={0: [[-0.5, 0.3]]},
)
PROBLEM = MPCProblem((FIRST, SECOND), 3, 0.9)
STATES = [np.array([0.4, -0.6]), np.array([1.0])]
DISTURBANCES = [np.array([0.2]), np.zeros(0)]
DIRECTION = [np.array([0.7]), np.array([-1.3])]
FIELDS = ("A", "B", "E", "b", "Q", "R", "P", "f", "C", "x_lb", "x_ub", "lower", "upper", "slack_weight")
MORE = ("slack_quadratic", "u_min", "u_max", "x_setpoint", "u_setpoint", "G", "Q_c", "A_ij", "G_ij")


def policy(problem: MPCProblem, states: Sequence[Array] = STATES) -> Array:
    found = CentralEvaluator(problem).evaluate(agent_data(problem, states, DISTURBANCES))
    assert found.status.ok
    return np.concatenate(found.action)


def along(i: int, field: str, change: Any, eps: float) -> MPCProblem:
    """The problem with one field of agent i moved along a change."""
    models, old = list(PROBLEM.models), getattr(PROBLEM.models[i], field)
    if field.endswith("_ij"):
        moved: Any = {j: block + eps * change[j] for j, block in old.items()}
    else:
        moved = old + eps * change
    models[i] = replace(models[i], **{field: moved})
    return replace(PROBLEM, models=tuple(models))


def inner(gradient: Any, change: Any) -> float:
    if isinstance(change, dict):
        return sum(float((np.nan_to_num(gradient[j]) * block).sum()) for j, block in change.items())
    return float(np.sum(gradient * np.where(np.isfinite(gradient), change, 0.0)))


@pytest.mark.parametrize("i", [0, 1])
def test_every_parameter_against_differences_of_the_policy(i: int) -> None:
    """Along a random change of each field, symmetric for weights."""
    rng = np.random.default_rng(i)
    data = agent_data(PROBLEM, STATES, DISTURBANCES)
    found = policy_pullback(CentralEvaluator(PROBLEM), data, DIRECTION)
    assert found.changed.tolist() == [0, 0]
    v, moving = np.concatenate(DIRECTION), []
    for field in (*FIELDS, *MORE):
        old = getattr(PROBLEM.models[i], field)
        if field.endswith("_ij"):
            change: Any = {j: rng.normal(size=block.shape) for j, block in old.items()}
        else:
            change = np.where(np.isfinite(old), rng.normal(size=old.shape), 0.0)
        if field in ("Q", "R", "P", "Q_c"):
            change = change + change.T
        sides = [policy(along(i, field, change, sign * 1e-5)) for sign in (1.0, -1.0)]
        slope = float(v @ (sides[0] - sides[1])) / 2e-5
        assert inner(found.gradients[i][field], change) == pytest.approx(slope, rel=1e-6, abs=1e-8), field
        moving += [field] if abs(slope) > 1e-6 else []
    expected = {0: {"A", "B", "E", "b", "Q", "R", "P", "f", "C", "x_lb", "u_setpoint", "A_ij"}}
    expected[1] = {"A", "B", "b", "Q", "C", "f", "G", "Q_c", "x_setpoint", "G_ij", "A_ij", "u_min"}
    assert expected[i] <= set(moving), moving


def test_every_state_against_differences_of_the_policy() -> None:
    found = policy_pullback(CentralEvaluator(PROBLEM), agent_data(PROBLEM, STATES, DISTURBANCES), DIRECTION)
    for i, state in enumerate(STATES):
        for c in range(len(state)):
            ends = []
            for sign in (1.0, -1.0):
                states = [own.copy() for own in STATES]
                states[i][c] += sign * 1e-5
                ends.append(policy(PROBLEM, states))
            slope = np.concatenate(DIRECTION) @ (ends[0] - ends[1]) / 2e-5
            assert found.gradients[i]["state"][c] == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_the_step_does_not_matter_while_the_same_bounds_are_active() -> None:
    evaluator, data = CentralEvaluator(PROBLEM), agent_data(PROBLEM, STATES, DISTURBANCES)
    small, large = (policy_pullback(evaluator, data, DIRECTION, step=step) for step in (1e-4, 1e-2))
    assert large.changed.tolist() == [0, 0]
    for i in (0, 1):
        for field in ("A", "Q", "R", "b"):
            assert large.gradients[i][field] == pytest.approx(small.gradients[i][field], rel=1e-7, abs=1e-9)


def test_agents_find_what_one_for_all_finds() -> None:
    data = agent_data(PROBLEM, STATES, DISTURBANCES)
    agents = DistributedEvaluator(PROBLEM, ADMMOptions(iterations=500, tolerance=1e-12))
    memory = agents.evaluate(data).memory
    apart = policy_pullback(agents, data, DIRECTION, memory)
    together = policy_pullback(CentralEvaluator(PROBLEM), data, DIRECTION)
    for own, reference in zip(apart.gradients, together.gradients, strict=True):
        for field in ("A", "B", "Q", "R", "b", "f", "x_lb", "state"):
            assert own[field] == pytest.approx(reference[field], rel=1e-6, abs=1e-7)


def test_a_saturated_input_follows_its_bound_and_nothing_else() -> None:
    model = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], u_min=[-1.0], u_max=[1.0])
    problem = MPCProblem((model,), 2)
    evaluator = CentralEvaluator(problem)
    found = policy_pullback(evaluator, agent_data(problem, [[-9.0]]), [np.ones(1)]).gradients[0]
    assert found["u_max"] == pytest.approx([1.0])
    assert all(np.abs(found[field]).max() < 1e-10 for field in ("A", "B", "Q", "R", "b", "u_min", "state"))
    # u = -s / 2 reaches its bound at s = -2
    kink = policy_pullback(evaluator, agent_data(problem, [[-2.0]]), [np.ones(1)])
    assert kink.changed.tolist() == [1]
    assert policy_pullback(evaluator, agent_data(problem, [[-1.9]]), [np.ones(1)]).changed.tolist() == [0]


def test_along_a_closed_loop_it_adds_up_to_the_slope_of_its_known_cost() -> None:
    """The policy gradient theorem, where everything is known: two coupled agents without bounds, a linear policy.

    J = s'P s with P = Q + K'R K + gamma (A + B K)'P (A + B K), and
    dJ/dtheta = sum_t gamma^t (dpi/dtheta)(s_t)' dQ^pi/da(s_t, pi(s_t)).
    """
    gamma, weights = 0.8, (np.diag([1.0, 1.0, 0.5]), np.diag([0.4, 0.7]))
    A, B = np.array([[0.8, 0.2, 0.1], [0.0, 0.7, 0.2], [0.3, 0.0, 0.9]]), np.array([[0.5, 0], [1.0, 0], [0, 0.6]])

    def problem(theta: Array) -> MPCProblem:
        """Models that are wrong, by parameters of either agent."""
        first = LocalModel(
            [[theta[0], 0.3], [0.0, 0.6]], [[0.4], [theta[1]]], np.eye(2), [[theta[2]]], A_ij={1: [[0.2], [theta[3]]]}
        )
        second = LocalModel([[1.0]], [[theta[4]]], [[theta[5]]], [[0.6]], A_ij={0: [[0.2, 0.1]]})
        return MPCProblem((first, second), 3, gamma)

    def gain(theta: Array) -> Array:
        own = problem(theta)
        columns = [CentralEvaluator(own).evaluate(agent_data(own, [e[:2], e[2:]])).action for e in np.eye(3)]
        return np.array([np.concatenate(column) for column in columns]).T

    def cost(K: Array) -> Array:
        closed = np.sqrt(gamma) * (A + B @ K)
        return np.asarray(solve_discrete_lyapunov(closed.T, weights[0] + K.T @ weights[1] @ K))

    theta, start = np.array([0.9, 0.8, 0.5, 0.1, 0.7, 0.8]), np.array([1.0, -0.5, 0.7])
    expected = []
    for e in np.eye(6):
        ends = [start @ cost(gain(theta + sign * 1e-5 * e)) @ start for sign in (1.0, -1.0)]
        expected.append((ends[0] - ends[1]) / 2e-5)
    K, P, s = gain(theta), cost(gain(theta)), start
    own = problem(theta)
    evaluator, total = CentralEvaluator(own), np.zeros(6)
    for t in range(60):
        slope = 2.0 * weights[1] @ K @ s + 2.0 * gamma * B.T @ P @ (A + B @ K) @ s
        first, second = policy_pullback(evaluator, agent_data(own, [s[:2], s[2:]]), [slope[:1], slope[1:]]).gradients
        entries = first["A"][0, 0], first["B"][1, 0], first["R"][0, 0], first["A_ij"][1][1, 0]
        total += gamma**t * np.array([*entries, second["B"][0, 0], second["Q"][0, 0]])
        s = (A + B @ K) @ s
    assert total == pytest.approx(expected, rel=1e-6)


def test_what_it_refuses() -> None:
    evaluator, data = CentralEvaluator(PROBLEM), agent_data(PROBLEM, STATES, DISTURBANCES)
    with pytest.raises(EvaluationError, match="must be positive, got 0"):
        policy_pullback(evaluator, data, DIRECTION, step=0.0)
    broken = [replace(data[0], state=np.array([np.nan, 0.0])), data[1]]
    with pytest.raises(EvaluationError, match="no derivative where V cannot be evaluated"):
        policy_pullback(evaluator, broken, DIRECTION)
    free = MPCProblem((replace(SECOND, R=np.zeros((1, 1)), A_ij={}, G_ij={}),), 2)
    with pytest.raises(LearningError, match="positive definite R"):
        policy_pullback(CentralEvaluator(free), agent_data(free, [[0.2]]), [np.ones(1)])
