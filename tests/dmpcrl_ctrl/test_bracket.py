"""The optimal value lies in the bracket, whatever plan and multipliers it is made from.

The optimal value is that of the central program, polished to rounding, and for a part of the examples Clarabel's.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmpcrl_ctrl.bracket import MARGIN, admissible, bracket
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import coupling_components
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.random_problems import FEATURES
from dmpcrl_ctrl.validation.strategies import mpc_problems
from dmpcrl_ctrl.value import Evaluation, agent_data
from tests.examples import examples
from tests.lagrangian import constraints, objective
from tests.points import random_point, with_neighbours
from tests.references import central_reference

Case = tuple[MPCProblem, tuple[AgentData, ...]]
SOFT = sorted(set(FEATURES) - {"hard_bounds", "coupled_bounds", "terminal_equality"})


def bounds(
    problem: MPCProblem, data: tuple[AgentData, ...], plans: list[Plan], duals: list[Duals], given: bool
) -> tuple[float, float]:
    found = bracket(agent_points(problem, data, plans, duals), coupling_components(problem), given)
    return float(found.lower.sum()), float(found.upper.sum())


def disturbed(evaluation: Evaluation, problem: MPCProblem, seed: int, by: float) -> tuple[list[Plan], list[Duals]]:
    """The plans and multipliers, some of the way to a point that solves nothing."""
    assert evaluation.question is not None
    given = evaluation.question.action is not None
    plans, duals = random_point(problem, evaluation.question.data, seed, given)
    mixed_plans = [
        Plan(p.x + by * (q.x - p.x), p.u + by * (q.u - p.u) * (0.0 if given else 1.0), p.sigma)
        for p, q in zip(evaluation.plans, plans, strict=True)
    ]
    mixed_duals = [
        Duals(**{name: getattr(p, name) + by * getattr(q, name) for name in Duals.__dataclass_fields__})
        for p, q in zip(evaluation.duals, duals, strict=True)
    ]
    return with_neighbours(problem, mixed_plans), mixed_duals


@given(mpc_problems(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-6, 1e-2, 1.0]), st.booleans())
@settings(max_examples=examples(100))
def test_the_optimal_value_lies_in_the_bracket(case: Case, seed: int, by: float, of_q: bool) -> None:
    problem, data = case
    evaluator = CentralEvaluator(problem)
    best = evaluator.evaluate(data)
    if of_q:
        rng = np.random.default_rng(seed)
        best = evaluator.evaluate(data, [a + 0.1 * rng.normal(size=a.shape) for a in best.action])
    if not best.status.ok:
        return  # the action leaves no feasible plan
    lower, upper = bounds(problem, data, *disturbed(best, problem, seed, by), of_q)
    assert lower <= best.value <= upper


@given(mpc_problems(max_agents=3), st.integers(0, 2**32 - 1))
@settings(max_examples=examples(40))
def test_the_value_of_another_solver_lies_in_the_bracket(case: Case, seed: int) -> None:
    problem, data = case
    lower, upper = bounds(problem, data, *random_point(problem, data, seed), False)
    value = central_reference(problem, data).value
    assert lower <= value + 1e-8 * (1.0 + abs(value))
    assert upper >= value - 1e-8 * (1.0 + abs(value))


@given(mpc_problems(features=SOFT))
@settings(max_examples=examples(100))
def test_it_closes_at_the_solution(case: Case) -> None:
    """To the margin for rounding: 1e-12 of the terms."""
    problem, data = case
    best = CentralEvaluator(problem).evaluate(data)
    lower, upper = best.certificate.value_bounds
    assert upper - lower <= 1e-7 * (1.0 + np.abs(best.local_values).sum())
    assert lower <= best.value <= upper


def test_the_roll_out_obeys_dynamics_and_inputs(problem: MPCProblem, data: tuple[AgentData, ...]) -> None:
    """What the upper bound is the cost of satisfies every constraint as written out elsewhere, soft bounds included."""
    from dmpcrl_ctrl.bracket import roll_out

    soft = MPCProblem(
        tuple(_softened(model) for model in problem.models), problem.horizon, problem.discount, problem.names
    )
    plans, duals = random_point(soft, data, 3)
    points = agent_points(soft, data, plans, duals)
    inputs = [admissible(p.model, p.data, p.plan.u, False) for p in points]
    rolled = roll_out(points, inputs, coupling_components(soft))
    for own in constraints(soft, data, rolled):
        assert np.abs(own["dynamics"]).max() < 1e-12
        for name in ("lower", "upper", "slack", "u_min", "u_max", "du_min", "du_max"):
            assert own[name].max(initial=-np.inf) < 1e-12, name
    found = bracket(points, coupling_components(soft), False)
    assert found.relaxed.sum() == pytest.approx(objective(soft, data, rolled).sum(), rel=1e-9)


def _softened(model: LocalModel) -> LocalModel:
    fields = {name: getattr(model, name) for name in LocalModel.__dataclass_fields__}
    return LocalModel(**fields | {"slack_weight": np.where(np.isfinite(model.slack_weight), model.slack_weight, 7.0)})


def test_a_hard_bound_without_a_feasible_roll_out_is_said() -> None:
    """x(1) <= 0.5 is hard, the plan's inputs lead to 1: infinite above, a number and the violation beside it."""
    model = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], C=[[1.0]], upper=[0.5], u_min=[-2.0], u_max=[2.0])
    problem = MPCProblem((model,), 1)
    best = CentralEvaluator(problem).evaluate(agent_data(problem, [[1.0]]))
    plans = [replace(plan, u=np.zeros((1, 1))) for plan in best.plans]
    points = agent_points(problem, agent_data(problem, [[1.0]]), plans, best.duals)
    found = bracket(points, coupling_components(problem), False)
    # V = 1 + min u^2 with 1 + u <= 1/2
    assert best.value == pytest.approx(1.25)
    assert found.upper.sum() == np.inf
    assert found.violation[0] == pytest.approx(0.5)
    assert found.relaxed[0] == pytest.approx(1.0)
    assert found.lower[0] <= 1.25


