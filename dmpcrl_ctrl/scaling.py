"""Units taken out of a quadratic program, so that solvers and residuals see numbers of one size.

With x = D x', the rows of A and C multiplied by E and F, and the cost by c, every row and column of the optimality
conditions has a largest entry near one (Ruiz). A cost in other currency or a state in other units then gives the same
scaled program, and a tolerance means the same digits.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from dmpcrl_ctrl.arrays import Array, Matrix
from dmpcrl_ctrl.qp import QP, QPSolution

_PASSES = 15
_BALANCED = 8.0


@dataclass(frozen=True, eq=False)
class Scaling:
    """D, E, F as vectors and c, with the scaled matrices of one program.

    Attributes
    ----------
    variables, equalities, inequalities, cost
        (v,), (e,), (c,), float.
    H, A, C
        c D H D, E A D, F C D.
    """

    variables: Array
    equalities: Array
    inequalities: Array
    cost: float
    H: Matrix
    A: Matrix
    C: Matrix

    def moved(self, qp: QP) -> "Scaling":
        """The same D, E, F, c for the matrices of another program of the same size."""
        d, e, f = self.variables, self.equalities, self.inequalities
        return replace(self, H=self.cost * _both(qp.H, d, d), A=_both(qp.A, e, d), C=_both(qp.C, f, d))

    @property
    def balanced(self) -> bool:
        """Whether every row and column of the conditions, and H itself, still has a largest entry within 1/8 and 8."""
        H, A, C = (abs(M) for M in (self.H, self.A, self.C))
        columns_H, columns_A, columns_C = (_column_max(M, np.ones(M.shape[0])) for M in (H, A, C))
        rows_A, rows_C = (_column_max(M.T, np.ones(M.shape[1])) for M in (A, C))
        columns = np.maximum(np.maximum(columns_H, columns_A), columns_C)
        largest = np.concatenate([columns, rows_A, rows_C, columns_H.max(initial=0.0, keepdims=True)])
        present = largest[largest > 0.0]
        return bool((present < _BALANCED).all() and (present > 1.0 / _BALANCED).all())

    def scaled(self, qp: QP) -> QP:
        """The program in scaled variables; its matrices must be those that the scaling was made for."""
        return QP(
            self.H,
            self.cost * self.variables * qp.g,
            self.A,
            self.equalities * qp.b,
            self.C,
            self.inequalities * qp.lower,
            self.inequalities * qp.upper,
            self.cost * qp.constant,
        )

    def original(self, solution: QPSolution) -> QPSolution:
        """A solution of the scaled program in the units of the original one."""
        return _in_units(solution, self.variables, self.equalities / self.cost, self.inequalities / self.cost)

    def scaled_solution(self, solution: QPSolution) -> QPSolution:
        """A solution of the original program in the units of the scaled one."""
        return _in_units(solution, 1.0 / self.variables, self.cost / self.equalities, self.cost / self.inequalities)


def _in_units(solution: QPSolution, x: Array, equality: Array, inequality: Array) -> QPSolution:
    return replace(
        solution,
        x=x * solution.x,
        equality_dual=equality * solution.equality_dual,
        lower_dual=inequality * solution.lower_dual,
        upper_dual=inequality * solution.upper_dual,
    )


def equilibrate(qp: QP) -> Scaling:
    """Find D, E, F, c for the matrices of a program."""
    H, A, C = (abs(M) for M in (qp.H, qp.A, qp.C))
    d, e, f = np.ones(H.shape[0]), np.ones(A.shape[0]), np.ones(C.shape[0])
    cost = _inverse(_column_max(H, d))
    for _ in range(_PASSES):
        curvature = _column_max(H, d) * cost
        columns = d * np.max([curvature, _column_max(A, e), _column_max(C, f)], axis=0)
        rows_a, rows_c = e * _column_max(A.T, d), f * _column_max(C.T, d)
        d, e, f = (v / np.sqrt(_or_one(norm)) for v, norm in ((d, columns), (e, rows_a), (f, rows_c)))
        cost = _inverse(d * _column_max(H, d))
    return Scaling(d, e, f, cost, qp.H, qp.A, qp.C).moved(qp)


def _column_max(M: Matrix, weights: Array) -> Array:
    """(columns,): largest weighted entry of each column of a nonnegative matrix; zero where there is none."""
    if not M.shape[0] or not M.shape[1]:
        return np.zeros(M.shape[1])
    if isinstance(M, np.ndarray):
        return np.asarray((weights[:, None] * M).max(axis=0))
    return np.asarray((sparse.diags_array(weights) @ M).max(axis=0).toarray()).ravel()


def _both(M: Matrix, rows: Array, columns: Array) -> Matrix:
    if isinstance(M, np.ndarray):
        return rows[:, None] * M * columns
    return sparse.csc_array(sparse.diags_array(rows) @ M @ sparse.diags_array(columns))


def _inverse(curvatures: Array) -> float:
    """One over the largest, or one where there is none."""
    largest = float(curvatures.max(initial=0.0))
    return 1.0 / largest if largest > 0.0 else 1.0


def _or_one(norm: Array) -> Array:
    return np.where(norm > 0.0, norm, 1.0)
