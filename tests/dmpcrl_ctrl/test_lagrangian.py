"""An agent's share of the Lagrangian: costs and derivatives by trajectories, against sums written out elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmpcrl_ctrl.gradient import gathered_prices
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.network import coupling_components
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.strategies import mpc_problems
from tests.lagrangian import bounded, lagrangian, objective
from tests.points import random_point, with_neighbours

Case = tuple[MPCProblem, tuple[AgentData, ...]]


@given(mpc_problems(max_agents=4), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_costs_are_the_agents_costs(case: Case, seed: int) -> None:
    problem, data = case
    plans, duals = random_point(problem, data, seed)
    mine = [sum(point.costs()) for point in agent_points(problem, data, plans, duals)]
    assert np.allclose(mine, objective(problem, data, plans), rtol=1e-10, atol=1e-12)
    everyone = [plan.x for plan in plans]
    for point in agent_points(problem, data, plans, duals):
        rows = bounded(point.model, point.plan.x, everyone)
        assert np.allclose(point.bounded, rows, rtol=1e-10, atol=1e-10 * (1.0 + np.abs(rows).max(initial=0.0)))


@given(mpc_problems(max_agents=4), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_terms_and_prices_add_up_to_the_slope_along_states_and_inputs(case: Case, seed: int) -> None:
    """The Lagrangian is quadratic in the trajectories: a central difference is exact."""
    problem, data = case
    plans, duals = random_point(problem, data, seed)
    points, rng = agent_points(problem, data, plans, duals), np.random.default_rng(seed)
    incoming = gathered_prices(points, coupling_components(problem))
    size = 1.0 + abs(lagrangian(problem, data, plans, duals))
    for i, (point, prices) in enumerate(zip(points, incoming, strict=True)):
        through = point.state_terms().sum(axis=0) + prices
        through[:-1] += point.duals.dynamics @ point.model.A
        through[1:] -= point.duals.dynamics
        dx, du = rng.normal(size=point.plan.x.shape), rng.normal(size=point.plan.u.shape)
        dx[0] = 0.0
        ends = []
        for sign in (1.0, -1.0):
            moved = [*plans]
            moved[i] = replace(plans[i], x=plans[i].x + sign * dx, u=plans[i].u + sign * du)
            ends.append(lagrangian(problem, data, with_neighbours(problem, moved), duals))
        bounds = point.duals.u_max - point.duals.u_min
        slope = np.sum(through * dx) + np.sum((point.input_terms().sum(axis=0) + bounds) * du)
        assert slope == pytest.approx((ends[0] - ends[1]) / 2.0, rel=1e-6, abs=1e-9 * size)
