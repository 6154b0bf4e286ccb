"""Residuals are small at solutions of another solver's problem, and large for every planted fault."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.certificate import Certificate, certify
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import coupling_components
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.strategies import mpc_problems
from dmpcrl_ctrl.value import Evaluation, agent_data
from tests.examples import examples
from tests.points import with_neighbours

Case = tuple[MPCProblem, tuple[AgentData, ...]]


def certificate(
    evaluation: Evaluation, *, plans: Sequence[Plan] | None = None, duals: Sequence[Duals] | None = None
) -> Certificate:
    """Of the evaluation with other plans or duals."""
    question = evaluation.question
    assert question is not None
    points = agent_points(question.problem, question.data, plans or evaluation.plans, duals or evaluation.duals)
    return certify(points, coupling_components(question.problem), question.action)


@given(mpc_problems())
@settings(max_examples=examples(100))
def test_a_solution_passes(case: Case) -> None:
    problem, data = case
    evaluation = CentralEvaluator(problem).evaluate(data)
    # where nothing costs anything and nothing has a limit, a solver's 1e-27 has no scale to be small against
    at_rest = sum(abs(cost) for point in evaluation._points for cost in point.costs()) < 1e-40
    assert at_rest or evaluation.certificate.residual < 1e-7
    assert not evaluation.certificate.consensus.any()


@given(mpc_problems(max_agents=4))
@settings(max_examples=examples(100))
def test_v_at_the_policy_passes_as_q(case: Case) -> None:
    """V's multipliers satisfy the optimality conditions of Q(s, pi(s)), at kinks too."""
    problem, data = case
    evaluation = CentralEvaluator(problem).evaluate(data)
    as_q = evaluation.at_policy()
    assert as_q.certificate.residual < 1e-7
    assert set(as_q.gradient[0]) == {*evaluation.gradient[0], "action"}


@pytest.fixture
def evaluation(problem: MPCProblem, data: tuple[AgentData, ...]) -> Evaluation:
    """Of the network with every feature."""
    return CentralEvaluator(problem).evaluate(data)


@pytest.mark.parametrize("name", [f.name for f in fields(Duals)])
def test_one_multiplier_altered_is_seen(evaluation: Evaluation, name: str) -> None:
    """By a thousandth of what multipliers of its kind are, wherever it stands."""
    size = max(float(np.abs(getattr(own, name)).max(initial=0.0)) for own in evaluation.duals) or 1.0
    assert evaluation.certificate.residual < 1e-9
    models = evaluation.question.problem.models if evaluation.question else ()
    for i, own in enumerate(evaluation.duals):
        if name == "terminal" and not models[i].terminal_equality:
            continue
        for at in np.ndindex(getattr(own, name).shape):
            changed = getattr(own, name).copy()
            changed[at] += 1e-3 * size
            duals = [*evaluation.duals]
            duals[i] = replace(own, **{name: changed})
            assert certificate(evaluation, duals=duals).residual > 1e-6, (i, at)


def test_one_sign_flipped_is_seen(evaluation: Evaluation) -> None:
    for i, own in enumerate(evaluation.duals):
        for name in (f.name for f in fields(Duals)):
            values = getattr(own, name)
            for at in np.argwhere(np.abs(values) > 1e-6):
                changed = values.copy()
                changed[tuple(at)] *= -1.0
                duals = [*evaluation.duals]
                duals[i] = replace(own, **{name: changed})
                assert certificate(evaluation, duals=duals).residual > 1e-6, (i, name, at)


@pytest.mark.parametrize("name", ["x", "u", "sigma"])
def test_one_number_of_a_plan_altered_is_seen(evaluation: Evaluation, name: str) -> None:
    """The first state, which is no variable, and slacks of rows that have none, among them."""
    for i, plan in enumerate(evaluation.plans):
        for at in np.ndindex(getattr(plan, name).shape):
            changed = getattr(plan, name).copy()
            changed[at] += 1e-3
            plans = [*evaluation.plans]
            plans[i] = replace(plan, **{name: changed})
            problem = evaluation.question.problem if evaluation.question else None
            assert problem is not None
            assert certificate(evaluation, plans=with_neighbours(problem, plans)).residual > 1e-6, (i, at)


def test_copies_that_differ_from_their_owners_show_as_consensus_only(evaluation: Evaluation) -> None:
    """The residuals belong to the problem without copies."""
    plan = evaluation.plans[1]
    copies = {j: x.copy() for j, x in plan.neighbours.items()}
    copies[0][2, 0] += 0.5
    plans = [evaluation.plans[0], replace(plan, neighbours=copies), evaluation.plans[2]]
    found = certificate(evaluation, plans=plans)
    assert found.residual == evaluation.certificate.residual
    largest = np.abs(evaluation.plans[0].x[:, 0]).max()
    assert found.consensus == pytest.approx([0.0, 0.5 / largest, 0.0])


