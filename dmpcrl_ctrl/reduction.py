"""The matrices of a program in its inputs and copies alone.

States follow from the dynamics and slacks from the rows that they soften, so that with v the inputs and copies

    min 1/2 v'P v + q'v + sum_r phi_r(S_r v + s_r)

where phi_r is zero between the bounds of row r and grows beyond them: at once where the row is hard, with slope w_r and
curvature c_r where it is soft. The rows are those of the terminal equality, the soft and the hard ones. With P = L L'
and E the shared numbers in terms of v, all that a solution needs stands in

    Y = L^-1 [E' S'],      Y'Y = [F G'; G D].

Rows are in units that make the diagonal of D one: a row counts by what inputs do to it, in whatever units it was.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.layout import Layout

# of a row: -2 below its lower bound, -1 on it, 0 between the bounds, 1 on the upper one, 2 above it
States = NDArray[np.int8]

# least reciprocal condition of P, largest growth of a prediction, at which numbers are still good enough
_CONDITION, _GROWTH = 1e-8, 1e7
# share of a row below which what does not follow from others is nothing; of its terms below which inputs do nothing
_DEPENDENT, _ROUNDING = 1e-9, 1e-13
_REMEMBERED = 64


@dataclass(frozen=True, eq=False)
class Roles:
    """What variables and rows of a program are.

    Attributes
    ----------
    states, free
        Variables: states, stage by stage, and what they follow from.
    dynamics, terminal
        Equality rows: those that give the states, in their order, and others.
    slacks, lower, upper, priced
        One a soft row: its slack among the variables; the inequality rows of its lower and its upper bound, -1 where
        there is none, and that of the slack.
    hard
        Other inequality rows.
    """

    states: Index
    free: Index
    dynamics: Index
    terminal: Index
    slacks: Index
    lower: Index
    upper: Index
    priced: Index
    hard: Index

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.terminal) + len(self.slacks) + len(self.hard)

    @property
    def soft(self) -> slice:
        """Which of the rows are soft."""
        return slice(len(self.terminal), len(self.terminal) + len(self.slacks))

    def cut(self, free: Index, rows: Index) -> "Roles":
        """The roles in a program that has these variables and inequality rows only, and all states and soft rows."""
        kept = np.searchsorted(free, self.free[np.isin(self.free, free)])
        lower, upper = (np.where(of < 0, -1, np.searchsorted(rows, of)) for of in (self.lower, self.upper))
        return Roles(
            states=np.searchsorted(free, self.states),
            free=kept,
            dynamics=self.dynamics,
            terminal=self.terminal,
            slacks=np.searchsorted(free, self.slacks),
            lower=lower,
            upper=upper,
            priced=np.searchsorted(rows, self.priced),
            hard=np.searchsorted(rows, self.hard[np.isin(self.hard, rows)]),
        )


def roles_of(layout: Layout) -> Roles:
    """The roles in one agent's program."""
    bounds = []
    for kind in (layout.soft_lower, layout.soft_upper):
        rows = np.full(layout.sigma.shape, -1)
        rows[layout.slack_place(kind)] = kind.index
        bounds.append(rows.ravel())
    lower, upper = bounds
    return Roles(
        states=layout.x.ravel(),
        free=np.concatenate([layout.u.ravel(), *(places.ravel() for places in layout.copied)]),
        dynamics=layout.dynamics.ravel(),
        terminal=layout.terminal.ravel(),
        slacks=layout.sigma.ravel(),
        lower=lower,
        upper=upper,
        priced=layout.slack.index,
        hard=np.concatenate([kind.index for kind in (layout.hard, layout.input, layout.rate)]),
    )


