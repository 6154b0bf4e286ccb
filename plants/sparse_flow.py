"""The state of a large sparse system some seconds later, without any matrix that is dense.

The exponential of a network's matrix has no zeros left: 1,000 power areas would need matrices of 300 MB and a minute
for each duration. The state alone is the sum of a series in products with the sparse matrix (Al-Mohy and Higham, SIAM
J. Sci. Comput. 33(2), 2011),

    exp(G h) z = z + h G z + h^2/2 G^2 z + ...,     h = T / s,     z = (x, u0, u1)

where s keeps the terms small, and the series ends where they are below rounding. scipy's `expm_multiply` is the same,
but estimates the size of powers of G at random, so that equal runs would not be equal to the last bit.
"""

import numpy as np
from scipy import sparse

from dmpcrl_ctrl.arrays import Array

# From so many states and inputs on, for at most such a share of entries that are not zero, in at most so many parts.
_LARGE, _SPARSE, _PARTS = 1000, 0.02, 2000
# s is such that powers of G h grow no faster than those of this number; a series takes some 40 terms, this many at most
_STEP, _TERMS = 4.0, 200
_POWER = 4
_ROUNDING = np.finfo(float).eps / 4.0


def worthwhile(A: Array, B: Array) -> bool:
    """Whether dx/dt = A x + B u is large, and sparse enough."""
    size = sum(B.shape)
    return bool(size >= _LARGE and np.count_nonzero(A) + np.count_nonzero(B) <= _SPARSE * size**2)


class SparseFlow:
    """dx/dt = A x + B u for inputs that are held, or that go on along a slope.

    Parameters
    ----------
    A, B
        (n, n) per second, (n, m) per second.
    """

    def __init__(self, A: Array, B: Array) -> None:
        n, m = B.shape
        self._n = n
        across = sparse.block_array([[sparse.csr_array(A), sparse.csr_array(B)], [sparse.csr_array((m, n)), None]])
        ramp = sparse.block_array([[sparse.csr_array((n, m))], [sparse.eye_array(m)]])
        rows = sparse.hstack([across, ramp]) if m else across
        self._G = sparse.csr_array(sparse.vstack([rows, sparse.csr_array((m, n + 2 * m))]))
        self._rate = _growth(self._G)

    def fits(self, duration: float) -> bool:
        """Whether so many seconds need a bearable number of parts; a stiff system over a long time does not."""
        return self._rate * duration <= _STEP * _PARTS

    def advance(self, x: Array, duration: float, u: Array, slope: Array) -> Array:
        """State after `duration` seconds.

        Parameters
        ----------
        x, u, slope
            (n,), (m,), (m,): state, and inputs u + slope t.
        duration
            Seconds, for which :meth:`fits` holds.

        Returns
        -------
        ndarray
            (n,): to rounding.
        """
        z = np.concatenate([x, u, slope])
        parts = max(1, int(np.ceil(self._rate * duration / _STEP)))
        h = duration / parts
        for _ in range(parts):
            z = self._series(z, h)
        return z[: self._n]

    def _series(self, z: Array, h: float) -> Array:
        total, term, before = z, z, np.inf
        for k in range(1, _TERMS):
            term = (h / k) * (self._G @ term)
            total = total + term
            size = float(np.abs(term).max(initial=0.0))
            # two in a row: every other term of an oscillation may vanish
            if size + before <= _ROUNDING * float(np.abs(total).max(initial=0.0)):
                break
            before = size
        return total


def _growth(G: sparse.csr_array) -> float:
    """How fast powers of G grow, per factor, by two of them; below the norm where G is far from normal."""
    power = G
    for _ in range(_POWER - 1):
        power = power @ G
    norms = (float(abs(M).sum(axis=0).max()) for M in (power, power @ G))
    return max(norm ** (1.0 / degree) for norm, degree in zip(norms, (_POWER, _POWER + 1), strict=True))