def test_agents_that_plan_apart_show_in_the_residuals(evaluation: Evaluation) -> None:
    """Another trajectory of agent 0 contradicts the dynamics of agent 1, which it acts on."""
    first = evaluation.plans[0]
    x = first.x.copy()
    x[2] += 0.1
    found = certificate(evaluation, plans=[replace(first, x=x), *evaluation.plans[1:]])
    assert found.feasibility[1] > 1e-3
    assert found.consensus[1] > 1e-3


def alone(**given: Any) -> tuple[MPCProblem, tuple[AgentData, ...]]:
    """One agent x(k+1) = x + u at rest at zero, with two stages."""
    model = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], **given)
    problem = MPCProblem((model,), 2)
    return problem, agent_data(problem, [[1.0]])


def rolled_out(problem: MPCProblem, data: tuple[AgentData, ...], u: list[float], given: bool = False) -> Certificate:
    """Of inputs whose plan obeys the dynamics, with multipliers of zero."""
    action = [np.array(u[:1])] if given else None
    evaluation = CentralEvaluator(problem).evaluate(data, action)
    plan, dual = evaluation.plans[0], evaluation.duals[0]
    x = np.cumsum([float(data[0].state[0]), *u])[:, None]
    zeros = {f.name: np.zeros_like(getattr(dual, f.name)) for f in fields(Duals)}
    return certificate(evaluation, plans=[replace(plan, x=x, u=np.array(u)[:, None])], duals=[Duals(**zeros)])


def test_what_is_infeasible_besides_the_dynamics_shows_as_feasibility() -> None:
    """Plans that obey the dynamics: nothing else of them is wrong but one bound each."""
    cases = [
        (alone(u_max=[0.5]), [1.0, 0.0]),
        (alone(u_min=[-0.5]), [-1.0, 0.0]),
        (alone(du_max=[0.5]), [-1.0, 0.0]),
        (alone(du_max=[0.5]), [0.5, 1.5]),
        (alone(C=[[1.0]], upper=[0.5]), [0.0, 0.0]),
        (alone(C=[[1.0]], lower=[1.5]), [1.0, -1.0]),
        (alone(terminal_equality=True), [0.0, 0.0]),
    ]
    for (problem, data), u in cases:
        assert rolled_out(problem, data, u).feasibility[0] > 0.1, u
    assert rolled_out(*alone(), [1.0, 0.0]).feasibility[0] == 0.0


@pytest.mark.parametrize("far", [1e9, 1e12])
def test_a_limit_far_away_on_the_other_side_hides_no_violation(far: float) -> None:
    problem, data = alone(C=[[1.0]], lower=[-far], upper=[0.5])
    assert rolled_out(problem, data, [0.0, 0.0]).feasibility[0] > 0.1


def test_a_plan_that_begins_with_another_action_is_infeasible_and_leaves_the_bracket_alone() -> None:
    """Q(s, 0.2), told with the plan of Q(s, -0.3): the bracket is that of the action which was asked for."""
    problem, data = alone()
    asked, other = (CentralEvaluator(problem).evaluate(data, [np.array([a])]) for a in (0.2, -0.3))
    found = certificate(asked, plans=other.plans, duals=other.duals)
    assert found.feasibility[0] > 0.1
    lower, upper = found.value_bounds
    assert lower <= asked.value <= upper


def test_a_bound_on_a_given_action_counts_nothing_and_has_no_multiplier() -> None:
    problem, data = alone(u_max=[0.5])
    assert rolled_out(problem, data, [1.0, 0.0], given=True).feasibility[0] == 0.0
    evaluation = CentralEvaluator(problem).evaluate(data, [np.array([1.0])])
    dual = evaluation.duals[0]
    u_max = dual.u_max.copy()
    u_max[0] = 0.3
    assert certificate(evaluation, duals=[replace(dual, u_max=u_max)]).sign[0] > 0.1


def test_inputs_without_cost_and_slacks_with_a_quadratic_price_alone_are_certified() -> None:
    """Where terms have to cancel to nothing, rounding is not measured against itself."""
    free = LocalModel([[0.9, 0.2], [0.0, 0.8]], [[0.3], [1.0]], np.eye(2), [[0.0]], P=np.eye(2))
    problem = MPCProblem((free,), 4)
    assert CentralEvaluator(problem).evaluate(agent_data(problem, [[1.0, -2.0]])).certificate.residual < 1e-8
    soft = LocalModel(
        [[0.5]], [[1.0]], [[1.0]], [[1.0]], C=[[1.0]], upper=[5.0], slack_weight=[0.0], slack_quadratic=[3.0]
    )
    problem = MPCProblem((soft,), 4)
    assert CentralEvaluator(problem).evaluate(agent_data(problem, [[1.0]])).certificate.residual < 1e-8
