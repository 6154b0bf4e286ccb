"""Exact discretisation of linear systems under held and ramping inputs, by one exponential of an augmented matrix.

The inverse of A is never formed (a power network's A is singular: all its angles shift together), and no series is
cut off. For u(t) = u0 + u1 t over a sample of T seconds, Van Loan's augmentation gives (IEEE TAC 23(3), 1978)

    exp( [[A, B, 0], [0, 0, I], [0, 0, 0]] T ) = [[Ad, B0, B1], [0, I, T I], [0, 0, I]]
    x(T) = Ad x(0) + B0 u0 + B1 u1
"""

import math

import numpy as np
from scipy.linalg import expm, expm_frechet

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


def zoh_adjoint(A: Array, B: Array, duration: float, Ad_bar: Array, Bd_bar: Array) -> tuple[Array, Array]:
    """Derivative by A and B of a value whose derivative by (Ad, Bd) = zoh(A, B, T) is (Ad_bar, Bd_bar).

    With L(X, D) the derivative of exp at X in the direction D, and <.,.> the sum over products of entries,
    <G, L(X, D)> = <L(X', G), D>: one Frechet derivative (Al-Mohy and Higham, SIAM J. Matrix Anal. Appl. 30(4), 2009)
    gives the derivative by all entries.

    Parameters
    ----------
    A, B, duration
        As for :func:`zoh`.
    Ad_bar, Bd_bar
        (n, n), (n, m).

    Returns
    -------
    A_bar, B_bar
        (n, n), (n, m).

    Raises
    ------
    PlantError
        As :func:`zoh`.
    """
    n, m = B.shape
    nothing = np.zeros((m, n + m))
    X, G = np.vstack([np.hstack([A, B]), nothing]), np.vstack([np.hstack([Ad_bar, Bd_bar]), nothing])
    _require_duration(duration)
    with np.errstate(all="ignore"):
        X_bar = duration * np.asarray(expm_frechet(duration * X.T, G, compute_expm=False))
    _require_finite(X_bar, A, duration)
    return X_bar[:n, :n], X_bar[:n, n:]


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
    _require_duration(duration)
    with np.errstate(all="ignore"):
        phi = np.asarray(expm(generator * duration), dtype=np.float64)
    _require_finite(phi, A, duration)
    return phi


def _require_duration(duration: float) -> None:
    if not (math.isfinite(duration) and duration > 0.0):
        raise PlantError(f"a sample must last a positive, finite number of seconds, got {duration}")


def _require_finite(phi: Array, A: Array, duration: float) -> None:
    if not np.isfinite(phi).all():
        poles = np.linalg.eigvals(A)
        pole = complex(poles[np.argmax(poles.real)])
        shown = f"{pole.real:g}" if pole.imag == 0.0 else f"{pole:g}"
        raise PlantError(f"the pole {shown} 1/s grows beyond all floats over T = {duration:g} s; shorten the sample")
