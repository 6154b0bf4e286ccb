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
    """One closed loop in two numbers, counted at the samples of its controller as a training counts them.

    Attributes
    ----------
    cost
        The plant's, of all agents.
    violated
        Samples, the end included, at which a state was outside its limits.
    """

    cost: float
    violated: int


def tally(plant: Plant, block: Block, t_end: float, seed: int, others: Sequence[Block] = ()) -> Tally:
    """The loop that :func:`~dmpcrl_ctrl.cosim.simulate` runs, without a log; others are blocks such as an observer."""
    who = Participants.of(plant, (*others, block), t_end)
    scheduler = Scheduler(who, wire(who), seed)
    state, cost, violated = scheduler.start(), 0.0, 0
    while True:
        state, row = scheduler.instant(state)
        due, end = row is not None and len(others) in row.steps, state.tick == scheduler.end
        if row is not None and (due or end):
            violated += violates(row.state, plant.task.state_limits)
        if end:
            return Tally(cost, violated)
        if row is not None and due:
            cost += float(row.cost.sum())
        state = scheduler.advance(state, scheduler.next_instant(state))


def violates(state: Array, limits: Array) -> bool:
    """Whether a state leaves its limits (n, 2) by more than rounding."""
    low, high = limits.T
    return bool(np.maximum(low - state, state - high).max(initial=0.0) > VIOLATION_TOLERANCE)
