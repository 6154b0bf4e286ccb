"""Consensus ADMM: agents solve apart, and agree on the states that they share.

With xt_i the shared components that agent i holds (its own and its copies), S the selection of its entries of z, W the
diagonal penalty:

    xt_i <- argmin F_i + y_i'xt_i + 1/2 |xt_i - (S z)_i|^2_W        each agent by itself       (15a)
    z    <- (S'W S)^-1 S'(W xt + y)                                 among neighbours           (15b)
    y    <- y + W (xt - S z)                                        each agent by itself       (15c)

Writing (15b) with y keeps S'y = 0 by itself: a disturbance of y heals instead of biasing the agreement for good.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.errors import DmpcrlError, ModelError
from dmpcrl_ctrl.layout import Layout
from dmpcrl_ctrl.network import SharedStates
from dmpcrl_ctrl.qp import QPSolution
from dmpcrl_ctrl.status import Status

_WINDOW = 25
_APART = 1e-6
_STEADY = 1e-3
_OUT_OF_PROPORTION = 10.0
_CONVERGED = 1e-9
_BALANCE_AT = (10, 20, 30, 50, 100, 200, 400, 800, 1600)


@dataclass(frozen=True)
class ADMMOptions:
    """How long ADMM runs and how it weighs disagreement.

    Parameters
    ----------
    iterations
        Number of iterations; a cap where `tolerance` is given.
    tolerance
        Stop once the largest primal residual (in units of the states) and the largest dual residual (in units of their
        multipliers) are both below `tolerance` times one plus the largest shared state or multiplier. None: never stop
        early.
    penalty
        One weight for every shared number, or "auto": one for each component, from the curvature of the agents' costs.
    relaxation
        Over-relaxation in [1, 2): xt is replaced by relaxation xt + (1 - relaxation) S z.
    balance_at
        Iterations after which the whole penalty is scaled to bring primal and dual residual, each relative to what it
        compares, to one size. Finitely many, so that convergence is that of a fixed penalty. None: a schedule of the
        package for the automatic penalty, and () for a given one.
    warm_start
        Start from the last result of the controller, shifted by one stage.

    Raises
    ------
    ModelError
        A value outside its range.
    """

    iterations: int = 50
    tolerance: float | None = None
    penalty: float | str = "auto"
    relaxation: float = 1.0
    balance_at: tuple[int, ...] | None = None
    warm_start: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.iterations, bool) or int(self.iterations) != self.iterations or self.iterations < 1:
            raise ModelError(f"admm iterations must be a whole number of at least 1, got {self.iterations!r}")
        if self.tolerance is not None and not 0.0 < self.tolerance < 1.0:
            raise ModelError(f"admm tolerance must lie in (0, 1), got {self.tolerance!r}")
        object.__setattr__(self, "iterations", int(self.iterations))
        numeric = isinstance(self.penalty, (int, float)) and not isinstance(self.penalty, bool)
        if self.penalty != "auto" and not (numeric and 0.0 < float(self.penalty) < np.inf):
            raise ModelError(f'admm penalty must be a positive number or "auto", got {self.penalty!r}')
        if not 1.0 <= self.relaxation < 2.0:
            raise ModelError(f"admm relaxation must lie in [1, 2), got {self.relaxation!r}")


@dataclass(frozen=True, eq=False)
class Held:
    """The shared numbers that one agent holds: `local` in its own vector of variables, `shared` in z."""

    local: Index
    shared: Index


@dataclass(frozen=True, eq=False)
class ADMMState:
    """z (Z,); one y an agent, in the order of its :class:`Held`; the factor by which W is scaled."""

    z: Array
    y: tuple[Array, ...]
    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class ADMMResult:
    """Where the iterations ended.

    Attributes
    ----------
    state, solutions
        To start again from; the last local solutions (empty where a local solve failed).
    status, culprit
        Outcome; the agent whose solve failed or whose copies disagree most, -1 where all is well.
    primal, dual
        (T,): largest |xt - S z| and largest |W S (z - z_before)| at each iteration.
    """

    state: ADMMState
    solutions: tuple[QPSolution, ...]
    status: Status
    culprit: int
    primal: Array
    dual: Array


class LocalFailure(DmpcrlError):
    """The program of one agent could not be solved."""

    def __init__(self, agent: int, status: Status) -> None:
        super().__init__(f"agent {agent}: {status.message}")
        self.agent, self.status = agent, status


class Subproblem(Protocol):
    """One agent's augmented program (15a)."""

    def solve(self, linear: Array, factor: float) -> QPSolution:
        """Minimise F_i + linear'xt + factor/2 |xt|^2_W, with the shared numbers in the order of :class:`Held`."""
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
    return ADMMState(np.zeros(size), tuple(np.zeros(len(h.shared)) for h in held))


