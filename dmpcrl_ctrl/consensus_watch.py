"""Tells a disagreement that will not go away from slow convergence."""

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.consensus import Answers, Sweep, largest

_WINDOW = 25
_STEADY = 1e-3
_OUT_OF_PROPORTION = 10.0


class ConsensusWatch:
    """Looks at one iteration after the other for constraints of the agents that contradict each other.

    Where they do, xt - S z tends to a vector that is not zero, and y grows without end. So over a window of iterations
    the gaps stand still, although y has become far larger than any multiplier that the costs called for at the start,
    prices of soft bounds included, and although the penalty, added up over the iterations, could have moved the plans:
    with one far below the curvature of the costs, standing still means nothing.

    Parameters
    ----------
    pull
        Least ratio of the penalty's weights to the curvature of the costs.
    least
        Gaps up to so many times one plus the largest shared state are none.
    """

    def __init__(self, pull: float, least: float) -> None:
        self._pull, self._least = pull, least
        self._pulled = 0.0
        self._gaps: Array | None = None
        self._first: Answers | None = None

    def stalled(self, sweep: Sweep, count: int, last: bool) -> bool:
        """Whether the gaps are what they were a window ago, and y has grown out of proportion."""
        self._pulled += self._pull * sweep.state.factor
        self._first = self._first or sweep.answers
        if count % _WINDOW and not last:
            return False
        now, then = sweep.gaps, self._gaps
        self._gaps = now
        still = then is not None and bool(np.abs(now - then).max() <= _STEADY * np.abs(now).max())
        return (
            still
            and self._pulled > _OUT_OF_PROPORTION
            and sweep.primal > self._least * (1.0 + largest(sweep.state.z))
            and largest(sweep.state.y) > _OUT_OF_PROPORTION * _largest_multiplier(self._first)
        )


def _largest_multiplier(answers: Answers) -> float:
    parts = [part for s in answers.solutions() for part in (s.equality_dual, s.lower_dual, s.upper_dual)]
    return largest(np.concatenate(parts))
