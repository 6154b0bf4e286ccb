"""Training: a learning block in the loop, over one long run or over episodes that start anew.

Nothing is logged but what a learning curve shows. Every so many samples, and between episodes, training passes a
checkpoint: the solvers start cold there, with nothing to look back on. So a training that goes on from a checkpoint
does, number for number, what it would have done uninterrupted; the price is one transition at each.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.controllers import Block
from dmpcrl_ctrl.controllers.learning_block import LearnerState, LearningBlock, Theta
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.scheduler import LoopState, Row, Scheduler
from dmpcrl_ctrl.cosim.wiring import wire
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.validation.tally import violates

# Samples between two checkpoints within an episode.
CHECKPOINT_EVERY = 1000
_SECONDS_BETWEEN_REPORTS = 0.1

Observer = Callable[[int, Row, LearnerState], None]


@dataclass(frozen=True, eq=False)
class Training:
    """What came of it, or of its part so far.

    Attributes
    ----------
    state
        Of the block: parameters, memory, counts. Training goes on from here.
    cost
        (episodes, K): the plant's cost by sample, of all agents; NaN where training has not been yet.
    td_error
        (episodes, K): mean belief of the temporal difference; NaN where there is none.
    violations
        (episodes,): instants with a state outside its limits.
    """

    state: LearnerState
    cost: Array
    td_error: Array
    violations: Index

    @property
    def theta(self) -> tuple[Theta, ...]:
        """The learned parameters, one mapping an agent."""
        return self.state.theta


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A training at a checkpoint.

    Attributes
    ----------
    training
        What came of it so far.
    episode
        Number of the episode that is under way or comes next.
    loop
        The closed loop of the episode under way; None between two episodes.
    """

    training: Training
    episode: int
    loop: LoopState | None = None


def train(
    plant: Plant,
    learning: LearningBlock,
    *,
    steps: int,
    episodes: int = 1,
    seed: int = 0,
    others: Sequence[Block] = (),
    start: LearnerState | Snapshot | None = None,
    progress: Callable[[float], None] | None = None,
    checkpoint: Callable[[Snapshot], None] | None = None,
    checkpoint_every: int = CHECKPOINT_EVERY,
    observe: Observer | None = None,
) -> Training:
    """Learn in the closed loop.

    Parameters
    ----------
    plant, learning, others
        The loop; others are blocks such as an observer.
    steps, episodes
        Samples of an episode; how many episodes, each from the plant's initial state and with noise of its own.
    seed
        Of noise, exploration and replay.
    start
        `Training.state` of an earlier training whose parameters and memory are taken on, or a snapshot of this very
        training, to go on from.
    progress
        Called with the finished fraction.
    checkpoint
        Called at every checkpoint.
    checkpoint_every
        Samples between two of them within an episode; with others in the loop there are none within.
    observe
        Called at every sample with its number in the whole training, from 0, what the loop's log would keep of it, and
        the block's state after it.

    Raises
    ------
    LearningError
        A number below 1, or a snapshot of other samples an episode, or of more episodes.
    """
    for name, value in (("steps", steps), ("episodes", episodes), ("checkpoint_every", checkpoint_every)):
        if value < 1:
            raise LearningError(f"{name} must be at least 1, got {value}")
    if isinstance(start, Snapshot):
        now = _lengthened(start, steps, episodes)
    else:
        nothing = Training(learning.init(0) if start is None else start, *_curves(0, steps))
        now = _lengthened(Snapshot(nothing, 0), steps, episodes)
    seeds = np.random.SeedSequence(seed).generate_state(episodes)
    report = _Reporter(progress, episodes * steps)
    for episode in range(now.episode, episodes):
        running = _Episode(plant, learning, others, steps, int(seeds[episode]), episode, observe)
        now = running.run(now, report, checkpoint, checkpoint_every)
        if checkpoint is not None:
            checkpoint(now)
    return now.training


