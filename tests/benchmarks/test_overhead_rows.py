"""Local solves are counted while a training runs."""

from unittest.mock import patch

import numpy as np
import pytest

from benchmarks.overhead_rows import Count, counted, local_overhead
from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.validation.paper import chain_mpc
from dmpcrl_ctrl.value import agent_data


def test_every_iteration_counts_once_an_agent() -> None:
    problem, count = chain_mpc().problem, Count()
    data = agent_data(problem, [np.array([0.2, 0.15])] * 3)
    with patch.object(DistributedEvaluator, "evaluate", counted(count)):
        DistributedEvaluator(problem, ADMMOptions(iterations=7)).evaluate(data)
    assert count.solves == 21


@pytest.mark.parametrize(("example", "agents"), [("chain", 3), ("power", 4)])
def test_the_overhead_is_told_by_solve(example: str, agents: int) -> None:
    row = local_overhead(example, steps=2, runs=1)
    assert row.name.startswith(f"training step of {example}") and row.goal == "<= 5"
    assert int(row.note.split(" with ")[1].split()[0]) % (25 * agents) == 0
