"""The reduced solver against closed forms and other solvers, row by row and from one linear term to the next."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from dmpcrl_ctrl.arrays import Array, Index, dense
from dmpcrl_ctrl.consensus import held_by
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.horizon import build_horizon
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import shared_states
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QP, kkt_residuals
from dmpcrl_ctrl.reduced import Reduced, posed
from dmpcrl_ctrl.reduction import Roles, States, reduction, roles_of
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.strategies import mpc_problems
from dmpcrl_ctrl.value import agent_data

NOTHING = np.zeros(0, dtype=np.intp)
INF = np.inf


def program(state: float, **changes: Any) -> tuple[Reduced, QP, States]:
    """x(1) = s + u, |x(1) - 3|^2 + |u|^2, one stage."""
    given: dict[str, Any] = {"A": [[1.0]], "B": [[1.0]], "Q": [[1.0]], "P": [[1.0]], "R": [[1.0]], "x_setpoint": [3.0]}
    problem = MPCProblem((LocalModel(**{**given, **changes}),), 1)
    horizon, data = build_horizon(problem, 0), agent_data(problem, [np.array([state])])
    H, A, C = (dense(M) for M in (horizon.H, horizon.A, horizon.C))
    qp = replace(horizon.program(data[0], {}), H=H, A=A, C=C)
    found = posed(reduction(H, A, C, roles_of(horizon.layout), NOTHING), qp)
    assert found is not None
    return found, qp, np.zeros(found.reduction.roles.rows, dtype=np.int8)


@pytest.mark.parametrize(
    ("state", "changes", "u", "states"),
    [
        # without rows: u = (3 - s) / 2
        (1.0, {"u_max": [5.0]}, 1.0, [0]),
        (1.0, {"u_max": [0.5]}, 0.5, [1]),
        (5.0, {"u_min": [-0.5]}, -0.5, [-1]),
        # x(1) <= 1.5, soft: on the bound where the price is above the slope 2 u + 2 (x - 3) = -2, beyond it below
        (1.0, {"C": [[1.0]], "upper": [1.5], "slack_weight": [4.0]}, 0.5, [1]),
        (1.0, {"C": [[1.0]], "upper": [1.5], "slack_weight": [1.0]}, 0.75, [2]),
        # with a quadratic price c = 2 w2 = 2: 2 u + 2 (u - 2) + 1 + 2 (u - 0.5) = 0
        (1.0, {"C": [[1.0]], "upper": [1.5], "slack_weight": [1.0], "slack_quadratic": [1.0]}, 4.0 / 6.0, [2]),
        # a price that starts at zero
        (1.0, {"C": [[1.0]], "upper": [1.5], "slack_weight": [0.0], "slack_quadratic": [1.0]}, 5.0 / 6.0, [2]),
        # and of the lower bound x(1) >= 4
        (3.0, {"C": [[1.0]], "lower": [4.0], "slack_weight": [9.0]}, 1.0, [-1]),
        (3.0, {"C": [[1.0]], "lower": [4.0], "slack_weight": [1.0]}, 0.25, [-2]),
        # a row that is both at once, hard and soft
        (1.0, {"C": [[1.0]], "lower": [1.2], "upper": [1.2]}, 0.2, [1]),
        (1.0, {"C": [[1.0]], "lower": [2.2], "upper": [2.2], "slack_weight": [0.4]}, 1.1, [-2]),
        # the end is given, from either side
        (1.0, {"terminal_equality": True, "x_setpoint": [2.5]}, 1.5, [-1]),
        (1.0, {"terminal_equality": True, "x_setpoint": [0.5]}, -0.5, [1]),
        # a soft row that depends on an input at its bound: beyond, whatever it costs
        (3.0, {"C": [[1.0]], "upper": [1.0], "slack_weight": [99.0], "u_min": [-0.5], "u_max": [9.0]}, -0.5, [2, -1]),
    ],
)
def test_closed_forms(state: float, changes: dict[str, Any], u: float, states: list[int]) -> None:
    found, qp, start = program(state, **changes)
    point = found.at(np.zeros(0), start)
    assert point is not None
    # the size of a multiplier tells on which bound of a row that has one value only
    assert np.abs(point.pattern.states).tolist() == np.abs(states).tolist()
    solution = found.solution(point)
    assert solution.x[qp.H.shape[0] - len(found.reduction.roles.slacks) - 1] == pytest.approx(u, abs=1e-12)
    assert kkt_residuals(qp, solution).worst < 1e-12


@pytest.mark.parametrize("slack_weight", [INF, 5.0])
def test_bounds_that_contradict_each_other_have_no_point(slack_weight: float) -> None:
    wanted = {"C": [[1.0]], "lower": [9.0], "u_max": [1.0]}
    found, _, start = program(1.0, **wanted)
    assert found.at(np.zeros(0), start) is None
    # a soft bound gives way
    found, _, start = program(1.0, **wanted, slack_weight=[5.0])
    point = found.at(np.zeros(0), start)
    assert point is not None and point.pattern.states.tolist() == [-2, 1]


def test_a_program_whose_soft_bounds_cross_is_not_reduced() -> None:
    found, qp, _ = program(1.0, C=[[1.0]], lower=[0.0], upper=[1.0], slack_weight=[1.0])
    assert posed(found.reduction, qp) is not None
    roles = found.reduction.roles
    crossed = qp.lower.copy()
    crossed[roles.lower] = 2.0
    assert posed(found.reduction, replace(qp, lower=crossed)) is None
    assert posed(None, qp) is None


def local(case: tuple[MPCProblem, tuple[AgentData, ...]], i: int, weight: float) -> tuple[QP, Reduced | None, Index]:
    """Agent i's program with a penalty on what it shares."""
    problem, data = case
    horizons = [build_horizon(problem, k) for k in range(len(problem.models))]
    held = held_by([h.layout for h in horizons], shared_states(problem))[i].local
    horizon = horizons[i]
    H, A, C = (dense(M).copy() for M in (horizon.H, horizon.A, horizon.C))
    H[held, held] += weight
    qp = replace(horizon.program(data[i], [d.state for d in data]), H=H, A=A, C=C)
    return qp, posed(reduction(H, A, C, roles_of(horizon.layout), held), qp), held


