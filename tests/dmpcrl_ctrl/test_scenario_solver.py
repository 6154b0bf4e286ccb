"""Scenario problems solved in the inputs alone, against CVXPY and against the program with a slack for every bound."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.condensed import Given
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.scenario_solver import ScenarioSolver
from dmpcrl_ctrl.scenarios import Noise, Scenarios
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.value import agent_data
from tests.dmpcrl_ctrl.conftest import everything_data
from tests.references import central_reference
from tests.scenario_cases import draw, some_scenarios


@pytest.mark.parametrize("input_cost", ["each", "once"])
@pytest.mark.parametrize(("samples", "shared"), [(1, True), (5, True), (3, False)])
def test_it_solves_what_cvxpy_solves(samples: int, shared: bool, input_cost: str) -> None:
    scenarios = some_scenarios(samples, shared, input_cost)
    solver, problem, rng = ScenarioSolver(scenarios), scenarios.problem(), np.random.default_rng(2)
    for seed in range(2):
        data, draws = everything_data(seed), draw(rng, samples)
        plan = solver.solve(Given.of(scenarios, data, draws))
        reference = central_reference(problem, scenarios.data(data, draws))
        assert plan.status is Status.OPTIMAL
        assert plan.value == pytest.approx(reference.value, rel=1e-8)
        assert np.allclose(plan.u, np.hstack(reference.u), atol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_multipliers_and_slacks_are_those_of_the_whole_program(shared: bool) -> None:
    scenarios = some_scenarios(4, shared)
    solver, central = ScenarioSolver(scenarios), CentralEvaluator(scenarios.problem())
    rng = np.random.default_rng(3)
    for seed in range(4):
        data, draws = everything_data(seed), draw(rng, 4)
        plan, found = solver.solve(Given.of(scenarios, data, draws)), central.evaluate(scenarios.data(data, draws))
        assert plan.value == pytest.approx(found.value, rel=1e-10)
        assert np.allclose(plan.u, np.hstack([own.u for own in found.plans]), atol=1e-9)
        column = 0
        for own, duals, model in zip(found.plans, found.duals, scenarios.problems[0].models, strict=True):
            p = len(model.lower)
            for mine, theirs in ((plan.sigma, own.sigma), (plan.lower, duals.lower), (plan.upper, duals.upper)):
                stacked = mine[:, :, column : column + p].transpose(1, 0, 2).reshape(scenarios.horizon, -1)
                assert np.allclose(stacked, theirs, atol=1e-7 * (1.0 + np.abs(theirs).max(initial=0.0)))
            column += p


@pytest.mark.parametrize("doubtful", [0, 3, 10**6])
def test_it_does_not_matter_how_many_sides_are_in_doubt_at_first(doubtful: int) -> None:
    """With all of them it is the whole program; with none every slack has to be found out about."""
    scenarios = some_scenarios(6, shared=True)
    usual, other = ScenarioSolver(scenarios), ScenarioSolver(scenarios, doubtful=doubtful)
    rng = np.random.default_rng(4)
    for seed in range(4):
        given = Given.of(scenarios, everything_data(seed), draw(rng, 6))
        one, two = usual.solve(given), other.solve(given)
        assert two.value == pytest.approx(one.value, rel=1e-10)
        assert np.allclose(one.u, two.u, atol=1e-9)


def chain_like(samples: int, **options: Any) -> Scenarios:
    """An unstable agent whose noise pushes it below its bound, as in the paper's first example."""
    rng = np.random.default_rng(5)
    problems = tuple(
        MPCProblem(
            (
                LocalModel(
                    A=[[1.0 + a, 0.3], [0.0, 1.1 + b]],
                    B=[[0.05], [0.2]],
                    Q=0.5 * np.eye(2),
                    R=[[0.25]],
                    C=np.eye(2),
                    lower=[0.0, -1.0],
                    upper=[1.0, 1.0],
                    u_min=[-1.0],
                    u_max=[1.0],
                    **{"slack_weight": [60.0, 60.0], **options},
                ),
            ),
            8,
        )
        for a, b in rng.uniform(-0.1, 0.1, (samples, 2))
    )
    noise = Noise((np.eye(2),), (np.arange(2),), lambda rng, size: rng.uniform(-0.1, 0.0, (size, 2)))
    return Scenarios(problems, noise, samples, "once")


def test_many_bounds_at_their_kinks_are_no_trouble() -> None:
    scenarios = chain_like(30)
    solver, central = ScenarioSolver(scenarios), CentralEvaluator(scenarios.problem())
    rng, state = np.random.default_rng(6), np.array([0.0, 0.15])
    for _ in range(6):
        known, draws = agent_data(scenarios.problems[0], [state]), scenarios.noise.draw(rng, 30)
        plan, found = solver.solve(Given.of(scenarios, known, draws)), central.evaluate(scenarios.data(known, draws))
        assert plan.value == pytest.approx(found.value, rel=1e-9)
        assert np.allclose(plan.u, found.plans[0].u, atol=1e-8)
        assert plan.doubtful < 0.1 * plan.sigma.size
        state = plan.x[0, 1]


def test_hard_bounds_hold_or_the_problem_is_infeasible() -> None:
    wide = chain_like(5, slack_weight=[np.inf, np.inf], x_lb=[-0.5, 0.0])
    solver = ScenarioSolver(wide)
    draws = wide.noise.draw(np.random.default_rng(7), 5)
    known = agent_data(wide.problems[0], [[-0.3, 0.15]])
    plan = solver.solve(Given.of(wide, known, draws))
    reference = central_reference(wide.problem(), wide.data(known, draws))
    assert plan.value == pytest.approx(reference.value, rel=1e-8)
    assert plan.x[:, 1:, 0].min() >= -0.5 - 1e-9
    outside = agent_data(wide.problems[0], [[-3.0, 0.0]])
    assert solver.solve(Given.of(wide, outside, draws)).status is Status.PRIMAL_INFEASIBLE
    again = solver.solve(Given.of(wide, known, draws))
    assert again.value == pytest.approx(plan.value, rel=1e-12)


def test_what_cannot_be_solved_says_so() -> None:
    scenarios = some_scenarios(2, shared=True)
    solver = ScenarioSolver(scenarios)
    given = Given.of(scenarios, everything_data(0), np.zeros((2, 4)))
    bad = solver.solve(replace(given, state=np.full_like(given.state, np.nan)))
    assert bad.status is Status.INVALID_DATA and np.isnan(bad.value) and not bad.u.size
    still = MPCProblem((LocalModel([[0.5]], np.zeros((1, 0)), [[1.0]], np.zeros((0, 0))),), 3)
    noise = Noise((np.eye(1),), (np.arange(1),), lambda rng, size: np.zeros((size, 1)))
    with pytest.raises(ModelError, match="needs at least one input"):
        ScenarioSolver(Scenarios((still,), noise, 2))
