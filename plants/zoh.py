"""Exact discretisation of linear systems under held and ramping inputs, by one exponential of an augmented matrix.

The inverse of A is never formed (a power network's A is singular: all its angles shift together), and no series is
cut off. For u(t) = u0 + u1 t over a sample of T seconds, Van Loan's augmentation gives (IEEE TAC 23(3), 1978)

    exp( [[A, B, 0], [0, 0, I], [0, 0, 0]] T ) = [[Ad, B0, B1], [0, I, T I], [0, 0, I]]
    x(T) = Ad x(0) + B0 u0 + B1 u1
"""

import math

import numpy as np
from scipy.linalg import expm

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError


def zoh(A: Array, B: Array, duration: float) -> tuple[Array, Array]:
    """Discretise dx/dt = A x + B u for u held over `duration` seconds.

    Parameters
    ----------
    A, B
        (n, n) per second, (n, m) per second.
    duration
        T > 0, in seconds.

    Returns
    -------
    Ad, Bd
        (n, n), (n, m): x(T) = Ad x(0) + Bd u.

    Raises
    ------
    PlantError
        A duration that is not positive, or growth beyond what a float holds; names the fastest pole.
    """
    n, m = B.shape
    phi = _exponential(np.vstack([np.hstack([A, B]), np.zeros((m, n + m))]), A, duration)
    return phi[:n, :n], phi[:n, n:]


def foh_ramp(A: Array, B: Array, duration: float) -> tuple[Array, Array, Array]:
    """Discretise dx/dt = A x + B u for u(t) = u0 + slope t over `duration` seconds.

    Parameters
    ----------
    A, B
        (n, n) per second, (n, m) per second.
    duration
        T > 0, in seconds.

    Returns
    -------
    Ad, B0, B1
        (n, n), (n, m), (n, m): x(T) = Ad x(0) + B0 u0 + B1 slope, with the slope in units of u per second.

    Raises
    ------
    PlantError
        As :func:`zoh`.
    """
    n, m = B.shape
    generator = np.zeros((n + 2 * m, n + 2 * m))
    generator[:n, :n], generator[:n, n : n + m] = A, B
    generator[n : n + m, n + m :] = np.eye(m)
    phi = _exponential(generator, A, duration)
    return phi[:n, :n], phi[:n, n : n + m], phi[:n, n + m :]


def _exponential(generator: Array, A: Array, duration: float) -> Array:
    if not (math.isfinite(duration) and duration > 0.0):
        raise PlantError(f"a sample must last a positive, finite number of seconds, got {duration}")
    with np.errstate(all="ignore"):
        phi = np.asarray(expm(generator * duration), dtype=np.float64)
    if not np.isfinite(phi).all():
        poles = np.linalg.eigvals(A)
        pole = complex(poles[np.argmax(poles.real)])
        shown = f"{pole.real:g}" if pole.imag == 0.0 else f"{pole:g}"
        raise PlantError(f"the pole {shown} 1/s grows beyond all floats over T = {duration:g} s; shorten the sample")
    return phi
