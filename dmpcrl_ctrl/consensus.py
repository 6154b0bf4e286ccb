"""One iteration of consensus ADMM: agents solve apart, and agree on the states that they share.

With xt_i the shared components that agent i holds (its own and its copies), S the selection of its entries of z, W the
diagonal penalty:

    xt_i <- argmin F_i + y_i'xt_i + 1/2 |xt_i - (S z)_i|^2_W        each agent by itself       (15a)
    z    <- (S'W S)^-1 S'(W xt + y)                                 among neighbours           (15b)
    y    <- y + W (xt - S z)                                        each agent by itself       (15c)

Writing (15b) with y keeps S'y = 0 by itself: a disturbance of y heals instead of biasing the agreement for good.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.channel import Kind, Neighbourhood, Scaled
from dmpcrl_ctrl.errors import DmpcrlError
from dmpcrl_ctrl.layout import Layout
from dmpcrl_ctrl.network import SharedStates
from dmpcrl_ctrl.qp import QPSolution
from dmpcrl_ctrl.status import Status


@dataclass(frozen=True, eq=False)
class Held:
    """The shared numbers that one agent holds: `local` in its own vector of variables, `shared` in z."""

    local: Index
    shared: Index


@dataclass(frozen=True, eq=False)
class Directions:
    """K ways in which a state of ADMM may move: what they add to the agents' copies and multipliers.

    Attributes
    ----------
    copies, y
        (H, K) each, one agent after the other: every agent has its own rows, and nobody has all.
    """

    copies: Array
    y: Array

    def alone(self) -> "Directions":
        """The same in arrays of their own, row by row: rounding is then the same as after a file."""
        return Directions(np.ascontiguousarray(self.copies), np.ascontiguousarray(self.y))


@dataclass(frozen=True, eq=False)
class ADMMState:
    """Where ADMM stands.

    Attributes
    ----------
    z
        (Z,): what is agreed, each entry as its owner knows it.
    copies, y
        (H,) each, one agent after the other, in the order of its :class:`Held`: its entries of z as they reached it;
        its multipliers.
    factor
        By which W is scaled.
    directions
        In which it has moved, to be gone in again (:mod:`dmpcrl_ctrl.anderson`).
    """

    z: Array
    copies: Array
    y: Array
    factor: float = 1.0
    directions: Directions | None = None


@dataclass(frozen=True, eq=False)
class Sweep:
    """One iteration.

    Attributes
    ----------
    start, state
        Where it began; the new one.
    answers
        What the agents' solves gave.
    gaps
        (H,): xt - S z, one agent after the other.
    moved
        (Z,): W (z - z_before).
    residuals
        (H,): how far y + W S z has moved, in the norm of W^-1. ADMM is a fixed-point iteration in this vector, and
        never takes two of them further apart.
    """

    start: ADMMState
    state: ADMMState
    answers: "Answers"
    gaps: Array
    moved: Array
    residuals: Array

    @property
    def primal(self) -> float:
        """Largest |xt - S z|."""
        return largest(self.gaps)

    @property
    def dual(self) -> float:
        """Largest |W (z - z_before)|."""
        return largest(self.moved)


class LocalFailure(DmpcrlError):
    """The program of one agent could not be solved."""

    def __init__(self, agent: int, status: Status) -> None:
        super().__init__(f"agent {agent}: {status.message}")
        self.agent, self.status = agent, status


class Answers(Protocol):
    """What one solve of every agent gave."""

    @property
    def shared(self) -> Array:
        """(H,): xt, one agent after the other."""

    def solutions(self) -> tuple[QPSolution, ...]:
        """All variables and multipliers, checked; where the check finds them wanting, a status that is not OPTIMAL."""
        ...

    @property
    def sound(self) -> bool:
        """False once the check has found `shared` wanting."""


class Agents(Protocol):
    """The agents' augmented programs (15a)."""

    def solve(self, linear: Array, factor: float) -> Answers:
        """Each by itself: minimise F_i + linear_i'xt_i + factor/2 |xt_i|^2_W.

        Parameters
        ----------
        linear
            (H,): one agent after the other, in the order of its :class:`Held`.
        factor
            By which W is scaled.

        Raises
        ------
        LocalFailure
            One of them cannot be solved.
        """
        ...

    def laws(self, factor: float) -> tuple[Array | None, ...]:
        """(held, held) each: how xt_i of the last answer follows -linear_i while its active bounds stay; None: not
        known. The same objects for as long as they stay what they are."""
        ...


def held_by(layouts: Sequence[Layout], shared: SharedStates) -> tuple[Held, ...]:
    """For each agent the shared numbers that it holds: its own components first, then its copies."""
    place = {key: e for e, key in enumerate(zip(shared.owner, shared.column, shared.stage, strict=True))}
    result = []
    for i, layout in enumerate(layouts):
        own = np.flatnonzero(shared.owner == i)
        local, entries = [layout.x[shared.stage[own] - 1, shared.column[own]]], [own]
        for copy, positions in zip(layout.copies, layout.copied, strict=True):
            stages, columns = np.indices(positions.shape)
            keys = zip(stages.ravel() + 1, np.asarray(copy.columns, dtype=np.intp)[columns].ravel(), strict=True)
            local.append(positions.ravel())
            entries.append(np.array([place[copy.owner, column, stage] for stage, column in keys], dtype=np.intp))
        result.append(Held(np.concatenate(local), np.concatenate(entries)))
    return tuple(result)


