"""Sides of bounds: their excess, the pieces of their price, and the best step along a line."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from dmpcrl_ctrl.condensed import Condensed, Given
from dmpcrl_ctrl.scenario_program import ScenarioProgram
from tests.dmpcrl_ctrl.conftest import everything_data
from tests.scenario_cases import draw, some_scenarios

Case = tuple[Condensed, Given, ScenarioProgram]


@pytest.fixture(params=[True, False], ids=["shared", "own"])
def case(request: pytest.FixtureRequest) -> Case:
    scenarios = some_scenarios(3, request.param)
    condensed = Condensed(scenarios)
    given = Given.of(scenarios, everything_data(1), draw(np.random.default_rng(0), 3))
    free = condensed.free(given)
    return condensed, given, ScenarioProgram(condensed, condensed.gradient(given, free), condensed.bounded(free))


def full_cost(case: Case, u: np.ndarray) -> float:
    """With slacks that are what leaves the soft bounds."""
    condensed, given, _ = case
    x = condensed.states(condensed.free(given), u)
    v = condensed.bounded(x)
    sigma = np.maximum(np.maximum(v - condensed.high, condensed.low - v), 0.0)
    return condensed.cost(given, x, u, np.where(np.isfinite(condensed.price), sigma, 0.0))


def test_excess_is_what_leaves_the_bounds(case: Case) -> None:
    condensed, given, program = case
    u = np.random.default_rng(1).normal(size=condensed.size)
    v = condensed.bounded(condensed.states(condensed.free(given), u))
    assert np.allclose(program.excess(u)[0], v - condensed.high, atol=1e-10)
    assert np.allclose(program.excess(u)[1], condensed.low - v, atol=1e-10)


def test_the_pieces_of_a_point_are_the_cost_there_and_near_it(case: Case) -> None:
    condensed, _, program = case
    u = np.random.default_rng(2).normal(size=condensed.size)
    beyond, _ = program.judged(u, 0)
    H, g = program.pieces(beyond & ~program.hard)
    d = 1e-6 * np.random.default_rng(3).normal(size=condensed.size)
    change = full_cost(case, u + d) - full_cost(case, u - d)
    assert change == pytest.approx(2.0 * (g + H @ u) @ d, rel=1e-5)
    assert not program.misjudged(u, beyond).any()
    assert program.misjudged(u, ~beyond).any()


def test_those_nearest_to_a_kink_are_in_doubt(case: Case) -> None:
    condensed, _, program = case
    u = np.zeros(condensed.size)
    beyond, doubt = program.judged(u, 5)
    away = np.abs(program.excess(u)) / condensed.reach
    soft = doubt & ~program.hard
    assert (doubt >= (program.hard & beyond)).all()
    assert soft.sum() <= 5
    assert away[soft].max() <= np.sort(away.ravel())[4]
    assert not program.judged(u, 0)[1][~program.hard].any()


def test_a_step_goes_where_the_cost_is_least(case: Case) -> None:
    condensed, _, program = case
    rng = np.random.default_rng(4)
    for _ in range(5):
        start, end = rng.normal(size=(2, condensed.size))
        best = minimize_scalar(
            lambda t, a=start, b=end: full_cost(case, a + t * (b - a)), bounds=(0.0, 1.0), options={"xatol": 1e-9}
        )
        step = program.step(start, end)
        assert 0.0 <= step <= 1.0
        assert full_cost(case, start + step * (end - start)) <= best.fun * (1.0 + 1e-9)


def test_rows_in_doubt_come_with_their_bounds_and_prices(case: Case) -> None:
    condensed, _, program = case
    u = np.random.default_rng(5).normal(size=condensed.size)
    _, doubt = program.judged(u, 10)
    rows, most, price, quadratic = program.doubtful(doubt)
    assert np.allclose(rows @ u - most, program.excess(u)[doubt], atol=1e-10)
    assert np.array_equal(price, program.price[doubt]) and np.array_equal(quadratic, program.quadratic[doubt])
