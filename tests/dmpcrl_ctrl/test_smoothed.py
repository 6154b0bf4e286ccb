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


@pytest.mark.parametrize("seed", range(3))
def test_its_minimum_is_near_that_of_the_problem(seed: int) -> None:
    """Without what it leaves out: hard bounds and changes of inputs do not bind here."""
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
    assert np.allclose(u, np.hstack(reference.u).ravel(), atol=2e-3)
