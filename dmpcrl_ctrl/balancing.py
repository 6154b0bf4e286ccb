"""Residual balancing: the scale of the whole penalty, from how the iteration goes."""

from dataclasses import dataclass, replace

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.channel import Neighbourhood
from dmpcrl_ctrl.consensus import Sweep

_STUCK = 0.8
_WAIT = 3
_QUICK, _MOST = 4, 20


@dataclass(frozen=True)
class Balancing:
    """When to scale the penalty: after given iterations, or where the iteration is stuck.

    It is stuck where the residual has not fallen by a fifth in two iterations: so it is where a multiplier has to climb
    to the price of a soft bound, which no curvature shows. A few changes may follow each other closely; then the wait
    doubles from one to the next, and twenty are the most, so that convergence is that of a fixed penalty.

    Parameters
    ----------
    at
        The iterations; None: where stuck.
    changes
        Made so far.
    waited
        Iterations since the last change.
    sizes
        Of the last three residuals.
    """

    at: tuple[int, ...] | None
    changes: int = 0
    waited: int = 0
    sizes: tuple[float, ...] = ()

    def after(self, size: float) -> "Balancing":
        """With the residual of one more iteration."""
        if self.at is not None:
            return self
        return replace(self, waited=self.waited + 1, sizes=(*self.sizes, size)[-3:])

    def changed(self) -> "Balancing":
        """After a change."""
        return replace(self, changes=self.changes + 1, waited=0, sizes=())

    def due(self, count: int) -> bool:
        """Whether to balance after iteration `count`."""
        if self.at is not None:
            return count in self.at
        wait = _WAIT * 2 ** max(0, self.changes - _QUICK)
        return self.changes < _MOST and self.waited >= wait and self.sizes[-1] > _STUCK * self.sizes[0]


def balanced_factor(sweep: Sweep, weights: Array, neighbourhood: Neighbourhood, converged: float) -> float:
    """The next factor of W: times the ratio of |xt - S z| to |S (z - z_before)|, a power of two within 1/8 and 8.

    Both are states, measured in the norm of W, so that no unit of a multiplier enters: agents that follow each other at
    once but creep need less weight, agents that stay apart need more. Left alone where both are below `converged` times
    the norm of z (their ratio is noise then), and kept within 2^-20 and 2^20.
    """
    w = weights[neighbourhood.entries]
    z, moved = sweep.state.copies, sweep.moved[neighbourhood.entries] / sweep.state.factor

    def share(own: slice) -> Array:
        return np.array([w[own] @ sweep.gaps[own] ** 2, moved[own] ** 2 @ (1.0 / w[own]), w[own] @ z[own] ** 2])

    apart, moved_on, size = (float(value) for value in neighbourhood.summed(share))
    least = converged**2 * size
    if max(apart, moved_on) <= least:
        return sweep.state.factor
    # one of the two may be zero: agents that all follow, or a z that contradicting agents hold where it is
    tiny = max(least, np.finfo(float).tiny)
    exponent = 0.5 * np.log2(max(apart, tiny) / max(moved_on, tiny))
    return float(np.clip(sweep.state.factor * 2.0 ** np.clip(np.round(exponent), -3, 3), 2.0**-20, 2.0**20))
