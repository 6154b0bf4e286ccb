"""ProxQP: the only import of proxsuite. Warm-started, capped, and rebuilt from cold where a warm start went astray.

ProxSuite has no wheel for Windows; :data:`AVAILABLE` says whether it is here.
"""

import importlib.util
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array, Matrix
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.status import Status

AVAILABLE = importlib.util.find_spec("proxsuite") is not None
_INFINITE = 1e20
_MAX_ITERATIONS, _MAX_INNER = 60, 20


class ProxQP:
    """Solves programs one after the other; each solve starts from the solution of the one before.

    A warm start after a large change can make the residuals grow for good, so iterations are capped, and whoever calls
    must check the residuals and call :meth:`forget` before trying again. Matrices are passed on again where they are
    other objects than last time; a program of another size starts cold.

    Parameters
    ----------
    tolerance
        Absolute tolerance on the residuals; loose, as the active rows give the digits that are missing.
    """

    name = "proxqp"

    def __init__(self, tolerance: float = 1e-8) -> None:
        if not AVAILABLE:
            raise SolverError('proxsuite is not installed: pip install proxsuite, or choose solver="piqp" or "daqp"')
        self.tolerance = tolerance
        self._workspace: Any = None
        self._known: QP | None = None

    @property
    def warm(self) -> bool:
        """Whether the next solve starts from an earlier solution, if the size of the program stays."""
        return self._workspace is not None

    def forget(self) -> None:
        """Drop the workspace: the next solve is cold."""
        self._workspace = self._known = None

    def __getstate__(self) -> dict[str, Any]:
        # a copied workspace crashes the process: copies start cold
        return {**self.__dict__, "_workspace": None, "_known": None}

    def solve(self, qp: QP) -> QPSolution:
        """Solve one program; matrices that were seen before must not have been changed in place."""
        from proxsuite import proxqp

        known = self._known
        lower, upper = np.maximum(qp.lower, -_INFINITE), np.minimum(qp.upper, _INFINITE)
        if known is None or (known.A.shape, known.C.shape) != (qp.A.shape, qp.C.shape):
            solver = proxqp.dense.QP(len(qp.g), len(qp.b), len(qp.lower))
            settings = solver.settings
            settings.eps_abs, settings.eps_rel = self.tolerance, 0.0
            settings.max_iter, settings.max_iter_in = _MAX_ITERATIONS, _MAX_INNER
            settings.initial_guess = proxqp.InitialGuess.NO_INITIAL_GUESS
            dense = qp.dense()
            solver.init(dense.H, qp.g, dense.A, qp.b, dense.C, lower, upper)
            solver.solve()
            # only after a first solve: setting it before and updating crashes the process
            settings.initial_guess = proxqp.InitialGuess.WARM_START_WITH_PREVIOUS_RESULT
            self._workspace = solver
        else:
            solver = self._workspace
            changed = {name: M for name, M in _matrices(qp).items() if M is not getattr(known, name) and M.shape[0]}
            if changed:
                dense = qp.dense()
                solver.update(**{name: getattr(dense, name) for name in changed})
            solver.update(g=qp.g, b=qp.b, l=lower, u=upper)
            solver.solve()
        self._known = qp
        return _read(solver, proxqp.QPSolverOutput)


def _matrices(qp: QP) -> dict[str, Matrix]:
    return {"H": qp.H, "A": qp.A, "C": qp.C}


def _read(solver: Any, outputs: Any) -> QPSolution:
    result = solver.results
    solved = result.info.status == outputs.PROXQP_SOLVED
    # proxsuite's z is negative at a lower bound and positive at an upper one
    multiplier: Array = np.array(result.z)
    return QPSolution(
        np.array(result.x),
        np.array(result.y),
        np.maximum(-multiplier, 0.0),
        np.maximum(multiplier, 0.0),
        Status.OPTIMAL if solved else Status.SOLVER_FAILED,
        int(result.info.iter),
    )
