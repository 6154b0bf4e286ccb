"""Whether a quadratic cost is convex: solvers that assume it return saddle points and call them optimal."""

import numpy as np
from scipy import sparse
from scipy.linalg import lapack
from scipy.sparse.linalg import splu

from dmpcrl_ctrl.arrays import Matrix

# a negative eigenvalue, or a diagonal entry, that is smaller may be rounding
_FLAT, _SMALL = 1e-8, 1e-6


def convex(H: Matrix) -> bool:
    """Whether a symmetric H is positive semidefinite up to rounding: H + 1e-8 I has a Cholesky factorisation.

    H is taken in units in which its diagonal is one, but for entries below 1e-6 of the largest: those may be rounding.
    """
    diagonal = np.abs(H.diagonal())
    largest = float(abs(H).max()) if H.size else 0.0
    if largest == 0.0:
        return True
    d = 1.0 / np.sqrt(np.maximum(diagonal, _SMALL * largest))
    if isinstance(H, np.ndarray):
        shifted = d[:, None] * H * d
        shifted[np.diag_indices(len(d))] += _FLAT
        return bool(lapack.dpotrf(shifted, overwrite_a=True)[1] == 0)
    shifted = sparse.csc_matrix(sparse.diags_array(d) @ H @ sparse.diags_array(d) + _FLAT * sparse.eye_array(len(d)))
    try:
        # without a choice of pivots the diagonal of U has the signs of a Cholesky factorisation
        factors = splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:
        return False
    return bool((factors.perm_r == factors.perm_c).all() and (factors.U.diagonal() > 0.0).all())
