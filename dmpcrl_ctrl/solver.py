"""A solver whose answers are checked: nothing leaves it unless the optimality conditions hold.

ProxQP has been seen to call solvable programs infeasible, to run away from a warm start for good, and to report
`solved` for crossed bounds. So every answer is polished on its active rows and measured; where it falls short the
next attempt is made: warm, cold, the other backends. What is left is settled by a linear program.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from dmpcrl_ctrl import proxqp
from dmpcrl_ctrl.active_set import ActiveSet, active_set
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.backends import Backend, failed
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.qp import QP, QPSolution, kkt_residuals, magnitudes, require_valid
from dmpcrl_ctrl.scaling import Scaling, equilibrate
from dmpcrl_ctrl.status import Status

TOLERANCE = 1e-9
# twice the tolerance of HiGHS; what is violated by less is for the quadratic solvers to settle
_VIOLATED = 2e-7
_SOLVED, _INFEASIBLE = 0, 2  # statuses of scipy.optimize.linprog
_FALLBACKS = ("piqp", "daqp", "proxqp")


@dataclass
class Counts:
    """How answers came about: from the last active rows, by the solver, after a rebuild, by a fallback, or not."""

    unchanged: int = 0
    solved: int = 0
    rebuilt: int = 0
    fallback: int = 0
    failed: int = 0


@dataclass
class CheckedSolver:
    """Solves programs that share H, A and C, and differ in g, b and the bounds.

    Parameters
    ----------
    backend
        "proxqp", or any solver that qpsolvers knows here.
    tolerance
        Largest relative residual of the optimality conditions that counts as solved.

    Raises
    ------
    SolverError
        The backend is not installed.
    """

    backend: str = "proxqp"
    tolerance: float = TOLERANCE
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self._primary = _backend(self.backend)
        self._scaling: Scaling | None = None
        self._last: ActiveSet | None = None
        self._verdict: tuple[Array, bool] | None = None

    def solve(self, qp: QP) -> QPSolution:
        """Solve one program; a status other than OPTIMAL means that the numbers are not to be used."""
        try:
            require_valid(qp)
        except SolverError:
            return failed(qp, Status.INVALID_DATA)
        if self._scaling is None:
            self._scaling = equilibrate(qp)
            self._sizes = magnitudes(self._scaling.scaled(qp))
        return self._scaling.original(self._solve(self._scaling.scaled(qp)))

    def _solve(self, qp: QP) -> QPSolution:
        if self._last is not None:
            solution = self._last.solve(qp)
            if self._holds(qp, solution):
                self.counts.unchanged += 1
                return solution
        found = self._by_backend(qp)
        if found is not None:
            return found
        # a linear program tells an infeasible program from a failing solver before slower solvers try their luck
        if self._violated(qp):
            self.counts.failed += 1
            return failed(qp, Status.PRIMAL_INFEASIBLE)
        found = self._by_fallback(qp)
        if found is not None:
            return found
        self.counts.failed += 1
        return failed(qp, Status.DUAL_INFEASIBLE if falls_forever(qp) else Status.SOLVER_FAILED)

    def _violated(self, qp: QP) -> bool:
        """Whether the constraints contradict each other; asked once for programs that differ in g only."""
        constraints = np.concatenate([qp.b, qp.lower, qp.upper])
        if self._verdict is None or not np.array_equal(self._verdict[0], constraints):
            self._verdict = constraints, least_violation(qp) > _VIOLATED
        return self._verdict[1]

    def _by_backend(self, qp: QP) -> QPSolution | None:
        was_warm = self._primary.warm
        solution = self._polished(qp, self._primary.solve(qp))
        if solution is not None:
            self.counts.solved += 1
            return solution
        self._primary.forget()
        if was_warm:
            solution = self._polished(qp, self._primary.solve(qp))
            if solution is not None:
                self.counts.rebuilt += 1
                return solution
            self._primary.forget()
        return None

    def _by_fallback(self, qp: QP) -> QPSolution | None:
        for name in _FALLBACKS:
            if name != self.backend and (name != "proxqp" or proxqp.AVAILABLE):
                solution = self._polished(qp, _backend(name).solve(qp))
                if solution is not None:
                    self.counts.fallback += 1
                    return solution
        return None

    def _polished(self, qp: QP, raw: QPSolution) -> QPSolution | None:
        """The polished or else the raw point, if it passes; the status that the solver claims is not asked."""
        if not (np.isfinite(raw.x).all() and np.isfinite(raw.equality_dual).all()):
            return None
        candidate = active_set(qp, raw)
        polished = candidate.solve(qp, raw)
        if self._holds(qp, polished):
            self._last = candidate
            return replace(polished, iterations=raw.iterations)
        self._last = None
        if self._holds(qp, raw):
            return replace(raw, status=Status.OPTIMAL)
        return None

    def _holds(self, qp: QP, solution: QPSolution) -> bool:
        return kkt_residuals(qp, solution, self._sizes).worst <= self.tolerance


def least_violation(qp: QP) -> float:
    """The smallest t such that A x = b, lower - t s <= C x <= upper + t s has a solution, s the largest bound or b.

    A linear program (HiGHS), independent of the quadratic solvers. Infinite if A x = b has no solution at all; NaN
    where HiGHS does not know.
    """
    v = len(qp.g)
    above, below = np.isfinite(qp.upper), np.isfinite(qp.lower)
    data = np.concatenate([qp.upper[above], -qp.lower[below]])
    size = max(float(np.abs(data).max(initial=0.0)), float(np.abs(qp.b).max(initial=0.0))) or 1.0
    C = sparse.csc_array(qp.C)
    G = sparse.vstack([C[above], -C[below]])
    slack = sparse.csc_array(-np.ones((G.shape[0], 1)))
    A = sparse.hstack([sparse.csc_array(qp.A), sparse.csc_array((len(qp.b), 1))])
    answer = linprog(
        np.append(np.zeros(v), 1.0),
        A_ub=sparse.hstack([G, slack]) if G.shape[0] else None,
        b_ub=data / size if G.shape[0] else None,
        bounds=[(None, None)] * v + [(0.0, None)],
        A_eq=A if len(qp.b) else None,
        b_eq=qp.b / size if len(qp.b) else None,
    )
    verdicts = {_SOLVED: answer.fun, _INFEASIBLE: np.inf}
    return float(verdicts.get(answer.status, np.nan))


def falls_forever(qp: QP) -> bool:
    """Whether some direction keeps every constraint and lowers the cost without end: H d = 0, A d = 0, g'd = -1."""
    above, below = np.isfinite(qp.upper), np.isfinite(qp.lower)
    C = sparse.csc_array(qp.C)
    flat = sparse.vstack([sparse.csc_array(qp.H), sparse.csc_array(qp.A), sparse.csc_array(qp.g[None, :])])
    answer = linprog(
        np.zeros(len(qp.g)),
        A_ub=sparse.vstack([C[above], -C[below]]),
        b_ub=np.zeros(int(above.sum() + below.sum())),
        A_eq=flat,
        b_eq=np.append(np.zeros(flat.shape[0] - 1), -1.0),
        bounds=(None, None),
    )
    return bool(answer.status == _SOLVED)


def require_installed(name: str) -> None:
    """Raise SolverError where the backend is not here."""
    _backend(name)


def _backend(name: str) -> "proxqp.ProxQP | Backend":
    return proxqp.ProxQP() if name == "proxqp" else Backend(name)
