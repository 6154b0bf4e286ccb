"""Frequency control of power networks: areas with generation and load, coupled by tie lines.

The model of the Hycon2 benchmark (Riverso and Ferrari-Trecate, arXiv:1207.2000), for any areas and ties. Area i has

    dtheta_i' = domega_i                                                                    [rad, rad/s]
    2H domega_i' = dPm_i - dPL_i - D domega_i - sum_j P_ij (dtheta_i - dtheta_j)            [p.u.]
    Tt dPm_i' = dPv_i - dPm_i
    Tg dPv_i' = dPref_i - dPv_i - domega_i / R

with the set-point change dPref_i as input and the load dPL_i as disturbance. All are deviations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import control as ct
import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.absolute_cost import AbsoluteCost
from dmpcrl_ctrl.plants.disturbance import Source, UniformNoise, as_source
from dmpcrl_ctrl.plants.indices import mean_deviation_cost, mean_tie_exchange
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.signals import Named, weight

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
    """A tie line: the power stiffness * (dtheta_first - dtheta_second) [p.u.] flows from first to second."""

    first: int
    second: int
    stiffness: float


def power_network_of(
    areas: Sequence[PowerArea],
    ties: Sequence[Tie],
    *,
    load_noise: float = 0.0,
    input_limits: Mapping[str, tuple[float, float]] | None = None,
    angle_limit: float = ANGLE_LIMIT,
    tie_cost: float = 0.0,
    Q: Named | None = None,
    R: Named | None = None,
    **options: Any,
) -> Plant:
    """A network of any areas and ties, with the benchmark's weights and set points.

    Set points follow the measured load: xbar_i = (0, 0, dPL_i, dPL_i), ubar_i = dPL_i. All states are outputs. The
    performance indices are `eta` (:func:`mean_deviation_cost`) and `phi` (:func:`mean_tie_exchange`).

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
    tie_cost
        Price of the power on each tie, |P_ij (dtheta_i - dtheta_j)|, in the stage cost; each end pays half.
    Q, R
        Weights instead of diag(500, 0.01, 0.01, 10) and 10 for each area.
    **options
        Of :class:`Plant`: name, initial_state, violation_weight, rate_limits ...

    Raises
    ------
    PlantError
        A tie to an area that does not exist or to itself, a tie given twice, two areas of one number.

    Examples
    --------
    >>> areas = [PowerArea(k, 10.0, 0.05, 0.8, 0.5, 0.1, 0.5) for k in (1, 2)]
    >>> power_network_of(areas, [Tie(1, 2, 4.0)]).agents[0].neighbours
    ('area_2',)
    """
    _require_network(areas, ties)
    if not 0.0 <= tie_cost < np.inf:
        raise PlantError(f"tie_cost must be at least 0, got {tie_cost:g}")
    numbers = [area.number for area in areas]
    states = [f"{state}_{k}" for k in numbers for state in _STATES]
    inputs, loads = [f"dPref_{k}" for k in numbers], [f"dPL_{k}" for k in numbers]
    A, B, E = network_matrices(areas, ties)
    direct = np.zeros((len(states), len(inputs) + len(loads)))
    system = ct.ss(
        A, np.hstack([B, E]), np.eye(len(states)), direct, states=states, inputs=[*inputs, *loads], outputs=states
    )
    Q = weight(np.tile(STATE_WEIGHTS, len(areas)) if Q is None else Q, states, "Q")
    R = weight(np.full(len(areas), INPUT_WEIGHT) if R is None else R, inputs, "R")
    own_limits = {u: (-area.input_limit, area.input_limit) for u, area in zip(inputs, areas, strict=True)}
    extra = {"extra_stage_cost": _tie_cost(areas, ties, tie_cost)} if tie_cost else {}
    return Plant(
        system,
        [_agent(area, ties) for area in areas],
        disturbances={load: _load(area, load_noise) for load, area in zip(loads, areas, strict=True)},
        input_limits=own_limits | dict(input_limits or {}),
        state_limits={f"dtheta_{k}": (-angle_limit, angle_limit) for k in numbers},
        setpoint_gain=_setpoint_gain(len(areas)),
        Q=Q,
        R=R,
        indices={"eta": mean_deviation_cost(Q, R), "phi": mean_tie_exchange(_flows(areas, ties))},
        units={name: _UNITS[name.split("_")[0]] for name in (*states, *inputs, *loads)},
        **{"name": "power_network", **extra, **options},
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


def _agent(area: PowerArea, ties: Sequence[Tie]) -> Agent:
    """Neighbours by the ties rather than by the sparsity of A: a large network need not be searched."""
    k = area.number
    others = {tie.second if tie.first == k else tie.first for tie in ties if k in (tie.first, tie.second)}
    neighbours = tuple(f"area_{other}" for other in sorted(others))
    return Agent(f"area_{k}", tuple(f"{state}_{k}" for state in _STATES), (f"dPref_{k}",), (f"dPL_{k}",), neighbours)


def _load(area: PowerArea, noise: float) -> Source:
    load = as_source(area.load)
    return load + UniformNoise(-noise, noise, 1) if noise else load


def _setpoint_gain(count: int) -> Array:
    """(5M, M): the load is the set point of its area's dPm, dPv and dPref."""
    gain = np.zeros((5 * count, count))
    for i in range(count):
        gain[[4 * i + 2, 4 * i + 3, 4 * count + i], i] = 1.0
    return gain


def _flows(areas: Sequence[PowerArea], ties: Sequence[Tie]) -> Array:
    """(ties, 4M): power on each tie [p.u.] = this matrix times the state."""
    position = {area.number: i for i, area in enumerate(areas)}
    flows = np.zeros((len(ties), 4 * len(areas)))
    for row, tie in zip(flows, ties, strict=True):
        row[4 * position[tie.first]] = tie.stiffness
        row[4 * position[tie.second]] = -tie.stiffness
    return flows


def _tie_cost(areas: Sequence[PowerArea], ties: Sequence[Tie], price: float) -> AbsoluteCost:
    ends = [[price / 2.0 if area.number in (tie.first, tie.second) else 0.0 for tie in ties] for area in areas]
    return AbsoluteCost(_flows(areas, ties), np.array(ends).reshape(len(areas), len(ties)))


def _require_network(areas: Sequence[PowerArea], ties: Sequence[Tie]) -> None:
    numbers = [area.number for area in areas]
    if not numbers or len(set(numbers)) != len(numbers):
        raise PlantError(f"a power network needs areas of different numbers, got {numbers}")
    seen: set[frozenset[int]] = set()
    for tie in ties:
        ends = frozenset((tie.first, tie.second))
        if len(ends) != 2 or not ends <= set(numbers):
            raise PlantError(f"tie {tie.first}-{tie.second} must join two different areas of {numbers}")
        if ends in seen:
            raise PlantError(f"tie {tie.first}-{tie.second} is given twice; add the stiffnesses of parallel lines")
        if not (np.isfinite(tie.stiffness) and tie.stiffness > 0.0):
            raise PlantError(f"tie {tie.first}-{tie.second}: stiffness must be positive, got {tie.stiffness}")
        seen.add(ends)
