"""The linear-quadratic regulator as a block: the baseline without constraints, saturated to the input limits.

u = ubar - K (x - xbar),   K minimises sum_k |x - xbar|^2_Q + |u - ubar|^2_R   (`control.dlqr`)
"""

from collections.abc import Sequence
from typing import Any, Self

import control as ct
import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.controllers.iosystem import AsIOSystem
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.status import Applied, Status

_NEARLY = 1e-9


class LQR(AsIOSystem):
    """State feedback, one gain an agent; it ignores disturbances.

    Parameters
    ----------
    models
        The agents' models (one for a central regulator), of which A, B, Q, R, the input bounds and `du_max` are read:
        the gains leave couplings between agents out.
    sample_time
        Seconds between samples.
    signals
        Which signal is which number; default names where None.
    name, offset, delay
        Name in the log; time of the first sample and computation delay in seconds.

    Attributes
    ----------
    regulated
        The models, as a problem whose horizon says nothing. Not `problem`: a log would tell of an MPC.
    gain
        (m, n) K, in the order of `signals.inputs` and `signals.states`.

    Raises
    ------
    ModelError
        An agent's Riccati equation has no stabilising solution.

    Examples
    --------
    The golden ratio: x(k+1) = x + u with Q = R = 1.

    >>> lqr = LQR([LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]])], sample_time=1.0)
    >>> lqr.gain.round(6)
    array([[0.618034]])
    """

    fields = (
        Field(
            "status",
            dtype="i1",
            long_name="whether the feedback was computed",
            flags={s: s.name.lower() for s in Status},
        ),
        Field(
            "applied_kind",
            dtype="i1",
            long_name="where the input came from",
            flags={a: a.name.lower() for a in Applied},
        ),
    )

    def __init__(
        self,
        models: Sequence[LocalModel],
        sample_time: float,
        signals: Signals | None = None,
        *,
        name: str = "lqr",
        offset: float = 0.0,
        delay: float = 0.0,
        agents: Sequence[str] = (),
    ) -> None:
        self.regulated = problem = MPCProblem(tuple(models), 1, names=tuple(agents))
        self.signals = Signals.of_names(problem) if signals is None else signals
        self.sample_time = sample_time
        self.name = name
        self.offset = offset
        self.delay = delay
        states, inputs = self.signals.states, self.signals.inputs
        self.inputs = states + tuple(f"{signal}_ref" for signal in states + inputs)
        self.outputs = inputs
        self.gain = np.zeros((len(inputs), len(states)))
        for agent, model, x, u in zip(
            problem.names, problem.models, self.signals.state_index, self.signals.input_index, strict=True
        ):
            self.gain[np.ix_(u, x)] = _gain(model, agent)
        self._low, self._high, self._step = (
            self.signals.joined([getattr(model, limit) for model in models]) for limit in ("u_min", "u_max", "du_max")
        )

    @classmethod
    def for_plant(
        cls,
        plant: Any,
        *,
        sample_time: float = 1.0,
        hold: str = "network",
        Q: ArrayLike | None = None,
        R: ArrayLike | None = None,
        **options: Any,
    ) -> Self:
        """A regulator for a plant, from the plant's own prediction models.

        Parameters
        ----------
        plant
            Anything with names and `local_models(sample_time, hold=...)`, such as :class:`dmpcrl_ctrl.plants.Plant`.
        sample_time
            Seconds.
        hold
            "network": one regulator for the exact hold of the whole plant; "area": every agent regulates itself by its
            own model and states. The default is not that of the MPC, whose models keep the couplings between agents:
            gains leave them out, and need not stabilise a coupled plant.
        Q, R
            Weights instead of the plant's.
        **options
            Of the class: `name`, `offset`, `delay`.
        """
        weights = {name: weight for name, weight in (("Q", Q), ("R", R)) if weight is not None}
        local = plant.local_models(sample_time, hold=hold, **weights)
        return cls(local.models, sample_time, Signals.of_plant(plant, local), agents=local.names, **options)

    def with_problem(self, problem: MPCProblem) -> Self:
        """The regulator of other models, with this one's signals and options."""
        options: dict[str, Any] = {"name": self.name, "offset": self.offset, "delay": self.delay}
        return type(self)(problem.models, self.sample_time, self.signals, agents=problem.names, **options)

    def init(self, seed: int) -> Array | None:
        """The state is the last output: with a computation delay it is not what the plant took yet."""
        return None

    def step(
        self, state: Array | None, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[Array, Array, dict[str, int]]:
        """Feedback within the limits; a measurement that is not finite leaves the input as it is."""
        before = state if self.delay and state is not None else applied
        if not np.isfinite(measurement).all():
            held = before.copy()
            return held, held, {"status": int(Status.INVALID_DATA), "applied_kind": int(Applied.HELD)}
        n = len(self.signals.states)
        x, x_ref, u_ref = np.split(measurement, [n, 2 * n])
        u = u_ref - self.gain @ (x - x_ref)
        u = np.clip(np.clip(u, before - self._step, before + self._step), self._low, self._high)
        return u, u, {"status": int(Status.OPTIMAL), "applied_kind": int(Applied.FRESH)}


def unstabilisable_mode(A: Array, B: Array) -> complex | None:
    """An eigenvalue of A with modulus of at least 1 that B does not reach, by the test of Hautus; None: there is none.

    With (A', C') in place of (A, B): a mode that no output of C reveals.
    """
    n = len(A)
    for value in np.linalg.eigvals(A):
        pencil = np.hstack([A - value * np.eye(n), B])
        if abs(value) >= 1.0 - _NEARLY and np.linalg.matrix_rank(pencil, rtol=_NEARLY) < n:
            return complex(value)
    return None


def _gain(model: LocalModel, agent: str) -> Array:
    """(m, n): the stabilising gain."""
    if not model.m or not model.n:
        return np.zeros((model.m, model.n))
    mode = unstabilisable_mode(model.A, model.B)
    if mode is not None:
        raise ModelError(f"{agent}: no input reaches the mode with eigenvalue {mode:.6g}, so no LQR gain stabilises it")
    try:
        gain, _, poles = ct.dlqr(model.A, model.B, model.Q, model.R)
    except (np.linalg.LinAlgError, ValueError) as error:
        raise ModelError(
            f"{agent}: no LQR gain ({error}): R must be positive definite, and Q see every mode of modulus 1"
        ) from error
    if not np.abs(poles).max() < 1.0:
        raise ModelError(
            f"{agent}: the LQR gain leaves a pole of modulus {np.abs(poles).max():.6g}; let Q see every unstable mode"
        )
    return np.asarray(gain, dtype=np.float64)
