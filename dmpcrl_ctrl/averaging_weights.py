"""Weights for averaging over a graph: their definitions, what is asked of them, and the ends of their spectra.

Every matrix P here is symmetric with P 1 = 1; with d_i the degree of agent i, D the diagonal of degrees, L = D - Adj.
Their rates on path, ring, star and complete graphs have closed forms, which the tests hold.
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh

from dmpcrl_ctrl.arrays import Array, Matrix, dense
from dmpcrl_ctrl.errors import AveragingError

# Up to this many agents dense products and dense eigenvalues are the faster ones.
DENSE = 400
_SHIFT = 1e-9
_EXACT = 1e-10


def laplacian(adjacency: sparse.csc_array) -> sparse.csc_array:
    """P = I - L/(2 d_max); no eigenvalue is negative."""
    return _minus_laplacian(adjacency, 0.5 / max(float(_degrees(adjacency).max()), 1.0))


def metropolis(adjacency: sparse.csc_array) -> sparse.csc_array:
    """P_ij = 1/(1 + max(d_i, d_j)) on links; P_ii takes what is left of 1."""
    degree, links = _degrees(adjacency), adjacency.tocoo()
    i, j = links.coords
    P = sparse.csc_array((1.0 / (1.0 + np.maximum(degree[i], degree[j])), (i, j)), shape=adjacency.shape)
    return sparse.csc_array(P + sparse.diags_array(1.0 - P.sum(axis=1)))


def best_constant(adjacency: sparse.csc_array) -> sparse.csc_array:
    """P = I - 2/(l_2 + l_n) L with the least nonzero and the largest eigenvalue of L: the fastest of all I - a L."""
    if adjacency.shape[0] == 1:
        return laplacian(adjacency)
    # the ends of the spectrum of I - L are 1 - l_2 and 1 - l_n
    high, low = spectrum_ends(compact(_minus_laplacian(adjacency, 1.0)))
    return _minus_laplacian(adjacency, 2.0 / ((1.0 - high) + (1.0 - low)))


WEIGHTS: dict[str, Callable[[sparse.csc_array], sparse.csc_array]] = {
    "laplacian": laplacian,
    "metropolis": metropolis,
    "best_constant": best_constant,
}


def compact(P: Matrix) -> Matrix:
    """A copy of P: dense for few agents, sparse for many."""
    if P.shape[0] > DENSE:
        return sparse.csc_array(P)
    return np.array(dense(P))


def spectrum_ends(P: Matrix) -> tuple[float, float]:
    """Largest and least eigenvalue of P (M, M), M >= 2, symmetric with P 1 = 1, apart from that eigenvalue 1."""
    size = P.shape[0]
    if isinstance(P, np.ndarray):
        values = np.linalg.eigvalsh(P - 1.0 / size)
        # the vector of ones has become an eigenvector of 0
        values = np.delete(values, np.argmin(np.abs(values)))
        return float(values[-1]), float(values[0])
    # Eigenvalues crowd together at the ends: Lanczos is inverted about a point just outside Gershgorin's bounds.
    diagonal = P.diagonal()
    radius = np.asarray(abs(P).sum(axis=1), dtype=float) - np.abs(diagonal)
    above, below = float((diagonal + radius).max()) + _SHIFT, float((diagonal - radius).min()) - _SHIFT
    start = np.random.default_rng(0).normal(size=(size,))  # a start of ARPACK's own would be drawn anew at each call
    inner = sparse.csc_matrix(P)
    top = eigsh(inner, k=2, sigma=above, v0=start, return_eigenvectors=False)
    bottom = eigsh(inner, k=1, sigma=below, v0=start, return_eigenvectors=False)
    return float(np.delete(top, np.argmin(np.abs(top - 1.0)))[0]), float(bottom[0])


def doubly_stochastic(matrix: Matrix) -> Matrix:
    """A copy of P (M, M), dense for few agents and sparse for many; AveragingError unless symmetric with P 1 = 1."""
    P: Matrix = sparse.csc_array(matrix) if sparse.issparse(matrix) else np.asarray(matrix, dtype=np.float64)
    if P.ndim != 2 or P.shape[0] != P.shape[1] or not P.shape[0]:
        raise AveragingError(f"an averaging matrix has one row and one column an agent, got shape {P.shape}")
    P = compact(P)
    rows, columns = (np.asarray(P.sum(axis=axis), dtype=float) for axis in (1, 0))
    if not max(np.abs(rows - 1.0).max(), np.abs(columns - 1.0).max()) <= _EXACT:
        raise AveragingError(
            f"the averaging matrix is not doubly stochastic: row sums {_range(rows)}, column sums {_range(columns)}, "
            f"expected 1 everywhere{_second_modulus(P)}"
        )
    skew = np.abs(sparse.csc_array(P - P.T).data).max(initial=0.0)
    if skew > _EXACT:
        raise AveragingError(f"the averaging matrix must be symmetric, it differs from its transpose by {skew:.3g}")
    return P


def _range(sums: Array) -> str:
    return f"{sums.min():.6g} to {sums.max():.6g}"


def _second_modulus(P: Matrix) -> str:
    if not isinstance(P, np.ndarray) or not 1 < len(P) <= DENSE or not np.isfinite(P).all():
        return ""
    return f" (SLEM {np.sort(np.abs(np.linalg.eigvals(P)))[-2]:.6g})"


def _degrees(adjacency: sparse.csc_array) -> Array:
    return np.asarray(adjacency.sum(axis=1), dtype=float)


def _minus_laplacian(adjacency: sparse.csc_array, factor: float) -> sparse.csc_array:
    """I - factor (D - Adj)."""
    return sparse.csc_array(sparse.diags_array(1.0 - factor * _degrees(adjacency)) + factor * adjacency)
