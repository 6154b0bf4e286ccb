"""Both sides of every soft or hard bound of a scenario problem, as functions of its inputs."""

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.condensed import Condensed

_ROUNDING = 1e-12
_BISECTIONS = 30

Mask = NDArray[np.bool_]


class ScenarioProgram:
    """Both sides of every bound of one scenario problem.

    Side 0 has the excess v - high, side 1 the excess low - v: (2, S, N, p) together, with v = base + rows u.
    """

    def __init__(self, condensed: Condensed, g: Array, base: Array) -> None:
        self._condensed = condensed
        self.g, self.hessian, self.reach = g, condensed.hessian, condensed.reach
        shape = (2, *base.shape)
        self._base = np.stack([base - condensed.high, condensed.low - base])
        self._size = np.abs(base)
        self.price, self.quadratic = (
            np.broadcast_to(part, shape) for part in (condensed.price, condensed.price_quadratic)
        )
        self.hard = ~np.isfinite(self.price)

    def judged(self, u: Array, count: int) -> tuple[Mask, Mask]:
        """Which sides are exceeded under inputs u, and which are in doubt: the `count` nearest to a kink.

        Distances are counted in what inputs of magnitude one change. Hard sides that are exceeded are in doubt as well.
        """
        excess = self.excess(u)
        beyond = excess > 0.0
        away = np.abs(excess) / self._condensed.reach
        doubt = self.hard & beyond
        if count and away.size:
            near = np.argpartition(away, min(count, away.size) - 1, axis=None)[:count]
            doubt.ravel()[near] = True
        return beyond, doubt & np.isfinite(away)

    def misjudged(self, u: Array, beyond: Mask) -> Mask:
        """(2, S, N, p): sides that are not on the piece that was taken for them, by more than rounding."""
        excess = self.excess(u)
        rounding = _ROUNDING * (self._size + self._expanded(np.abs(self._condensed.rows) @ np.abs(u)))
        return np.asarray(np.where(beyond, -excess, excess) > rounding)

    def step(self, start: Array, end: Array) -> float:
        """The t in [0, 1] at which start + t (end - start) costs least, by bisection of the derivative."""
        d = end - start
        soft, excess, along = ~self.hard, self.excess(start), self._moved(d)
        excess, along, price, quadratic = excess[soft], along[soft], self.price[soft], self.quadratic[soft]
        curvature, slope = float(d @ (self.hessian @ d)), float(d @ (self.hessian @ start + self.g))

        def derivative(t: float) -> float:
            at = np.maximum(excess + t * along, 0.0)
            return slope + t * curvature + float(((at > 0.0) * price + 2.0 * quadratic * at) @ along)

        low, high = 0.0, 1.0
        if derivative(high) <= 0.0:
            return high
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if derivative(middle) <= 0.0 else (low, middle)
        return low

    def pieces(self, taken: Mask) -> tuple[Array, Array]:
        """Hessian and linear term of the cost with w excess + w2 excess^2 of the sides that are taken as exceeded."""
        linear, quadratic = np.where(taken, self.price, 0.0), np.where(taken, self.quadratic, 0.0)
        curved = bool(quadratic.any())
        if curved:
            linear = linear + 2.0 * quadratic * np.where(taken, self._base, 0.0)
        H, g = self.hessian, self.g + self.pushed(linear)
        return (H + self.curved(2.0 * quadratic) if curved else H), g

    def pushed(self, slopes: Array) -> Array:
        """(N m,): derivative by the inputs of a function whose derivatives by the sides are (2, S, N, p)."""
        return self._condensed.pushed(slopes[0] - slopes[1])

    def curved(self, curvatures: Array) -> Array:
        """(N m, N m): second derivative by the inputs, from those by the sides, (2, S, N, p)."""
        total, rows = curvatures.sum(axis=0), self._condensed.rows
        total = (total.sum(axis=0) if self._condensed.shared else total).ravel()
        bent = np.flatnonzero(total)
        return np.asarray((rows[bent] * total[bent, None]).T @ rows[bent])

    def doubtful(self, doubt: Mask) -> tuple[Array, Array, Array, Array]:
        """Rows with excess = row u - most of the sides in doubt, `most`, and their two prices."""
        sides = np.flatnonzero(doubt)
        sign = np.where(sides < doubt.size // 2, 1.0, -1.0)
        rows = self._condensed.rows[sides % len(self._condensed.rows)]
        return sign[:, None] * rows, -self._base[doubt], self.price[doubt], self.quadratic[doubt]

    def answer(self, u: Array, beyond: Mask) -> tuple[Array, Array]:
        """(S, N, p), (2, S, N, p): slacks, and the multipliers of sides on the pieces that were taken."""
        excess = np.where(self.hard, 0.0, np.maximum(self.excess(u), 0.0))
        return excess.max(axis=0), np.where(beyond & ~self.hard, self.price + 2.0 * self.quadratic * excess, 0.0)

    def excess(self, u: Array) -> Array:
        """(2, S, N, p): by how much each side is exceeded under inputs u, (N m,)."""
        moved = self._expanded(self._condensed.rows @ u)
        excess = np.empty(self._base.shape)
        np.add(self._base[0], moved, out=excess[0])
        np.subtract(self._base[1], moved, out=excess[1])
        return excess

    def _moved(self, d: Array) -> Array:
        moved = self._expanded(self._condensed.rows @ d)
        return np.broadcast_to(np.stack([moved, -moved]), self._base.shape)

    def _expanded(self, per_row: Array) -> Array:
        """(S, N, p), or (1, N, p) where all samples share one model."""
        return np.asarray(per_row.reshape(self._condensed.low.shape))
