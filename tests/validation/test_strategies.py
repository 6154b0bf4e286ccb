"""What the strategies promise: connected networks, problems that have a solution, programs whose solution is known."""

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
import qpsolvers
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from scipy import sparse

from dmpcrl_ctrl.arrays import dense
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.random_problems import FEATURES, Blueprint
from dmpcrl_ctrl.validation.strategies import (
    Arcs,
    Situation,
    SolvedQP,
    badly_scaled_problems,
    blueprints,
    couplings,
    degenerate_problems,
    infeasible_problems,
    mpc_problems,
    networks,
    situations,
    smallest,
    solved_qps,
)
from tests.examples import examples
from tests.references import central_reference

Case = tuple[MPCProblem, tuple[AgentData, ...]]


@given(networks(2, 6))
def test_networks_are_connected_and_of_the_size_asked_for(graph: "nx.Graph[int]") -> None:
    assert sorted(graph) == list(range(len(graph))) and 2 <= len(graph) <= 6
    assert nx.is_connected(graph)
    assert nx.number_of_selfloops(graph) == 0


@given(couplings(1, 5))
def test_couplings_are_directed_and_connected(case: tuple[int, Arcs]) -> None:
    agents, arcs = case
    graph = nx.DiGraph(arcs)
    graph.add_nodes_from(range(agents))
    assert len(set(arcs)) == len(arcs)
    assert len(graph) == agents and nx.is_weakly_connected(graph)


@given(mpc_problems())
@settings(max_examples=examples(200))
def test_every_problem_has_a_finite_optimum_says_another_solver(case: Case) -> None:
    reference = central_reference(*case)
    assert np.isfinite(reference.value)
    assert 1 <= len(case[0].models) <= 8


@given(mpc_problems(2, 3, max_states=2, max_inputs=1, max_horizon=2, features=["hard_bounds"]))
def test_limits_of_the_sizes_are_kept(case: Case) -> None:
    problem, _ = case
    assert 2 <= len(problem.models) <= 3 and problem.horizon <= 2
    assert all(1 <= model.n <= 2 and model.m <= 1 for model in problem.models)
    assert not any(model.soft.any() for model in problem.models)


@given(mpc_problems(features=()))
def test_without_features_the_cost_is_strictly_convex_and_nothing_is_bounded(case: Case) -> None:
    for model in case[0].models:
        assert np.linalg.eigvalsh(model.Q)[0] > 0.0
        assert not model.m or np.linalg.eigvalsh(model.R)[0] > 0.0
        assert len(model.C) == 0 and not model.terminal_equality and np.isinf(model.u_max).all()


def test_a_failure_shrinks_to_few_agents_and_the_features_that_matter() -> None:
    found = find(blueprints(), lambda b: len(b.sizes) >= 3 and "rate_limits" in b.features)
    assert found == Blueprint(((1, 0),) * 3, found.arcs, 1, frozenset({"rate_limits"}), 0)
    assert len(found.arcs) == 2


OCCURS = settings(max_examples=2000, phases=[Phase.generate], database=None)


def occurs(condition: Callable[[Blueprint], bool]) -> bool:
    """Whether a blueprint of this kind is drawn before long."""
    return condition(find(blueprints(), condition, settings=OCCURS))


def test_agents_of_different_sizes_occur() -> None:
    assert occurs(lambda b: len({n for n, _ in b.sizes}) == 4 and {m for _, m in b.sizes} == {0, 1, 2})


def test_directed_and_mutual_couplings_and_loops_occur() -> None:
    assert occurs(
        lambda b: any(arc[::-1] not in b.arcs for arc in b.arcs) and any(arc[::-1] in b.arcs for arc in b.arcs)
    )
    assert occurs(lambda b: len({frozenset(arc) for arc in b.arcs}) > len(b.sizes))


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_occurs(feature: str) -> None:
    assert occurs(lambda b: feature in b.features)


@given(solved_qps())
@settings(max_examples=examples(200))
def test_the_known_solution_satisfies_the_optimality_conditions(case: SolvedQP) -> None:
    qp, solution = case.qp, case.solution
    H, A, C = dense(qp.H), dense(qp.A), dense(qp.C)
    x, low, high = solution.x, solution.lower_dual, solution.upper_dual
    assert np.allclose(H @ x + qp.g + A.T @ solution.equality_dual + C.T @ (high - low), 0.0, atol=1e-12)
    assert np.allclose(A @ x, qp.b, atol=1e-12)
    assert np.all(C @ x >= qp.lower - 1e-12) and np.all(C @ x <= qp.upper + 1e-12)
    assert np.all(low >= 0.0) and np.all(high >= 0.0)
    assert not low[C @ x > qp.lower + 1e-12].any() and not high[C @ x < qp.upper - 1e-12].any()
    assert np.linalg.eigvalsh(H)[0] >= (0.09 if case.strictly_convex else -1e-10)