def test_by_hand() -> None:
    """One state, one stage: V(1) = 1 + min_u u^2 + 2 (1 + u)^2, with any multipliers there is no slack to be gained.

    The roll-out of u = 0 costs 3. Its costate is 4, and min over |u| <= 1 of u^2 + 4 u is -3 at u = -1: below lies 0.
    The optimum is 1 + 2/3.
    """
    model = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], P=[[2.0]], u_min=[-1.0], u_max=[1.0])
    problem = MPCProblem((model,), 1)
    data = agent_data(problem, [[1.0]])
    plans, duals = random_point(problem, data, 0)
    lower, upper = bounds(problem, data, [replace(plan, u=np.zeros((1, 1))) for plan in plans], duals, False)
    assert (lower, upper) == pytest.approx((0.0, 3.0), abs=20.0 * MARGIN)
    assert lower < 0.0
    assert upper > 3.0


def test_unbounded_inputs_without_cost_have_no_bound_below() -> None:
    model = LocalModel([[1.0]], [[1.0]], [[1.0]], [[0.0]], P=[[1.0]])
    problem = MPCProblem((model,), 1)
    data = agent_data(problem, [[1.0]])
    plans, duals = random_point(problem, data, 0)
    lower, upper = bounds(problem, data, plans, duals, False)
    assert lower == -np.inf
    assert np.isfinite(upper)


def point_of(
    model: LocalModel, x0: float, u: float, previous: float = 0.0, **multipliers: float
) -> tuple[float, float]:
    """Bracket of one agent over one stage, from an input and multipliers."""
    problem = MPCProblem((model,), 1)
    data = agent_data(problem, [[x0]], previous_inputs=[np.full(model.m, previous)])
    plans, duals = random_point(problem, data, 0)
    zeros = {name: np.zeros_like(getattr(duals[0], name)) for name in Duals.__dataclass_fields__}
    given = {name: np.full_like(zeros[name], value) for name, value in multipliers.items()}
    plan = replace(plans[0], u=np.full((1, model.m), u))
    return bounds(problem, data, [plan], [Duals(**zeros | given)], False)


def test_a_multiplier_above_the_price_of_its_slack_claims_nothing() -> None:
    """x(1) = 1 cannot move and breaks its bound by 1/2, at a price of 1: V = 1/2 whatever the multiplier."""
    model = LocalModel([[1.0]], np.zeros((1, 0)), [[0.0]], np.zeros((0, 0)), C=[[1.0]], upper=[0.5], slack_weight=[1.0])
    for multiplier in (0.0, 0.5, 1.0, 10.0):
        lower, upper = point_of(model, 1.0, 0.0, upper=multiplier)
        assert lower <= 0.5 <= upper
        assert lower == pytest.approx(0.5 * min(multiplier, 1.0), abs=1e-9)


def test_multipliers_of_rate_limits_count() -> None:
    """u may change by 0.1 from 0, x(1) = 1 + u: V = 0.01 + 0.81 at u = -0.1, where the multiplier is 1.8 - 0.2."""
    model = LocalModel([[1.0]], [[1.0]], [[0.0]], [[1.0]], P=[[1.0]], du_max=[0.1])
    for multiplier in (0.0, 0.8, 1.6, 3.0):
        lower, upper = point_of(model, 1.0, -0.1, du_min=multiplier)
        assert lower <= 0.82 <= upper
    lower, upper = point_of(model, 1.0, -0.1, du_min=1.6)
    assert upper - lower < 1e-9


def test_a_box_that_the_last_input_does_not_reach_has_no_upper_side() -> None:
    model = LocalModel([[1.0]], [[1.0]], [[0.0]], [[1.0]], u_min=[2.0], u_max=[3.0], du_max=[0.5])
    assert point_of(model, 0.0, 2.0)[1] == np.inf
    assert point_of(model, 0.0, 2.0, previous=1.5)[1] == pytest.approx(4.0)


def test_what_cancels_is_not_forgiven() -> None:
    """x(1) = 1e8 + u has to be 1e-5 at least; the roll-out gives 0, at no multiplier: no upper bound."""
    model = LocalModel(
        [[1.0]], [[1.0]], [[0.0]], [[0.0]], P=[[1e10]], C=[[1.0]], lower=[1e-5], u_min=[-2e8], u_max=[0.0]
    )
    lower, upper = point_of(model, 1e8, -1e8)
    assert lower <= 1.0 <= upper
