"""A learning block: one update against finite differences, agents against one central learner, and what it refuses."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.controllers.learning import LearningMPC, LearningState
from dmpcrl_ctrl.controllers.mpc import MPC
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.exploration import Exploration
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.projection import at_least, within
from dmpcrl_ctrl.qlearning import flat, gradient_by_theta, shaped
from dmpcrl_ctrl.replay import Replay
from dmpcrl_ctrl.schedule import Geometric
from dmpcrl_ctrl.validation.agent_order import reordered
from dmpcrl_ctrl.value import agent_data

BOUNDED: dict[str, Any] = {"u_min": [-1.0], "u_max": [1.0]}
FIRST = LocalModel([[0.9]], [[1.0]], [[1.0]], [[0.5]], C=[[1.0]], upper=[0.7], slack_weight=[9.0], **BOUNDED)
SECOND = LocalModel([[1.1]], [[0.8]], [[2.0]], [[0.3]], A_ij={0: [[0.2]]}, **BOUNDED)
PROBLEM = MPCProblem((FIRST, SECOND), 3, 0.9)
EXACT = ADMMOptions(iterations=500, tolerance=1e-12)


def free(problem: MPCProblem, *fields: str) -> list[Parametrization]:
    return [
        Parametrization(m, [*(Free(f) for f in fields), *(Free(("A_ij", j)) for j in m.A_ij)]) for m in problem.models
    ]


def blocks(problem: MPCProblem = PROBLEM) -> list[MPC]:
    return [CentralizedMPC(problem, 1.0), DistributedMPC(problem, 1.0, admm=EXACT)]


def fed(
    learning: LearningMPC, states: Array, inputs: Array, costs: Array
) -> tuple[LearningState, list[dict[str, Any]]]:
    """The block after a recorded sequence: inputs[t] and costs[t] belong to the sample from states[t] on."""
    state, records = learning.init(3), []
    for t, s in enumerate(states):
        measured = np.concatenate([s, np.zeros(len(learning.inputs) - len(s))])
        applied, cost = (inputs[t - 1], costs[t - 1]) if t else (np.zeros(2), np.zeros(2))
        state, _, record = learning.step(state, t, measured, applied, cost)
        records.append(record)
    return state, records


@pytest.mark.parametrize("mpc", blocks(), ids=lambda mpc: type(mpc).__name__)
def test_one_update_is_the_product_of_temporal_difference_and_slope(mpc: MPC) -> None:
    """delta from values of a program apart, the slope of Q by central differences of such values."""
    parametrizations = free(PROBLEM, "V0", "A", "B", "b", "f")
    learning = LearningMPC(mpc, parametrizations, step_size=0.01)
    states, action, costs = np.array([[0.5, -0.4], [0.8, 0.3]]), np.array([0.3, -0.2]), np.array([1.5, 0.25])
    after, records = fed(learning, states, action[None], costs[None])

    def value(theta: Sequence[Array], s: Array, a: Array | None) -> float:
        named = [shaped(own, made.initial) for own, made in zip(theta, parametrizations, strict=True)]
        problem = learning.models_at(named)
        given = None if a is None else [a[:1], a[1:]]
        return CentralEvaluator(problem).evaluate(agent_data(problem, [s[:1], s[1:]]), given).value

    start = [flat(own) for own in learning.theta]
    delta = costs[0:2].sum() + 0.9 * value(start, states[1], None) - value(start, states[0], action)
    assert records[1]["td_error"] == pytest.approx([delta, delta], rel=1e-7)
    for i, own in enumerate(start):
        moved = flat(after.theta[i])
        for p in range(len(own)):
            ends = []
            for sign in (1.0, -1.0):
                theta = [part.copy() for part in start]
                theta[i][p] += sign * 1e-5
                ends.append(value(theta, states[0], action))
            slope = (ends[0] - ends[1]) / 2e-5
            assert moved[p] == pytest.approx(own[p] + 0.01 * delta * slope, rel=1e-6, abs=1e-8)


RECORDED = (
    np.array([[0.5, -0.4], [0.8, 0.3], [0.2, 0.6], [-0.3, 0.1], [0.4, 0.4], [0.1, -0.6]]),
    np.array([[0.3, -0.2], [-0.5, 0.1], [0.2, -0.6], [0.4, 0.2], [-0.1, -0.3], [0.0, 0.0]]),
    np.array([[1.5, 0.2], [0.7, 0.4], [0.3, 1.1], [0.2, 0.1], [0.6, 0.5], [0.0, 0.0]]),
)


def test_a_second_order_update_is_one_dense_least_squares_step() -> None:
    """By the gradients of evaluations apart, and what is remembered afterwards is what the step has left."""
    mpc, made = CentralizedMPC(PROBLEM, 1.0), free(PROBLEM, "V0", "A", "B", "b", "f")
    options: dict[str, Any] = {"replay": Replay(9, 4, 3), "update_every": 5, "step_size": 0.4}
    after, records = fed(LearningMPC(mpc, made, method="gauss_newton", **options), *RECORDED)
    deltas = np.array([record["td_error"][0] for record in records[1:]])
    rows = []
    for s, a in zip(RECORDED[0][:5], RECORDED[1][:5], strict=True):
        found = CentralEvaluator(PROBLEM).evaluate(agent_data(PROBLEM, [s[:1], s[1:]]), [a[:1], a[1:]])
        rows.append(np.concatenate(gradient_by_theta(made, [own.initial for own in made], found.gradient)))
    G, chosen = np.array(rows), Replay(9, 4, 3).chosen(5, 3, 0)
    damped = np.vstack([G[chosen], np.sqrt(4 / 0.4) * np.eye(G.shape[1])])
    step = np.linalg.lstsq(damped, np.append(deltas[chosen], np.zeros(G.shape[1])))[0]
    start = np.concatenate([flat(own.initial) for own in made])
    assert np.concatenate([flat(own) for own in after.theta]) == pytest.approx(start + step, rel=1e-6, abs=1e-8)
    assert after.deltas[1] == pytest.approx(deltas - G @ step, rel=1e-6, abs=1e-7)


def test_agents_learn_by_second_order_what_one_central_learner_does() -> None:
    thetas = []
    for mpc in blocks():
        learning = LearningMPC(
            mpc, free(PROBLEM, "A", "b", "f"), method="gauss_newton", step_size=0.5, replay=Replay(4, 3, 2)
        )
        after, _ = fed(learning, *RECORDED)
        assert after.updates == 5
        thetas.append(np.concatenate([flat(own) for own in after.theta]))
    assert thetas[0] == pytest.approx(thetas[1], rel=1e-8, abs=1e-8)


def test_second_order_learns_the_riccati_solution_in_closed_loop() -> None:
    """Two regulators side by side, without noise: one stage and a terminal weight that is learned."""
    gamma, A, B = 0.9, (1.1, 0.8), (1.0, 0.6)
    models = tuple(LocalModel([[a]], [[b]], [[1.0]], [[0.5]], P=[[0.2]]) for a, b in zip(A, B, strict=True))
    problem = MPCProblem(models, 1, gamma)
    learning = LearningMPC(
        CentralizedMPC(problem, 1.0), free(problem, "P"), method="gauss_newton", step_size=1e4, replay=Replay(4, 4, 4)
    )
    state, rng, x = learning.init(0), np.random.default_rng(1), np.array([1.0, -1.0])
    applied = cost = np.zeros(2)
    for t in range(60):
        state, u, _ = learning.step(state, t, np.concatenate([x, np.zeros(4)]), applied, cost)
        applied = u + rng.normal(size=2)
        cost, x = x**2 + 0.5 * applied**2, np.array(A) * x + np.array(B) * applied
    for a, b, own in zip(A, B, state.theta, strict=True):
        root = np.sqrt(gamma)
        truth = solve_discrete_are(np.array([[root * a]]), np.array([[root * b]]), np.eye(1), np.array([[0.5]]))
        assert own["P"] == pytest.approx(truth, rel=1e-4)


@pytest.mark.parametrize("method", ["gradient", "gauss_newton"])
@pytest.mark.parametrize("kind", [CentralizedMPC, DistributedMPC])
def test_the_order_of_agents_does_not_matter(kind: type[MPC], method: Literal["gradient", "gauss_newton"]) -> None:
    states, inputs, costs = RECORDED
    options: dict[str, Any] = {"admm": EXACT} if kind is DistributedMPC else {}
    thetas = []
    for order in ([0, 1], [1, 0]):
        problem = reordered(PROBLEM, order)
        learning = LearningMPC(
            kind(problem, 1.0, **options),
            free(problem, "V0", "A", "b", "f"),
            method=method,
            step_size=0.1,
            replay=Replay(4, 3, 2),
        )
        after, _ = fed(learning, states[:, order], inputs[:, order], costs[:, order])
        assert after.updates > 0
        thetas.append([flat(after.theta[order.index(i)]) for i in (0, 1)])
    for mine, theirs in zip(*thetas, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-7, abs=1e-9)


def test_what_cannot_be_trusted_is_counted_and_not_learned_from() -> None:
    mpc = DistributedMPC(PROBLEM, 1.0, admm=ADMMOptions(iterations=1))
    states, rng = np.array([[0.5, -0.4], [0.6, 0.3], [0.1, 0.2]]), np.random.default_rng(0)
    inputs, costs = rng.uniform(-0.5, 0.5, (3, 2)), np.ones((3, 2))
    careful = LearningMPC(mpc, free(PROBLEM, "b"), step_size=0.01)
    after, records = fed(careful, states, inputs, costs)
    assert (after.skipped, after.transitions, after.updates) == (2, 0, 0)
    assert np.isnan(records[-1]["td_error"]).all()
    assert all(np.array_equal(a["b"], b["b"]) for a, b in zip(after.theta, careful.theta, strict=True))
    trusting, _ = fed(LearningMPC(mpc, free(PROBLEM, "b"), step_size=0.01, trust=None), states, inputs, costs)
    assert (trusting.skipped, trusting.updates) == (0, 2)


@pytest.mark.parametrize("mpc", blocks(), ids=lambda mpc: type(mpc).__name__)
def test_exploring_does_not_bias_the_temporal_difference(mpc: MPC) -> None:
    """V(s') without exploration, unless the published way is asked for; Q is the same in both."""
    states, inputs, costs = np.array([[0.5, -0.4], [0.3, 0.3]]), np.zeros((1, 2)), np.zeros((1, 2))
    exploration, found = Exploration(Geometric(1.0), 2.0), []
    for options in ({}, {"exploration": exploration}, {"exploration": exploration, "perturbed_target": True}):
        _, records = fed(LearningMPC(mpc, free(PROBLEM, "b"), step_size=0.0, **options), states, inputs, costs)
        found.append(float(records[1]["td_error"][0]))
    assert found[1] == pytest.approx(found[0], rel=1e-8)
    assert abs(found[2] - found[0]) > 1e-3


def test_parameters_stay_in_their_sets() -> None:
    states, inputs, costs = np.array([[0.5, -0.4], [0.6, 0.3]]), np.array([[0.3, -0.2]]), np.array([[1.5, 0.25]])
    sets = {"b": within(-1e-3, 1e-3), "V0": at_least(0.0)}
    mpc = CentralizedMPC(PROBLEM, 1.0)
    after, _ = fed(LearningMPC(mpc, free(PROBLEM, "b", "V0"), step_size=1.0, sets=sets), states, inputs, costs)
    assert all(np.abs(theta["b"]).max() == pytest.approx(1e-3) for theta in after.theta)
    assert all(theta["V0"] >= 0.0 for theta in after.theta)


def test_the_block_is_pure() -> None:
    """A step repeated from one state gives the same again, also after others have been made from it."""
    learning = LearningMPC(CentralizedMPC(PROBLEM, 1.0), free(PROBLEM, "b", "A"), step_size=0.01)
    states, inputs, costs = np.array([[0.5, -0.4], [0.6, 0.3]]), np.array([[0.3, -0.2]]), np.array([[1.5, 0.25]])
    before, _ = fed(learning, states, inputs, costs)
    measured = np.concatenate([[0.1, 0.2], np.zeros(len(learning.inputs) - 2)])
    thetas = []
    for _ in range(2):
        after, _, _ = learning.step(before, 2, measured, np.array([0.1, 0.1]), np.ones(2))
        thetas.append(np.concatenate([flat(own) for own in after.theta]))
    assert thetas[0] == pytest.approx(thetas[1], rel=1e-9)
    assert before.updates == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update_every": 0}, "update_every must be a whole number of at least 1, got 0"),
        ({"method": "newton"}, "method of learning is 'gradient' or 'gauss_newton', got 'newton'"),
        ({"trust": -1.0}, "trust must be a positive residual or None, got -1.0"),
        ({"step_size": -1.0}, "at least 0, got -1.0"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LearningError, match=message):
        LearningMPC(CentralizedMPC(PROBLEM, 1.0), free(PROBLEM, "b"), **options)


def test_parametrizations_belong_to_the_agents() -> None:
    with pytest.raises(LearningError, match="2 agents need as many parametrizations, got 1"):
        LearningMPC(CentralizedMPC(PROBLEM, 1.0), free(PROBLEM, "b")[:1])
    with pytest.raises(LearningError, match="delay"):
        LearningMPC(CentralizedMPC(PROBLEM, 1.0, delay=0.2), free(PROBLEM, "b"))


def test_an_update_that_leaves_the_models_is_named() -> None:
    states, inputs, costs = np.array([[0.5, -0.4], [0.6, 0.3]]), np.array([[0.3, -0.2]]), np.array([[-500.0, 0.25]])
    weights = [Parametrization(m, [Free("R")]) for m in PROBLEM.models]
    with pytest.raises(LearningError, match="update 0 left the models that there are: R must be positive semidefinite"):
        fed(LearningMPC(CentralizedMPC(PROBLEM, 1.0), weights, step_size=1.0), states, inputs, costs)
