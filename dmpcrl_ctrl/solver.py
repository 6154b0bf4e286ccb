"""A solver whose answers are checked: nothing leaves it unless the optimality conditions hold.

ProxQP has been seen to call solvable programs infeasible, to run away from a warm start for good, to report `solved`
for crossed bounds and for costs that are not convex. So programs are looked at before they are solved, and every answer
is polished on its active rows and measured. Where it falls short the next attempt is made: the last active rows; the
backend, warm, then cold; the other backends. What is left is settled by a linear program.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from dmpcrl_ctrl import proxqp
from dmpcrl_ctrl.active_set import ActiveSet, active_set, with_rows
from dmpcrl_ctrl.arrays import Array, Index, Matrix, is_frozen, same
from dmpcrl_ctrl.backends import Backend, failed
from dmpcrl_ctrl.convexity import convex
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.infeasibility import falls_forever, least_violation
from dmpcrl_ctrl.qp import (
    QP,
    Magnitudes,
    QPSolution,
    kkt_residuals,
    magnitudes,
    require_matrices,
    require_shapes,
    require_valid,
)
from dmpcrl_ctrl.scaling import Scaling, equilibrate
from dmpcrl_ctrl.status import Status

TOLERANCE = 1e-9
# twice the tolerance of HiGHS; what is violated by less is for the quadratic solvers to settle
_VIOLATED = 2e-7
_FALLBACKS = ("piqp", "daqp", "proxqp")
# how often active rows are looked for, starting from an answer whose residuals are below
_ATTEMPTS, _NEARLY = 6, 1e-2
_CONFLICTING = 8
# after factorising so often in a row for active rows that were others, it is done at every so many moves only
_PATIENCE, _NOW_AND_THEN = 4, 8


@dataclass
class Counts:
    """How answers came about; every program counts once in the first eight.

    Attributes
    ----------
    offered
        Found elsewhere.
    unchanged
        The last active rows, with the factors at hand.
    refactored
        The last active rows, factorised anew for matrices that moved.
    solved, rebuilt, fallback
        By the backend; by the backend after a cold start, where a warm one had gone astray; by another backend.
    refused
        Not tried: data that are not numbers, crossed bounds, a cost that is not convex.
    failed
        Infeasible, unbounded, or given up.
    moved, rescaled
        Programs whose matrices differed from those before; those among them that needed new units, the first included.
    """

    offered: int = 0
    unchanged: int = 0
    refactored: int = 0
    solved: int = 0
    rebuilt: int = 0
    fallback: int = 0
    refused: int = 0
    failed: int = 0
    moved: int = 0
    rescaled: int = 0


@dataclass(frozen=True, eq=False)
class _Known:
    """Matrices that were accepted, themselves and copied as they were, with their units and sizes."""

    given: tuple[Matrix, Matrix, Matrix]
    matrices: tuple[Matrix, Matrix, Matrix]
    scaling: Scaling
    sizes: Magnitudes

    def fits(self, qp: QP) -> bool:
        """Whether the program has these matrices, by value."""
        parts = zip(self.given, self.matrices, (qp.H, qp.A, qp.C), strict=True)
        return all((theirs is given and is_frozen(theirs)) or same(mine, theirs) for given, mine, theirs in parts)

    def resembles(self, qp: QP) -> bool:
        """Whether the program has the same size."""
        return all(mine.shape == theirs.shape for mine, theirs in zip(self.matrices, (qp.H, qp.A, qp.C), strict=True))


@dataclass
class CheckedSolver:
    """Solves a sequence of programs, each from what the one before has taught.

    While only g, b and the bounds move, factors are kept. Where H, A or C move as well (they are compared by value, so
    that a change in place is seen), units and active rows are kept, and the backend is updated warm. A program of
    another size starts from nothing. What is refused changes nothing that is known, and what fails leaves nothing that
    is believed: the next program is solved as if it had not been.

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
        self._known: _Known | None = None
        self._last: ActiveSet | None = None
        self._answered: ActiveSet | None = None
        self._response: tuple[ActiveSet, Array] | None = None
        self._stale, self._in_vain = False, 0
        self._verdict: tuple[Array, bool] | None = None

    def solve(self, qp: QP, offered: QPSolution | None = None) -> QPSolution:
        """Solve one program; a status other than OPTIMAL means that the numbers are not to be used.

        Parameters
        ----------
        qp
            The program.
        offered
            A solution from elsewhere, which is as good as any other if it satisfies the conditions, and else forgotten.

        Raises
        ------
        SolverError
            The parts of the program do not fit together.
        """
        require_shapes(qp)
        self._answered = None
        # numbers out of all range overflow on the way; the check of the residuals sees what comes of it
        with np.errstate(all="ignore"):
            known = self._accepted(qp)
            if isinstance(known, Status):
                self.counts.refused += 1
                return failed(qp, known)
            scaled = known.scaling.scaled(qp)
            if offered is not None and self._holds(scaled, known.scaling.scaled_solution(offered), known.sizes):
                self.counts.offered += 1
                return offered
            return known.scaling.original(self._solve(scaled, known.sizes))

    def response(self, at: Index) -> Array | None:
        """(a, a): how x[at] of the last answer follows -g[at] while its active rows stay.

        Answers with the same active rows have the same array; `at` is to be the same as well. None where there is no
        answer, or one whose active rows are not known.
        """
        if self._answered is None or self._known is None:
            return None
        if self._response is None or self._response[0] is not self._answered:
            # x' = x / D and g' = c D g: dx/dg = c D (dx'/dg') D
            scaling, Z = self._known.scaling, self._answered.sensitivity(at)
            units = scaling.variables[at]
            self._response = self._answered, scaling.cost * units[:, None] * Z[at] * units
        return self._response[1]

    def _accepted(self, qp: QP) -> _Known | Status:
        """What is known of the program's matrices, or why it is refused."""
        try:
            require_valid(qp)
            before = self._known
            if before is not None and before.fits(qp):
                return before
            require_matrices(qp)
        except SolverError:
            return Status.INVALID_DATA
        kept = before.scaling.moved(qp) if before is not None and before.resembles(qp) else None
        scaling = kept if kept is not None and kept.balanced else equilibrate(qp)
        if not (convex(qp.H) and convex(scaling.H)):
            return Status.NONCONVEX
        if kept is None:
            self._last, self._in_vain = None, 0
        self.counts.rescaled += scaling is not kept
        if before is not None:
            self.counts.moved += 1
            if scaling is not kept:
                self._primary.forget()
        self._stale, self._verdict = True, None
        given = qp.H, qp.A, qp.C
        self._known = _Known(given, (qp.H.copy(), qp.A.copy(), qp.C.copy()), scaling, magnitudes(scaling.scaled(qp)))
        return self._known

    def _solve(self, qp: QP, sizes: Magnitudes) -> QPSolution:
        found = self._by_last(qp, sizes)
        if found is None and not (np.isfinite(qp.g).all() and np.isfinite(qp.b).all()):
            self.counts.failed += 1
            return failed(qp, Status.SOLVER_FAILED)
        found = found or self._by_backend(qp, sizes)
        if found is not None:
            return found
        # a linear program tells an infeasible program from a failing solver before slower solvers try their luck
        if self._violated(qp):
            self.counts.failed += 1
            return failed(qp, Status.PRIMAL_INFEASIBLE)
        found = self._by_fallback(qp, sizes)
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

    def _by_last(self, qp: QP, sizes: Magnitudes) -> QPSolution | None:
        """By the active rows of last time, factorised anew where the matrices have moved.

        Where that was in vain several times in a row, factors are worth their price now and then only.
        """
        if self._last is None:
            return None
        refactored = self._stale
        if refactored:
            self._in_vain += 1
            if self._in_vain > _PATIENCE and self._in_vain % _NOW_AND_THEN:
                return None
            self._last, self._stale = with_rows(qp, self._last.at_lower, self._last.at_upper), False
        solution = self._last.solve(qp)
        if not self._holds(qp, solution, sizes):
            return None
        self.counts.refactored += refactored
        self.counts.unchanged += not refactored
        self._in_vain = 0 if refactored else self._in_vain
        self._answered = self._last
        return solution

    def _by_backend(self, qp: QP, sizes: Magnitudes) -> QPSolution | None:
        was_warm = self._primary.warm
        solution = self._polished(qp, self._primary.solve(qp), sizes)
        if solution is not None:
            self.counts.solved += 1
            return solution
        self._primary.forget()
        if was_warm:
            solution = self._polished(qp, self._primary.solve(qp), sizes)
            if solution is not None:
                self.counts.rebuilt += 1
                return solution
            self._primary.forget()
        return None

    def _by_fallback(self, qp: QP, sizes: Magnitudes) -> QPSolution | None:
        for name in _FALLBACKS:
            if name != self.backend and (name != "proxqp" or proxqp.AVAILABLE):
                solution = self._polished(qp, _backend(name).solve(qp), sizes)
                if solution is not None:
                    self.counts.fallback += 1
                    return solution
        return None

    def _polished(self, qp: QP, raw: QPSolution, sizes: Magnitudes) -> QPSolution | None:
        """The polished or else the raw point, if it passes; the status that the solver claims is not asked.

        Where a solver stops a little early, rows may look active that are not, or the other way round. So an answer
        that is nearly right is mended: rows that the polished point violates are taken up, rows with a multiplier of
        the wrong sign let go (a primal-dual active set method).
        """
        if not (np.isfinite(raw.x).all() and np.isfinite(raw.equality_dual).all()):
            return None
        point, off = raw, 0.0
        for attempt in range(_ATTEMPTS):
            candidate = active_set(qp, point)
            point = candidate.solve(qp, None if attempt else raw)
            if self._holds(qp, point, sizes):
                return self._kept(qp, candidate, point, raw)
            off = off if attempt else kkt_residuals(qp, raw, sizes).worst
            if off > _NEARLY or not np.isfinite(point.x).all():
                break
        else:
            found = self._reconciled(qp, candidate, point, sizes)
            if found is not None:
                return self._kept(qp, *found, raw)
        return replace(raw, status=Status.OPTIMAL) if off <= self.tolerance else None

    def _kept(self, qp: QP, rows: ActiveSet, point: QPSolution, raw: QPSolution) -> QPSolution:
        self._last, self._answered, self._stale = rows, rows, False
        return replace(point, iterations=raw.iterations)

    def _reconciled(
        self, qp: QP, rows: ActiveSet, point: QPSolution, sizes: Magnitudes
    ) -> tuple[ActiveSet, QPSolution] | None:
        """A point with fewer active rows, where those at hand contradict each other; None where there is none.

        A state that nothing can move any more may lie next to its soft bound, nearer than a solver sees. Then the bound
        and its slack both look active, and cannot both be met. Of the rows that are not met, one after the other is let
        go for which most is gained.
        """
        worst = kkt_residuals(qp, point, sizes).worst
        while True:
            best = None
            for fewer in _without_one(qp, rows, point):
                tried = fewer.solve(qp)
                off = kkt_residuals(qp, tried, sizes).worst
                if off < worst:
                    best, worst = (fewer, tried), off
            if best is None:
                return None
            rows, point = best
            if worst <= self.tolerance:
                return best

    def _holds(self, qp: QP, solution: QPSolution, sizes: Magnitudes) -> bool:
        return kkt_residuals(qp, solution, sizes).worst <= self.tolerance


def _without_one(qp: QP, rows: ActiveSet, point: QPSolution) -> Iterator[ActiveSet]:
    """The active rows without one of those that the point does not meet, for the few that it misses most."""
    values, low = qp.C @ point.x, len(rows.at_lower)
    missed = np.abs(values[rows.at_lower] - qp.lower[rows.at_lower])
    missed = np.concatenate([missed, np.abs(values[rows.at_upper] - qp.upper[rows.at_upper])])
    for k in np.argsort(-missed)[:_CONFLICTING]:
        if missed[k] > 0.0:
            at_lower = np.delete(rows.at_lower, k) if k < low else rows.at_lower
            yield with_rows(qp, at_lower, np.delete(rows.at_upper, k - low) if k >= low else rows.at_upper)


def require_installed(name: str) -> None:
    """Raise SolverError where the backend is not here."""
    _backend(name)


def _backend(name: str) -> "proxqp.ProxQP | Backend":
    return proxqp.ProxQP() if name == "proxqp" else Backend(name)
