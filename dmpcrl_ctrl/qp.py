"""The convex quadratic program, its solution, and the residuals of its optimality conditions.

    minimise 1/2 x'H x + g'x + constant   subject to   A x = b,   lower <= C x <= upper

Lagrangian: objective + lambda'(A x - b) + mu_l'(lower - C x) + mu_u'(C x - upper) with mu_l, mu_u >= 0.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from dmpcrl_ctrl.arrays import Array, Index, Matrix
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.status import Status

_ROUNDING = 64.0 * np.finfo(float).eps


@dataclass(frozen=True, eq=False)
class QP:
    """A quadratic program with v variables, e equalities and c two-sided inequalities.

    Attributes
    ----------
    H, g, constant
        (v, v) symmetric positive semidefinite, (v,), float. Dense or sparse.
    A, b
        (e, v), (e,).
    C, lower, upper
        (c, v), (c,), (c,); infinite bounds mean "no bound".
    """

    H: Matrix
    g: Array
    A: Matrix
    b: Array
    C: Matrix
    lower: Array
    upper: Array
    constant: float = 0.0

    def objective(self, x: Array) -> float:
        """Value of the objective at x, with the constant."""
        return float(0.5 * x @ (self.H @ x) + self.g @ x + self.constant)

    def dense(self) -> "QP":
        """The same program with dense matrices."""
        H, A, C = (M.toarray() if sparse.issparse(M) else np.asarray(M) for M in (self.H, self.A, self.C))
        return replace(self, H=H, A=A, C=C)


@dataclass(frozen=True, eq=False)
class QPSolution:
    """A primal-dual point of a :class:`QP` and what the solver says of it.

    Attributes
    ----------
    x
        (v,); not to be used unless `status.ok`.
    equality_dual
        (e,): lambda.
    lower_dual, upper_dual
        (c,): mu_l, mu_u >= 0.
    status, iterations
        Outcome after the own check of the residuals; iterations of the solver.
    """

    x: Array
    equality_dual: Array
    lower_dual: Array
    upper_dual: Array
    status: Status
    iterations: int = 0


@dataclass(frozen=True)
class KKTResiduals:
    """Largest violation of each of the four optimality conditions, each relative to the terms that it balances.

    Attributes
    ----------
    stationarity
        H x + g + A'lambda + C'(mu_u - mu_l).
    feasibility
        A x - b, and the amount by which C x leaves its bounds.
    sign
        Negative parts of mu_l and mu_u, and multipliers on bounds that do not exist.
    complementarity
        mu_l (C x - lower) and mu_u (upper - C x).
    """

    stationarity: float
    feasibility: float
    sign: float
    complementarity: float

    @property
    def worst(self) -> float:
        """The largest of the four; NaN counts as infinite."""
        worst = max(self.stationarity, self.feasibility, self.sign, self.complementarity)
        return worst if np.isfinite(worst) else float("inf")


def kkt_residuals(qp: QP, solution: QPSolution) -> KKTResiduals:
    """Residuals of the optimality conditions of `qp` at `solution`.

    Each entry of a residual is divided by one plus the largest term in its own balance, so that 1e-9 means nine digits
    for a small row beside large ones as well. Multipliers may be large and cancel (an almost infeasible program): what
    the rounding of their products explains is not counted.
    """
    x, dual, low, high = solution.x, solution.equality_dual, solution.lower_dual, solution.upper_dual
    terms = np.stack([qp.H @ x, qp.g, qp.A.T @ dual, qp.C.T @ (high - low)])
    equal, rows = qp.A @ x, qp.C @ x
    has_lower, has_upper = np.isfinite(qp.lower), np.isfinite(qp.upper)
    to_lower = np.where(has_lower, rows - qp.lower, 0.0)
    to_upper = np.where(has_upper, qp.upper - rows, 0.0)
    row_scale = 1.0 + np.abs(rows)
    outside = np.maximum(np.maximum(-to_lower, -to_upper), 0.0) / row_scale
    homeless = np.concatenate([low[~has_lower], high[~has_upper], np.minimum(low, 0.0), np.minimum(high, 0.0)])
    dual_scale = 1.0 + max(_largest(low), _largest(high))
    complementary = np.maximum(np.abs(low * to_lower), np.abs(high * to_upper)) / row_scale
    gradient, gradient_scale = np.abs(terms.sum(axis=0)), 1.0 + np.abs(terms).max(axis=0)
    if _largest(gradient / gradient_scale) > _ROUNDING:
        products = abs(qp.A).T @ np.abs(dual) + abs(qp.C).T @ (np.abs(low) + np.abs(high))
        gradient = np.maximum(gradient - _ROUNDING * products, 0.0)
    return KKTResiduals(
        stationarity=_largest(gradient / gradient_scale),
        feasibility=max(_largest((equal - qp.b) / (1.0 + np.abs(qp.b))), _largest(outside)),
        sign=_largest(homeless) / dual_scale,
        complementarity=_largest(complementary) / dual_scale,
    )


def require_valid(qp: QP) -> None:
    """Refuse what solvers accept and then answer wrongly.

    Raises
    ------
    SolverError
        A NaN, an infinite cost, crossed bounds.
    """
    for name in ("g", "b"):
        if not np.isfinite(getattr(qp, name)).all():
            raise SolverError(f"the program's {name} holds a number that is not finite")
    if np.isnan(qp.lower).any() or np.isnan(qp.upper).any():
        raise SolverError("a bound of the program is NaN")
    if (qp.lower > qp.upper).any():
        k = int(np.argmax(qp.lower - qp.upper))
        raise SolverError(f"bounds of row {k} cross: lower {qp.lower[k]:g} exceeds upper {qp.upper[k]:g}")


@dataclass(frozen=True, eq=False)
class Substitution:
    """Programs with the same matrices in which some variables are given: what remains of them.

    Attributes
    ----------
    fixed, free
        Positions of the variables that are given, and of those that remain, in order.
    rows
        Inequality rows that remain.
    H, H_mixed, H_fixed, A, A_fixed, C, C_fixed
        The blocks of the matrices; H, A, C are those of the remaining program.
    """

    fixed: Index
    free: Index
    rows: Index
    H: Matrix
    H_mixed: Matrix
    H_fixed: Matrix
    A: Matrix
    A_fixed: Matrix
    C: Matrix
    C_fixed: Matrix

    def remaining(self, qp: QP, values: Array) -> QP:
        """The program over the free variables with x[fixed] = values; same optimal value, same multipliers."""
        shift = self.C_fixed @ values
        constant = qp.constant + qp.g[self.fixed] @ values + 0.5 * values @ (self.H_fixed @ values)
        return QP(
            H=self.H,
            g=qp.g[self.free] + self.H_mixed @ values,
            A=self.A,
            b=qp.b - self.A_fixed @ values,
            C=self.C,
            lower=qp.lower[self.rows] - shift,
            upper=qp.upper[self.rows] - shift,
            constant=float(constant),
        )

    def full(self, remaining: Array, values: Array) -> Array:
        """All variables again."""
        variables = np.empty(len(self.free) + len(self.fixed))
        variables[self.free], variables[self.fixed] = remaining, values
        return variables


def substitution(H: Matrix, A: Matrix, C: Matrix, fixed: Index, rows: Index) -> Substitution:
    """Cut the matrices for given variables `fixed`, keeping the inequality rows `rows`."""
    free = np.setdiff1d(np.arange(H.shape[0]), fixed)
    kept = C[rows]
    return Substitution(
        fixed,
        free,
        rows,
        H[free][:, free],
        H[free][:, fixed],
        H[fixed][:, fixed],
        A[:, free],
        A[:, fixed],
        kept[:, free],
        kept[:, fixed],
    )


def _largest(values: Array) -> float:
    return float(np.abs(values).max()) if np.size(values) else 0.0
