"""The state of a large sparse system some seconds later, without any matrix that is dense.

The exponential of a network's matrix has no zeros left: 1,000 power areas would need matrices of 300 MB and a minute
for each duration. The state alone is the sum of a series in products with the sparse matrix (Al-Mohy and Higham, SIAM
J. Sci. Comput. 33(2), 2011). For dx/dt = A x + f + g t, part by part of h = T / s seconds,

    x(h) = x + t_1 + t_2 + ...,   t_1 = h (A x + f),   t_2 = h/2 (A t_1 + h g),   t_k = h/k A t_(k-1)

where s keeps the terms small. There are always as many terms: where a series may stop depends on the units that its
states are in. scipy's `expm_multiply` is the same, but estimates the size of powers of A at random, so that equal runs
would not be equal to the last bit.
"""

import numpy as np
from scipy import sparse

from dmpcrl_ctrl.arrays import Array

# From so many states and inputs on, where the dense way takes seconds; for at most such a share of entries that are not
# zero; in so many parts at most, beyond which a product with the dense exponential is the quicker one.
_LARGE, _SPARSE, _PARTS = 3000, 0.02, 50
# s is such that powers of A h grow no faster than those of this number: 4^60 / 60! = 1e-46
_STEP, _TERMS = 4.0, 60
_POWER = 4


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
        self._A, self._B = sparse.csr_array(A), sparse.csr_array(B)
        self._rate = _growth(self._A)

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
        parts = max(1, int(np.ceil(self._rate * duration / _STEP)))
        h = duration / parts
        force, ramp = self._B @ u, h * (self._B @ slope)
        for k in range(parts):
            x = self._series(x, force + k * ramp, ramp, h)
        return x

    def _series(self, x: Array, force: Array, ramp: Array, h: float) -> Array:
        """State after h seconds, in which the force grows by `ramp`."""
        term = h * (self._A @ x + force)
        total = x + term
        for k in range(2, _TERMS):
            term = (h / k) * (self._A @ term + (ramp if k == 2 else 0.0))
            total = total + term
        return total


def _growth(A: sparse.csr_array) -> float:
    """How fast powers of A grow, per factor, by two of them; below the norm where A is far from normal."""
    power = A
    for _ in range(_POWER - 1):
        power = power @ A
    norms = (float(abs(M).sum(axis=0).max()) for M in (power, power @ A))
    return max(norm ** (1.0 / degree) for norm, degree in zip(norms, (_POWER, _POWER + 1), strict=True))
