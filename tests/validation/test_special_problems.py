"""Problems made difficult on purpose are difficult in the way that was asked for, says another solver."""

from dataclasses import replace

import numpy as np
import pytest

from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.random_problems import Blueprint, random_problem
from dmpcrl_ctrl.validation.special_problems import (
    at_odds,
    coupled_pairs,
    ending_at_its_optimum,
    out_of_reach,
    repeated,
    rescaled,
    touching,
)
from tests.references import central_reference

FEATURES = frozenset({"soft_bounds", "input_bounds", "offsets", "linear_cost", "terminal_cost", "coupling_cost"})


def case(seed: int, features: frozenset[str] = FEATURES) -> tuple[MPCProblem, tuple[AgentData, ...]]:
    return random_problem(Blueprint(((2, 1), (1, 2), (3, 1)), ((0, 1), (2, 1)), 3, features, seed))


@pytest.mark.parametrize("seed", range(5))
def test_out_of_reach_is_infeasible_and_by_the_agent_alone(seed: int) -> None:
    problem, data = case(seed)
    for agent in range(3):
        there = out_of_reach(problem, data, agent)
        assert central_reference(there, data).value == np.inf
        # its own program, with the neighbours' states now, is what has no solution
        alone = MPCProblem((replace(there.models[agent], A_ij={}, C_ij={}, G_ij={}, declared={}),), 1)
        own = there.models[agent]
        felt = sum((block @ data[j].state for j, block in own.A_ij.items()), own.b)
        alone = replace(alone, models=(replace(alone.models[0], b=felt),))
        told = replace(
            data[agent],
            disturbance=data[agent].disturbance[:1],
            x_setpoint=data[agent].x_setpoint[:2],
            u_setpoint=data[agent].u_setpoint[:1],
        )
        assert central_reference(alone, (told,)).value == np.inf


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_at_odds_are_infeasible_together_and_feasible_apart(seed: int) -> None:
    problem, data = case(seed)
    assert coupled_pairs(problem) == [(0, 1), (2, 1)]
    for owner, holder in coupled_pairs(problem):
        # far enough below that inputs can bring the state there
        free = replace(
            problem,
            models=tuple(replace(m, u_min=np.full(m.m, -np.inf), u_max=np.full(m.m, np.inf)) for m in problem.models),
        )
        there = at_odds(free, owner, holder)
        assert central_reference(there, data).value == np.inf
        for agent in (owner, holder):
            half = list(there.models)
            half[agent] = free.models[agent]
            assert (
                np.isfinite(central_reference(replace(there, models=tuple(half)), data).value)
                or free.models[owner].m == 0
            )
    with pytest.raises(ModelError, match="agent 0 holds no copy of a state of agent 1"):
        at_odds(problem, 1, 0)


@pytest.mark.parametrize("seed", range(3))
def test_repeated_and_touching_bounds_change_nothing(seed: int) -> None:
    problem, data = case(seed)
    before = central_reference(problem, data)
    for there in (repeated(problem), touching(problem, data)):
        after = central_reference(there, data)
        assert after.value == pytest.approx(before.value, rel=1e-6, abs=1e-6)
        assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(after.u, before.u, strict=True))


def test_touching_bounds_touch_an_input() -> None:
    problem, data = case(1)
    there, touched = touching(problem, data), 0
    plans = CentralEvaluator(problem).evaluate(data).plans
    for model, plan in zip(there.models, plans, strict=True):
        highest = plan.u.max(axis=0)
        somewhere = np.abs(highest) > 1e-9
        assert np.allclose(highest[somewhere], model.u_max[somewhere], atol=1e-12)
        touched += int(somewhere.sum())
        rows = plan.x[1:] @ model.C.T
        assert (np.abs(rows - model.upper).min(axis=0) < 1e-9)[-model.n :].all()
    assert touched >= 2


@pytest.mark.parametrize("seed", range(3))
def test_an_end_where_the_solution_goes_anyway_changes_nothing(seed: int) -> None:
    problem, data = case(seed)
    free = replace(problem, models=tuple(replace(m, P=np.zeros_like(m.P)) for m in problem.models))
    there, told = ending_at_its_optimum(problem, data)
    assert all(model.terminal_equality for model in there.models)
    assert central_reference(there, told).value == pytest.approx(central_reference(free, data).value, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_other_units_change_the_numbers_and_nothing_else(seed: int) -> None:
    problem, data = case(seed, FEATURES | {"disturbances", "rate_limits", "quadratic_slack", "set_points"})
    rng = np.random.default_rng(seed)
    x, u = ([10.0 ** rng.uniform(-1, 1, getattr(m, size)) for m in problem.models] for size in ("n", "m"))
    there, told = rescaled(problem, data, x, u, 3.0)
    before, after = central_reference(problem, data), central_reference(there, told)
    assert after.value == pytest.approx(3.0 * before.value, rel=1e-6)
    for unit, mine, theirs in zip(u, after.u, before.u, strict=True):
        assert np.allclose(mine * unit, theirs, atol=1e-3)
