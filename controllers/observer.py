"""A steady-state Kalman filter as a block (`control.dlqe`): the state for controllers, where a plant puts out less.

    predict   xhat-(k) = A xhat(k-1) + B u(k-1) + E d(k-1) + b        with the input that was in effect
    correct   xhat(k)  = xhat-(k) + L (y(k) - C xhat-(k) - D u(k-1) - F d(k) - c)

The block asks for the plant's *inputs* by name besides its outputs: what it reads at t_k is the value that the plant
has held until t_k, after saturation, whoever computed it. A controller that asks for states by name reads the estimate
of the same instant: for a reader an observer's output goes before a measurement of that name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import control as ct
import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.controllers.lqr import unstabilisable_mode
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem


@dataclass(frozen=True, eq=False)
class ObserverState:
    """What the observer carries from sample to sample.

    Attributes
    ----------
    estimate
        (n,): xhat(k-1); before the first sample the initial estimate, which is not predicted from.
    disturbance
        (d,): d(k-1); None before the first sample.
    """

    estimate: Array
    disturbance: Array | None = None


class Observer:
    """Estimates the states of a plant from its outputs, its inputs as in effect, and measured disturbances.

    The prediction is exact where inputs change at the observer's samples only: give it the fastest controller's sample
    time, and that of the delays.

    Parameters
    ----------
    model
        The plant's prediction model over one sample, of which A, B, E, b and the input bounds are read.
    C
        (ny, n): the plant's outputs are y = C x + D u + F d + c.
    sample_time
        Seconds between samples.
    D, F, c
        (ny, m), (ny, d), (ny,); zero where None.
    process_noise, measurement_noise
        Covariances (n, n) and (ny, ny) of what acts on x(k+1) and on y(k): a matrix, its diagonal, or one number.
        Only their ratio matters. The second must be positive definite.
    initial_estimate
        (n,): of the state at the first sample before its measurement; the model's state set point where None.
    outputs_read, signals
        Names of the plant's outputs ("y0", "y1", ... where None) and of its other signals (as for the other blocks).
    name, offset
        Name in the log; time of the first sample in seconds.

    Attributes
    ----------
    gain
        (n, ny): L, by which an innovation corrects the estimate of the same instant.

    Raises
    ------
    ModelError
        A shape does not fit; an unstable mode is seen by no output.

    Examples
    --------
    x(k+1) = x + w, y = x + v with unit variances: the steady variance before a measurement is the golden ratio.

    >>> model = LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]])
    >>> Observer(model, C=[[1.0]], sample_time=0.1).gain.round(6)
    array([[0.618034]])
    """

    delay = 0.0

    def __init__(
        self,
        model: LocalModel,
        C: ArrayLike,
        sample_time: float,
        *,
        D: ArrayLike | None = None,
        F: ArrayLike | None = None,
        c: ArrayLike | None = None,
        process_noise: ArrayLike = 1.0,
        measurement_noise: ArrayLike = 1.0,
        initial_estimate: ArrayLike | None = None,
        outputs_read: Sequence[str] | None = None,
        signals: Signals | None = None,
        name: str = "observer",
        offset: float = 0.0,
    ) -> None:
        self.model = model
        self.C = checked("C", C, (-1, model.n))
        ny = len(self.C)
        self.D = checked("D", np.zeros((ny, model.m)) if D is None else D, (ny, model.m))
        self.F = checked("F", np.zeros((ny, model.d)) if F is None else F, (ny, model.d))
        self.c = checked("c", np.zeros(ny) if c is None else c, (ny,))
        start = model.x_setpoint if initial_estimate is None else initial_estimate
        self.initial_estimate = checked("initial_estimate", start, (model.n,))
        self.gain = _gain(
            model.A,
            self.C,
            _covariance("process_noise", process_noise, model.n),
            _covariance("measurement_noise", measurement_noise, ny),
            name,
        )
        self.sample_time = sample_time
        self.name = name
        self.offset = offset
        names = Signals.of_names(MPCProblem((model,), 1)) if signals is None else signals
        read = tuple(f"y{k}" for k in range(ny)) if outputs_read is None else tuple(outputs_read)
        if len(read) != ny:
            raise ModelError(f"{name}: {ny} outputs need as many names, got {len(read)}")
        self.inputs = read + names.inputs + names.disturbances
        self.outputs = names.states
        self.fields = (
            Field("innovation", (ny,), long_name="output less what was predicted of it", dims=("measured",)),
        )

    @classmethod
    def for_plant(cls, plant: Any, *, sample_time: float = 1.0, **options: Any) -> Self:
        """An observer for a plant, from the exact hold of the whole plant.

        Parameters
        ----------
        plant
            Such as :class:`dmpcrl_ctrl.plants.Plant`; outputs that are not linear are linearised at its set point.
        sample_time
            Seconds; that of the controllers which read the estimate.
        **options
            Of the class: `process_noise`, `measurement_noise`, `initial_estimate`, `name`, `offset`.
        """
        local = plant.local_models(sample_time, hold="network")
        (model,) = local.models
        C, D, F, c = _output_map(plant, model)
        names = {"outputs_read": plant.output_names, "signals": Signals.of_plant(plant, local)}
        return cls(model, C, sample_time, D=D, F=F, c=c, **names, **options)

    def init(self, seed: int) -> ObserverState:
        """The initial estimate; nothing is random."""
        return ObserverState(self.initial_estimate)

    def step(
        self, state: ObserverState, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[ObserverState, Array, dict[str, Array]]:
        """Predict over the last interval and correct; an output that is not finite corrects nothing."""
        model, ny = self.model, len(self.C)
        y, held, d = np.split(measurement, [ny, ny + model.m])
        u = np.clip(held, model.u_min, model.u_max)
        x = state.estimate
        if state.disturbance is not None:
            x = model.A @ x + model.B @ u + model.E @ state.disturbance + model.b
        innovation = y - (self.C @ x + self.D @ u + self.F @ d + self.c)
        x = x + self.gain @ np.where(np.isfinite(y), innovation, 0.0)
        return ObserverState(x, d.copy()), x.copy(), {"innovation": innovation}


def _gain(A: Array, C: Array, process: Array, measurement: Array, name: str) -> Array:
    """(n, ny): P C'(C P C' + V)^-1 with P the steady covariance before a measurement."""
    mode = unstabilisable_mode(A.T, C.T)
    if mode is not None:
        raise ModelError(
            f"{name}: no output reveals the mode with eigenvalue {mode:.6g}, and it does not decay; measure more"
        )
    if not C.size:
        return np.zeros(C.T.shape)
    try:
        _, P, poles = ct.dlqe(A, np.eye(len(A)), C, process, measurement)
    except (np.linalg.LinAlgError, ValueError) as error:
        raise ModelError(
            f"{name}: no steady Kalman gain ({error}): measurement_noise must be positive definite, and process_noise "
            "act on every mode of modulus 1"
        ) from error
    if not np.abs(poles).max() < 1.0:
        raise ModelError(
            f"{name}: the estimate keeps a pole of modulus {np.abs(poles).max():.6g}; let process_noise act on it"
        )
    return np.asarray(np.linalg.solve(C @ P @ C.T + measurement, C @ P).T, dtype=np.float64)


def _covariance(name: str, value: ArrayLike, size: int) -> Array:
    """(size, size) from one number, a diagonal or a matrix."""
    dimensions = np.ndim(value)
    given = checked(name, value, ((), (size,), (size, size))[min(dimensions, 2)])
    matrix = given if dimensions == 2 else np.diag(np.broadcast_to(given, (size,)))
    if matrix.size and (np.abs(matrix - matrix.T).max() > 0.0 or np.linalg.eigvalsh(matrix)[0] < 0.0):
        raise ModelError(f"{name} must be symmetric positive semidefinite")
    return matrix


def _output_map(plant: Any, model: LocalModel) -> tuple[Array, Array, Array, Array]:
    """C, D, F, c of a plant's outputs."""
    system = plant.system
    if isinstance(system, ct.StateSpace):
        labels = list(system.input_labels)
        D, F = (
            system.D[:, [labels.index(name) for name in names]]
            for names in (plant.input_names, plant.disturbance_names)
        )
        return system.C, D, F, np.zeros(len(system.C))
    point = (model.x_setpoint, model.u_setpoint, np.zeros(model.d))
    C, D, F = (_slope(plant, point, which) for which in range(3))
    return C, D, F, plant.output(*point) - C @ point[0] - D @ point[1]


def _slope(plant: Any, point: tuple[Array, ...], which: int) -> Array:
    """(ny, size): how the outputs move with one of state, inputs and disturbances, by central differences."""
    size = len(point[which])
    slope = np.zeros((len(plant.output_names), size))
    for k in range(size):
        step = np.finfo(float).eps ** (1.0 / 3.0) * max(1.0, abs(point[which][k]))
        ends = []
        for sign in (1.0, -1.0):
            moved = [part.copy() for part in point]
            moved[which][k] += sign * step
            ends.append(plant.output(*moved))
        slope[:, k] = (ends[0] - ends[1]) / (2.0 * step)
    return slope
