"""Faster averaging: polynomials of the averaging matrix P that leave less than its power after as many rounds.

Agents that remember their last two beliefs can run any v(t+1) = h P v(t) + o v(t) + b v(t-1) with h + o + b = 1, one
message a link and round as before. With symmetric P, the share of the disagreement that is left is the largest modulus
of the polynomial on the eigenvalues of P apart from the one of the vector of ones, so it is known beforehand.

- "none": P^T.
- "chebyshev": the smallest polynomial on [-mu, mu], mu the SLEM of P; a network of any size. The weights
  "best_constant", whose spectrum reaches both ends of that interval, get most out of it.
- "finite_time": a zero at every eigenvalue, hence exact after as many rounds as P has distinct ones, or somewhat more
  where rounding asks for it. Earlier than that it may leave *more* than there was, by orders of magnitude.
"""

import itertools
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from dmpcrl_ctrl.arrays import Array, Matrix
from dmpcrl_ctrl.averaging_weights import DENSE
from dmpcrl_ctrl.errors import AveragingError

_EPS = float(np.finfo(np.float64).eps)
_PASSES = 3
_MOST_ROUNDS = 2**62


class Mix(NamedTuple):
    """One round, v(t+1) = heard P v(t) + own v(t) + before v(t-1); the three sum to 1, which keeps the sum of v."""

    heard: float
    own: float = 0.0
    before: float = 0.0


class Acceleration(Protocol):
    """How the rounds are mixed, and what they leave."""

    def mixes(self) -> Iterator[Mix]:
        """The rounds, without end; the first one has nothing before."""
        ...

    def error(self, rounds: int) -> float:
        """Share of the initial distance to the mean that may be left after `rounds` rounds."""
        ...

    def rounds_for(self, tolerance: float) -> int | None:
        """The least number of rounds that leaves at most `tolerance` > 0; None where rounding forbids it."""
        ...


@dataclass(frozen=True)
class Plain:
    """P^T, which leaves slem^T."""

    slem: float

    def mixes(self) -> Iterator[Mix]:
        """P, again and again."""
        return itertools.repeat(Mix(1.0))

    def error(self, rounds: int) -> float:
        """slem^rounds."""
        return float(self.slem**rounds)

    def rounds_for(self, tolerance: float) -> int | None:
        """The least number of rounds that leaves at most `tolerance`."""
        return _least(self.error, tolerance)


@dataclass(frozen=True)
class Chebyshev:
    """T_k(P/mu) / T_k(1/mu) with T_k the Chebyshev polynomial of degree k and mu = slem."""

    slem: float

    def mixes(self) -> Iterator[Mix]:
        """v(1) = P v(0), then v(k+1) = omega P v(k) + (1 - omega) v(k-1)."""
        yield Mix(1.0)
        # omega(k) = 2 T_k(1/mu) / (mu T_k+1(1/mu)), as a recursion that holds for mu = 0 as well
        omega = 2.0
        while True:
            omega = 1.0 / (1.0 - 0.25 * self.slem**2 * omega)
            yield Mix(omega, before=1.0 - omega)

    def error(self, rounds: int) -> float:
        """1 / T_k(1/mu) = 2 s^k / (1 + s^2k), s = (1 - sqrt(1 - mu^2)) / mu."""
        s = self.slem / (1.0 + np.sqrt(1.0 - self.slem**2))
        return float(2.0 * s**rounds / (1.0 + s ** (2 * rounds)))

    def rounds_for(self, tolerance: float) -> int | None:
        """The least number of rounds that leaves at most `tolerance`."""
        return _least(self.error, tolerance)


