"""The quadruple tank: Johansson's operating points, its motion against an integrator, its models."""

from typing import Any, Literal

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.tanks import quadruple_tank


def torricelli(h: Array, v: Array) -> Array:
    """Johansson's equations once more, minimum phase, as in his paper."""
    k1, k2, g1, g2 = 3.33, 3.35, 0.70, 0.60
    q = np.array([0.071, 0.057, 0.071, 0.057]) * np.sqrt(2 * 981.0 * h)
    return np.array([
        (-q[0] + q[2] + g1 * k1 * v[0]) / 28.0,
        (-q[1] + q[3] + g2 * k2 * v[1]) / 32.0,
        (-q[2] + (1 - g2) * k2 * v[1]) / 28.0,
        (-q[3] + (1 - g1) * k1 * v[0]) / 32.0,
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "levels"),
    [("minimum", (12.4, 12.7, 1.8, 1.4)), ("nonminimum", (12.6, 13.0, 4.8, 4.9))],
)
def test_the_operating_points_are_those_of_the_paper(
    phase: Literal["minimum", "nonminimum"], levels: tuple[float, ...]
) -> None:
    """The paper's levels are measured values, some 2 mm from its own equations."""
    plant = quadruple_tank(phase)
    np.testing.assert_allclose(plant.initial_state, levels, atol=0.2)
    voltages = plant.bind(1, np.random.SeedSequence(0)).setpoints(0)[4:]
    np.testing.assert_allclose(plant.advance(plant.initial_state, 100, voltages), plant.initial_state, atol=1e-9)


def test_the_tanks_move_as_an_independent_integrator_says() -> None:
    """400 s with a new voltage every 5 s: sampled levels agree to 1e-8 (rtol 1e-10)."""
    plant = quadruple_tank()
    rng = np.random.default_rng(4)
    h = reference = plant.initial_state
    worst = 0.0
    for _ in range(80):
        v = rng.uniform(1.0, 5.0, 2)
        h = plant.advance(h, 5, v)
        reference = solve_ivp(
            lambda t, s, v=v: torricelli(s, v), (0.0, 5.0), reference, method="Radau", rtol=1e-10, atol=1e-12
        ).y[:, -1]
        worst = max(worst, float(np.abs(h - reference).max()))
    assert np.ptp(h - plant.initial_state) > 0.1
    assert worst < 1e-8


def test_a_tank_runs_dry_and_not_below() -> None:
    h = quadruple_tank().advance(np.array([1.0, 1.0, 0.5, 0.5]), 200, np.zeros(2))
    np.testing.assert_allclose(h, 0.0, atol=1e-9)


def test_each_pump_has_its_two_tanks_and_drains_into_the_others() -> None:
    plant = quadruple_tank()
    assert [(a.states, a.inputs, a.neighbours) for a in plant.agents] == [
        (("h1", "h4"), ("v1",), ("pump_2",)),
        (("h2", "h3"), ("v2",), ("pump_1",)),
    ]
    assert plant.state_of_output == (0, 1, 2, 3) and not plant.has_feedthrough
    one, two = plant.local_models(5.0).models
    assert one.coupled_columns(1) == (1,) and two.coupled_columns(0) == (1,)
    np.testing.assert_array_equal(plant.units["h1"], "cm")


def test_the_models_predict_small_motions() -> None:
    """The whole-network model is the derivative of the flow: halving a deviation quarters its error."""
    plant = quadruple_tank()
    (model,) = plant.local_models(5.0, hold="network").models
    x0, u0 = plant.initial_state, np.array([3.0, 3.0])
    direction, push = np.array([0.5, -0.3, 0.2, 0.1]), np.array([0.4, -0.2])

    def error(size: float) -> float:
        x, u = x0 + size * direction, u0 + size * push
        return float(np.abs(plant.advance(x, 5, u) - (model.A @ x + model.B @ u + model.b)).max())

    assert error(0.5) < 0.02
    assert error(0.25) / error(0.5) == pytest.approx(0.25, rel=0.1)


def test_set_points_are_equilibria() -> None:
    plant = quadruple_tank(steps=((30.0, 14.0, 11.0), (90.5, 10.0, 12.0)))
    bound = plant.bind(2, np.random.SeedSequence(0))
    np.testing.assert_allclose(bound.setpoints(59), [*plant.initial_state, 3.0, 3.0], rtol=1e-12)
    for tick, levels in ((60, (14.0, 11.0)), (181, (10.0, 12.0))):
        setpoint = bound.setpoints(tick)
        np.testing.assert_allclose(setpoint[:2], levels)
        np.testing.assert_allclose(torricelli(setpoint[:4], setpoint[4:]), 0.0, atol=1e-12)
    np.testing.assert_allclose(quadruple_tank(steps=()).bind(1, np.random.SeedSequence(0)).setpoints(99)[4:], 3.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phase": "maximum"}, "phase must be 'minimum' or 'nonminimum', got 'maximum'"),
        ({"steps": ((5.0, 20.0, 0.1),)}, r"levels h1 = 20 cm, h2 = 0\.1 cm need pump voltages"),
    ],
)
def test_impossible_tanks_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PlantError, match=message):
        quadruple_tank(**arguments)
