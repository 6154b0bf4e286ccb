"""The exact solution of a quadratic program whose active constraints are known: one linear system.

Solvers stop at their tolerance. With the active rows fixed the optimality conditions are linear, so their solution is
exact to rounding, and it stays the solution while the data move and the active rows do not. Whether they are the right
rows shows in the residuals, which the caller checks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import sparse
from scipy.linalg import lapack
from scipy.sparse.linalg import splu

from dmpcrl_ctrl.arrays import Array, Index, Matrix, others
from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.status import Status

_REFINEMENTS = 30
_REGULARISATION = 1e-11
# what a solution may miss of its right-hand side, relative to it, where no rows contradict each other
_MET = 1e-14


@dataclass(frozen=True, eq=False)
class ActiveSet:
    """Factors of the optimality conditions with rows `at_lower` and `at_upper` of C held at their bounds.

    Solves  [H  N'] [x ]   [-g]
            [N  0 ] [nu] = [ r]   with N the rows of A and the active rows of C, through a slightly regularised matrix
    (so that redundant rows and flat directions do no harm) and iterative refinement on the true one, `conditions`.
    `factors` may take bounds on single variables for granted. Where rows contradict each other that is no compromise,
    and those of the `whole` matrix are made.
    """

    at_lower: Index
    at_upper: Index
    conditions: Matrix
    factors: Callable[[Array], Array]
    whole: Callable[[], Callable[[Array], Array]] | None = None

    def solve(self, qp: QP, start: QPSolution | None = None) -> QPSolution:
        """The point that satisfies every condition with these active rows, refined from `start` where one is given."""
        v, e, a = len(qp.g), len(qp.b), len(self.at_lower)
        right = np.concatenate([-qp.g, qp.b, qp.lower[self.at_lower], qp.upper[self.at_upper]])
        if start is None:
            point, missing = np.zeros(len(right)), right
        else:
            point = self._pack(start)
            missing = right - self.conditions @ point
        point = self._refined(right, point, missing)
        low, high = np.zeros(len(qp.lower)), np.zeros(len(qp.lower))
        low[self.at_lower] = -point[v + e : v + e + a]
        high[self.at_upper] = point[v + e + a :]
        # an inequality with lower = upper is an equality: its multiplier may have either sign
        pinned = np.flatnonzero(qp.lower == qp.upper)
        if len(pinned):
            net = high[pinned] - low[pinned]
            low[pinned], high[pinned] = np.maximum(-net, 0.0), np.maximum(net, 0.0)
        return QPSolution(point[:v], point[v : v + e], low, high, Status.OPTIMAL)

    def sensitivity(self, at: Index) -> Array:
        """(v + e + active rows, a): how x, equality multipliers and [-low; high] follow what is taken from g[at]."""
        push = np.zeros((self.conditions.shape[0], len(at)))
        push[at, np.arange(len(at))] = 1.0
        return self._refined(push, np.zeros_like(push), push)

    def _refined(self, right: Array, point: Array, missing: Array) -> Array:
        """The solution for `right`, from a point and what it misses; one vector, or several as columns."""
        found, lacking = self._towards(self.factors, right, point, missing)
        if self.whole is None or lacking <= _MET * _norm(right):
            return found
        return self._towards(self.whole(), right, point, missing)[0]

    def _towards(
        self, factors: Callable[[Array], Array], right: Array, point: Array, missing: Array
    ) -> tuple[Array, float]:
        """The solution, and what it misses at most."""
        lacking = _norm(missing)
        for _ in range(_REFINEMENTS):
            refined = point + factors(missing)
            still_missing = right - self.conditions @ refined
            before, left = lacking, _norm(still_missing)
            if not left < before:
                break
            point, missing, lacking = refined, still_missing, left
            if not lacking < 0.5 * before:
                break
        return point, lacking

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
    return with_rows(qp, at_lower, at_upper)


def with_rows(qp: QP, at_lower: Index, at_upper: Index) -> ActiveSet:
    """Factorise for given active rows; their bounds must be finite."""
    if isinstance(qp.H, np.ndarray):
        N = np.vstack([qp.A, qp.C[at_lower], qp.C[at_upper]])
        v, size = len(qp.H), len(qp.H) + len(N)
        conditions = np.zeros((size, size))
        conditions[:v, :v], conditions[v:, :v], conditions[:v, v:] = qp.H, N, N.T
        corners = _corners(qp.H, N)
        whole = partial(_dense_factors, conditions, corners)
        return ActiveSet(at_lower, at_upper, conditions, _reduced_factors(conditions, corners, v), whole)
    N = sparse.csc_array(sparse.vstack([qp.A, qp.C[at_lower], qp.C[at_upper]]))
    conditions = sparse.csc_array(sparse.block_array([[qp.H, N.T], [N, None]]))
    return ActiveSet(at_lower, at_upper, conditions, _sparse_factors(conditions, _corners(qp.H, N)))


def _corners(H: Matrix, N: Matrix) -> Array:
    """What is added to the diagonal.

    Small enough that refinement converges at once, large enough that redundant rows do not stop the factorisation.
    """
    above, below = (_REGULARISATION * max(1.0, float(abs(M).max()) if min(M.shape) else 1.0) for M in (H, N))
    return np.concatenate([np.full(H.shape[0], above), np.full(N.shape[0], -below)])


def _dense_factors(conditions: Array, corners: Array) -> Callable[[Array], Array]:
    if not len(corners):
        return lambda right: right
    # in the order of columns that LAPACK wants; symmetric, so the transpose is as good
    regularised = np.array(conditions.T, order="F")
    regularised.ravel(order="K")[:: len(corners) + 1] += corners
    factors, pivots, _ = lapack.dgetrf(regularised, overwrite_a=True)

    def solve(right: Array) -> Array:
        found: Array = lapack.dgetrs(factors, pivots, right)[0]
        return found

    return solve


def _reduced_factors(conditions: Array, corners: Array, v: int) -> Callable[[Array], Array]:
    """The same where the first `v` unknowns are x and the others multipliers, by a system that is often half as large.

    A row that bounds one variable, c x_j = r, gives it, and stationarity in x_j its multiplier in the end.
    """
    at, row = _bounded(conditions[v:, :v])
    row += v
    scale = conditions[row, at]
    rest = others(len(conditions), np.concatenate([at, row]))
    factors = _dense_factors(conditions[np.ix_(rest, rest)], corners[rest])
    mixed, between = conditions[np.ix_(rest, at)], conditions[np.ix_(at, at)]

    def solve(right: Array) -> Array:
        found = np.empty_like(right)
        given = (right[row].T / scale).T
        found[at] = given
        found[rest] = factors(right[rest] - mixed @ given)
        found[row] = ((right[at] - mixed.T @ found[rest] - between @ given).T / scale).T
        return found

    return solve


def _bounded(N: Array) -> tuple[Index, Index]:
    """Variables that a row of their own bounds, and those rows: one a variable."""
    rows = np.flatnonzero(np.count_nonzero(N, axis=1) == 1)
    at = np.argmax(N[rows] != 0.0, axis=1)
    at, first = np.unique(at, return_index=True)
    return at, rows[first]


def _sparse_factors(conditions: sparse.csc_array, corners: Array) -> Callable[[Array], Array]:
    try:
        solve: Callable[[Array], Array] = splu(sparse.csc_matrix(conditions + sparse.diags_array(corners))).solve
    except RuntimeError:  # exactly singular: no point, as the caller's check will say
        return lambda right: np.full(len(right), np.nan)
    return solve
