"""The exact solution of a quadratic program whose active constraints are known: one linear system.

Solvers stop at their tolerance. With the active rows fixed the optimality conditions are linear, so their solution is
exact to rounding, and it stays the solution while the data move and the active rows do not. Whether they are the right
rows shows in the residuals, which the caller checks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from dmpcrl_ctrl.arrays import Array, Index, Matrix
from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.status import Status

_REFINEMENTS = 30
_REGULARISATION = 1e-11


@dataclass(frozen=True, eq=False)
class ActiveSet:
    """Factors of the optimality conditions with rows `at_lower` and `at_upper` of C held at their bounds.

    Solves  [H  N'] [x ]   [-g]
            [N  0 ] [nu] = [ r]   with N the rows of A and the active rows of C, through a slightly regularised matrix
    (so that redundant rows and flat directions do no harm) and iterative refinement on the true one.
    """

    at_lower: Index
    at_upper: Index
    H: Matrix
    N: Matrix
    factors: Callable[[Array], Array]

    def solve(self, qp: QP, start: QPSolution | None = None) -> QPSolution:
        """The point that satisfies every condition with these active rows, refined from `start` where one is given."""
        v, e, a = len(qp.g), len(qp.b), len(self.at_lower)
        right = np.concatenate([-qp.g, qp.b, qp.lower[self.at_lower], qp.upper[self.at_upper]])
        point = np.zeros(len(right)) if start is None else self._pack(start)
        missing = right - self._apply(point, v)
        for _ in range(_REFINEMENTS):
            refined = point + self.factors(missing)
            still_missing = right - self._apply(refined, v)
            if not _norm(still_missing) < _norm(missing):
                break
            gained = _norm(still_missing) < 0.5 * _norm(missing)
            point, missing = refined, still_missing
            if not gained:
                break
        low, high = np.zeros(len(qp.lower)), np.zeros(len(qp.lower))
        low[self.at_lower] = -point[v + e : v + e + a]
        high[self.at_upper] = point[v + e + a :]
        # an inequality with lower = upper is an equality: its multiplier may have either sign
        pinned = qp.lower == qp.upper
        net = np.where(pinned, high - low, 0.0)
        low, high = np.where(pinned, np.maximum(-net, 0.0), low), np.where(pinned, np.maximum(net, 0.0), high)
        return QPSolution(point[:v], point[v : v + e], low, high, Status.OPTIMAL)

    def _apply(self, point: Array, v: int) -> Array:
        return np.concatenate([self.H @ point[:v] + self.N.T @ point[v:], self.N @ point[:v]])

    def _pack(self, start: QPSolution) -> Array:
        bounds = [-start.lower_dual[self.at_lower], start.upper_dual[self.at_upper]]
        return np.concatenate([start.x, start.equality_dual, *bounds])


def _norm(values: Array) -> float:
    return float(np.abs(values).max(initial=0.0))


def active_set(qp: QP, solution: QPSolution) -> ActiveSet:
    """Factorise for the rows that are active at an approximate solution: those with more multiplier than distance."""
    rows = qp.C @ solution.x
    at_lower = np.flatnonzero((rows - qp.lower < solution.lower_dual) | (qp.lower == qp.upper))
    at_upper = np.flatnonzero((qp.upper - rows < solution.upper_dual) & (qp.lower < qp.upper))
    if sparse.issparse(qp.H):
        N = sparse.csc_array(sparse.vstack([qp.A, qp.C[at_lower], qp.C[at_upper]]))
    else:
        N = np.vstack([qp.A, qp.C[at_lower], qp.C[at_upper]])
    return ActiveSet(at_lower, at_upper, qp.H, N, _factorise(qp.H, N))


def _factorise(H: Matrix, N: Matrix) -> Callable[[Array], Array]:
    # small enough that refinement converges at once, large enough that redundant rows do not stop the factorisation
    above, below = (_REGULARISATION * max(1.0, float(abs(M).max()) if min(M.shape) else 1.0) for M in (H, N))
    if isinstance(H, np.ndarray):
        matrix = np.block([[H + above * np.eye(len(H)), N.T], [N, -below * np.eye(len(N))]])
        factors = linalg.lu_factor(matrix, check_finite=False)
        return lambda right: linalg.lu_solve(factors, right, check_finite=False)
    corners = above * sparse.eye_array(H.shape[0]), -below * sparse.eye_array(N.shape[0])
    return splu(sparse.csc_matrix(sparse.block_array([[H + corners[0], N.T], [N, corners[1]]]))).solve
