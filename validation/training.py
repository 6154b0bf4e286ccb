"""Training: a learning block in the loop, over one long run or over episodes that start anew."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import LearningMPC
from dmpcrl_ctrl.controllers.learning import LearningState, Theta
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.plants import Plant


@dataclass(frozen=True, eq=False)
class Training:
    """What came of it.

    Attributes
    ----------
    state
        Of the block at the end: parameters, memory, counts. Training goes on from here.
    cost
        (episodes, K): the plant's cost by sample, of all agents.
    td_error
        (episodes, K): mean belief of the temporal difference; NaN where there is none.
    violations
        (episodes,): samples with a state outside its limits.
    """

    state: LearningState
    cost: Array
    td_error: Array
    violations: Array

    @property
    def theta(self) -> tuple[Theta, ...]:
        """The learned parameters, one mapping an agent."""
        return self.state.theta


class _Kept:
    """The learning block, with its last state kept, so that the next episode goes on from it."""

    def __init__(self, learning: LearningMPC, state: LearningState | None) -> None:
        self._learning, self.state = learning, state
        self.sample_time, self.offset, self.preview = learning.sample_time, learning.offset, learning.preview
        self.inputs, self.outputs, self.name = learning.inputs, learning.outputs, learning.name
        self.fields = learning.fields

    def init(self, seed: int) -> LearningState:
        """The kept state, with workspaces of its own and nothing to look back on."""
        fresh = self._learning.init(seed)
        if self.state is None:
            return fresh
        return self._learning.resumed(replace(self.state, seed=fresh.seed))

    def step(
        self, state: LearningState, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[LearningState, Array, dict[str, Any]]:
        """The block's own."""
        self.state, output, record = self._learning.step(state, tick, measurement, applied, cost)
        return self.state, output, record


def train(
    plant: Plant,
    learning: LearningMPC,
    *,
    steps: int,
    episodes: int = 1,
    seed: int = 0,
    start: LearningState | None = None,
    progress: Callable[[float], None] | None = None,
) -> Training:
    """Learn in the closed loop.

    Parameters
    ----------
    plant, learning
        The loop.
    steps, episodes
        Samples of an episode; how many episodes, each from the plant's initial state and with noise of its own.
    seed
        Of noise, exploration and replay.
    start
        `Training.state` of an earlier training to go on from.
    progress
        Called with the finished fraction.
    """
    kept = _Kept(learning, start)
    seeds = np.random.SeedSequence(seed).generate_state(episodes)
    costs, errors, violations = [], [], []
    for episode, own in enumerate(seeds):
        done = episode / episodes
        report = None if progress is None else _part(progress, done, episodes)
        run = simulate(plant, kept, t_end=steps * float(learning.sample_time), seed=int(own), progress=report)
        costs.append(np.asarray(run.cost).sum(axis=1)[:steps])
        errors.append(np.asarray(run.controllers[learning.name]["td_error"]).mean(axis=1)[:steps])
        violations.append(int((np.asarray(run.violations) > 0.0).any(axis=1).sum()))
        run.close()
    assert kept.state is not None
    return Training(kept.state, np.array(costs), np.array(errors), np.array(violations))


def _part(progress: Callable[[float], None], done: float, episodes: int) -> Callable[[float], None]:
    return lambda fraction: progress(done + fraction / episodes)
