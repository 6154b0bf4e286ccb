"""Consensus ADMM from start to end: iterations, made faster where that is asked for, until they are done.

The iteration itself is in :mod:`dmpcrl_ctrl.consensus`. Where it is accelerated, the next start lies further ahead
(:mod:`dmpcrl_ctrl.anderson`). One that leaves more to go than the one before is given up for the plain successor: what
converges without acceleration converges with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dmpcrl_ctrl.anderson import Acceleration
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.balancing import Balancing, balanced_factor
from dmpcrl_ctrl.channel import Neighbourhood
from dmpcrl_ctrl.consensus import ADMMState, Agents, LocalFailure, Sweep, largest, step
from dmpcrl_ctrl.consensus_watch import ConsensusWatch
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.qp import QPSolution
from dmpcrl_ctrl.status import Status

_APART = 1e-6
_CONVERGED = 1e-9
# Directions to go ahead in: all that there are, up to so many; beyond, the newest few.
MOST_DIRECTIONS, _FEW = 160, 64
# going further ahead has to bring the residual below this part of the last one
_GAIN = 0.99


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
    acceleration
        Memory of Anderson acceleration: the number of directions that are kept to go ahead in, at most 160; 0: none.
        None: for the automatic penalty as many as the agents hold shared numbers, or 64 where these are more than 160,
        and none for a given penalty.
    balance_at
        Iterations after which the whole penalty is scaled to bring primal and dual residual, each relative to what it
        compares, to one size. Finitely many, so that convergence is that of a fixed penalty. None: where the iteration
        is stuck (:class:`~dmpcrl_ctrl.balancing.Balancing`) for the automatic penalty, and () for a given one.
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
    acceleration: int | None = None
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
        given = self.acceleration
        whole = given is None or (not isinstance(given, bool) and int(given) == given)
        if not whole or not 0 <= (given or 0) <= MOST_DIRECTIONS:
            raise ModelError(f"admm acceleration must be a whole number in [0, {MOST_DIRECTIONS}], got {given!r}")

    def memory(self, held: int) -> int:
        """Memory of the acceleration where the agents together hold so many shared numbers; 0: there is none."""
        if self.acceleration is not None:
            return int(self.acceleration)
        if self.penalty != "auto":
            return 0
        return held if held <= MOST_DIRECTIONS else _FEW

    @property
    def balanced_after(self) -> tuple[int, ...] | None:
        """Iterations after which the penalty is scaled; None: where the iteration is stuck."""
        return () if self.balance_at is None and self.penalty != "auto" else self.balance_at


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


def sweeps(
    agents: Agents,
    weights: Array,
    neighbourhood: Neighbourhood,
    state: ADMMState,
    options: ADMMOptions,
) -> Iterator[Sweep]:
    """ADMM from `state`, iteration by iteration, for as long as one asks.

    Each is the best that is known after so many solves of the local programs: one that started further ahead and is
    given up is followed by the one before, once more.

    Raises
    ------
    LocalFailure
        A local program cannot be solved.
    """

    def onward(start: ADMMState) -> tuple[Sweep, float]:
        sweep = step(agents, weights, neighbourhood, start, options.relaxation)
        return sweep, neighbourhood.norm(sweep.residuals)

    balancing = Balancing(options.balanced_after)
    ahead = Acceleration(options.memory(len(neighbourhood.entries)), options.relaxation, weights, neighbourhood)
    (sweep, size), done = onward(state), 0
    rejected = False
    while True:
        balancing = balancing.after(size)
        yield sweep
        done += 1
        if balancing.due(done):
            converged = options.tolerance or _CONVERGED
            factor = balanced_factor(sweep, weights, neighbourhood, converged)
            if factor != sweep.state.factor:
                balancing, rejected = balancing.changed(), False
                sweep, size = onward(replace(sweep.state, factor=factor))
                continue
        if rejected:
            rejected = False
            sweep, size = onward(sweep.state)
            continue
        ahead, start = ahead.after(sweep, agents.laws(sweep.state.factor), size)
        try:
            longer = onward(start)
        except LocalFailure:
            if start is sweep.state:
                raise
            longer = None
        if start is not sweep.state and (longer is None or not longer[1] <= _GAIN * size):
            ahead, rejected = ahead.doubted(), True
        else:
            assert longer is not None
            sweep, size = longer


def iterate(
    agents: Agents,
    weights: Array,
    neighbourhood: Neighbourhood,
    state: ADMMState,
    options: ADMMOptions,
    curvature: Array | None = None,
) -> ADMMResult:
    """Run ADMM from `state`.

    Parameters
    ----------
    agents
        The local programs.
    weights
        (Z,): diagonal of W, equal for all copies of a number.
    neighbourhood
        Who holds what, and through which the agents speak.
    state, options
        Where to start; when to stop.
    curvature
        (Z,): of the costs in the shared numbers, against which the weights count as light or heavy; the weights
        themselves where None.
    """
    history: list[tuple[float, float]] = []
    start = state
    natural = weights if curvature is None else curvature
    apart = _APART if options.tolerance is None else 100.0 * options.tolerance
    watch = ConsensusWatch(float((weights / natural).min(initial=1.0)), apart)
    try:
        for sweep in sweeps(agents, weights, neighbourhood, state, options):
            state = sweep.state
            history.append((sweep.primal, sweep.dual))
            status = _verdict(sweep, history[-1], len(history), watch, options)
            if status is not None:
                break
        assert status is not None  # the last iteration always has a verdict
        solutions = complete(sweep)
        if not sweep.answers.sound:
            # what misled an agent it does not use again
            return iterate(agents, weights, neighbourhood, start, options, curvature)
    except LocalFailure as failure:
        return _result(state, (), failure.status, failure.agent, history)
    culprit = -1 if status.ok else _most_at_odds(sweep.gaps, weights, neighbourhood)
    return _result(state, solutions, status, culprit, history)


def complete(sweep: Sweep) -> tuple[QPSolution, ...]:
    """All variables and multipliers of an iteration, checked.

    Raises
    ------
    LocalFailure
        Those of an agent do not satisfy its conditions.
    """
    solutions = sweep.answers.solutions()
    for i, solution in enumerate(solutions):
        if not solution.status.ok:
            raise LocalFailure(i, solution.status)
    return solutions


def _verdict(
    sweep: Sweep, residuals: tuple[float, float], count: int, watch: ConsensusWatch, options: ADMMOptions
) -> Status | None:
    """How it ended, if it has ended after `count` iterations."""
    if not len(sweep.state.z):
        return Status.OPTIMAL
    last = count == options.iterations
    stalled = watch.stalled(sweep, count, last)
    if options.tolerance is None:
        at_last = Status.CONSENSUS_STALLED if stalled else Status.MAX_ITERATIONS
        return at_last if last else None
    (primal, dual), size = residuals, 1.0 + largest(sweep.state.z)
    if primal <= options.tolerance * size and dual <= options.tolerance * (1.0 + largest(sweep.state.y)):
        return Status.OPTIMAL
    if stalled:
        return Status.CONSENSUS_STALLED
    return Status.NOT_CONVERGED if last else None


def _result(
    state: ADMMState,
    solutions: tuple[QPSolution, ...],
    status: Status,
    culprit: int,
    history: list[tuple[float, float]],
) -> ADMMResult:
    primal, dual = np.array(history).reshape(-1, 2).T
    if state.directions is not None:
        state = replace(state, directions=state.directions.alone())
    return ADMMResult(state, solutions, status, culprit, primal, dual)


def _most_at_odds(gaps: Array, weights: Array, neighbourhood: Neighbourhood) -> int:
    """The agent whose shared numbers differ most from what was agreed, in the units of their multipliers."""
    weighted = weights[neighbourhood.entries] * gaps
    return int(np.argmax([np.linalg.norm(part) for part in neighbourhood.apart(weighted)]))
