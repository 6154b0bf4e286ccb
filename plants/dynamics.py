"""How a plant's state moves and what it puts out: one interface, three kinds (continuous, discrete, nonlinear)."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.sparse_flow import SparseFlow, worthwhile
from dmpcrl_ctrl.plants.zoh import foh_ramp, zoh

# How many durations' matrices are kept: a run has few (between two samples, to an edge, to a dense output point).
_KEPT = 64


@dataclass(frozen=True, eq=False)
class Linearisation:
    """Matrices at an operating point: rate = A (x - x0) + B (w - w0) + rate0, where discrete the next state is `rate`.

    Parameters
    ----------
    A, B, C, D
        (n, n), (n, nw), (ny, n), (ny, nw), with w all inputs of the system (control inputs and disturbances).
    rate
        (n,): dx/dt, or the next state, at the operating point.
    """

    A: Array
    B: Array
    C: Array
    D: Array
    rate: Array


class Dynamics(Protocol):
    """A system with n states, nw inputs (control inputs and disturbances in the system's order), ny outputs."""

    @property
    def sample_time(self) -> Fraction | None:
        """Seconds between two states of a discrete system; None: continuous."""

    def advance(self, x: Array, duration: Fraction, w: Array, slope: Array, start: float) -> Array:
        """State (n,) after `duration` seconds from `start`, for inputs w + slope (t - start); `x` is left alone.

        A discrete system takes its inputs at its samples, so that their slope does not matter.
        """

    def output(self, x: Array, w: Array, time: float) -> Array:
        """Outputs (ny,) at `time` seconds."""

    def linearise(self, x: Array, w: Array) -> Linearisation:
        """Matrices at state `x` (n,) and inputs `w` (nw,)."""


class LinearDynamics:
    """dx/dt = A x + B w, y = C x + D w, advanced exactly; discrete where `sample_time` is given: x(k+1) = A x + B w.

    The matrices of a held sample are kept by its duration (a `Fraction`, so equal durations are equal keys); a large
    sparse system has none, see :mod:`~dmpcrl_ctrl.plants.sparse_flow`.
    """

    def __init__(self, A: Array, B: Array, C: Array, D: Array, sample_time: Fraction | None = None) -> None:
        self.A, self.B, self.C, self.D = A, B, C, D
        self.sample_time = sample_time
        self._holds: dict[tuple[Fraction, bool], tuple[Array, ...]] = {}
        self._flow = SparseFlow(A, B) if sample_time is None and worthwhile(A, B) else None

    def advance(self, x: Array, duration: Fraction, w: Array, slope: Array, start: float = 0.0) -> Array:
        """State after `duration` seconds: exact for held and ramping inputs; discrete: after one own sample."""
        if self.sample_time is not None:
            require_own_sample(duration, self.sample_time)
            return self.A @ x + self.B @ w
        if self._flow is not None and self._flow.fits(float(duration)):
            return self._flow.advance(x, float(duration), w, slope)
        ramping = bool(slope.any())
        Ad, B0, *B1 = self._hold(duration, ramping)
        x1 = Ad @ x + B0 @ w
        return x1 + B1[0] @ slope if ramping else x1

    def output(self, x: Array, w: Array, time: float = 0.0) -> Array:
        """C x + D w."""
        return self.C @ x + self.D @ w

    def linearise(self, x: Array, w: Array) -> Linearisation:
        """The matrices themselves."""
        return Linearisation(self.A, self.B, self.C, self.D, self.A @ x + self.B @ w)

    def _hold(self, duration: Fraction, ramping: bool) -> tuple[Array, ...]:
        key = (duration, ramping)
        if key not in self._holds:
            if len(self._holds) >= _KEPT:
                self._holds.pop(next(iter(self._holds)))
            self._holds[key] = (foh_ramp if ramping else zoh)(self.A, self.B, float(duration))
        return self._holds[key]


def require_own_sample(duration: Fraction, sample_time: Fraction) -> None:
    """PlantError unless a discrete system is advanced by exactly its own sample."""
    if duration != sample_time:
        raise PlantError(
            f"a discrete plant advances by its own sample of {float(sample_time):g} s, not {float(duration):g} s"
        )
