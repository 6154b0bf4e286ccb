"""Has a program no solution, or has the solver failed? Two linear programs tell: HiGHS is apart from the others."""

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from dmpcrl_ctrl.qp import QP

_SOLVED, _INFEASIBLE = 0, 2  # statuses of scipy.optimize.linprog
_MOST_PIVOTS = 100_000


def least_violation(qp: QP) -> float:
    """The smallest t such that A x = b, lower - t s <= C x <= upper + t s has a solution, s the largest bound or b.

    Infinite if A x = b has no solution at all; NaN where HiGHS does not know.
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
        options={"maxiter": _MOST_PIVOTS},
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
        options={"maxiter": _MOST_PIVOTS},
    )
    return bool(answer.status == _SOLVED)
