"""The gradient is the derivative of the Lagrangian by every parameter, at any point.

The Lagrangian, written out in `tests/lagrangian.py`, is at most quadratic in each parameter by itself: a central
difference of any width is its exact derivative. That it is the derivative of the value at a solution is tested in
`tests/systems/test_gradients.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.gradient import gradients
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.network import coupling_components
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.strategies import mpc_problems
from tests.examples import examples
from tests.lagrangian import lagrangian, lagrangian_of, slope
from tests.points import held_columns, random_point, with_neighbours

Array = np.ndarray
Case = tuple[MPCProblem, tuple[AgentData, ...]]
PLAIN = (
    "A", "B", "E", "b", "Q", "R", "P", "f", "C", "lower", "upper", "x_lb", "x_ub", "slack_weight", "slack_quadratic",
    "u_min", "u_max", "du_max", "G", "Q_c",
)  # fmt: skip
SYMMETRIC = ("Q", "R", "P", "Q_c")


def gradient_at(
    problem: MPCProblem, data: Sequence[AgentData], plans: Sequence[Plan], duals: Sequence[Duals], action: bool
) -> Any:
    return gradients(agent_points(problem, data, plans, duals), coupling_components(problem), action)


@given(mpc_problems(max_agents=4), st.integers(0, 2**32 - 1))
@settings(max_examples=examples(100))
def test_it_is_the_derivative_of_the_lagrangian_by_every_field_of_every_model(case: Case, seed: int) -> None:
    problem, data = case
    plans, duals = random_point(problem, data, seed)
    found, rng = gradient_at(problem, data, plans, duals, False), np.random.default_rng(seed)
    size = 1.0 + abs(lagrangian(problem, data, plans, duals))
    for i, model in enumerate(problem.models):
        assert found[i]["V0"] == 1.0
        for name in PLAIN:
            value, mine = getattr(model, name), found[i][name]
            assert mine.shape == value.shape, name
            free = np.isfinite(value)
            step = np.where(free, rng.normal(size=value.shape), 0.0)
            step = step + step.T if name in SYMMETRIC else step
            expected = slope(problem, i, name, step, data, plans, duals)
            assert np.sum(mine[free] * step[free]) == pytest.approx(expected, rel=1e-6, abs=1e-9 * size), (i, name)
        for name in ("A_ij", "C_ij", "G_ij"):
            for j, block in getattr(model, name).items():
                mine = found[i][name][j]
                columns, to_end = held_columns(problem, i, j)
                known = np.isin(np.arange(block.shape[1]), columns if to_end or name != "C_ij" else [])
                assert mine.shape == block.shape
                assert np.isnan(mine[:, ~known]).all()
                step = np.where(known, rng.normal(size=block.shape), 0.0)
                ends = [
                    lagrangian_of(problem, i, {name: {**getattr(model, name), j: block + h * step}}, data, plans, duals)
                    for h in (1.0, -1.0)
                ]
                expected = (ends[0] - ends[1]) / 2.0
                assert np.sum(mine[:, known] * step[:, known]) == pytest.approx(expected, rel=1e-6, abs=1e-9 * size)


@given(mpc_problems(max_agents=4), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=examples(100))
def test_it_is_the_derivative_by_states_actions_and_all_other_data(case: Case, seed: int, given_action: bool) -> None:
    problem, data = case
    plans, duals = random_point(problem, data, seed, given_action)
    found, rng = gradient_at(problem, data, plans, duals, given_action), np.random.default_rng(seed)
    size = 1.0 + abs(lagrangian(problem, data, plans, duals))

    def moved(i: int, name: str, step: Array) -> tuple[AgentData, Plan]:
        """Data and plan of agent i with a state, an action or a field of the data moved."""
        d, x, u = data[i], plans[i].x.copy(), plans[i].u.copy()
        if name == "action":
            u[0] += step
            return d, replace(plans[i], u=u)
        d = replace(d, **{name: getattr(d, name) + step})
        x[0] = d.state
        return d, replace(plans[i], x=x)

    names = [
        "state",
        "previous_input",
        "disturbance",
        "x_setpoint",
        "u_setpoint",
        *(["action"] if given_action else []),
    ]
    for i, d in enumerate(data):
        assert ("action" in found[i]) == given_action
        for name in names:
            step = rng.normal(size=found[i][name].shape)
            ends = []
            for sign in (1.0, -1.0):
                some_data, some_plans = list(data), list(plans)
                some_data[i], some_plans[i] = moved(i, name, sign * step)
                ends.append(lagrangian(problem, some_data, with_neighbours(problem, some_plans), duals))
            expected = (ends[0] - ends[1]) / 2.0
            assert np.sum(found[i][name] * step) == pytest.approx(expected, rel=1e-6, abs=1e-9 * size), (i, name)
        assert found[i]["disturbance"].shape == d.disturbance.shape


def test_the_price_of_a_state_comes_from_the_neighbours(problem: MPCProblem, data: tuple[AgentData, ...]) -> None:
    """Agent 0 acts on both others: without their prices its gradient by s_0 would be another one."""
    evaluation = CentralEvaluator(problem).evaluate(data)
    points = agent_points(problem, data, evaluation.plans, evaluation.duals)
    alone = points[0].state_terms()[:, 0].sum(axis=0) + points[0].duals.dynamics[0] @ points[0].model.A
    assert np.abs(evaluation.gradient[0]["state"] - alone).max() > 1e-3
