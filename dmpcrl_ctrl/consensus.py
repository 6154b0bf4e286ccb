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
from functools import cached_property
from typing import Protocol

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.channel import Kind, Neighbourhood
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


@dataclass(frozen=True, eq=False)
class ADMMState:
    """Where ADMM stands.

    Attributes
    ----------
    z
        (Z,): what is agreed, each entry as its owner knows it.
    copies, y
        One array an agent, in the order of its :class:`Held`: its entries of z as they reached it; its multipliers.
    factor
        By which W is scaled.
    directions
        In which it has moved, to be gone in again (:mod:`dmpcrl_ctrl.anderson`).
    """

    z: Array
    copies: tuple[Array, ...]
    y: tuple[Array, ...]
    factor: float = 1.0
    directions: Directions | None = None

    @cached_property
    def stacked(self) -> tuple[Array, Array]:
        """(H,) each: copies and y, one agent after the other."""
        return np.concatenate(self.copies), np.concatenate(self.y)


@dataclass(frozen=True, eq=False)
class Sweep:
    """One iteration.

    Attributes
    ----------
    start, state
        Where it began; the new one.
    answers
        Of the local programs.
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
    answers: "tuple[Answer, ...]"
    gaps: Array
    moved: Array
    residuals: Array

    @property
    def primal(self) -> float:
        """Largest |xt - S z|."""
        return largest([self.gaps])

    @property
    def dual(self) -> float:
        """Largest |W (z - z_before)|."""
        return largest([self.moved])


class LocalFailure(DmpcrlError):
    """The program of one agent could not be solved."""

    def __init__(self, agent: int, status: Status) -> None:
        super().__init__(f"agent {agent}: {status.message}")
        self.agent, self.status = agent, status


class Answer(Protocol):
    """What one agent's solve gave."""

    @property
    def status(self) -> Status:
        """Unless it is OPTIMAL there are no numbers."""

    @property
    def shared(self) -> Array:
        """(held,): xt, in the order of :class:`Held`."""

    @property
    def sound(self) -> bool:
        """False once a check of the whole solution has found `shared` wanting."""

    def solution(self) -> QPSolution:
        """All variables and multipliers, checked; a status that is not OPTIMAL where the check finds them wanting."""
        ...


class Subproblem(Protocol):
    """One agent's augmented program (15a)."""

    def solve(self, linear: Array, factor: float) -> Answer:
        """Minimise F_i + linear'xt + factor/2 |xt|^2_W, with the shared numbers in the order of :class:`Held`."""
        ...

    def law(self, factor: float) -> Array | None:
        """(held, held): how xt of the last answer follows -linear while its active bounds stay; None: not known."""
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
    zeros = tuple(np.zeros(len(h.shared)) for h in held)
    return ADMMState(np.zeros(size), zeros, zeros)


def shifted_state(state: ADMMState, held: Sequence[Held], later: Index) -> ADMMState:
    """The state one sample on: each entry takes over the one a stage later, `later` from `SharedStates.shifted`.

    The scale of W is its own again: what made it fit belonged to the sample that is over. The directions are kept as
    they are: what spans the way of one sample spans that of the next.
    """
    scratch = np.zeros(len(state.z))
    moved: list[list[Array]] = []
    for h, *parts in zip(held, state.copies, state.y, strict=True):
        source = np.where(np.isin(later[h.shared], h.shared), later[h.shared], h.shared)
        moved.append([])
        for part in parts:
            scratch[h.shared] = part
            moved[-1].append(scratch[source])
    copies, y = zip(*moved, strict=True)
    return ADMMState(state.z[later], copies, y, directions=state.directions)


def step(
    agents: Sequence[Subproblem],
    weights: Array,
    neighbourhood: Neighbourhood,
    state: ADMMState,
    relaxation: float = 1.0,
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
    W = state.factor * weights[neighbourhood.entries]
    copies, y = state.stacked
    linear = y - W * copies
    answers = []
    for i, (agent, part) in enumerate(zip(agents, neighbourhood.parts, strict=True)):
        # (15a): the quadratic part of the penalty stands in the agent's Hessian
        answer = agent.solve(linear[part], state.factor)
        if not answer.status.ok:
            raise LocalFailure(i, answer.status)
        answers.append(answer)
    xt = np.concatenate([answer.shared for answer in answers])
    z, after, residuals = _agree(xt, Directions(copies, y), state.factor * weights, neighbourhood, relaxation)
    moved = ADMMState(
        z, neighbourhood.apart(after.copies), neighbourhood.apart(after.y), state.factor, state.directions
    )
    gaps, by = xt - after.copies, state.factor * weights * (z - state.z)
    return Sweep(state, moved, tuple(answers), gaps, by, residuals)


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
    """The derivative of :func:`step` in K directions, by the agents' laws (:meth:`Subproblem.law`)."""
    W = factor * weights[neighbourhood.entries]
    pushed = _times(W, directions.copies) - directions.y
    solved = [law @ pushed[part] for law, part in zip(laws, neighbourhood.parts, strict=True)]  # (15a)
    return Images(*_agree(np.concatenate(solved), directions, factor * weights, neighbourhood, relaxation))


def split(v: Array, weights: Array, neighbourhood: Neighbourhood) -> Directions:
    """The directions in which y + W S z moves by v (H, K): S'y = 0, and all copies of a number are one."""
    z = _times(1.0 / (neighbourhood.holders * weights), neighbourhood.gathered(Kind.RESPONSE, v))
    copies = neighbourhood.scattered(Kind.AGREED_RESPONSE, z)
    return Directions(copies, v - _times(weights[neighbourhood.entries], copies))


def _agree(
    solved: Array, start: Directions, weights: Array, neighbourhood: Neighbourhood, relaxation: float
) -> tuple[Array, Directions, Array]:
    """(15b) and (15c) of one state, or of as many as the arrays have columns; z, copies and y, and the residuals."""
    up, down = (Kind.PROPOSAL, Kind.AGREED) if solved.ndim == 1 else (Kind.RESPONSE, Kind.AGREED_RESPONSE)
    W = weights[neighbourhood.entries]
    ahead = relaxation * (solved - start.copies)
    relaxed = start.copies + ahead
    proposal = _times(W, relaxed) + start.y
    z = _times(1.0 / (neighbourhood.holders * weights), neighbourhood.gathered(up, proposal))  # (15b)
    copies = neighbourhood.scattered(down, z)
    y = start.y + _times(W, relaxed - copies)  # (15c)
    return z, Directions(copies, y), _times(np.sqrt(W), ahead)


def _times(diagonal: Array, columns: Array) -> Array:
    """diag(diagonal) times a vector, or times each column."""
    return diagonal * columns if columns.ndim == 1 else diagonal[:, None] * columns


def largest(parts: Sequence[Array]) -> float:
    """Largest absolute value in any of the arrays; 0 where they are empty."""
    return max((float(np.abs(part).max()) for part in parts if part.size), default=0.0)
