"""The convex quadratic program, its solution, and the residuals of its optimality conditions.

    minimise 1/2 x'H x + g'x + constant   subject to   A x = b,   lower <= C x <= upper

Lagrangian: objective + lambda'(A x - b) + mu_l'(lower - C x) + mu_u'(C x - upper) with mu_l, mu_u >= 0.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from dmpcrl_ctrl.arrays import Array, Index, Matrix, dense, frozen, others
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.status import Status

_ROUNDING = 64.0 * np.finfo(float).eps
_SMALL = 1e-5
# more than that, relative to the terms of an entry, is not put down to rounding; limits beyond are far away
_EXPLAINED, _NEAR = 1e-7, 1e3
_ASYMMETRY = 1e-9


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
        H, A, C = (dense(M) for M in (self.H, self.A, self.C))
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
    """How far a point is from satisfying each of the four optimality conditions, in relative terms.

    Attributes
    ----------
    stationarity
        H x + g + A'lambda + C'(mu_u - mu_l), by entry relative to the largest of its four terms.
    feasibility
        A x - b, and what C x leaves its bounds by, relative to the terms of the row.
    sign
        Negative multipliers, and multipliers of bounds that do not exist, by what they add to the entries of the
        stationarity that their row touches.
    complementarity
        For each bound the smaller of its distance and its multiplier, relative as above: one of them is to be zero.
    """

    stationarity: float
    feasibility: float
    sign: float
    complementarity: float

    @property
    def worst(self) -> float:
        """The largest of the four; NaN counts as infinite."""
        values = (self.stationarity, self.feasibility, self.sign, self.complementarity)
        return max(values) if np.isfinite(values).all() else float("inf")


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """|A|, |C| and the largest entry of H: what residuals are measured against."""

    A: Matrix
    C: Matrix
    H: float


def magnitudes(qp: QP) -> Magnitudes:
    """Magnitudes of a program's matrices, to be reused for programs that share them."""
    return Magnitudes(abs(qp.A), abs(qp.C), float(abs(qp.H).max()) if qp.H.shape[0] else 0.0)


def kkt_residuals(qp: QP, solution: QPSolution, sizes: Magnitudes | None = None) -> KKTResiduals:
    """Residuals of the optimality conditions of `qp` at `solution`.

    Everything is relative to the terms that have to balance in the same row, so that neither a large row nor a large
    multiplier elsewhere hides an error; a row whose terms are all tiny is measured against 1e-5 of the largest one.
    A bound far away counts in its own row only, or the residuals of all others would drown in it. Multipliers may be
    large and cancel (an almost infeasible program), and a program at rest is nothing but rounding: what the rounding of
    products, of numbers that hold x in its place, or of the nearest limit, explains is not counted, up to 1e-7.
    """
    sizes = magnitudes(qp) if sizes is None else sizes
    x, dual, low, high = solution.x, solution.equality_dual, solution.lower_dual, solution.upper_dual
    terms = _stationarity_terms(qp, solution)
    absolute, size = np.abs(x), _largest(x)
    gradient, gradient_scale = np.abs(terms.sum(axis=0)), _floored(np.abs(terms).max(axis=0), sizes.H * size)
    bounds = np.array([qp.lower, qp.upper])
    exists = np.isfinite(bounds)
    # of lower and upper bounds: a limit counts in its own row, and elsewhere where it holds x in its place
    limits = np.where(exists, np.abs(bounds), 0.0)
    multipliers = np.array([low, high])
    holding = _largest(limits * (multipliers > 0.0))
    # at rest, the size of what might be: the nearest limit, if there is one near
    usual = float(limits[limits > 0.0].min(initial=_NEAR))
    rounding = _ROUNDING * max(size, holding, _largest(qp.b), usual)
    stationarity = _largest(gradient / gradient_scale)
    if stationarity > _ROUNDING:
        products = sizes.A.T @ np.abs(dual) + sizes.C.T @ (np.abs(low) + np.abs(high))
        most = _EXPLAINED * np.maximum(gradient_scale, sizes.H * usual)
        explained = np.minimum(_ROUNDING * products + sizes.H * rounding, most)
        stationarity = _largest(np.maximum(gradient - explained, 0.0) / gradient_scale)
    in_rows = sizes.C @ absolute
    row_scale = np.maximum(in_rows, _floor(in_rows, size, holding, usual))
    row_scale = np.maximum(row_scale, limits)
    equal_scale = _floored(np.maximum(sizes.A @ absolute, np.abs(qp.b)), size)
    # (2, c), of lower and upper bounds: how far away they are, negative beyond them, and infinite where there is none
    away = np.array([[1.0], [-1.0]]) * (qp.C @ x - bounds)
    # a multiplier mu of row r counts as large as the share of C_rj mu in entry j
    pushed = multipliers * (sizes.C @ (1.0 / gradient_scale))
    return KKTResiduals(
        stationarity=stationarity,
        feasibility=max(
            _largest(np.maximum(np.abs(qp.A @ x - qp.b) - rounding, 0.0) / equal_scale),
            _largest(np.maximum(-away - rounding, 0.0) / row_scale),
        ),
        sign=max(_largest(np.minimum(pushed, 0.0)), _largest(np.where(exists, 0.0, pushed))),
        complementarity=_largest(np.where(exists, np.minimum(np.abs(pushed), np.abs(away) / row_scale), 0.0)),
    )


