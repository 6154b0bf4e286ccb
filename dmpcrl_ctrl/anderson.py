"""Anderson acceleration of ADMM: of all the ways gone so far, the mixture after which least is left to go.

While no bound becomes active or inactive, an iteration v -> T v of ADMM is an affine map. Then T (v + D g) = T v +
T'D g for directions D, and the g that minimises |r + R'D g|, r = T v - v in the norm of W^-1 and R'D its derivative,
gives the next start. With D the displacements of earlier iterations this is Anderson's method (1965; type II of Walker
and Ni 2011), which on an affine map is GMRES and ends after finitely many iterations.

The usual differences of earlier points mix one side of a kink with the other. Here T'D is what the agents' laws make of
D at the active bounds of now: each local solution is affine in its linear term (:meth:`Subproblem.law`), and
one exchange gives the images of all directions. So nothing that was learnt grows stale, and directions of earlier
samples serve as well as those of this one. Images are made anew only where a law has changed.

The directions stay with the agents. What the network has to sum up is inner products.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.channel import Kind, Neighbourhood
from dmpcrl_ctrl.consensus import ADMMState, Directions, Images, Sweep, images, split

# of the trace of the scaled Gram matrix: differences below it are rounding
_NOISE = 1e-13
# what a displacement has to have beside the known directions, and beside the state, to be worth keeping
_NEW, _ROUNDING = 1e-3, 1e-12
_TINY = 1e-150
# what is promised is kept if the residual is within ten times of it, or has fallen tenfold
_KEPT = 10.0


@dataclass(frozen=True, eq=False)
class Acceleration:
    """What is known of the affine map that ADMM is at the moment.

    Attributes
    ----------
    capacity
        How many directions are kept, the newest ones; 0: no acceleration.
    relaxation, weights, neighbourhood
        As for :func:`~dmpcrl_ctrl.consensus.step`.
    laws, known
        Of the last iteration, and what they make of its directions; empty where that is not to be relied on.
    size, promised
        |r| of the last iteration, and what it is to be at the start that came of it while the laws stay.
    suspect
        Whether that start led astray: a message may have been lost.
    """

    capacity: int
    relaxation: float
    weights: Array
    neighbourhood: Neighbourhood
    laws: Sequence[Array] = ()
    known: Images | None = None
    size: float = np.inf
    promised: float = np.inf
    suspect: bool = False

    def after(self, sweep: Sweep, laws: Sequence[Array | None], size: float) -> tuple["Acceleration", ADMMState]:
        """Where to start the next iteration, and what to know then; the plain successor where no law is known.

        Parameters
        ----------
        sweep, laws
            The last iteration, and the laws of its answers.
        size
            |r| of its residuals.
        """
        now = [law for law in laws if law is not None]
        if not self.capacity or len(now) < len(laws):
            return replace(self, laws=(), known=None), sweep.state
        same = len(self.laws) == len(now) and all(a is b for a, b in zip(self.laws, now, strict=True))
        before, newest = sweep.state.directions, self._newest(sweep)
        missed = same and size > max(_KEPT * self.promised, self.size / _KEPT)
        suspect = self.suspect or (missed and self._matters(size, sweep))
        if suspect and before is not None:
            # lost when directions were split, or when their images were made
            whole = _joint(before, self._root)
            before = split(self._root[:, None] * whole, self.weights, self.neighbourhood)
        directions = before if newest is None else _joined(before, newest, self.capacity)
        if directions is None:
            return replace(self, laws=(), known=None), sweep.state
        if self.known is None or suspect or not same:
            found = self._images(now, directions, sweep.state.factor)
        elif newest is None:
            found = self.known
        else:
            found = _joined_images(self.known, self._images(now, newest, sweep.state.factor), self.capacity)
        g, promised = self._mixture(found, sweep, size)
        start = _ahead(sweep.state, found, g, self.neighbourhood)
        after = replace(self, laws=now, known=found, size=size, promised=promised, suspect=False)
        return after, replace(start, directions=directions)

    def doubted(self) -> "Acceleration":
        """After a start that led astray."""
        return replace(self, laws=(), known=None, suspect=True)

    @cached_property
    def _root(self) -> Array:
        """(H,): of W."""
        return np.sqrt(self.weights[self.neighbourhood.entries])

    def _images(self, laws: Sequence[Array], directions: Directions, factor: float) -> Images:
        return images(laws, directions, self.weights, self.neighbourhood, factor, self.relaxation)

    def _matters(self, size: float, sweep: Sweep) -> bool:
        """Whether a residual is more than rounding."""
        whole = _joint(Directions(*sweep.state.stacked), self._root)
        return size > _ROUNDING * np.sqrt(self._total(lambda own: np.array([whole[own] @ whole[own]]))[0])

    def _newest(self, sweep: Sweep) -> Directions | None:
        """The displacement of the last iteration, orthogonal to the known directions; None: nothing new in it.

        All this is of y + W S z, which may be anything. So a direction that is little but rounding is still one, while
        z and y have to fit each other: small displacements, each rounded by itself, would add up to ones that do not.
        """
        known, root = sweep.state.directions, self._root
        if known is not None and known.y.shape[1] >= len(root):
            return None  # they span everything
        now, before = (_joint(Directions(*state.stacked), root) for state in (sweep.state, sweep.start))
        moved = now - before
        sizes = self._total(lambda own: np.array([moved[own] @ moved[own], now[own] @ now[own]]))
        size, whole = np.sqrt(sizes)
        if not size > max(_ROUNDING * whole, _TINY):
            return None
        left = float(size)
        V = np.zeros((len(moved), 0)) if known is None else _joint(known, root)
        for _ in range(2 if known is not None else 0):  # twice is enough

            def shares(own: slice, v: Array = moved) -> Array:
                return np.append(v[own] @ V[own], v[own] @ v[own])

            *products, square = self._total(shares)
            g = np.array(products)
            moved = moved - V @ g
            left = float(np.sqrt(max(square - g @ g, 0.0)))
            if left < _NEW * size:
                return None
        return split((root * moved / left)[:, None], self.weights, self.neighbourhood)

    def _mixture(self, found: Images, sweep: Sweep, size: float) -> tuple[Array, float]:
        """(K,): g for which |r + R g| is least, and how small that is; `size` is |r|."""
        R, r = found.residuals, sweep.residuals

        def share(own: slice) -> Array:
            return np.hstack([R[own].T @ R[own], (R[own].T @ r[own])[:, None]]).ravel()

        normal = self._total(share).reshape(R.shape[1], R.shape[1] + 1)
        gram, right = normal[:, :-1], normal[:, -1]
        lengths = np.sqrt(np.diag(gram))
        unit = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0.0)
        scaled = gram * np.outer(unit, unit)
        scaled[np.diag_indices(len(unit))] += _NOISE * len(unit)
        g = np.asarray(-unit * np.linalg.solve(scaled, unit * right))
        return g, float(np.sqrt(max(size**2 + right @ g, 0.0)))

    def _total(self, share: Callable[[slice], Array]) -> Array:
        """Sum of the agents' shares."""
        return self.neighbourhood.summed(share, Kind.PRODUCTS)


