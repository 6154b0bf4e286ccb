"""The solution of a quadratic program as an affine function of a part of g, for as long as its active rows stay.

With the active rows fixed the optimality conditions are linear:

    x(g) = x(g_0) - R (g - g_0),    and so are C x and the multipliers of the active rows.

While no inactive row is left and no multiplier changes its sign, x(g) is the solution; that takes one product of a
matrix with a vector, where a solve takes a hundred times as long. Between two iterations of ADMM only a part of g
moves, and rarely does a row become active or inactive.
"""

from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.active_set import ActiveSet
from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.qp import QP, Magnitudes, QPSolution, stationarity_scale
from dmpcrl_ctrl.scaling import Scaling


@dataclass(frozen=True, eq=False)
class Slopes:
    """How a solution with certain active rows follows g[at], in the units of the program.

    Attributes
    ----------
    response
        (a, a): R, of the entries `at` of x.
    distances
        (s, a): of the distances of the inactive bounds and of the multipliers of the active ones, in scaled units.
    lower, upper
        Rows whose lower, whose upper bound is there and not active, to which the first of the distances belong.
    free
        Active rows, at their lower bounds and then at their upper ones, whose multipliers have a sign.
    """

    response: Array
    distances: Array
    lower: Index
    upper: Index
    free: tuple[Index, Index]


@dataclass(frozen=True, eq=False)
class AffineLaw:
    """One solution and its slopes.

    Attributes
    ----------
    slopes
        Shared by all solutions with these active rows.
    base
        (a,): g[at] of the solution.
    follow, value
        (a + s, a), (a + s,): slopes and values of x[at], and of the distances with the tolerance added.
    """

    slopes: Slopes
    base: Array
    follow: Array
    value: Array

    def at(self, g: Array) -> Array | None:
        """(a,): x[at] for another g[at]; None where other rows are active there."""
        moved = self.value + self.follow @ (g - self.base)
        count = len(self.base)
        return moved[:count] if (moved[count:] >= 0.0).all() else None


def slopes_of(qp: QP, rows: ActiveSet, at: Index, scaling: Scaling) -> Slopes:
    """Slopes for a program (scaled, dense) with active rows `rows`; `at` in its variables."""
    Z = rows.sensitivity(at)
    units = scaling.variables[at]
    pinned = qp.lower == qp.upper
    there_l, there_u = np.isfinite(qp.lower), np.isfinite(qp.upper) & ~pinned
    there_l[rows.at_lower], there_u[rows.at_upper] = False, False
    lower, upper = np.flatnonzero(there_l), np.flatnonzero(there_u)
    free = np.flatnonzero(~pinned[rows.at_lower]), np.flatnonzero(~pinned[rows.at_upper])
    v, multipliers = len(qp.g), len(qp.g) + len(qp.b)
    CZ = qp.C @ Z[:v]
    # x' = x / D and g' = c D g: dx/dg = c D (dx'/dg') D
    response = scaling.cost * units[:, None] * Z[at] * units
    low, high = Z[multipliers + free[0]], Z[multipliers + len(rows.at_lower) + free[1]]
    distances = np.vstack([-CZ[lower], CZ[upper], low, -high]) * (scaling.cost * units)
    return Slopes(response, distances, lower, upper, free)


def law_of(
    slopes: Slopes,
    qp: QP,
    solution: QPSolution,
    rows: ActiveSet,
    at: Index,
    scaling: Scaling,
    sizes: Magnitudes,
    tolerance: float,
) -> AffineLaw:
    """The law through a solution of a program (both scaled); `tolerance` is relative as in the residuals."""
    values = qp.C @ solution.x
    size = sizes.C @ np.abs(solution.x)
    counts = sizes.C @ (1.0 / stationarity_scale(qp, solution, sizes))
    active = rows.at_lower[slopes.free[0]], rows.at_upper[slopes.free[1]]
    distances = np.concatenate(
        [
            values[slopes.lower] - qp.lower[slopes.lower],
            qp.upper[slopes.upper] - values[slopes.upper],
            solution.lower_dual[active[0]],
            solution.upper_dual[active[1]],
        ]
    )
    each = np.concatenate([active[0], active[1]])
    weight = np.divide(1.0, counts[each], out=np.zeros(len(each)), where=counts[each] > 0.0)
    of_lower = np.maximum(size, np.abs(qp.lower))[slopes.lower]
    of_upper = np.maximum(size, np.abs(qp.upper))[slopes.upper]
    allowed = tolerance * np.concatenate([of_lower, of_upper, weight])
    units = scaling.variables[at]
    return AffineLaw(
        slopes,
        qp.g[at] / (scaling.cost * units),
        np.vstack([-slopes.response, slopes.distances]),
        np.concatenate([units * solution.x[at], distances + allowed]),
    )
