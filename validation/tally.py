"""What an episode costs, counted as it runs: over many short episodes a log would take as long as the loop."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import Block
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.scheduler import Scheduler
from dmpcrl_ctrl.cosim.wiring import wire
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.validation.metrics import VIOLATION_TOLERANCE


@dataclass(frozen=True)
class Tally:
    """One closed loop in two numbers.

    Attributes
    ----------
    cost
        The plant's, of all agents and samples.
    violated
        Instants, the last included, at which a state was outside its limits.
    """

    cost: float
    violated: int


def tally(plant: Plant, blocks: Sequence[Block], t_end: float, seed: int) -> Tally:
    """The loop that :func:`~dmpcrl_ctrl.cosim.simulate` runs, without a log."""
    who = Participants.of(plant, tuple(blocks), t_end)
    scheduler = Scheduler(who, wire(who), seed)
    state, cost, violated = scheduler.start(), 0.0, 0
    while True:
        state, row = scheduler.instant(state)
        if row is not None:
            violated += outside(row.state, plant.task.state_limits)
        if state.tick == scheduler.end:
            return Tally(cost, violated)
        if row is not None:
            cost += float(row.cost.sum())
        state = scheduler.advance(state, scheduler.next_instant(state))


def outside(state: Array, limits: Array) -> bool:
    """Whether a state leaves its limits (n, 2) by more than rounding."""
    low, high = limits.T
    return bool(np.maximum(low - state, state - high).max(initial=0.0) > VIOLATION_TOLERANCE)