def _curves(episodes: int, steps: int) -> tuple[Array, Array, Index]:
    unknown = np.full((episodes, steps), np.nan)
    return unknown, unknown, np.zeros(episodes, dtype=np.intp)


def _lengthened(snapshot: Snapshot, steps: int, episodes: int) -> Snapshot:
    """With room for all episodes, of which there may be more than at first."""
    training = snapshot.training
    before, samples = training.cost.shape
    if samples != steps or before > episodes:
        raise LearningError(
            f"the snapshot is of {before} episodes of {samples} samples: it cannot go on as {episodes} of {steps}"
        )
    cost, error, violations = _curves(episodes - before, steps)
    longer = Training(
        training.state,
        np.concatenate([training.cost, cost]),
        np.concatenate([training.td_error, error]),
        np.concatenate([training.violations, violations]),
    )
    return replace(snapshot, training=longer)


class _Episode:
    """One closed loop, which the scheduler moves from instant to instant."""

    def __init__(
        self,
        plant: Plant,
        learning: LearningBlock,
        others: Sequence[Block],
        steps: int,
        seed: int,
        number: int,
        observe: Observer | None,
    ) -> None:
        who = Participants.of(plant, (*others, learning), steps * float(learning.sample_time))
        self._scheduler = Scheduler(who, wire(who), seed)
        self._learning, self._alone = learning, not others
        self._block, self._number, self._steps = len(others), number, steps
        self._limits, self._observe = plant.task.state_limits, observe

    def run(
        self,
        before: Snapshot,
        report: "_Reporter",
        checkpoint: Callable[[Snapshot], None] | None,
        every: int,
    ) -> Snapshot:
        """From the start of the episode, or from where the snapshot stands, to its end."""
        training, scheduler = before.training, self._scheduler
        cost, error, outside = training.cost.copy(), training.td_error.copy(), training.violations.copy()
        state = self._start(training.state) if before.loop is None else before.loop

        def here(state: LoopState, episode: int, loop: LoopState | None) -> Snapshot:
            inner = state.blocks[self._block].inner
            return Snapshot(Training(inner, cost.copy(), error.copy(), outside.copy()), episode, loop)

        while True:
            state, row = scheduler.instant(state)
            count = state.blocks[self._block].count
            due = row is not None and self._block in row.steps
            if row is not None and (due or state.tick == scheduler.end):
                outside[self._number] += violates(row.state, self._limits)
            if row is not None and due:
                cost[self._number, count - 1] = row.cost.sum()
                error[self._number, count - 1] = row.steps[self._block].record["td_error"].mean()
                report(self._number * self._steps + count)
                if self._observe is not None:
                    self._observe(self._number * self._steps + count - 1, row, state.blocks[self._block].inner)
            if state.tick == scheduler.end:
                return here(state, self._number + 1, None)
            state = scheduler.advance(state, scheduler.next_instant(state))
            if due and count % every == 0 and self._alone and state.tick < scheduler.end:
                state = self._with(state, self._learning.resumed(state.blocks[self._block].inner))
                if checkpoint is not None:
                    checkpoint(here(state, self._number, state))

    def _start(self, carried: LearnerState) -> LoopState:
        """The plant starts anew, and with it the seed; parameters, memory and counts are carried on."""
        state = self._scheduler.start()
        seed = state.blocks[self._block].inner.seed
        return self._with(state, self._learning.resumed(replace(carried, seed=seed)))

    def _with(self, state: LoopState, inner: LearnerState) -> LoopState:
        blocks = list(state.blocks)
        blocks[self._block] = replace(blocks[self._block], inner=inner)
        return replace(state, blocks=tuple(blocks))


class _Reporter:
    """Calls `progress` now and then, and at the end."""

    def __init__(self, progress: Callable[[float], None] | None, total: int) -> None:
        self._progress, self._total, self._next = progress, total, 0.0

    def __call__(self, done: int) -> None:
        if self._progress is not None and (time.monotonic() >= self._next or done == self._total):
            self._progress(done / self._total)
            self._next = time.monotonic() + _SECONDS_BETWEEN_REPORTS