@given(mpc_problems(max_agents=3))
@settings(max_examples=60)
def test_the_whole_program_has_the_same_solution(case: tuple[MPCProblem, tuple[AgentData, ...]]) -> None:
    rng = np.random.default_rng(0)
    for i in range(len(case[0].models)):
        qp, found, held = local(case, i, 1.0)
        if found is None:
            continue
        states = np.zeros(found.reduction.roles.rows, dtype=np.int8)
        size = float(np.abs(qp.g).max())
        solver = CheckedSolver("daqp")
        for scale in (0.0, 1e-3, 0.1, 0.1, 1.0):
            linear = scale * size * rng.normal(size=len(held))
            g = qp.g.copy()
            g[held] += linear
            whole = replace(qp, g=g)
            expected = solver.solve(whole)
            point = found.at(linear, states)
            if point is None:
                continue
            states = point.pattern.states
            solution = found.solution(point)
            assert expected.status is Status.OPTIMAL
            assert kkt_residuals(whole, solution).worst < 1e-9
            near = 1e-7 * (1.0 + np.abs(expected.x).max())
            free = found.reduction.roles.free  # what is strictly convex is unique
            assert np.allclose(solution.x[free], expected.x[free], atol=near)
            assert np.allclose(point.shared, solution.x[held], rtol=1e-9, atol=1e-9 * (1.0 + np.abs(solution.x).max()))


CHAIN: dict[str, Any] = {
    "A": [[0.9, 0.35], [0.0, 1.1]],
    "B": [[0.08], [0.2]],
    "Q": np.eye(2),
    "R": [[0.5]],
    "C": np.eye(2),
    "lower": [0.0, -1.0],
    "upper": [1.0, 1.0],
    "slack_weight": [100.0, 100.0],
    "u_min": [-1.0],
    "u_max": [1.0],
}


def chained() -> MPCProblem:
    model = LocalModel(**CHAIN, A_ij={1: 0.1 * np.eye(2)})
    return MPCProblem((model, LocalModel(**CHAIN, A_ij={0: 0.1 * np.eye(2)})), 8, 0.9)


def test_most_programs_of_a_loop_are_solved_without_the_whole_one() -> None:
    """Far outside of the bounds many rows depend on each other; where the reduced solver gives up, it may start again
    from what another solver found."""
    problem, rng = chained(), np.random.default_rng(4)
    failed = 0
    for _ in range(60):
        data = agent_data(problem, [rng.normal(size=2), rng.normal(size=2)])
        qp, found, held = local((problem, tuple(data)), 0, 5.0)
        assert found is not None
        linear = rng.normal(size=len(held))
        states = np.zeros(found.reduction.roles.rows, dtype=np.int8)
        point = found.at(linear, states)
        g = qp.g.copy()
        g[held] += linear
        whole = replace(qp, g=g)
        expected = CheckedSolver("daqp").solve(whole)
        assert expected.status is Status.OPTIMAL
        failed += point is None
        again = Reduced(found.reduction, qp).at(linear, found.states_at(expected))
        assert again is not None
        for reached in (point, again):
            if reached is not None:
                assert kkt_residuals(whole, found.solution(reached)).worst < 1e-9
                assert np.allclose(found.solution(reached).x, expected.x, atol=1e-7)
    assert failed <= 12


