"""Anderson acceleration: of the last points of a fixed-point iteration, the mixture that would move least.

With v_j the points, T v_j what the iteration makes of them and r_j = T v_j - v_j, the next point is sum_j alpha_j T v_j
with the alpha that minimise |sum_j alpha_j r_j| under sum_j alpha_j = 1 (type II; Anderson 1965, Walker and Ni 2011).
Where T is affine, as ADMM is while no bound becomes active or inactive, this is GMRES and ends after finitely many
iterations.

The vectors stay with the agents. What the network has to sum up is the inner products of the newest r with the others.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dmpcrl_ctrl.arrays import Array

# of the trace of the scaled Gram matrix: differences below it are rounding
_NOISE = 1e-13

Parts = tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Residuals:
    """The last residuals of a fixed-point iteration, oldest first.

    Attributes
    ----------
    capacity
        How many are kept.
    parts
        (K,) of one array an agent.
    gram
        (K, K): their inner products, summed over the agents.
    """

    capacity: int
    parts: tuple[Parts, ...] = ()
    gram: Array = field(default_factory=lambda: np.zeros((0, 0)))

    def with_newest(self, newest: Parts, total: Callable[[Array], Array]) -> "Residuals":
        """One more, the oldest given up where there is no room; `total` sums (M, K) scalars over the agents."""
        kept, old = self.parts[max(0, len(self.parts) + 1 - self.capacity) :], self.gram
        parts = (*kept, newest)
        local = np.array([[float(p[i] @ r) for p in parts] for i, r in enumerate(newest)])
        products, n = total(local), len(kept)
        gram = np.empty((n + 1, n + 1))
        gram[:n, :n] = old[len(old) - n :, len(old) - n :]
        gram[n, :] = gram[:, n] = products
        return Residuals(self.capacity, parts, gram)

    @property
    def size(self) -> float:
        """Norm of the newest."""
        return float(np.sqrt(max(self.gram[-1, -1], 0.0)))

    def mixture(self) -> Array:
        """(K,): alpha, of sum one, for which |sum_j alpha_j r_j| is least."""
        lengths = np.sqrt(np.diag(self.gram))
        if not lengths.min() > 0.0:  # a fixed point to rounding: there is nothing to extrapolate
            return np.append(np.zeros(len(lengths) - 1), 1.0)
        # alpha = beta / |r|: residuals of very different size weigh the same
        scaled = self.gram / np.outer(lengths, lengths)
        beta = np.linalg.solve(scaled + _NOISE * len(scaled) * np.eye(len(scaled)), 1.0 / lengths)
        alpha = beta / lengths
        return np.asarray(alpha / alpha.sum())