def _ahead(state: ADMMState, found: Images, g: Array, neighbourhood: Neighbourhood) -> ADMMState:
    """T v + T'D g."""
    copies, y = state.stacked
    forward = copies + found.directions.copies @ g, y + found.directions.y @ g
    return replace(
        state, z=state.z + found.z @ g, copies=neighbourhood.apart(forward[0]), y=neighbourhood.apart(forward[1])
    )


def _joint(directions: Directions, root: Array) -> Array:
    """The sum y + W S z of states or directions, in the norm of W^-1."""
    return (root * directions.copies.T + directions.y.T / root).T


def _joined(before: Directions | None, newest: Directions, capacity: int) -> Directions:
    """With the newest behind the others, of which the oldest are given up where there is no room."""
    if before is None:
        return newest
    return Directions(_columns(before.copies, newest.copies, capacity), _columns(before.y, newest.y, capacity))


def _joined_images(before: Images, newest: Images, capacity: int) -> Images:
    """The same of the images."""
    return Images(
        _columns(before.z, newest.z, capacity),
        _joined(before.directions, newest.directions, capacity),
        _columns(before.residuals, newest.residuals, capacity),
    )


def _columns(before: Array, newest: Array, capacity: int) -> Array:
    return np.concatenate([before, newest], axis=1)[:, -capacity:]