def test_the_response_is_the_derivative_of_the_shared_numbers() -> None:
    problem = chained()
    data = agent_data(problem, [np.array([0.9, 0.4]), np.array([0.5, 0.0])])
    _, found, held = local((problem, tuple(data)), 0, 5.0)
    assert found is not None
    states, step = np.zeros(found.reduction.roles.rows, dtype=np.int8), 1e-6
    start = found.at(np.zeros(len(held)), states)
    assert start is not None and np.abs(start.pattern.states).any()
    for k in range(len(held)):
        ahead, behind = (found.at(sign * step * np.eye(len(held))[k], states) for sign in (1.0, -1.0))
        assert ahead is not None and behind is not None
        assert ahead.pattern is start.pattern
        assert np.allclose((behind.shared - ahead.shared) / (2.0 * step), start.pattern.response[k], atol=1e-8)


def test_numbers_that_are_none_have_no_point() -> None:
    found, _, start = program(1.0, u_max=[5.0], C=[[1.0]], upper=[9.0])
    assert found.at(np.zeros(0), start) is not None
    problem = chained()
    _, shared, held = local((problem, tuple(agent_data(problem, [np.zeros(2)] * 2))), 0, 5.0)
    assert shared is not None
    assert shared.at(np.full(len(held), np.nan), np.zeros(shared.reduction.roles.rows, dtype=np.int8)) is None


def direct(H: Array, C: Array, lower: Array, upper: Array) -> tuple[QP, Reduced]:
    """min 1/2 u'H u + linear'u, lower <= C u <= upper, all of u shared, beside a state that is zero."""
    v, none = len(H), NOTHING
    whole, A = np.zeros((v + 1, v + 1)), np.zeros((1, v + 1))
    whole[0, 0], whole[1:, 1:], A[0, 0] = 1.0, H, -1.0
    rows = np.hstack([np.zeros((len(C), 1)), C])
    zero, hard = np.array([0]), np.arange(len(C))
    roles = Roles(zero, 1 + np.arange(v), zero, none, none, none, none, none, hard)
    qp = QP(whole, np.zeros(v + 1), A, np.zeros(1), rows, lower, upper)
    found = posed(reduction(whole, A, rows, roles, 1 + np.arange(v)), qp)
    assert found is not None
    return qp, found


@pytest.mark.parametrize("nearness", [1e-1, 1e-2, 1e-3, 1e-4])
def test_rows_that_nearly_depend_on_each_other_keep_their_digits_or_have_no_point(nearness: float) -> None:
    rng = np.random.default_rng(0)
    found_any = False
    for _ in range(20):
        C, M = rng.normal(size=(4, 6)), rng.normal(size=(6, 6))
        C[-1] = C[:-1].T @ rng.normal(size=3) + nearness * rng.normal(size=6)
        H, x = M @ M.T + np.eye(6), rng.normal(size=6)
        _, found = direct(H, C, C @ x, C @ x)
        linear = -(H @ x) - C.T @ (rng.uniform(0.5, 2.0, 4) * rng.choice([-1.0, 1.0], 4))
        point = found.at(linear, np.zeros(4, dtype=np.int8))
        if point is not None:
            found_any = True
            assert np.abs(point.shared - x).max() < 1e-8 * np.abs(x).max()
    assert found_any or nearness < 1e-3


@pytest.mark.parametrize("ratio", [1.0, 10.0, 1e3])
def test_the_units_of_one_input_hide_nothing_of_another(ratio: float) -> None:
    r = ratio
    _, found = direct(np.diag([r**2, r**-2]), np.eye(2), np.array([-1 / r, -r]), np.array([1 / r, r]))
    start = np.zeros(2, dtype=np.int8)
    assert found.at(np.array([-2 * r, -2 / r]), start) is not None
    point = found.at(np.array([-2 * r, -(1 - 1e-6) / r]), start)
    assert point is not None
    assert point.shared == pytest.approx([1 / r, (1 - 1e-6) * r], rel=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"C": [[1e155]], "upper": [1.0], "slack_weight": [1.0]},
        {"C": [[1.0]], "lower": [4.0], "slack_weight": [0.01], "slack_quadratic": [1e-310]},
    ],
)
def test_numbers_out_of_all_range_end_in_an_answer_and_no_warning(changes: dict[str, Any]) -> None:
    problem = MPCProblem((LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], **changes),), 2)
    assert DistributedEvaluator(problem).evaluate(agent_data(problem, [np.array([1.0])])).status.ok