@given(solved_qps())
@settings(max_examples=examples(100))
def test_another_solver_finds_the_same_optimum(case: SolvedQP) -> None:
    qp, x = case.qp, case.solution.x
    C, above, below = dense(qp.C), np.isfinite(qp.upper), np.isfinite(qp.lower)
    problem = qpsolvers.Problem(
        sparse.csc_matrix(dense(qp.H)), qp.g,
        sparse.csc_matrix(np.vstack([C[above], -C[below]])), np.concatenate([qp.upper[above], -qp.lower[below]]),
        sparse.csc_matrix(dense(qp.A)), qp.b,
    )  # fmt: skip
    answer = qpsolvers.solve_problem(problem, solver="clarabel")
    assert answer.found and answer.x is not None
    assert abs(qp.objective(answer.x) - qp.objective(x)) <= 1e-6 * (1.0 + abs(qp.objective(x)))
    if case.strictly_convex:
        assert np.allclose(answer.x, x, atol=1e-3)


def test_degenerate_programs_occur_and_shrink() -> None:
    found = find(solved_qps(), lambda case: not case.strictly_convex and (case.qp.lower == case.qp.upper).any())
    assert len(found.qp.g) == 1


@given(solved_qps(degenerate=False))
def test_without_degeneracy_point_and_multipliers_are_the_only_ones(case: SolvedQP) -> None:
    qp, solution = case.qp, case.solution
    assert case.strictly_convex
    active = (solution.lower_dual > 0.0) | (solution.upper_dual > 0.0)
    rows = dense(qp.C) @ solution.x
    assert np.array_equal(active, np.isclose(rows, qp.lower, atol=1e-12) | np.isclose(rows, qp.upper, atol=1e-12))
    gradients = np.vstack([dense(qp.A), dense(qp.C)[active]])
    assert np.linalg.matrix_rank(gradients) == len(gradients)


@pytest.mark.parametrize("kind", [True, False])
def test_sparse_and_dense_programs_occur(kind: bool) -> None:
    case = find(solved_qps(), lambda case: bool(sparse.issparse(case.qp.H)) == kind, settings=OCCURS)
    assert sparse.issparse(case.qp.A) == sparse.issparse(case.qp.C) == kind


@given(infeasible_problems(max_agents=3, max_horizon=3))
@settings(max_examples=examples(50))
def test_infeasible_problems_have_no_plan_says_another_solver(case: Case) -> None:
    assert central_reference(*case).value == np.inf


@given(degenerate_problems(max_agents=3, max_horizon=3))
@settings(max_examples=examples(50))
def test_degenerate_problems_have_a_solution(case: Case) -> None:
    found = CentralEvaluator(case[0]).evaluate(case[1])
    assert found.status is Status.OPTIMAL


def test_degenerate_problems_have_an_input_on_its_bound_without_a_push() -> None:
    def weakly_active(case: Case) -> bool:
        found = CentralEvaluator(case[0]).evaluate(case[1])
        each = zip(case[0].models, found.plans, found.duals, strict=True)
        return any(((plan.u == model.u_max) & (duals.u_max < 1e-12)).any() for model, plan, duals in each)

    assert weakly_active(find(degenerate_problems(kinds=["touching"], features=()), weakly_active, settings=OCCURS))


@given(badly_scaled_problems(max_agents=3, orders=3.0, features=()))
@settings(max_examples=examples(30))
def test_badly_scaled_problems_have_a_solution_that_holds_in_their_own_units(case: Case) -> None:
    assert CentralEvaluator(case[0]).evaluate(case[1]).status is Status.OPTIMAL


def test_badly_scaled_problems_span_many_orders() -> None:
    def wide(case: Case) -> bool:
        weights = np.concatenate([np.diag(model.Q) for model in case[0].models])
        return bool(np.ptp(np.log10(weights)) > 10.0)

    assert wide(find(badly_scaled_problems(min_agents=2, features=()), wide, settings=OCCURS))


def test_situations_lie_within_the_bounds_of_the_models_where_there_are_any() -> None:
    bounded = LocalModel(
        np.eye(2), np.ones((2, 1)), np.eye(2), [[1.0]], C=[[-2.0, 0.0], [1.0, 1.0]], lower=[-4.0, -9.0],
        upper=[2.0, 9.0], u_min=[0.5], x_setpoint=[0.0, 3.0],
    )  # fmt: skip
    problem = MPCProblem((bounded,), 1)
    seen = []

    @given(situations(problem, Signals.of_names(problem)))
    def check(case: Situation) -> None:
        seen.append(case)
        # the second state has no bound of its own: within 1 of its set point, or within 5
        assert -1.0 <= case.state[0] <= 2.0 and -2.0 <= case.state[1] <= 8.0
        assert case.action is None or 0.5 <= case.action[0] <= 1.0

    check()
    assert {case.action is None for case in seen} == {True, False}
    assert Situation((1.0, 2.0), (3.0,)).text == "controller.evaluate([1.0, 2.0], action=[3.0])"


def test_the_smallest_failure_is_found_or_none() -> None:
    numbers = st.integers(0, 1000)
    assert smallest(numbers, lambda n: n >= 17, 50, 0) == 17
    assert smallest(numbers, lambda n: n > 1000, 50, 0) is None
