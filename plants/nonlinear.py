"""Nonlinear python-control systems: integrated by `scipy.integrate.solve_ivp`, linearised by central differences."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import control as ct
import numpy as np
from scipy.integrate import solve_ivp

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.dynamics import Linearisation, require_own_sample

INTEGRATOR: Mapping[str, Any] = {"method": "DOP853", "rtol": 1e-10, "atol": 1e-12}
# A call beyond this is a stiff system under an explicit method: an error beats an evening without an answer.
_MAX_EVALUATIONS = 1_000_000


class NonlinearDynamics:
    """A `control.NonlinearIOSystem`, continuous or discrete, that never returns a number that is not finite.

    Parameters
    ----------
    system
        Continuous, or with a sample time of its own.
    sample_time
        Seconds of a discrete system; None: continuous.
    integrator
        Keywords of `scipy.integrate.solve_ivp` that replace the defaults (method DOP853, rtol 1e-10, atol 1e-12).
    describe
        State number -> what messages call it.
    """

    def __init__(
        self,
        system: ct.NonlinearIOSystem,
        sample_time: Fraction | None,
        integrator: Mapping[str, Any],
        describe: Callable[[int], str],
    ) -> None:
        self.sample_time = sample_time
        self._system = system
        self._integrator = {**INTEGRATOR, **integrator}
        self._describe = describe

    def advance(self, x: Array, duration: Fraction, w: Array, slope: Array, start: float = 0.0) -> Array:
        """State after `duration` seconds under w + slope (t - start); discrete: after one own sample.

        Raises
        ------
        PlantError
            The right-hand side is not finite, the solution blows up, or the integrator needs too many steps; names the
            state and the last good time. `x` is left as it was.
        """
        if self.sample_time is not None:
            require_own_sample(duration, self.sample_time)
            return self._finite(self._rate(start, x, w), start)
        if x.size == 0:
            return x.copy()
        self._finite(self._rate(start, x, w), start)
        return self._integrate(x, float(duration), w, slope, start)

    def output(self, x: Array, w: Array, time: float = 0.0) -> Array:
        """Outputs (ny,) at `time` seconds."""
        return np.asarray(self._system.output(time, x, w), dtype=np.float64).reshape(-1)

    def linearise(self, x: Array, w: Array) -> Linearisation:
        """Jacobians of the rate and of the output by central differences (error of the order of 1e-10)."""
        A = jacobian(lambda state: self._rate(0.0, state, w), x)
        B = jacobian(lambda inputs: self._rate(0.0, x, inputs), w)
        C = jacobian(lambda state: self.output(state, w), x)
        D = jacobian(lambda inputs: self.output(x, inputs), w)
        return Linearisation(A, B, C, D, self._finite(self._rate(0.0, x, w), 0.0))

    def _rate(self, time: float, x: Array, w: Array) -> Array:
        return np.asarray(self._system.dynamics(time, x, w), dtype=np.float64).reshape(-1)

    def _integrate(self, x: Array, duration: float, w: Array, slope: Array, start: float) -> Array:
        evaluations = 0
        last_bad: int | None = None

        def rate(elapsed: float, state: Array) -> Array:
            nonlocal evaluations, last_bad
            evaluations += 1
            if evaluations > _MAX_EVALUATIONS:
                raise PlantError(
                    f"more than {_MAX_EVALUATIONS} evaluations by t = {start + elapsed:g} s: too stiff for "
                    f"{self._integrator['method']}; pass integrator={{'method': 'Radau'}}"
                )
            dx = self._rate(start + elapsed, state, w + slope * elapsed)
            # A trial step may leave the domain and be taken back, so this is remembered rather than raised.
            if not np.isfinite(dx).all():
                last_bad = int(np.flatnonzero(~np.isfinite(dx))[0])
            return dx

        # Elapsed time, not absolute time, is integrated: late in a long run it keeps all its digits.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            solution = solve_ivp(rate, (0.0, duration), x, **self._integrator)
        if not solution.success or not np.isfinite(solution.y[:, -1]).all():
            reached = start + float(solution.t[-1])
            largest = int(np.argmax(np.abs(np.nan_to_num(solution.y[:, -1], nan=np.inf))))
            culprit = self._describe(largest if last_bad is None else last_bad)
            raise PlantError(f"{culprit}: integration stopped at t = {reached:g} s: {solution.message}")
        return np.array(solution.y[:, -1], dtype=np.float64)

    def _finite(self, rate: Array, time: float) -> Array:
        if not np.isfinite(rate).all():
            k = int(np.flatnonzero(~np.isfinite(rate))[0])
            raise PlantError(f"{self._describe(k)}: its right-hand side is {rate[k]} at t = {time:g} s")
        return rate


def jacobian(function: Callable[[Array], Array], point: Array) -> Array:
    """(outputs, inputs) derivative of `function` at `point` by central differences."""
    # The step balances truncation (step^2) against round-off (eps / step).
    steps = np.finfo(float).eps ** (1.0 / 3.0) * np.maximum(1.0, np.abs(point))
    columns = []
    for k, step in enumerate(steps):
        ahead, behind = point.copy(), point.copy()
        ahead[k] += step
        behind[k] -= step
        columns.append((function(ahead) - function(behind)) / (ahead[k] - behind[k]))
    return np.column_stack(columns) if columns else np.zeros((function(point).size, 0))
