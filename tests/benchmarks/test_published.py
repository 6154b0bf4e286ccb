"""The published settings reach the evaluator."""

import pytest

from benchmarks.published import published
from dmpcrl_ctrl.controllers import DistributedMPC
from dmpcrl_ctrl.distributed import DistributedEvaluator


@pytest.mark.parametrize(("example", "agents", "penalty"), [("chain", 3, 0.5), ("power", 4, 50.0)])
def test_examples_are_as_published(example: str, agents: int, penalty: float) -> None:
    plant, block = published(example)
    assert len(plant.agents) == agents and isinstance(block.mpc, DistributedMPC)
    told = block.mpc.log_attributes
    assert (told["averaging_rounds"], told["acceleration"]) == (100, "none")
    evaluator = block.init(0).mpc.evaluator
    assert isinstance(evaluator, DistributedEvaluator)
    assert (evaluator.admm.iterations, evaluator.admm.penalty) == (50, penalty)
    assert not block.mpc.certify and published(example, certify=True)[1].mpc.certify
