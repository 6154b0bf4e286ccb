"""Anderson acceleration of ADMM: of all the ways gone so far, the mixture after which least is left to go.

While no bound becomes active or inactive, an iteration v -> T v of ADMM is an affine map. Then T (v + D g) = T v +
T'D g for directions D, and the g that minimises |r + R'D g|, r = T v - v in the norm of W^-1 and R'D its derivative,
gives the next start. With D the displacements of earlier iterations this is Anderson's method (1965; type II of Walker
and Ni 2011), which on an affine map is GMRES and ends after finitely many iterations.

The usual differences of earlier points mix one side of a kink with the other. Here T'D is what the agents' laws make of
D at the active bounds of now: each local solution is affine in its linear term (:meth:`Agents.laws`), and
one exchange gives the images of all directions. So nothing that was learnt grows stale, and directions of earlier
samples serve as well as those of this one. Images are made anew only where a law has changed.

The directions stay with the agents. What the network has to sum up is inner products.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.channel import Kind, Neighbourhood
from dmpcrl_ctrl.columns import Columns
from dmpcrl_ctrl.consensus import ADMMState, Directions, Images, Sweep, images, split

# of the trace of the scaled Gram matrix: differences below it are rounding
_NOISE = 1e-13
# what a displacement has to have beside the known directions, and beside the state, to be worth keeping
_NEW, _ROUNDING = 1e-3, 1e-12
_TINY, _EPS = 1e-150, np.finfo(float).eps
# of a displacement, what may be left of it along orthonormal directions after it was taken out
_LEFT = 1e-6
# what is promised is kept if the residual is within ten times of it, or has fallen tenfold
_KEPT = 10.0


@dataclass(frozen=True, eq=False)
class Known:
    """What an iteration makes of all directions while laws stay, and what came of going ahead by it.

    Attributes
    ----------
    laws
        Of the agents, one each.
    basis
        The directions and their images; R is the images' `residuals`.
    gram
        (K, K): R'R.
    size, promised
        |r| of the last iteration, and at most what it is to be at the start that came of it.
    """

    laws: Sequence[Array]
    basis: "Basis"
    gram: Array
    size: float
    promised: float

    def holds(self, laws: Sequence[Array]) -> bool:
        """Whether no law has changed."""
        return all(mine is theirs for mine, theirs in zip(self.laws, laws, strict=True))

    def missed(self, size: float) -> bool:
        """Whether an iteration with the same laws leaves more than was promised."""
        return size > max(_KEPT * self.promised, self.size / _KEPT)


@dataclass(frozen=True, eq=False)
class Basis:
    """K directions in three forms, which stand in the rows of one array: it takes a direction more in one go.

    Attributes
    ----------
    columns
        (6 H + Z, K): the rows of the others.
    directions, joint, images
        Copies and multipliers; (H, K) W^-1/2 (y + W S z); what an iteration makes of them.
    """

    columns: Columns
    directions: Directions
    joint: Array
    images: Images

    @classmethod
    def of(cls, columns: Columns, held: int) -> "Basis":
        """Of stacked columns, where the agents hold `held` numbers together."""
        rows = columns.array
        copies, y, joint, after, after_y, residuals = (rows[k * held : (k + 1) * held] for k in range(6))
        images = Images(rows[6 * held :], Directions(after, after_y), residuals)
        return cls(columns, Directions(copies, y), joint, images)


@dataclass(frozen=True, eq=False)
class Acceleration:
    """What is known of the affine map that ADMM is at the moment.

    Attributes
    ----------
    capacity
        How many directions are kept, the newest ones; 0: no acceleration.
    relaxation, weights, neighbourhood
        As for :func:`~dmpcrl_ctrl.consensus.step`.
    known
        Of the laws of the last iteration; None where nothing is to be relied on.
    suspect
        Whether the last start led astray: a message may have been lost.
    """

    capacity: int
    relaxation: float
    weights: Array
    neighbourhood: Neighbourhood
    known: Known | None = None
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
        if not self.capacity:
            return self, sweep.state
        now = [law for law in laws if law is not None]
        if len(now) < len(laws):
            return replace(self, known=None), sweep.state
        whole = self._size(sweep.state)
        if not size > _EPS * whole:
            return replace(self, suspect=False), sweep.state  # there is nowhere to go
        known = self.known if self.known is not None and self.known.holds(now) else None
        directions = sweep.state.directions
        missed = known is not None and known.missed(size) and size > _ROUNDING * whole
        if directions is not None and (self.suspect or missed):
            # lost when directions were split, or when their images were made
            directions, known = self._split(self._joint(directions)), None
        V = None if directions is None else self._joint(directions) if known is None else known.basis.joint
        kept, newest = self._with_newest(directions, V, sweep)
        if kept is not directions:
            known = None
        factor, held = sweep.state.factor, len(self.neighbourhood.entries)
        if known is None:
            joined = kept if newest is None else _joined(kept, newest, self.capacity)
            if joined is None:
                return replace(self, known=None, suspect=False), sweep.state
            columns = Columns.of(self._stacked(now, joined, factor), self.capacity)
            basis, gram = Basis.of(columns, held), np.zeros((0, 0))
        elif newest is None:
            basis, gram = known.basis, known.gram
        else:
            basis = Basis.of(known.basis.columns.with_newest(self._stacked(now, newest, factor)), held)
            forgotten = known.gram.shape[0] + 1 - basis.joint.shape[1]
            gram = known.gram[forgotten:, forgotten:]
        gram, right = self._products(basis.images.residuals, sweep.residuals, gram)
        g = _mixture(gram, right)
        # what the first iteration shows is of a start whose copies need not fit each other: nothing follows from it
        promised = np.inf if self.known is None else max(size**2 + float(right @ g), 0.0) ** 0.5
        start = replace(_ahead(sweep.state, basis.images, g), directions=basis.directions)
        return replace(self, known=Known(now, basis, gram, size, promised), suspect=False), start

    def doubted(self) -> "Acceleration":
        """After a start that led astray: the next one is not to rely on anything that was heard before."""
        return replace(self, known=None, suspect=True)

    def _joint(self, directions: Directions, factor: float = 1.0) -> Array:
        """W^-1/2 (y + W S z) of states or directions, with W scaled by `factor`."""
        root = np.sqrt(factor * self.weights[self.neighbourhood.entries])
        return (root * directions.copies.T + directions.y.T / root).T

    def _split(self, joint: Array) -> Directions:
        """The directions of which :meth:`_joint` makes this."""
        root = np.sqrt(self.weights[self.neighbourhood.entries])
        return split(root[:, None] * joint, self.weights, self.neighbourhood)

    def _stacked(self, laws: Sequence[Array], directions: Directions, factor: float) -> list[Array]:
        """Directions and their images, in the order of :class:`Basis`."""
        found = images(laws, directions, self.weights, self.neighbourhood, factor, self.relaxation)
        after = found.directions
        joint = self._joint(directions)
        return [directions.copies, directions.y, joint, after.copies, after.y, found.residuals, found.z]

    def _size(self, state: ADMMState) -> float:
        """Of a state, in the norm of the residuals."""
        whole = self._joint(Directions(state.copies, state.y), state.factor)
        return self.neighbourhood.norm(whole)

    def _with_newest(
        self, directions: Directions | None, V: Array | None, sweep: Sweep
    ) -> tuple[Directions | None, Directions | None]:
        """The directions, and the last displacement orthogonal to them; None where there is nothing new in it.

        All this is of y + W S z (of the directions: V), which may be anything. So a direction that is little but
        rounding is still one, while z and y have to fit each other: small displacements, each rounded by itself, would
        add up to ones that do not.
        Where a sum was lost, directions are not orthonormal: they are given up, as no later one would be.
        """
        if directions is not None and directions.y.shape[1] >= len(self.neighbourhood.entries):
            return directions, None  # they span everything
        after, before = (self._joint(Directions(state.copies, state.y)) for state in (sweep.state, sweep.start))
        moved = after - before
        size, whole = np.sqrt(self._total(lambda own: np.array([moved[own] @ moved[own], after[own] @ after[own]])))
        if not size > max(_ROUNDING * whole, _TINY):
            return directions, None
        if V is None:
            return None, self._split(moved[:, None] / size)
        beside, _, left = self._beside(moved, V)
        if left < _NEW * size:
            return directions, None
        beside, along, left = self._beside(beside, V)  # twice is enough
        if not along <= _LEFT * size:
            return None, self._split(moved[:, None] / size)
        return directions, self._split(beside[:, None] / left) if left >= _NEW * size else None

    def _beside(self, moved: Array, V: Array) -> tuple[Array, float, float]:
        """What a displacement has beside orthonormal directions; how much it has along them, and beside them."""

        def share(own: slice) -> Array:
            return np.append(moved[own] @ V[own], moved[own] @ moved[own])

        *products, square = self._total(share)
        g = np.array(products)
        along = float(g @ g)
        return moved - V @ g, float(np.sqrt(along)), float(np.sqrt(max(square - along, 0.0)))

    def _products(self, R: Array, r: Array, gram: Array) -> tuple[Array, Array]:
        """R'R and R'r, where R'R is known of the first columns."""
        old = len(gram)

        def share(own: slice) -> Array:
            return (R[own].T @ np.column_stack([R[own][:, old:], r[own]])).ravel()

        summed = self._total(share).reshape(R.shape[1], -1)
        fresh, right = summed[:, :-1], summed[:, -1]
        return np.block([[gram, fresh[:old]], [fresh.T]]), right

    def _total(self, share: Callable[[slice], Array]) -> Array:
        """Sum of the agents' shares."""
        return self.neighbourhood.summed(share, Kind.PRODUCTS)


def _mixture(gram: Array, right: Array) -> Array:
    """(K,): g for which |r + R g| is least, from R'R and R'r."""
    lengths = np.sqrt(np.diag(gram))
    unit = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0.0)
    scaled = gram * np.outer(unit, unit)
    scaled[np.diag_indices(len(unit))] += _NOISE * len(unit)
    return np.asarray(-unit * np.linalg.solve(scaled, unit * right))


def _ahead(state: ADMMState, found: Images, g: Array) -> ADMMState:
    """T v + T'D g."""
    copies, y = state.copies + found.directions.copies @ g, state.y + found.directions.y @ g
    return replace(state, z=state.z + found.z @ g, copies=copies, y=y)


def _joined(before: Directions | None, newest: Directions, capacity: int) -> Directions:
    """With the newest behind the others, of which the oldest are given up where there is no room."""
    if before is None:
        return newest
    return Directions(_columns(before.copies, newest.copies, capacity), _columns(before.y, newest.y, capacity))


def _columns(before: Array, newest: Array, capacity: int) -> Array:
    return np.concatenate([before, newest], axis=1)[:, -capacity:]