def shifted_state(state: ADMMState, held: Sequence[Held], later: Index) -> ADMMState:
    """The state one sample on: each entry takes over the one a stage later, `later` from `SharedStates.shifted`."""
    scratch = np.zeros(len(state.z))
    moved = []
    for h, y in zip(held, state.y, strict=True):
        scratch[h.shared] = y
        available = np.isin(later[h.shared], h.shared)
        moved.append(scratch[np.where(available, later[h.shared], h.shared)])
    return ADMMState(state.z[later], tuple(moved), state.factor)


def iterate(
    agents: Sequence[Subproblem],
    held: Sequence[Held],
    weights: Array,
    state: ADMMState,
    options: ADMMOptions,
    curvature: Array | None = None,
) -> ADMMResult:
    """Run ADMM from `state`.

    Parameters
    ----------
    agents, held
        The local programs, and what each shares.
    weights
        (Z,): diagonal of W, equal for all copies of a number.
    state, options
        Where to start; when to stop.
    curvature
        (Z,): of the costs in the shared numbers, against which the weights count as light or heavy; the weights
        themselves where None.
    """
    history: list[tuple[float, float]] = []
    natural = weights if curvature is None else curvature
    watch = _Watch(float((weights / natural).min(initial=1.0)))
    automatic = _BALANCE_AT if options.penalty == "auto" else ()
    balance_at = automatic if options.balance_at is None else options.balance_at
    for t in range(options.iterations):
        try:
            sweep = step(agents, held, weights, state, options.relaxation)
        except LocalFailure as failure:
            return _result(state, (), failure.status, failure.agent, history)
        state = sweep.state
        history.append((_largest(sweep.gaps), _largest([sweep.moved])))
        status = _verdict(sweep, history[-1], t + 1, watch, options)
        if status is not None:
            break
        if t + 1 in balance_at:
            state = replace(state, factor=_balanced(sweep, held, weights, options.tolerance or _CONVERGED))
    assert status is not None  # the last iteration always has a verdict
    culprit = -1 if status.ok else _most_at_odds(sweep.gaps, held, weights)
    return _result(state, sweep.solutions, status, culprit, history)


def _verdict(
    sweep: "Sweep", residuals: tuple[float, float], count: int, watch: "_Watch", options: ADMMOptions
) -> Status | None:
    """How it ended, if it has ended after `count` iterations."""
    if not len(sweep.state.z):
        return Status.OPTIMAL
    primal, dual = residuals
    last, size = count == options.iterations, 1.0 + _largest([sweep.state.z])
    stalled = watch.stalled(sweep, count, last)
    if options.tolerance is None:
        if not last:
            return None
        return Status.CONSENSUS_STALLED if stalled and primal > _APART * size else Status.MAX_ITERATIONS
    if primal <= options.tolerance * size and dual <= options.tolerance * (1.0 + _largest(sweep.state.y)):
        return Status.OPTIMAL
    if stalled and primal > 100.0 * options.tolerance * size:
        return Status.CONSENSUS_STALLED
    return Status.NOT_CONVERGED if last else None


@dataclass(frozen=True, eq=False)
class Sweep:
    """One iteration: the new state, the local solutions, xt_i - (S z)_i of each agent, and W (z - z_before)."""

    state: ADMMState
    solutions: tuple[QPSolution, ...]
    gaps: tuple[Array, ...]
    moved: Array


