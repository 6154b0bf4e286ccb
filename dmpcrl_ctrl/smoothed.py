"""Where a scenario problem is about to have its minimum: a guess, from its cost with the kinks rounded off.

Around its kink the price w max(e, 0) of a side becomes w (e + d/2)^2 / (2 d), for |e| <= d/2. What is left is smooth,
and a projected Newton method finds its minimum over the limits of the inputs; then d shrinks, and the method goes on
from there. Nothing is promised: changes of inputs and hard bounds are left out, and iterations are few.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.scenario_program import Mask, ScenarioProgram

# in what inputs of magnitude one change a side by
_WIDTHS = (1e-1, 1e-2, 1e-3)
_ITERATIONS, _HALVINGS, _ENOUGH = 12, 8, 1e-6


def smoothed_minimiser(program: ScenarioProgram, low: Array, high: Array, start: Array) -> Array:
    """(N m,): inputs within their limits, near those that minimise the cost.

    Parameters
    ----------
    program
        Sides and cost.
    low, high
        (N m,): limits of the inputs; infinite where there is none.
    start
        (N m,): where to begin.
    """
    u = np.clip(start, low, high)
    for width in _WIDTHS:
        rounded = _Rounded(program, width)
        value, gradient, curvature = rounded.expansion(u)
        for _ in range(_ITERATIONS):
            free = ~(((u <= low) & (gradient > 0.0)) | ((u >= high) & (gradient < 0.0)))
            step = _newton(curvature, gradient, free)
            for halving in range(_HALVINGS):
                tried = np.clip(u + 0.5**halving * step, low, high)
                there = rounded.value(tried)
                if there < value:
                    break
            else:
                break
            u, gained = tried, value - there
            value, gradient, curvature = rounded.expansion(u)
            if gained <= _ENOUGH * abs(value):
                break
    return u


class _Rounded:
    """The cost with kinks rounded off over a width d.

    With s = max(e + d/2, 0) and i = min(s, d) the rounded max(e, 0) is i (s - i/2) / d, and its slope i / d.
    """

    def __init__(self, program: ScenarioProgram, width: float) -> None:
        self._program = program
        self._width = width * np.broadcast_to(program.reach, program.price.shape)
        self._half = 0.5 * self._width
        self._price = np.where(program.hard, 0.0, program.price) / self._width
        self._curved = bool(program.quadratic.any())

    def value(self, u: Array) -> float:
        """At inputs u."""
        return self._value(u, *self._sides(u))

    def expansion(self, u: Array) -> tuple[float, Array, Array]:
        """Value, gradient and Hessian at inputs u."""
        program, (excess, above, into) = self._program, self._sides(u)
        pushed = self._price * into
        bent = np.where((into > 0.0) & (into < self._width), self._price, 0.0)
        if self._curved:
            pushed = pushed + 2.0 * program.quadratic * np.maximum(excess, 0.0)
            bent = bent + 2.0 * program.quadratic * (excess > 0.0)
        gradient = program.hessian @ u + program.g + program.pushed(pushed)
        return self._value(u, excess, above, into), gradient, program.hessian + program.curved(bent)

    def _sides(self, u: Array) -> tuple[Array, Array, Array]:
        """What each side is exceeded by, e, with its s and i."""
        excess = self._program.excess(u)
        above = np.maximum(excess + self._half, 0.0)
        return excess, above, np.minimum(above, self._width)

    def _value(self, u: Array, excess: Array, above: Array, into: Array) -> float:
        linear = self._price * into * (above - 0.5 * into)
        smooth = 0.5 * u @ (self._program.hessian @ u) + self._program.g @ u
        total = float(smooth) + float(linear.sum())
        if self._curved:
            total += float((self._program.quadratic * np.maximum(excess, 0.0) ** 2).sum())
        return total


def _newton(curvature: Array, gradient: Array, free: Mask) -> Array:
    """Newton's step in the inputs that are free, or the gradient's where the curvature is singular."""
    step = np.zeros_like(gradient)
    if not free.any():
        return step
    block = curvature[np.ix_(free, free)]
    try:
        step[free] = -cho_solve(cho_factor(block), gradient[free])
    except LinAlgError:
        step[free] = -gradient[free] / max(float(np.abs(block).sum(axis=1).max()), np.finfo(float).tiny)
    return step
