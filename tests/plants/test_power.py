"""Power networks of any areas and ties, against the equations written out area by area."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.disturbance import Steps
from dmpcrl_ctrl.plants.power import PowerArea, Tie, network_matrices, power_network_of
from dmpcrl_ctrl.plants.random_network import random_power_network
from dmpcrl_ctrl.plants.trajectory import Trajectory

TWO = [
    PowerArea(7, 10.0, 0.05, 0.8, 0.5, 0.1, 0.5, load=Steps((1,), (0.2,))),
    PowerArea(3, 8.0, 0.08, 0.7, 0.6, 0.2, 0.4, load=-0.1),
]
TIES = [Tie(3, 7, 2.0)]


def swing(areas: list[PowerArea], ties: list[Tie], x: Array, u: Array, load: Array) -> Array:
    """dx/dt by the physical equations, area by area."""
    rate = np.empty_like(x)
    number = {area.number: i for i, area in enumerate(areas)}
    for i, area in enumerate(areas):
        theta, omega, mechanical, valve = x[4 * i : 4 * i + 4]
        export = 0.0
        for tie in ties:
            for here, there in ((tie.first, tie.second), (tie.second, tie.first)):
                if here == area.number:
                    export += tie.stiffness * (theta - x[4 * number[there]])
        rate[4 * i] = omega
        rate[4 * i + 1] = (mechanical - load[i] - area.damping * omega - export) / (2.0 * area.inertia)
        rate[4 * i + 2] = (valve - mechanical) / area.turbine_time
        rate[4 * i + 3] = (u[i] - valve - omega / area.droop) / area.governor_time
    return rate


def test_the_matrices_are_the_swing_equations() -> None:
    A, B, E = network_matrices(TWO, TIES)
    rng = np.random.default_rng(0)
    for _ in range(10):
        x, u, load = rng.normal(size=8), rng.normal(size=2), rng.normal(size=2)
        np.testing.assert_allclose(A @ x + B @ u + E @ load, swing(TWO, TIES, x, u, load), rtol=1e-12, atol=1e-12)


@settings(max_examples=200)
@given(st.integers(1, 8), st.sampled_from(["ring", "path", "grid", "star", "random"]), st.integers(0, 10**6))
def test_networks_of_up_to_eight_areas_move_as_the_integrator_says(areas: int, topology: str, seed: int) -> None:
    plant = random_power_network(areas, topology, seed)
    rng = np.random.default_rng(seed)
    x, u, load = rng.normal(size=4 * areas), rng.normal(size=areas), rng.normal(size=areas)
    A, inflow = plant.system.A, plant.system.B @ np.concatenate([u, load])
    end = solve_ivp(lambda t, s: A @ s + inflow, (0.0, 0.5), x, method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(plant.advance(x, 0.5, u, load), end, atol=1e-8)
    # All angles shift together: A is singular, and a discretisation by inv(A) would fail.
    assert np.abs(A @ np.tile([1.0, 0.0, 0.0, 0.0], areas)).max() < 1e-12


def test_signals_limits_and_neighbours_carry_the_areas_numbers() -> None:
    plant = power_network_of(TWO, TIES)
    assert plant.state_names[4:] == ("dtheta_3", "domega_3", "dPm_3", "dPv_3")
    assert (plant.input_names, plant.disturbance_names) == (("dPref_7", "dPref_3"), ("dPL_7", "dPL_3"))
    assert plant.output_names == plant.state_names and plant.state_of_output == tuple(range(8))
    assert [(agent.name, agent.neighbours) for agent in plant.agents] == [
        ("area_7", ("area_3",)),
        ("area_3", ("area_7",)),
    ]
    np.testing.assert_array_equal(plant.input_limits, [[-0.5, 0.5], [-0.4, 0.4]])
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(plant.state_limits[:, 0])), [0, 4])
    assert plant.units["dtheta_7"] == "rad" and plant.units["dPL_3"] == "p.u."


def test_set_points_follow_the_measured_load_and_hold_it_still() -> None:
    plant = power_network_of(TWO, TIES, load_noise=0.05)
    bound = plant.bind(1, np.random.SeedSequence(0))
    setpoint = bound.setpoints(2)
    np.testing.assert_allclose(setpoint, [0, 0, 0.2, 0.2, 0, 0, -0.1, -0.1, 0.2, -0.1])
    np.testing.assert_allclose(swing(TWO, TIES, setpoint[:8], setpoint[8:], bound.measured(2)), 0.0, atol=1e-15)
    difference = bound.values(2) - bound.measured(2)
    assert (np.abs(difference) <= 0.05).all() and (difference != 0.0).all()


def test_the_exchange_counts_each_tie_once() -> None:
    plant = power_network_of(TWO, TIES)
    state = np.zeros((2, 8))
    state[0, [0, 4]] = 0.3, -0.2
    nothing = np.zeros((1, 2))
    run = Trajectory(
        np.array([0.0, 2.0]), state, nothing, nothing, np.zeros((1, 10)),
        plant.state_names, plant.input_names, plant.disturbance_names,
    )  # fmt: skip
    assert plant.indices["phi"](run) == pytest.approx(2.0 * 0.5 * 2.0)
    assert plant.indices["eta"](run) == pytest.approx(500.0 * (0.3**2 + 0.2**2))


def test_options_pass_through() -> None:
    plant = power_network_of(
        TWO, TIES, name="pair", violation_weight=500.0, input_limits={"dPref_3": (-1, 1)}, angle_limit=0.2, R=[1.0, 2.0]
    )
    assert plant.name == "pair"
    model = plant.local_models(1.0).models[1]
    assert (model.slack_weight[0], model.u_max[0], model.upper[0], model.R[0, 0]) == (500.0, 1.0, 0.2, 2.0)
    np.testing.assert_array_equal(model.Q, np.diag([500.0, 0.01, 0.01, 10.0]))
    assert not power_network_of(TWO, TIES).local_models(1.0).models[0].soft.any()


@pytest.mark.parametrize(
    ("areas", "ties", "message"),
    [
        ([], [], "areas of different numbers"),
        ([TWO[0], TWO[0]], [], r"different numbers, got \[7, 7\]"),
        (TWO, [Tie(3, 4, 1.0)], r"tie 3-4 must join two different areas of \[7, 3\]"),
        (TWO, [Tie(3, 3, 1.0)], "tie 3-3 must join two different areas"),
        (TWO, [Tie(3, 7, 1.0), Tie(7, 3, 2.0)], "tie 7-3 is given twice"),
        (TWO, [Tie(3, 7, 0.0)], "tie 3-7: stiffness must be positive, got 0.0"),
    ],
)
def test_a_wrong_network_is_refused(areas: list[PowerArea], ties: list[Tie], message: str) -> None:
    with pytest.raises(PlantError, match=message):
        power_network_of(areas, ties)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inertia": 0.0}, "area 1: inertia must be positive, got 0.0"),
        ({"governor_time": np.nan}, "area 1: governor_time must be positive, got nan"),
        ({"damping": -0.1}, "area 1: damping must not be negative, got -0.1"),
    ],
)
def test_a_wrong_area_is_refused(changes: dict[str, Any], message: str) -> None:
    fields = {"inertia": 10.0, "droop": 0.05, "damping": 0.8, "turbine_time": 0.5, "governor_time": 0.1}
    with pytest.raises(PlantError, match=message):
        PowerArea(1, **fields | changes, input_limit=0.5)