def step(
    agents: Sequence[Subproblem], held: Sequence[Held], weights: Array, state: ADMMState, relaxation: float
) -> Sweep:
    """One iteration of (15).

    Raises
    ------
    LocalFailure
        A local solve failed; the state is as it was.
    """
    solutions, W = [], state.factor * weights
    for i, (agent, h) in enumerate(zip(agents, held, strict=True)):
        # (15a): the quadratic part of the penalty stands in the agent's Hessian
        solution = agent.solve(state.y[i] - W[h.shared] * state.z[h.shared], state.factor)
        if not solution.status.ok:
            raise LocalFailure(i, solution.status)
        solutions.append(solution)
    mine = [solution.x[h.local] for solution, h in zip(solutions, held, strict=True)]
    relaxed = [relaxation * xt + (1.0 - relaxation) * state.z[h.shared] for xt, h in zip(mine, held, strict=True)]
    received, total = np.zeros(len(weights)), np.zeros(len(weights))
    for xt, y, h in zip(relaxed, state.y, held, strict=True):
        received[h.shared] += W[h.shared] * xt + y
        total[h.shared] += W[h.shared]
    z = received / total  # (15b)
    y_next = tuple(
        y + W[h.shared] * (xt - z[h.shared])  # (15c)
        for xt, y, h in zip(relaxed, state.y, held, strict=True)
    )
    gaps = tuple(xt - z[h.shared] for xt, h in zip(mine, held, strict=True))
    return Sweep(ADMMState(z, y_next, state.factor), tuple(solutions), gaps, W * (z - state.z))


class _Watch:
    """Tells a disagreement that will not go away from slow convergence.

    Where the agents' constraints contradict each other, xt - S z tends to a vector that is not zero, and y grows
    without end. So over a window of iterations the gaps stand still, although y has become far larger than any
    multiplier that the costs called for at the start, prices of soft bounds included, and although the penalty, added
    up over the iterations, could have moved the plans: with one far below the curvature of the costs, standing still
    means nothing.
    """

    def __init__(self, pull: float) -> None:
        self._pull = pull
        self._pulled = 0.0
        self._gaps: Array | None = None
        self._usual: float | None = None

    def stalled(self, sweep: Sweep, count: int, last: bool) -> bool:
        """Whether the gaps are what they were a window ago, and y has grown out of proportion."""
        self._pulled += self._pull * sweep.state.factor
        if self._usual is None:
            duals = [(s.equality_dual, s.lower_dual, s.upper_dual) for s in sweep.solutions]
            self._usual = _largest([part for parts in duals for part in parts])
        if count % _WINDOW and not last:
            return False
        now, then = np.concatenate(sweep.gaps), self._gaps
        self._gaps = now
        still = then is not None and bool(np.abs(now - then).max() <= _STEADY * np.abs(now).max())
        return (
            still and self._pulled > _OUT_OF_PROPORTION and _largest(sweep.state.y) > _OUT_OF_PROPORTION * self._usual
        )


def _result(
    state: ADMMState,
    solutions: tuple[QPSolution, ...],
    status: Status,
    culprit: int,
    history: list[tuple[float, float]],
) -> ADMMResult:
    primal, dual = np.array(history).reshape(-1, 2).T
    return ADMMResult(state, solutions, status, culprit, primal, dual)


def _most_at_odds(gaps: Sequence[Array], held: Sequence[Held], weights: Array) -> int:
    """The agent whose shared numbers differ most from what was agreed, in the units of their multipliers."""
    return int(np.argmax([np.linalg.norm(weights[h.shared] * gap) for h, gap in zip(held, gaps, strict=True)]))


def _balanced(sweep: Sweep, held: Sequence[Held], weights: Array, converged: float) -> float:
    """The next factor of W: times the ratio of |xt - S z| to |S (z - z_before)|, a power of two within 1/8 and 8.

    Both are states, measured in the norm of W, so that no unit of a multiplier enters: agents that follow each other at
    once but creep need less weight, agents that stay apart need more. Left alone where both have converged (their ratio
    is noise then), and kept within 2^-20 and 2^20.
    """
    apart = moved = 0.0
    for h, gap in zip(held, sweep.gaps, strict=True):
        apart += float(weights[h.shared] @ gap**2)
        moved += float(sweep.moved[h.shared] ** 2 @ (1.0 / weights[h.shared])) / sweep.state.factor**2
    least = converged**2 * float(weights @ sweep.state.z**2)
    if max(apart, moved) <= least:
        return sweep.state.factor
    # one of the two may be zero: agents that all follow, or a z that contradicting agents hold where it is
    tiny = max(least, np.finfo(float).tiny)
    exponent = 0.5 * np.log2(max(apart, tiny) / max(moved, tiny))
    return float(np.clip(sweep.state.factor * 2.0 ** np.clip(np.round(exponent), -3, 3), 2.0**-20, 2.0**20))


def _largest(parts: Sequence[Array]) -> float:
    return max((float(np.abs(part).max()) for part in parts if part.size), default=0.0)
