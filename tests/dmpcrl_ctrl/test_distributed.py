"""Distributed and central evaluation of a network with every feature; multipliers against differences of the value."""

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.channel import Kind, Watched
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.value import Evaluation, agent_data

CONVERGED = ADMMOptions(iterations=20000, tolerance=1e-9)
Data = tuple[AgentData, ...]


def given_action(problem: MPCProblem) -> list[np.ndarray]:
    return [np.full(model.m, 0.3) for model in problem.models]


def same(mine: Evaluation, theirs: Evaluation, tolerance: float) -> None:
    assert mine.status is theirs.status is Status.OPTIMAL
    assert mine.value == pytest.approx(theirs.value, rel=tolerance)
    assert np.allclose(mine.local_values, theirs.local_values, rtol=10 * tolerance, atol=10 * tolerance)
    for a, b in zip(mine.plans, theirs.plans, strict=True):
        assert np.allclose(a.x, b.x, atol=10 * tolerance) and np.allclose(a.u, b.u, atol=10 * tolerance)


@pytest.mark.parametrize("q", [False, True], ids=["V", "Q"])
def test_agents_find_what_the_central_solve_finds(problem: MPCProblem, data: Data, q: bool) -> None:
    action = given_action(problem) if q else None
    distributed = DistributedEvaluator(problem, CONVERGED).evaluate(data, action)
    same(distributed, CentralEvaluator(problem).evaluate(data, action), 1e-6)
    assert np.allclose(distributed.agreed_values, distributed.value, rtol=1e-5)


def test_the_order_of_agents_does_not_matter(problem: MPCProblem, data: Data) -> None:
    order = [2, 0, 1]
    place = {old: new for new, old in enumerate(order)}

    def moved(model: LocalModel) -> LocalModel:
        blocks: dict[str, Any] = {
            name: {place[j]: b for j, b in getattr(model, name).items()} for name in ("A_ij", "C_ij", "G_ij")
        }
        return replace(model, **blocks)

    shuffled = MPCProblem(tuple(moved(problem.models[i]) for i in order), problem.horizon, problem.discount)
    first = DistributedEvaluator(problem, CONVERGED).evaluate(data)
    second = DistributedEvaluator(shuffled, CONVERGED).evaluate(tuple(data[i] for i in order))
    assert second.value == pytest.approx(first.value, rel=1e-7)
    for new, old in enumerate(order):
        assert np.allclose(second.action[new], first.action[old], atol=1e-6)


@pytest.mark.parametrize("agent", [0, 1, 2])
@pytest.mark.parametrize("q", [False, True], ids=["V", "Q"])
def test_multipliers_are_the_slopes_of_the_value(problem: MPCProblem, data: Data, agent: int, q: bool) -> None:
    """dV/db = sum_k lambda(k); dV/d(lower) = sum mu_lower; dV/d(upper) = -sum mu_upper; likewise for input bounds."""
    action = given_action(problem) if q else None
    duals = CentralEvaluator(problem).evaluate(data, action).duals[agent]
    model = problem.models[agent]
    slopes = {
        "b": duals.dynamics.sum(axis=0),
        "x_lb": duals.lower.sum(axis=0),
        "x_ub": -duals.upper.sum(axis=0),
        "u_min": duals.u_min.sum(axis=0),
        "u_max": -duals.u_max.sum(axis=0),
        "du_max": -(duals.du_min + duals.du_max).sum(axis=0),
    }
    step = 1e-5
    for name, slope in slopes.items():
        for c in np.flatnonzero(np.isfinite(getattr(model, name))):
            values = []
            for sign in (1.0, -1.0):
                changed = np.array(getattr(model, name))
                changed[c] += sign * step
                changes: dict[str, Any] = {name: changed}
                models = [replace(m, **changes) if i == agent else m for i, m in enumerate(problem.models)]
                varied = MPCProblem(tuple(models), problem.horizon, problem.discount)
                values.append(CentralEvaluator(varied).evaluate(data, action).value)
            assert slope[c] == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-5), (name, c)


def test_local_multipliers_become_the_central_ones(problem: MPCProblem, data: Data) -> None:
    theirs = CentralEvaluator(problem).evaluate(data).duals
    mine = DistributedEvaluator(problem, CONVERGED).evaluate(data).duals
    for a, b in zip(mine, theirs, strict=True):
        assert np.allclose(a.flat(), b.flat(), atol=1e-4)