def cold_state(held: Sequence[Held], size: int) -> ADMMState:
    """All zeros."""
    zeros = np.zeros(sum(len(h.shared) for h in held))
    return ADMMState(np.zeros(size), zeros, zeros)


def places_later(held: Sequence[Held], later: Index) -> Index:
    """(H,): where each agent holds what is to take an entry's place a sample on; `later` from `SharedStates.shifted`.

    Where it does not hold that, the entry keeps its place.
    """
    places, start = [], 0
    for h in held:
        order = np.argsort(h.shared)
        wanted = np.where(np.isin(later[h.shared], h.shared), later[h.shared], h.shared)
        places.append(start + order[np.searchsorted(h.shared, wanted, sorter=order)])
        start += len(h.shared)
    return np.concatenate([np.zeros(0, dtype=np.intp), *places])


def shifted_state(state: ADMMState, later: Index, places: Index) -> ADMMState:
    """The state one sample on: each entry takes over the one a stage later, by :func:`places_later` where it is held.

    The scale of W is its own again: what made it fit belonged to the sample that is over. The directions are kept as
    they are: what spans the way of one sample spans that of the next.
    """
    return ADMMState(state.z[later], state.copies[places], state.y[places], directions=state.directions)


def step(
    agents: Agents, weights: Array, neighbourhood: Neighbourhood, state: ADMMState, relaxation: float = 1.0
) -> Sweep:
    """One iteration of (15).

    Parameters
    ----------
    agents
        The local programs.
    weights
        (Z,): diagonal of W, equal for all copies of a number.
    neighbourhood
        Who holds what, and through which (15b) is done.
    state
        Where to start.
    relaxation
        In [1, 2): xt is replaced by relaxation xt + (1 - relaxation) S z in (15b) and (15c).

    Raises
    ------
    LocalFailure
        A local solve failed.
    """
    W = neighbourhood.scaled(weights, state.factor)
    # (15a): the quadratic part of the penalty stands in the agents' Hessians
    answers = agents.solve(state.y - W.held * state.copies, state.factor)
    xt = answers.shared
    z, after, residuals = _agree(xt, Directions(state.copies, state.y), W, neighbourhood, relaxation)
    moved = ADMMState(z, after.copies, after.y, state.factor, state.directions)
    return Sweep(state, moved, answers, xt - after.copies, W.shared * (z - state.z), residuals)


@dataclass(frozen=True, eq=False)
class Images:
    """What an iteration makes of K directions, while no bound becomes active or inactive.

    Attributes
    ----------
    z
        (Z, K).
    directions
        The copies and multipliers.
    residuals
        (H, K): of :class:`Sweep`.
    """

    z: Array
    directions: Directions
    residuals: Array


def images(
    laws: Sequence[Array],
    directions: Directions,
    weights: Array,
    neighbourhood: Neighbourhood,
    factor: float,
    relaxation: float = 1.0,
) -> Images:
    """The derivative of :func:`step` in K directions, by the agents' laws (:meth:`Agents.laws`)."""
    W = neighbourhood.scaled(weights, factor)
    pushed = _times(W.held, directions.copies) - directions.y
    solved = [law @ pushed[part] for law, part in zip(laws, neighbourhood.parts, strict=True)]  # (15a)
    return Images(*_agree(np.concatenate(solved), directions, W, neighbourhood, relaxation))


def split(v: Array, weights: Array, neighbourhood: Neighbourhood) -> Directions:
    """The directions in which y + W S z moves by v (H, K): S'y = 0, and all copies of a number are one."""
    W = neighbourhood.scaled(weights, 1.0)
    z = _times(W.mean, neighbourhood.gathered(Kind.RESPONSE, v))
    copies = neighbourhood.scattered(Kind.AGREED_RESPONSE, z)
    return Directions(copies, v - _times(W.held, copies))


def _agree(
    solved: Array, start: Directions, W: Scaled, neighbourhood: Neighbourhood, relaxation: float
) -> tuple[Array, Directions, Array]:
    """(15b) and (15c) of one state, or of as many as the arrays have columns; z, copies and y, and the residuals."""
    up, down = (Kind.PROPOSAL, Kind.AGREED) if solved.ndim == 1 else (Kind.RESPONSE, Kind.AGREED_RESPONSE)
    ahead = relaxation * (solved - start.copies)
    relaxed = start.copies + ahead
    proposal = _times(W.held, relaxed) + start.y
    z = _times(W.mean, neighbourhood.gathered(up, proposal))  # (15b)
    copies = neighbourhood.scattered(down, z)
    y = start.y + _times(W.held, relaxed - copies)  # (15c)
    return z, Directions(copies, y), _times(W.root, ahead)


def _times(diagonal: Array, columns: Array) -> Array:
    """diag(diagonal) times a vector, or times each column."""
    return diagonal * columns if columns.ndim == 1 else diagonal[:, None] * columns


def largest(part: Array) -> float:
    """Largest absolute value; 0 where there is none."""
    return float(np.maximum.reduce(np.abs(part), initial=0.0))
