"""Every other solver, through qpsolvers (its only import): ProxQP's fallback, and the way where it has no wheel."""

import warnings
from typing import Any

import numpy as np
import qpsolvers
from scipy import sparse

from dmpcrl_ctrl.arrays import by_columns
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.status import Status

_DENSE = frozenset({"daqp", "quadprog"})
_OPTIONS: dict[str, dict[str, Any]] = {
    "piqp": {
        "eps_abs": 1e-11,
        "eps_rel": 1e-12,
        "eps_duality_gap_abs": 1e-11,
        "eps_duality_gap_rel": 1e-12,
        "max_iter": 300,
    },
    "daqp": {"primal_tol": 1e-11, "dual_tol": 1e-12, "eps_prox": 1e-6, "iter_limit": 20000},
    "clarabel": {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12},
}


class Backend:
    """A solver of qpsolvers by name; every solve is cold.

    Raises
    ------
    SolverError
        The solver is not installed; the message lists those that are.
    """

    warm = False

    def __init__(self, name: str) -> None:
        if name not in qpsolvers.available_solvers:
            installed = ", ".join(sorted(qpsolvers.available_solvers))
            raise SolverError(f'solver "{name}" is not installed; here are {installed}')
        self.name = name

    def forget(self) -> None:
        """Nothing is kept between solves."""

    def solve(self, qp: QP) -> QPSolution:
        """Solve one program."""
        above, below = np.isfinite(qp.upper), np.isfinite(qp.lower)
        shaped: Any = qp.dense() if self.name in _DENSE else qp
        H, A, C = shaped.H, shaped.A, shaped.C
        stacked = np.vstack if isinstance(C, np.ndarray) else sparse.vstack
        G = stacked([C[above], -C[below]])
        if self.name not in _DENSE:
            H, A, G = map(by_columns, (H, A, G))
        h = np.concatenate([qp.upper[above], -qp.lower[below]])
        inequalities = (G, h) if len(h) else (None, None)
        equalities = (A, qp.b) if len(qp.b) else (None, None)
        problem = qpsolvers.Problem(H, qp.g, *inequalities, *equalities)
        with warnings.catch_warnings():
            # a solver's own remark about its status would be said twice: the caller checks the residuals
            warnings.simplefilter("ignore")
            try:
                answer = qpsolvers.solve_problem(problem, solver=self.name, **_OPTIONS.get(self.name, {}))
            except (qpsolvers.SolverError, qpsolvers.ProblemError, ValueError, ArithmeticError):
                answer = None
        if answer is None or answer.x is None:
            return failed(qp)
        lower_dual, upper_dual = np.zeros(len(qp.lower)), np.zeros(len(qp.lower))
        z = np.zeros(0) if answer.z is None else np.asarray(answer.z)
        upper_dual[above], lower_dual[below] = z[: above.sum()], z[above.sum() :]
        y = np.zeros(0) if answer.y is None else np.asarray(answer.y)
        status = Status.OPTIMAL if answer.found else Status.SOLVER_FAILED
        return QPSolution(np.asarray(answer.x), y, np.maximum(lower_dual, 0.0), np.maximum(upper_dual, 0.0), status)


def failed(qp: QP, status: Status = Status.SOLVER_FAILED) -> QPSolution:
    """A solution of the right shape that says it is none."""
    nan, zero = np.full(len(qp.g), np.nan), np.zeros(len(qp.lower))
    return QPSolution(nan, np.full(len(qp.b), np.nan), zero, zero, status)
