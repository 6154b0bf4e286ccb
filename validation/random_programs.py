"""Random convex quadratic programs that are built around a solution, so that it is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.status import Status

REGULAR = ("inactive", "lower", "upper", "one_sided")
DEGENERATE_ROWS = ("weak", "pinned", "repeated", "free")


@dataclass(frozen=True, eq=False)
class SolvedQP:
    """A convex quadratic program with a solution that it was built around.

    Attributes
    ----------
    qp
        The program.
    solution
        A primal-dual solution. Its optimal value is the only one; the point and the multipliers are where told.
    strictly_convex
        Whether H is positive definite, so that x is the only minimiser.
    """

    qp: QP
    solution: QPSolution
    strictly_convex: bool


def random_program(
    variables: int, rank: int, equalities: int, rows: Sequence[str], is_sparse: bool, seed: int
) -> SolvedQP:
    """A program with its solution.

    Parameters
    ----------
    variables, rank, equalities
        Their number, the rank of H, the number of equalities (fewer than variables).
    rows
        What each inequality is at the solution, of :data:`REGULAR` and :data:`DEGENERATE_ROWS`; where the rank is not
        full, an equality may be repeated as well.
    is_sparse
        Whether the matrices are.
    seed
        Of the numbers.
    """
    rng = np.random.default_rng(seed)
    x, dual = rng.normal(size=variables), rng.normal(size=equalities)
    root = rng.normal(size=(variables, rank))
    H = root @ root.T + (0.1 * np.eye(variables) if rank == variables else 0.0)
    A = rng.normal(size=(equalities, variables))
    if rank < variables and equalities > 1 and rng.random() < 0.3:
        A[-1] = A[0]
    C, lower, upper, low, high = _rows(rows, x, rng)
    # stationarity: H x + g + A'lambda + C'(mu_u - mu_l) = 0
    g = -(H @ x + A.T @ dual + C.T @ (high - low))
    shape = sparse.csc_array if is_sparse else np.asarray
    qp = QP(shape(H), g, shape(A), A @ x, shape(C), lower, upper, float(rng.normal()))
    return SolvedQP(qp, QPSolution(x, dual, low, high, Status.OPTIMAL), rank == variables)


def _rows(kinds: Sequence[str], x: Array, rng: np.random.Generator) -> tuple[Array, Array, Array, Array, Array]:
    """C, lower, upper and the multipliers mu_l, mu_u of rows of these kinds at the point x."""
    c = len(kinds)
    C = rng.normal(size=(c, len(x)))
    for r, kind in enumerate(kinds):
        if kind == "repeated" and r:
            C[r] = C[r - 1]
    at = C @ x
    lower, upper = at - rng.uniform(0.1, 2.0, c), at + rng.uniform(0.1, 2.0, c)
    low, high = np.zeros(c), np.zeros(c)
    for r, kind in enumerate(kinds):
        multiplier = rng.uniform(0.1, 3.0)
        if kind in ("lower", "pinned", "weak"):
            lower[r] = at[r]
        if kind in ("upper", "pinned", "repeated"):
            upper[r] = at[r]
        if kind == "lower":
            low[r] = multiplier
        elif kind in ("upper", "repeated") or (kind == "pinned" and multiplier > 1.0):
            high[r] = multiplier
        elif kind == "one_sided":
            upper[r] = np.inf
        elif kind == "free":
            lower[r], upper[r] = -np.inf, np.inf
    return C, lower, upper, low, high
