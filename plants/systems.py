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
from dmpcrl_ctrl.messages import listed
from dmpcrl_ctrl.plants.dynamics import Dynamics, LinearDynamics
from dmpcrl_ctrl.plants.exact_time import exact_seconds
from dmpcrl_ctrl.plants.nonlinear import NonlinearDynamics
from dmpcrl_ctrl.plants.signals import signal_names


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
        except (ValueError, RuntimeError) as error:
            raise PlantError(f"{plant}: the transfer function has no state space form: {error}") from error
    raise PlantError(f"{plant}: a plant is made from a python-control system with states, got {type(system).__name__}")


def with_same_signals(system: object, model: ct.InputOutputSystem, plant: str) -> ct.StateSpace | ct.NonlinearIOSystem:
    """`system` if it has the states and inputs of `model`, by the same names in the same order; else PlantError."""
    other = accepted(system, plant)
    for kind, mine, wanted in zip(
        ("states", "inputs"), signal_names(other, plant), signal_names(model, plant), strict=False
    ):
        if mine != wanted:
            raise PlantError(
                f"{plant} must have the plant's {kind} {listed(wanted)}, in this order, got {listed(mine)}"
            )
    return other


def sample_time_of(system: ct.InputOutputSystem, plant: str) -> Fraction | None:
    """Sample time in seconds, None for a continuous system; PlantError where the system does not say which it is.

    A gain without states works in any time; python-control gives it none (dt=None), and here it is continuous.
    """
    if system.dt is None and not system.nstates:
        return None
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
        Linear: read off C and D. Nonlinear: the output function is tried at three points around (x, w); an output that
        equals a state to the last bit at all of them is that state.
    x, w
        (n,), (nw,): an operating point.
    """
    if isinstance(dynamics, LinearDynamics):
        feedthrough = dynamics.D != 0.0
        alone = (np.count_nonzero(dynamics.C, axis=1) == 1) & ~feedthrough.any(axis=1)
        is_state = (dynamics.C == 1.0) & alone[:, None]
    else:
        is_state, feedthrough = _tried_out(dynamics, x, w)
    return OutputStructure(tuple(int(row.argmax()) if row.any() else None for row in is_state), feedthrough)


def _tried_out(dynamics: Dynamics, x: Array, w: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(ny, n) whether an output equals a state, (ny, nw) whether an input moves it, at three points around (x, w)."""
    rng = np.random.default_rng(0)
    states = x + 1e-2 * (1.0 + np.abs(x)) * rng.uniform(0.1, 1.0, (3, x.size))
    inputs = w + 1e-2 * (1.0 + np.abs(w)) * rng.uniform(0.1, 1.0, (3, w.size))
    outputs = np.array([dynamics.output(state, held, 0.0) for state, held in zip(states, inputs, strict=True)])
    is_state = (outputs[:, :, None] == states[:, None, :]).all(axis=0)
    moves = np.zeros((outputs.shape[1], w.size), dtype=bool)
    for state, held, before in zip(states, inputs, outputs, strict=True):
        for k, step in enumerate(1e-2 * (1.0 + np.abs(held))):
            moved = held.copy()
            moved[k] += step
            moves[:, k] |= dynamics.output(state, moved, 0.0) != before
    return is_state, moves
