"""The quadruple tank (Johansson, IEEE Trans. Control Systems Technology 8(3), 2000): nonlinear, two agents.

Two pumps fill four tanks. Of pump 1's flow k1 v1 a part g1 goes to tank 1 and the rest to tank 4; pump 2 feeds tanks 2
and 3 likewise. Tank 3 drains into tank 1, tank 4 into tank 2:

    A1 h1' = -a1 sqrt(2 g h1) + a3 sqrt(2 g h3) + g1 k1 v1        A3 h3' = -a3 sqrt(2 g h3) + (1 - g2) k2 v2
    A2 h2' = -a2 sqrt(2 g h2) + a4 sqrt(2 g h4) + g2 k2 v2        A4 h4' = -a4 sqrt(2 g h4) + (1 - g1) k1 v1

An agent is a pump with the two tanks that it fills: no input crosses, each agent's lower tank receives what the other's
upper tank drains.
"""

from typing import Any, Literal

import control as ct
import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.disturbance import Steps
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant

# Johansson's table 1, in cm, cm^2, s: cross-sections of tanks and outlets of tanks 1 to 4, gravity.
_TANK = np.array([28.0, 32.0, 28.0, 32.0])
_OUTLET = np.array([0.071, 0.057, 0.071, 0.057])
_GRAVITY = 981.0
# Table 2: pump gains [cm^3/(V s)] and the parts that go to the lower tanks, at its two operating points.
_PHASES = {
    "minimum": (np.array([3.33, 3.35]), np.array([0.70, 0.60])),
    "nonminimum": (np.array([3.14, 3.29]), np.array([0.43, 0.34])),
}
# Table 2: pump voltages [V] of these operating points.
_VOLTAGES = {"minimum": np.array([3.00, 3.00]), "nonminimum": np.array([3.15, 3.15])}
_LEVELS = ("h1", "h2", "h3", "h4")
_PUMPS = ("v1", "v2")
_HIGHEST_LEVEL = 20.0
_HIGHEST_VOLTAGE = 10.0


def quadruple_tank(
    phase: Literal["minimum", "nonminimum"] = "minimum",
    *,
    steps: tuple[tuple[float, float, float], ...] = ((60.0, 14.0, 12.7), (360.0, 14.0, 11.0)),
    **options: Any,
) -> Plant:
    """The four tanks around one of Johansson's operating points; levels in cm, pumps in V, time in s.

    Parameters
    ----------
    phase
        Which operating point: where the valves let more than half of the water into the lower tanks the plant is of
        minimum phase.
    steps
        Set point steps (time [s], h1 [cm], h2 [cm]): from `time` on, the set points are the equilibrium with these
        lower levels; before, the operating point.
    **options
        Of :class:`Plant`: name, initial_state, Q, R, violation_weight, rate_limits, integrator ...

    Raises
    ------
    PlantError
        An unknown phase; a set point whose equilibrium would need a pump to run backwards.

    Examples
    --------
    >>> quadruple_tank().initial_state.round(1)
    array([12.3, 12.8,  1.6,  1.4])
    """
    if phase not in _PHASES:
        raise PlantError(f"quadruple_tank: phase must be 'minimum' or 'nonminimum', got {phase!r}")
    gain, split = _PHASES[phase]
    inflow = _inflow(gain, split)

    def rate(t: float, h: Array, v: Array, params: dict[str, Any]) -> Array:
        out = _outflow(h)
        return (inflow @ v - out + np.array([out[2], out[3], 0.0, 0.0])) / _TANK

    system = ct.nlsys(
        rate, None, inputs=list(_PUMPS), states=list(_LEVELS), outputs=list(_LEVELS), name="quadruple_tank"
    )
    v0 = _VOLTAGES[phase]
    h0 = _levels(inflow, v0)
    times = tuple(time for time, _, _ in steps)
    targets = np.array([_equilibrium(inflow, h1, h2) for _, h1, h2 in steps]).reshape(-1, 6)
    initial = np.concatenate([h0, v0])
    settings: dict[str, Any] = {
        "initial_state": h0,
        "Q": {"h1": 1.0, "h2": 1.0},
        "R": {"v1": 0.1, "v2": 0.1},
        **options,
    }
    return Plant(
        system,
        [Agent("pump_1", ("h1", "h4"), ("v1",)), Agent("pump_2", ("h2", "h3"), ("v2",))],
        operating_point=(h0, v0),
        state_limits=dict.fromkeys(_LEVELS, (0.0, _HIGHEST_LEVEL)),
        input_limits=dict.fromkeys(_PUMPS, (0.0, _HIGHEST_VOLTAGE)),
        setpoints={
            name: Steps(times, tuple(targets[:, k].tolist()), initial=float(initial[k]))
            for k, name in enumerate((*_LEVELS, *_PUMPS))
        },
        units={**dict.fromkeys(_LEVELS, "cm"), **dict.fromkeys(_PUMPS, "V")},
        **settings,
    )


def _inflow(gain: Array, split: Array) -> Array:
    """(4, 2): flow into each tank [cm^3/s] by pump voltage."""
    lower, upper = gain * split, gain * (1.0 - split)
    return np.array([[lower[0], 0.0], [0.0, lower[1]], [0.0, upper[1]], [upper[0], 0.0]])


def _outflow(h: Array) -> Array:
    """(4,): flow out of each tank [cm^3/s] (Torricelli); nothing where the level is not positive."""
    return _OUTLET * np.sqrt(2.0 * _GRAVITY * np.maximum(h, 0.0))


def _levels(inflow: Array, v: Array) -> Array:
    """(4,): levels [cm] at which every tank drains what it receives."""
    received = inflow @ v
    drained = received + np.array([received[2], received[3], 0.0, 0.0])
    return (drained / _OUTLET) ** 2 / (2.0 * _GRAVITY)


def _equilibrium(inflow: Array, h1: float, h2: float) -> Array:
    """(6,): four levels [cm] and two voltages [V] of the equilibrium with these levels in the lower tanks."""
    # What the lower tanks drain is linear in the voltages: directly, and through the tanks above them.
    through = inflow[:2] + inflow[2:]
    drained = _outflow(np.array([h1, h2, 0.0, 0.0]))[:2]
    v = np.asarray(np.linalg.solve(through, drained), dtype=np.float64)
    if not (v >= 0.0).all():
        raise PlantError(
            f"quadruple_tank: levels h1 = {h1:g} cm, h2 = {h2:g} cm need pump voltages {v[0]:.3g}, {v[1]:.3g} V < 0"
        )
    return np.concatenate([_levels(inflow, v), v])
