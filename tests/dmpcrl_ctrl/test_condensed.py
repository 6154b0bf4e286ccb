"""The problem in its inputs alone: states, bounded combinations and derivatives against the problem itself."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dmpcrl_ctrl.condensed import Condensed, Given
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.problem import MPCProblem
from tests.dmpcrl_ctrl.conftest import HORIZON, everything_data
from tests.scenario_cases import draw, some_scenarios


@pytest.fixture(params=[True, False], ids=["shared", "own"])
def case(request: pytest.FixtureRequest) -> tuple[Condensed, Given]:
    scenarios = some_scenarios(3, request.param, "once")
    draws = draw(np.random.default_rng(0), 3)
    return Condensed(scenarios), Given.of(scenarios, everything_data(1), draws)


def test_states_obey_the_dynamics_of_the_scenario_problem(case: tuple[Condensed, Given]) -> None:
    condensed, given = case
    u = np.random.default_rng(3).normal(size=condensed.size)
    x = condensed.states(condensed.free(given), u)
    # residual of x(k+1) = A x + B u + ... with the stacked models, agent by agent
    scenarios, inputs = condensed.scenarios, u.reshape(HORIZON, -1)
    stacked = scenarios.problem()
    data = scenarios.data(everything_data(1), draw(np.random.default_rng(0), 3))
    sizes = np.cumsum([0, *(model.n for model in scenarios.problems[0].models)])
    ends = np.cumsum([0, *(model.m for model in stacked.models)])
    parts = [x[:, :, a:b].transpose(1, 0, 2).reshape(HORIZON + 1, -1) for a, b in pairwise(sizes)]
    for i, (model, d) in enumerate(zip(stacked.models, data, strict=True)):
        following = parts[i][:-1] @ model.A.T + inputs[:, ends[i] : ends[i + 1]] @ model.B.T
        following += d.disturbance @ model.E.T + model.b
        following += sum(parts[j][:-1] @ block.T for j, block in model.A_ij.items())
        assert np.allclose(parts[i][1:], following, atol=1e-12)


def test_gradient_and_hessian_are_derivatives_of_the_cost(case: tuple[Condensed, Given]) -> None:
    condensed, given = case
    free, rng = condensed.free(given), np.random.default_rng(5)
    no_slack = np.zeros((3, HORIZON, condensed.low.shape[2]))

    def cost(u: np.ndarray) -> float:
        return condensed.cost(given, condensed.states(free, u), u, no_slack)

    u, g = rng.normal(size=condensed.size), condensed.gradient(given, free)
    at_zero = cost(np.zeros(condensed.size))
    assert cost(u) == pytest.approx(at_zero + g @ u + 0.5 * u @ condensed.hessian @ u, rel=1e-10)
    rows = condensed.rows.reshape(-1, HORIZON, condensed.low.shape[2], condensed.size)
    moved = condensed.bounded(condensed.states(free, u)) - condensed.bounded(free)
    assert np.allclose(moved, rows @ u, atol=1e-10)
    weights = rng.normal(size=moved.shape)
    assert np.allclose(
        condensed.pushed(weights), np.einsum("skp,skpv->v", weights, np.broadcast_to(rows, (3, *rows.shape[1:])))
    )


def test_what_has_no_single_input_is_refused() -> None:
    scenarios = some_scenarios(2, shared=True)
    problem: MPCProblem = scenarios.problems[0]
    ended = replace(problem, models=tuple(replace(model, terminal_equality=True) for model in problem.models))
    with pytest.raises(ModelError, match="a terminal equality cannot hold for every sample"):
        Condensed(replace(scenarios, problems=(ended,)))
    mixed = replace(problem, models=(replace(problem.models[0], terminal_equality=True), *problem.models[1:]))
    with pytest.raises(ModelError, match="all agents have a terminal equality, or none"):
        Condensed(replace(scenarios, problems=(mixed,)))
    one = problem.models[1]
    crossed = replace(
        problem, models=(problem.models[0], replace(one, x_lb=np.array([9.0, 0.0, 0.0])), problem.models[2])
    )
    with pytest.raises(ModelError, match=r"bounded row 0 of the network: lower 8.9 exceeds upper 0.3"):
        Condensed(replace(scenarios, problems=(crossed,)))


def test_numbers_that_are_not_finite_are_seen(case: tuple[Condensed, Given]) -> None:
    _, given = case
    assert given.finite
    assert not replace(given, state=np.full_like(given.state, np.nan)).finite