def test_iterates_are_the_evaluations_of_so_many_iterations(problem: MPCProblem, data: Data) -> None:
    options = ADMMOptions(iterations=7, penalty=3.0)
    seventh = list(islice(DistributedEvaluator(problem, options).iterates(data), 7))[-1]
    whole = DistributedEvaluator(problem, options).evaluate(data)
    assert seventh.value == pytest.approx(whole.value, rel=1e-9)
    assert whole.iterations == 7 and whole.status is Status.MAX_ITERATIONS


def test_a_memory_shortens_the_next_evaluation(problem: MPCProblem, data: Data) -> None:
    evaluator = DistributedEvaluator(problem, ADMMOptions(iterations=20000, tolerance=1e-6))
    cold = evaluator.evaluate(data)
    assert evaluator.evaluate(data, memory=cold.memory).iterations < cold.iterations / 4


def test_one_agent_needs_one_iteration() -> None:
    problem = MPCProblem((LocalModel([[1.1]], [[1.0]], [[1.0]], [[1.0]], u_min=[-1.0], u_max=[1.0]),), 8)
    data = agent_data(problem, [[3.0]])
    evaluation = DistributedEvaluator(problem).evaluate(data)
    same(evaluation, CentralEvaluator(problem).evaluate(data), 1e-9)
    assert evaluation.iterations == 1


def test_a_bad_number_is_traced_to_its_agent(problem: MPCProblem, data: Data) -> None:
    spoilt = (
        data[0],
        replace(data[1], disturbance=np.full((4, 0), np.nan)),
        replace(data[2], state=np.array([np.inf])),
    )
    for evaluator in (CentralEvaluator(problem), DistributedEvaluator(problem)):
        evaluation = evaluator.evaluate(spoilt)
        assert (evaluation.status, evaluation.culprit) == (Status.INVALID_DATA, 2)
        assert np.isnan(evaluation.value) and evaluation.plans == ()


def test_a_missing_backend_is_an_error_before_anything_is_solved(problem: MPCProblem) -> None:
    with pytest.raises(SolverError, match="not installed"):
        DistributedEvaluator(problem, solver="nonesuch")


def test_a_limit_on_the_power_of_a_tie_line_and_a_cost_on_its_angle() -> None:
    """Equations 12a and 12d of the paper: |T (theta_0 - theta_1)| <= limit, and a cost on theta_0 - theta_1."""
    tie, limit = 4.0, 0.2
    own: dict[str, Any] = {"A": [[1.0]], "B": [[1.0]], "Q": [[0.1]], "R": [[1.0]]}
    first = LocalModel(
        **own, C=[[tie]], C_ij={1: [[-tie]]}, lower=[-limit], upper=[limit], G=[[1.0]], G_ij={1: [[-1.0]]}, Q_c=[[5.0]]
    )
    problem = MPCProblem((first, LocalModel(**own)), 6)
    data = agent_data(problem, [[1.0], [-1.0]])
    mine = DistributedEvaluator(problem, CONVERGED).evaluate(data)
    same(mine, CentralEvaluator(problem).evaluate(data), 1e-6)
    power = tie * (mine.plans[0].x[1:, 0] - mine.plans[1].x[1:, 0])
    assert np.abs(power).max() <= limit + 1e-6
    free = MPCProblem((replace(first, lower=np.array([-np.inf]), upper=np.array([np.inf])), LocalModel(**own)), 6)
    assert CentralEvaluator(free).evaluate(data).value < mine.value - 1e-6


def test_the_gradient_by_their_own_models_costs_the_agents_no_message(problem: MPCProblem, data: Data) -> None:
    watched = Watched()
    evaluation = DistributedEvaluator(problem, ADMMOptions(iterations=5), transport=watched).evaluate(data)
    before = len(watched.messages)
    own = evaluation.own_gradient
    assert len(watched.messages) == before
    for mine, whole in zip(own, evaluation.gradient, strict=True):
        assert set(whole) - set(mine) == {"state"}
        assert all(np.array_equal(mine[name], whole[name]) for name in mine if isinstance(mine[name], np.ndarray))
    assert {message.kind for message in watched.messages[before:]} == {Kind.PRICE}
