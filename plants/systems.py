"""The gate to python-control: which systems become plants, what their time base is, and how they are advanced.

This is where python-control's silent choices are refused: `dt=None` that adapts to its neighbour, NaN in a matrix,
a transfer function with more zeros than poles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import control as ct
import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.errors import ModelError, PlantError
from dmpcrl_ctrl.plants.dynamics import Dynamics, LinearDynamics
from dmpcrl_ctrl.plants.exact_time import exact_seconds
from dmpcrl_ctrl.plants.nonlinear import NonlinearDynamics


@dataclass(frozen=True, eq=False)
class OutputStructure:
    """What the outputs of a system are made of.

    Parameters
    ----------
    state_of_output
        For each output the number of the state that it *is* (not a multiple, nothing added), or None.
    feedthrough
        (ny, nw) of bool: which inputs act on which outputs at once.
    """

    state_of_output: tuple[int | None, ...]
    feedthrough: NDArray[np.bool_]


def accepted(system: object, plant: str) -> ct.StateSpace | ct.NonlinearIOSystem:
    """`system` as a state space or nonlinear system; PlantError where it is neither nor can become one.

    Parameters
    ----------
    system
        `StateSpace`, `NonlinearIOSystem`, what `interconnect` returns, or a proper `TransferFunction`.
    plant
        Name for messages.
    """
    if isinstance(system, ct.StateSpace | ct.NonlinearIOSystem):
        return system
    if isinstance(system, ct.TransferFunction):
        try:
            return ct.ss(system)
        except Exception as error:
            raise PlantError(f"{plant}: the transfer function has no state space form: {error}") from error
    raise PlantError(f"{plant}: a plant is made from a python-control system with states, got {type(system).__name__}")


def sample_time_of(system: ct.InputOutputSystem, plant: str) -> Fraction | None:
    """Sample time in seconds, None for a continuous system; PlantError where the system does not say which it is."""
    if system.dt is None:
        raise PlantError(
            f"{plant}: the system has no time base (dt=None); give dt=0 for continuous, or its sample time"
        )
    if system.dt is True:
        raise PlantError(f"{plant}: the system is discrete without a sample time (dt=True); give it in seconds")
    return None if system.dt == 0 else exact_seconds(system.dt)


def dynamics_of(
    system: ct.StateSpace | ct.NonlinearIOSystem,
    plant: str,
    integrator: Mapping[str, Any],
    describe: Callable[[int], str],
) -> Dynamics:
    """The dynamics of an accepted system.

    Parameters
    ----------
    system
        Linear (an `interconnect` of linear systems is one) or nonlinear.
    plant
        Name for messages.
    integrator
        Keywords of `solve_ivp`, for nonlinear systems.
    describe
        State number -> what messages call it.

    Raises
    ------
    PlantError
        An entry of a matrix is not finite; no time base.
    """
    sample_time = sample_time_of(system, plant)
    if not isinstance(system, ct.StateSpace):
        return NonlinearDynamics(system, sample_time, integrator, describe)
    try:
        A, B, C, D = (checked(name, getattr(system, name), (-1, -1)) for name in "ABCD")
    except ModelError as error:
        raise PlantError(f"{plant}: {error}") from error
    return LinearDynamics(A, B, C, D, sample_time)


def output_structure(dynamics: Dynamics, x: Array, w: Array) -> OutputStructure:
    """Which outputs are states, and which inputs act on them at once.

    Parameters
    ----------
    dynamics
        Linear: read off C and D. Nonlinear: the output function is tried at three points around (x, w), where an output
        is a state if it equals it to the last bit at every one.
    x, w
        (n,), (nw,): an operating point.
    """
    if isinstance(dynamics, LinearDynamics):
        is_state = [
            [k for k in np.flatnonzero(row) if row[k] == 1.0 and np.count_nonzero(row) == 1 and not direct.any()]
            for row, direct in zip(dynamics.C, dynamics.D, strict=True)
        ]
        return OutputStructure(tuple(int(k[0]) if k else None for k in is_state), dynamics.D != 0.0)
    rng = np.random.default_rng(0)
    points = [
        (
            x + 1e-2 * (1.0 + np.abs(x)) * rng.uniform(0.1, 1.0, x.size),
            w + 1e-2 * (1.0 + np.abs(w)) * rng.uniform(0.1, 1.0, w.size),
        )
        for _ in range(3)
    ]
    outputs = [dynamics.output(state, inputs, 0.0) for state, inputs in points]
    equal = [
        [all(y[i] == state[k] for y, (state, _) in zip(outputs, points, strict=True)) for k in range(x.size)]
        for i in range(outputs[0].size)
    ]
    feedthrough = np.zeros((outputs[0].size, w.size), dtype=bool)
    for (state, inputs), y in zip(points, outputs, strict=True):
        for k in range(w.size):
            moved = inputs.copy()
            moved[k] += 1e-2 * (1.0 + abs(moved[k]))
            feedthrough[:, k] |= dynamics.output(state, moved, 0.0) != y
    return OutputStructure(tuple(row.index(True) if True in row else None for row in equal), feedthrough)
