"""The smoothed problem: its derivatives, and that its minimum is near that of the problem itself."""

import numpy as np
import pytest

from dmpcrl_ctrl.condensed import Condensed, Given
from dmpcrl_ctrl.scenario_program import ScenarioProgram
from dmpcrl_ctrl.smoothed import _Rounded, smoothed_minimiser
from tests.dmpcrl_ctrl.conftest import everything_data
from tests.references import central_reference
from tests.scenario_cases import draw, some_scenarios


@pytest.mark.parametrize("shared", [True, False])
def test_derivatives_of_the_rounded_cost(shared: bool) -> None:
    scenarios = some_scenarios(3, shared)
    condensed = Condensed(scenarios)
    given = Given.of(scenarios, everything_data(1), draw(np.random.default_rng(0), 3))
    free = condensed.free(given)
    rounded = _Rounded(ScenarioProgram(condensed, condensed.gradient(given, free), condensed.bounded(free)), 0.3)
    rng = np.random.default_rng(1)
    u = 0.3 * rng.normal(size=condensed.size)
    value, gradient, curvature = rounded.expansion(u)
    assert value == rounded.value(u)
    for _ in range(5):
        d = 1e-5 * rng.normal(size=condensed.size)
        ahead, behind = rounded.expansion(u + d), rounded.expansion(u - d)
        assert ahead[0] - behind[0] == pytest.approx(2.0 * gradient @ d, rel=1e-6)
        assert np.allclose(ahead[1] - behind[1], 2.0 * curvature @ d, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_its_minimum_is_near_that_of_the_problem(seed: int) -> None:
    """Its cost is hardly above; and its inputs are near where limits on changes, which it leaves out, do not bind."""
    scenarios = some_scenarios(3, shared=False)
    condensed = Condensed(scenarios)
    draws = draw(np.random.default_rng(seed), 3)
    given = Given.of(scenarios, everything_data(seed), draws)
    reference = central_reference(scenarios.problem(), scenarios.data(everything_data(seed), draws))
    free, first = condensed.free(given), condensed.first
    program = ScenarioProgram(condensed, condensed.gradient(given, free), condensed.bounded(free))
    low, high = np.tile(first.u_min, scenarios.horizon), np.tile(first.u_max, scenarios.horizon)
    u = smoothed_minimiser(program, low, high, np.zeros(condensed.size))
    assert ((u >= low) & (u <= high)).all()
    best = np.hstack(reference.u)
    sharp = _Rounded(program, 1e-12)
    least = sharp.value(best.ravel())
    assert sharp.value(u) <= least + 1e-3 * abs(least)
    binds = bool((np.abs(np.diff(best, axis=0)).max(axis=0) > first.du_max - 1e-6).any())
    assert binds == (seed == 2)
    if not binds:
        assert np.allclose(u, best.ravel(), atol=2e-3)
