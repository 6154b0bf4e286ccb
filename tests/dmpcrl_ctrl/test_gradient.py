"""The gradient is the derivative of the Lagrangian by every parameter, at any point.

The Lagrangian, written out in `tests/lagrangian.py`, is at most quadratic in each parameter by itself: a central
difference of any width is its exact derivative. That it is the derivative of the value at a solution is tested in
`tests/systems/test_gradients.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.gradient import gradients
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.model import AgentData, MPCProblem
from dmpcrl_ctrl.network import coupling_components
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.validation.strategies import mpc_problems
from tests.lagrangian import lagrangian, lagrangian_of
from tests.points import held_columns, random_point, with_neighbours

Array = np.ndarray
Case = tuple[MPCProblem, tuple[AgentData, ...]]
PLAIN = (
    "A", "B", "E", "b", "Q", "R", "P", "f", "C", "lower", "upper", "x_lb", "x_ub", "slack_weight", "slack_quadratic",
    "u_min", "u_max", "du_max", "G", "Q_c",
)  # fmt: skip
SYMMETRIC = ("Q", "R", "P", "Q_c")
WIDTH = 1e-3


def exact_slope(at: Callable[[float], float]) -> float:
    """Of a function that is at most quadratic."""
    return (at(WIDTH) - at(-WIDTH)) / (2.0 * WIDTH)


def directions(shape: tuple[int, ...], rng: np.random.Generator, free: Array) -> Array:
    return np.where(free, rng.normal(size=shape), 0.0)


def gradient_at(
    problem: MPCProblem, data: Sequence[AgentData], plans: Sequence[Plan], duals: Sequence[Duals], action: bool
) -> Any:
    return gradients(agent_points(problem, data, plans, duals), coupling_components(problem), action)


@given(mpc_problems(max_agents=4), st.integers(0, 2**32 - 1))
@settings(max_examples=100)
def test_it_is_the_derivative_of_the_lagrangian_by_every_field_of_every_model(case: Case, seed: int) -> None:
    problem, data = case
    plans, duals = random_point(problem, data, seed)
    found, rng = gradient_at(problem, data, plans, duals, False), np.random.default_rng(seed)
    for i, model in enumerate(problem.models):
        fields = [(name, None) for name in PLAIN]
        fields += [(name, j) for name in ("A_ij", "C_ij", "G_ij") for j in getattr(model, name)]
        for name, j in fields:
            value = getattr(model, name) if j is None else getattr(model, name)[j]
            mine = found[i][name] if j is None else found[i][name][j]
            assert mine.shape == value.shape, name
            free = np.isfinite(value)
            if j is not None:
                columns, to_end = held_columns(problem, i, j)
                known = np.isin(np.arange(value.shape[1]), columns if to_end or name != "C_ij" else [])
                assert np.isnan(mine[:, ~known]).all()
                free = free & known
            direction = directions(value.shape, rng, free)
            if name in SYMMETRIC:
                direction = direction + direction.T
            expected = exact_slope(
                lambda h, i=i, name=name, j=j, value=value, direction=direction: lagrangian_of(
                    problem,
                    i,
                    {
                        name: value + h * direction
                        if j is None
                        else getattr(problem.models[i], name) | {j: value + h * direction}
                    },
                    data,
                    plans,
                    duals,
                )
            )
            size = 1.0 + abs(lagrangian(problem, data, plans, duals))
            assert np.sum(mine[free] * direction[free]) == pytest.approx(expected, rel=1e-6, abs=1e-9 * size), (
                i,
                name,
                j,
            )
        assert found[i]["V0"] == 1.0


@given(mpc_problems(max_agents=4), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=100)
def test_it_is_the_derivative_by_states_actions_and_all_other_data(case: Case, seed: int, given_action: bool) -> None:
    problem, data = case
    plans, duals = random_point(problem, data, seed, given_action)
    found, rng = gradient_at(problem, data, plans, duals, given_action), np.random.default_rng(seed)
    size = 1.0 + abs(lagrangian(problem, data, plans, duals))

    def slope(i: int, change: Callable[[float], tuple[AgentData, Plan]]) -> float:
        def at(h: float) -> float:
            d, plan = change(h)
            some_data, some_plans = list(data), list(plans)
            some_data[i], some_plans[i] = d, plan
            return lagrangian(problem, some_data, with_neighbours(problem, some_plans), duals)

        return exact_slope(at)

    for i, (d, plan) in enumerate(zip(data, plans, strict=True)):
        step = rng.normal(size=d.state.shape)

        def state_moved(h: float, d: AgentData = d, plan: Plan = plan, step: Array = step) -> tuple[AgentData, Plan]:
            x = plan.x.copy()
            x[0] += h * step
            return replace(d, state=x[0]), replace(plan, x=x)

        assert found[i]["state"] @ step == pytest.approx(slope(i, state_moved), rel=1e-6, abs=1e-9 * size)
        push = rng.normal(size=d.previous_input.shape)
        expected = slope(i, lambda h, d=d, p=plan, v=push: (replace(d, previous_input=d.previous_input + h * v), p))
        assert found[i]["previous_input"] @ push == pytest.approx(expected, rel=1e-6, abs=1e-9 * size)
        load = rng.normal(size=d.disturbance.shape)
        expected = slope(i, lambda h, d=d, p=plan, v=load: (replace(d, disturbance=d.disturbance + h * v), p))
        assert np.sum(found[i]["disturbance"] * load) == pytest.approx(expected, rel=1e-6, abs=1e-9 * size)
        to = rng.normal(size=d.state.shape)
        expected = slope(i, lambda h, d=d, p=plan, v=to: (replace(d, x_setpoint=d.x_setpoint + h * v), p))
        assert found[i]["x_setpoint"] @ to == pytest.approx(expected, rel=1e-6, abs=1e-9 * size)
        by = rng.normal(size=d.previous_input.shape)
        expected = slope(i, lambda h, d=d, p=plan, v=by: (replace(d, u_setpoint=d.u_setpoint + h * v), p))
        assert found[i]["u_setpoint"] @ by == pytest.approx(expected, rel=1e-6, abs=1e-9 * size)
        if not given_action:
            assert "action" not in found[i]
            continue

        def acted(h: float, d: AgentData = d, plan: Plan = plan, by: Array = by) -> tuple[AgentData, Plan]:
            u = plan.u.copy()
            u[0] += h * by
            return d, replace(plan, u=u)

        # the change from the last input to a given one has no bound
        assert found[i]["action"] @ by == pytest.approx(slope(i, acted), rel=1e-6, abs=1e-9 * size)


def test_the_price_of_a_state_comes_from_the_neighbours(problem: MPCProblem, data: tuple[AgentData, ...]) -> None:
    """Agent 0 acts on both others: without their prices its gradient by s_0 would be another one."""
    evaluation = CentralEvaluator(problem).evaluate(data)
    points = agent_points(problem, data, evaluation.plans, evaluation.duals)
    alone = points[0].state_terms()[:, 0].sum(axis=0) + points[0].duals.dynamics[0] @ points[0].model.A
    assert np.abs(evaluation.gradient[0]["state"] - alone).max() > 1e-3