def _stationarity_terms(qp: QP, solution: QPSolution) -> Array:
    """(4, v): what has to balance."""
    pushed = solution.upper_dual - solution.lower_dual
    return np.array([qp.H @ solution.x, qp.g, qp.A.T @ solution.equality_dual, qp.C.T @ pushed])


def _floored(scale: Array, least: float = 0.0) -> Array:
    """Scales of at least 1e-5 of the largest of them (or of `least`), and never zero."""
    return np.maximum(scale, _floor(scale, least))


def _floor(scale: Array, *others: float) -> float:
    floor = _SMALL * max(_largest(scale), *others)
    return floor if floor > 0.0 else 1.0


def require_valid(qp: QP) -> None:
    """Refuse vectors that solvers accept and then answer wrongly.

    Raises
    ------
    SolverError
        A NaN, an infinite cost, crossed bounds, a lower bound of plus or an upper bound of minus infinity.
    """
    for name in ("g", "b"):
        if not np.isfinite(getattr(qp, name)).all():
            raise SolverError(f"the program's {name} holds a number that is not finite")
    if (qp.lower <= qp.upper).all() and (qp.lower < np.inf).all() and (qp.upper > -np.inf).all():
        return
    if np.isnan(qp.lower).any() or np.isnan(qp.upper).any():
        raise SolverError("a bound of the program is NaN")
    if (qp.lower > qp.upper).any():
        k = int(np.argmax(qp.lower > qp.upper))
        raise SolverError(f"bounds of row {k} cross: lower {qp.lower[k]:g} exceeds upper {qp.upper[k]:g}")
    k = int(np.argmax((qp.lower == np.inf) | (qp.upper == -np.inf)))
    raise SolverError(f"row {k} lies between {qp.lower[k]:g} and {qp.upper[k]:g}: no number does")


def require_shapes(qp: QP) -> None:
    """Refuse a program whose parts do not fit together.

    Raises
    ------
    SolverError
        A matrix or a bound of another size than the vectors say.
    """
    v, e, c = len(qp.g), len(qp.b), len(qp.lower)
    parts = (("H", qp.H, (v, v)), ("A", qp.A, (e, v)), ("C", qp.C, (c, v)), ("upper", qp.upper, (c,)))
    for name, part, shape in parts:
        if part.shape != shape:
            raise SolverError(f"the program's {name} has shape {part.shape}, but g, b and lower ask for {shape}")


def require_matrices(qp: QP) -> None:
    """Refuse matrices that are no numbers, and a Hessian that is not symmetric to 1e-9 of its largest entry.

    Raises
    ------
    SolverError
        An entry of H, A or C is not finite; H is not symmetric.
    """
    for name in ("H", "A", "C"):
        matrix = getattr(qp, name)
        if not np.isfinite(matrix.data if sparse.issparse(matrix) else matrix).all():
            raise SolverError(f"the program's {name} holds a number that is not finite")
    if not qp.H.size:
        return
    askew = float(abs(qp.H - qp.H.T).max())
    if askew > _ASYMMETRY * float(abs(qp.H).max()):
        raise SolverError(f"the program's H is not symmetric: it differs from its transpose by {askew:.3g}")


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
        The blocks of the matrices; H, A, C are those of the remaining program, and cannot be changed.
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
    free = others(H.shape[0], fixed)
    kept = C[rows]
    # whoever gets them again need not look whether they have changed
    remaining = [frozen(part.copy()) for part in (H[free][:, free], A[:, free], kept[:, free])]
    return Substitution(
        fixed=fixed,
        free=free,
        rows=rows,
        H=remaining[0],
        H_mixed=H[free][:, fixed],
        H_fixed=H[fixed][:, fixed],
        A=remaining[1],
        A_fixed=A[:, fixed],
        C=remaining[2],
        C_fixed=kept[:, fixed],
    )


def _largest(values: Array) -> float:
    return float(np.maximum.reduce(np.abs(values), axis=None)) if values.size else 0.0
