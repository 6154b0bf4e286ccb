"""Frequency control of power networks: areas with generation and load, coupled by tie lines.

The Hycon2 benchmark (Riverso and Ferrari-Trecate, arXiv:1207.2000) and networks of any size in its image. Area i has

    dtheta_i' = domega_i                                                                    [rad, rad/s]
    2H domega_i' = dPm_i - dPL_i - D domega_i - sum_j P_ij (dtheta_i - dtheta_j)            [p.u.]
    Tt dPm_i' = dPv_i - dPm_i
    Tg dPv_i' = dPref_i - dPv_i - domega_i / R

with the set-point change dPref_i as input and the load dPL_i as disturbance. All are deviations from the scheduled point.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import control as ct
import networkx as nx
import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.disturbance import Source, Steps, UniformNoise, as_source
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.trajectory import Trajectory

# Weights of the benchmark on (dtheta, domega, dPm, dPv) and on dPref, and its bound on |dtheta| in rad.
STATE_WEIGHTS = (500.0, 0.01, 0.01, 10.0)
INPUT_WEIGHT = 10.0
ANGLE_LIMIT = 0.1
_STATES = ("dtheta", "domega", "dPm", "dPv")
_UNITS = {"dtheta": "rad", "domega": "rad/s", "dPm": "p.u.", "dPv": "p.u.", "dPref": "p.u.", "dPL": "p.u."}


@dataclass(frozen=True)
class PowerArea:
    """One area; times in seconds, powers per unit.

    Parameters
    ----------
    number
        Its signals are called dtheta_<number> and so on, the agent area_<number>.
    inertia
        H [s].
    droop
        R [rad/s per p.u.]: governor regulation.
    damping
        D [p.u. per rad/s].
    turbine_time, governor_time
        Tt, Tg.
    input_limit
        Bound on |dPref| [p.u.].
    load
        dPL [p.u.]: positive load slows the area down.
    """

    number: int
    inertia: float
    droop: float
    damping: float
    turbine_time: float
    governor_time: float
    input_limit: float
    load: Source | float = 0.0

    def __post_init__(self) -> None:
        for field in ("inertia", "droop", "turbine_time", "governor_time"):
            if not (np.isfinite(getattr(self, field)) and getattr(self, field) > 0.0):
                raise PlantError(f"area {self.number}: {field} must be positive, got {getattr(self, field)}")
        for field in ("damping", "input_limit"):
            if not getattr(self, field) >= 0.0:
                raise PlantError(f"area {self.number}: {field} must not be negative, got {getattr(self, field)}")


@dataclass(frozen=True)
class Tie:
    """A tie line between two areas: power stiffness * (dtheta_first - dtheta_second) [p.u.] flows from first to second."""

    first: int
    second: int
    stiffness: float


def power_network(
    scenario: Literal[1, 2, 3] = 1,
    *,
    input_limits: Literal["hycon2", "learning"] | Mapping[str, tuple[float, float]] = "hycon2",
    load_noise: float = 0.0,
    **options: Any,
) -> Plant:
    """The Hycon2 benchmark network.

    Parameters
    ----------
    scenario
        1: areas 1-2-3-4 in a line. 2: area 5 tied to 2 and 4. 3: as 2 with area 4 unplugged (its published loads are not
        at hand; it takes those of scenario 2).
    input_limits
        "hycon2"; "learning": the tighter 0.2, 0.1, 0.3, 0.1 of the learning paper for areas 1 to 4, with which the
        terminal equality of the benchmark's controller becomes infeasible; or limits by input name.
    load_noise
        Amplitude [p.u.] of uniform noise on every load, drawn anew each second, unknown to controllers.
    **options
        As :func:`power_network_of`.

    Raises
    ------
    PlantError
        No such scenario; "learning" limits with area 5.

    Examples
    --------
    >>> power_network(scenario=3).agents[3].neighbours
    ('area_2',)
    """
    if scenario not in _SCENARIOS or isinstance(scenario, bool):
        raise PlantError(f"power_network has scenarios 1, 2 and 3, got {scenario!r}")
    numbers, ties, loads = _SCENARIOS[scenario]
    areas = [PowerArea(k, *_AREAS[k], load=Steps(*loads[k]) if k in loads else 0.0) for k in numbers]
    if isinstance(input_limits, str):
        options["input_limits"] = _named_limits(input_limits, areas)
    else:
        options["input_limits"] = input_limits
    options.setdefault("name", f"hycon2_{scenario}")
    return power_network_of(areas, ties, load_noise=load_noise, **options)


def power_network_of(
    areas: Sequence[PowerArea],
    ties: Sequence[Tie],
    *,
    load_noise: float = 0.0,
    input_limits: Mapping[str, tuple[float, float]] | None = None,
    angle_limit: float = ANGLE_LIMIT,
    **options: Any,
) -> Plant:
    """A network of any areas and ties, with the benchmark's weights and set points.

    Set points follow the measured load: xbar_i = (0, 0, dPL_i, dPL_i), ubar_i = dPL_i. All states are outputs. The
    performance indices are `eta` and `phi` (:func:`mean_stage_cost`, :func:`mean_tie_exchange`).

    Parameters
    ----------
    areas, ties
        The network.
    load_noise
        Amplitude [p.u.] of uniform noise on every load, drawn anew each second, unknown to controllers.
    input_limits
        Input -> (low, high) instead of the areas' own.
    angle_limit
        Bound on |dtheta| [rad]; hard in MPC models unless `violation_weight` gives it a price.
    **options
        Of :class:`Plant`: name, initial_state, violation_weight, Q, R, rate_limits ...

    Raises
    ------
    PlantError
        A tie to an area that does not exist, a tie given twice, a stiffness that is not positive.
    """
    areas, ties = tuple(areas), tuple(ties)
    _require_ties(areas, ties)
    numbers = [area.number for area in areas]
    states = [f"{state}_{k}" for k in numbers for state in _STATES]
    inputs, loads = [f"dPref_{k}" for k in numbers], [f"dPL_{k}" for k in numbers]
    A, B, E = network_matrices(areas, ties)
    n = len(states)
    system = ct.StateSpace(A, np.hstack([B, E]), np.eye(n), np.zeros((n, B.shape[1] + E.shape[1])), 0)
    system.set_states(states)
    system.set_inputs([*inputs, *loads])
    system.set_outputs(states)
    noise = UniformNoise(-load_noise, load_noise, 1) if load_noise > 0.0 else None
    gain = np.zeros((n + len(areas), len(areas)))
    for i in range(len(areas)):
        gain[[4 * i + 2, 4 * i + 3, n + i], i] = 1.0
    settings: dict[str, Any] = {
        "name": "power_network",
        "Q": np.tile(STATE_WEIGHTS, len(areas)),
        "R": np.full(len(areas), INPUT_WEIGHT),
        "indices": {"eta": mean_stage_cost, "phi": mean_tie_exchange(ties)},
        "units": {name: _UNITS[name.split("_")[0]] for name in (*states, *inputs, *loads)},
        **options,
    }
    return Plant(
        system,
        [_agent(area, ties) for area in areas],
        disturbances={
            name: as_source(area.load) if noise is None else as_source(area.load) + noise
            for name, area in zip(loads, areas, strict=True)
        },
        input_limits={
            name: (-area.input_limit, area.input_limit) for name, area in zip(inputs, areas, strict=True)
        } | dict(input_limits or {}),
        state_limits={f"dtheta_{k}": (-angle_limit, angle_limit) for k in numbers},
        setpoint_gain=gain,
        **settings,
    )


def network_matrices(areas: Sequence[PowerArea], ties: Sequence[Tie]) -> tuple[Array, Array, Array]:
    """A (4M, 4M), B (4M, M) and E (4M, M) of M areas: continuous-time dynamics, inputs dPref, loads dPL."""
    position = {area.number: i for i, area in enumerate(areas)}
    n, M = 4 * len(areas), len(areas)
    A, B, E = np.zeros((n, n)), np.zeros((n, M)), np.zeros((n, M))
    for i, area in enumerate(areas):
        theta, omega, mechanical, valve = range(4 * i, 4 * i + 4)
        A[theta, omega] = 1.0
        A[omega, [omega, mechanical]] = np.array([-area.damping, 1.0]) / (2.0 * area.inertia)
        A[mechanical, [mechanical, valve]] = np.array([-1.0, 1.0]) / area.turbine_time
        A[valve, [omega, valve]] = -1.0 / (area.droop * area.governor_time), -1.0 / area.governor_time
        B[valve, i] = 1.0 / area.governor_time
        E[omega, i] = -1.0 / (2.0 * area.inertia)
    for tie in ties:
        for here, there in ((tie.first, tie.second), (tie.second, tie.first)):
            i, j = position[here], position[there]
            stiffness = tie.stiffness / (2.0 * areas[i].inertia)
            A[4 * i + 1, 4 * i] -= stiffness
            A[4 * i + 1, 4 * j] += stiffness
    return A, B, E