@dataclass(frozen=True, eq=False)
class FiniteTime:
    """The product of (I - (I - P)/root): each round takes out the part of the disagreement whose gap is its root.

    Parameters
    ----------
    gaps
        (M,) eigenvalues of I - P in any order; one is 0, for the mean, the others are positive.
    roots
        (R,) gaps in the order in which they are taken out; after that come rounds of P.

    Attributes
    ----------
    errors
        (R + 1,) share of the disagreement that may be left after each round, how rounding grows included.
    """

    gaps: Array
    roots: Array
    errors: Array = field(init=False)

    def __post_init__(self) -> None:
        left = untouched(self.gaps)
        errors = [left.max()]
        for root in self.roots:
            left = taken_out(left, self.gaps, root)
            errors.append(left.max())
        object.__setattr__(self, "errors", np.array(errors))

    def mixes(self) -> Iterator[Mix]:
        """Rounds v - (v - P v)/root, one for each root, then P."""
        return itertools.chain((Mix(1.0 / root, 1.0 - 1.0 / root) for root in self.roots), itertools.repeat(Mix(1.0)))

    def error(self, rounds: int) -> float:
        """The largest modulus of the partial product on the spectrum, and rounding; at its last value from then on."""
        return float(self.errors[min(rounds, len(self.roots))])

    def rounds_for(self, tolerance: float) -> int | None:
        """The least number of rounds that leaves at most `tolerance`; None below what rounding leaves."""
        enough = np.flatnonzero(self.errors <= tolerance)
        return int(enough[0]) if len(enough) else None


def untouched(gaps: Array) -> Array:
    """(M,) share of each eigenvector that is left before the first round; of the mean, the error is counted."""
    return np.where(gaps == 0.0, 0.0, 1.0)


def taken_out(left: Array, gaps: Array, root: float) -> Array:
    """(M,) what is left of each eigenvector after a round with this root, and at most, what rounding brought in.

    The values are taken to be as large as their distance to the mean; a mean far above it brings in more.
    """
    # P v and v are weighed by 1/root and 1 - 1/root, each with the rounding of the largest part
    rounding = _EPS * (1.0 + 1.0 / root) * max(float(left.max()), 1.0)
    return np.asarray(np.abs(1.0 - gaps / root) * left + rounding)


def elimination_order(gaps: Array) -> Array:
    """(R,) roots in the order in which they leave least.

    Always the gap of which most is left, the largest one first. In exact arithmetic this is the Leja order of the
    distinct gaps. It differs where the rounding in a part that was taken out has grown to be the worst: that part is
    then taken out again, which networks with hubs need (some 10 to 30 % more rounds on trees of 100 agents; each gap
    once in Leja order leaves 1e40 there). Paths, rings, stars and complete graphs need each gap once.
    """
    gaps = np.sort(gaps)[::-1]
    left = untouched(gaps)
    roots, errors = [], [left.max()]
    for _ in range(_PASSES * (len(gaps) - 1)):
        roots.append(gaps[:-1][np.argmax(left[:-1])])
        left = taken_out(left, gaps, roots[-1])
        errors.append(left.max())
    return np.array(roots[: int(np.argmin(errors))])


def finite_time(P: Matrix) -> FiniteTime:
    """Finite-time averaging by the spectrum of P (M, M).

    Raises
    ------
    AveragingError
        More agents than a dense decomposition is taken of.
    """
    if not isinstance(P, np.ndarray):
        raise AveragingError(
            f"finite_time needs every eigenvalue of the network, which is computed for at most {DENSE} agents, got "
            f'{P.shape[0]}: choose acceleration="chebyshev"'
        )
    gaps = np.asarray(np.linalg.eigvalsh(np.eye(len(P)) - P), dtype=np.float64)
    gaps[0] = 0.0  # of the vector of ones
    return FiniteTime(gaps, elimination_order(gaps))


ACCELERATIONS: dict[str, Callable[[Matrix, float], Acceleration]] = {
    "none": lambda P, slem: Plain(slem),
    "chebyshev": lambda P, slem: Chebyshev(slem),
    "finite_time": lambda P, slem: finite_time(P),
}


def _least(error: Callable[[int], float], tolerance: float) -> int:
    """The least number of rounds for which an error that never rises is at most `tolerance`."""
    return bisect_left(range(_MOST_ROUNDS), True, key=lambda rounds: error(rounds) <= tolerance)
