"""Rows about what a training step is made of besides its local solves."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.measure import timed
from benchmarks.row import Row
from benchmarks.training import PLANTS, published_learner
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.consensus import ADMMState
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.problem import AgentData
from dmpcrl_ctrl.validation.training import train
from dmpcrl_ctrl.value import Evaluation

_LIMIT = 5.0


@dataclass
class Count:
    """Local solves of a training: iterations of ADMM, times the agents."""

    solves: int = 0


def local_overhead(example: str, steps: int = 40, runs: int = 5) -> Row:
    """All of a training step as published but one matrix-vector product for each local solve in it, per solve.

    The product is that of the affine law by which shared numbers follow the agents' weights, averaged over the agents;
    timed beside each training. No private name is used, whatever way the solves are made.
    """
    plant, block = PLANTS[example](variant="published"), published_learner(example)
    evaluator = DistributedEvaluator(block.mpc.problem)
    products = [np.eye(len(held.shared)) for held in evaluator.held]
    count, overheads, took, floors = Count(), [], [], []
    for seed in range(runs):
        count.solves = 0
        floor = float(np.mean([timed(partial(M.dot, M[0]), 2000)() for M in products]))
        with patch.object(DistributedEvaluator, "evaluate", counted(count)):
            start = time.perf_counter()
            train(plant, block, steps=steps, seed=seed)
            seconds = time.perf_counter() - start
        overheads.append(1e6 * (seconds / count.solves - floor))
        took.append(1e3 * seconds / steps)
        floors.append(1e6 * floor)
    low, overhead, high = map(float, np.percentile(overheads, [25.0, 50.0, 75.0]))
    note = (
        f"{np.median(took):.1f} ms a step with {count.solves / steps:.0f} solves, each a product of "
        f"{np.median(floors):.1f} us"
    )
    name = f"training step of {example} as published without its products, per local solve, us"
    return Row(name, f"<= {_LIMIT:g}", overhead, (low, high), bool(overhead <= _LIMIT), note)


def counted(count: Count) -> Any:
    """`DistributedEvaluator.evaluate`, whose iterations are counted."""
    evaluate = DistributedEvaluator.evaluate

    def counting(
        self: DistributedEvaluator,
        data: Sequence[AgentData],
        action: Sequence[Array] | None = None,
        memory: ADMMState | None = None,
    ) -> Evaluation:
        found = evaluate(self, data, action, memory)
        count.solves += found.iterations * len(data)
        return found

    return counting