@dataclass(frozen=True, eq=False)
class Reduction:
    """The matrices of a program with their reduction, made by :func:`reduction`.

    Attributes
    ----------
    H, A, C, roles, held
        The program; which of its variables are shared.
    dynamics
        (s, s): A at its dynamics and states, lower triangular.
    row_units, rows
        (p,) and (p, variables): the units, and the coefficients of the rows in them, without those of slacks.
    basis
        (variables, v): how states and free variables follow v.
    units, factor
        P = L L' in units of v that make its diagonal one.
    Y, F, G, D
        Of the equations above.
    curvature
        (p,): c.
    """

    H: Array
    A: Array
    C: Array
    roles: Roles
    held: Index
    dynamics: Array
    row_units: Array
    rows: Array
    basis: Array
    units: Array
    factor: Array
    Y: Array
    F: Array
    G: Array
    D: Array
    curvature: Array
    _known: "dict[bytes, Pattern | None]" = field(default_factory=dict)

    @cached_property
    def magnitudes(self) -> tuple[Array, Array]:
        """|rows|, |G|."""
        return np.abs(self.rows), np.abs(self.G)

    def pattern(self, states: States) -> "Pattern | None":
        """What follows from where the rows are; None where those on a bound depend on each other."""
        key = states.tobytes()
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = self._pattern(states)
        return self._known[key]

    def _pattern(self, states: States) -> "Pattern | None":
        beyond = np.abs(states) == 2
        curved = beyond & (self.curvature > 0.0)
        active, told = np.flatnonzero((states % 2 == 1) | curved), np.flatnonzero(beyond & ~curved)
        inner = self.D[active[:, None], active]
        springs = curved[active]
        if springs.any():
            inner[springs, springs] += 1.0 / self.curvature[active[springs]]
        if not len(active):
            return Pattern(self, states, active, told, inner, inner, springs)
        factor, info = lapack.dpotrf(inner, lower=1)
        if info or not (factor.diagonal() ** 2 > _DEPENDENT * inner.diagonal()).all():
            return None
        # its lower triangle, zeros above
        below, _ = lapack.dpotri(factor, lower=1)
        inverse = below + below.T
        np.fill_diagonal(inverse, below.diagonal())
        return Pattern(self, states, active, told, inner, inverse, springs)


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where the rows of a solution are, and how it then follows the linear term of the shared numbers.

    Attributes
    ----------
    reduction, states
        Of what; of all rows.
    active, told
        Rows whose multiplier is to be solved for; rows beyond a bound whose multiplier is their price.
    inner, inverse
        D_UU + 1/c of the active rows, with 1/c for those beyond a bound, and its inverse.
    springs
        (active,): which of them are beyond their bound.
    """

    reduction: Reduction
    states: States
    active: Index
    told: Index
    inner: Array
    inverse: Array
    springs: NDArray[np.bool_]

    @cached_property
    def magnitudes(self) -> Array:
        """|inverse|."""
        return np.abs(self.inverse)

    @cached_property
    def interval(self) -> Index:
        """(p,): of each row its state and itself, in an array of 5 states by p rows."""
        p = len(self.states)
        return (self.states + 2) * np.intp(p) + np.arange(p)

    @cached_property
    def multipliers(self) -> Array:
        """(active, a): of the active rows."""
        return -self.inverse @ self.reduction.G[self.active]

    @cached_property
    def response(self) -> Array:
        """(a, a): of the shared numbers, with the sign turned."""
        return self.reduction.F + self.reduction.G[self.active].T @ self.multipliers

    @cached_property
    def follow(self) -> Array:
        """(a + p, a): of the shared numbers and of what is watched: the multiplier of a row that is active, else its
        value."""
        watched = -self.reduction.G - self.reduction.D[:, self.active] @ self.multipliers
        watched[self.active] = self.multipliers
        return np.concatenate([-self.response, watched])

    @cached_property
    def stuck(self) -> NDArray[np.bool_]:
        """(p,): rows that depend on the active ones: nothing moves them any more."""
        own, between = self.reduction.D.diagonal(), self.reduction.D[:, self.active]
        return own - ((between @ self.inverse) * between).sum(axis=1) <= _DEPENDENT * own


def reduction(H: Array, A: Array, C: Array, roles: Roles, held: Index) -> Reduction | None:
    """Reduce a program with these matrices; None where P is not definite enough, or predictions grow too much."""
    s, f = roles.states, roles.free
    if not len(f):
        return None
    with np.errstate(all="ignore"):
        dynamics = np.asfortranarray(A[roles.dynamics[:, None], s])
        T, info = lapack.dtrtrs(dynamics, A[roles.dynamics[:, None], f], lower=1)
        if info or not np.abs(T).max() < _GROWTH:
            return None
        basis = np.zeros((len(H), len(f)))
        basis[s], basis[f, np.arange(len(f))] = -T, 1.0
        P = basis.T @ H @ basis
        if not (P.diagonal() > 0.0).all():
            return None
        units = 1.0 / np.sqrt(P.diagonal())
        P = units[:, None] * P * units
        factor, info = lapack.dpotrf(P, lower=1)
        if info or not lapack.dpocon(factor, np.abs(P).sum(axis=0).max(), uplo="L")[0] > _CONDITION:
            return None
        soft = C[np.where(roles.lower >= 0, roles.lower, roles.upper)]
        rows = np.concatenate([A[roles.terminal], soft, C[roles.hard]])
        rows[:, roles.slacks] = 0.0
        moves, terms = rows @ basis * units, np.abs(rows) @ np.abs(basis) * units
        moves[np.linalg.norm(moves, axis=1) <= _ROUNDING * np.linalg.norm(terms, axis=1)] = 0.0
        outer = np.concatenate([basis[held] * units, moves])
        Y, a = lapack.dtrtrs(factor, np.asfortranarray(outer.T), lower=1)[0], len(held)
        lengths = np.linalg.norm(Y[:, a:], axis=0)
        row_units = np.divide(1.0, lengths, out=np.ones(len(rows)), where=lengths > 0.0)
        Y[:, a:] *= row_units
        gram = Y.T @ Y
        curvature = np.zeros(len(rows))
        curvature[roles.soft] = H[roles.slacks, roles.slacks] / row_units[roles.soft] ** 2
        rows *= row_units[:, None]
    if not (np.isfinite(gram).all() and np.isfinite(rows).all() and np.isfinite(curvature).all()):
        return None
    blocks = gram[:a, :a], gram[a:, :a].copy(), gram[a:, a:].copy()
    return Reduction(H, A, C, roles, held, dynamics, row_units, rows, basis, units, factor, Y, *blocks, curvature)
