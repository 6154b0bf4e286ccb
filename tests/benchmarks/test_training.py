"""What is timed as published is what was published."""

import pytest

from benchmarks.training import learner, published_learner, seconds_per_step
from dmpcrl_ctrl.distributed import DistributedEvaluator


@pytest.mark.parametrize(("example", "penalty"), [("chain", 0.5), ("power", 50.0)])
def test_the_published_step_has_its_iterations_and_rounds(example: str, penalty: float) -> None:
    evaluator = published_learner(example).init(0).mpc.evaluator
    assert isinstance(evaluator, DistributedEvaluator)
    assert (evaluator.admm.iterations, evaluator.admm.tolerance, evaluator.admm.penalty) == (50, None, penalty)
    assert (evaluator.rounds, evaluator.averaging.acceleration) == (100, "none")
    assert not published_learner(example).mpc.certify and published_learner(example, certify=True).mpc.certify
    own = learner(example).init(0).mpc.evaluator
    assert isinstance(own, DistributedEvaluator)
    assert own.admm.tolerance == 1e-11


def test_a_step_takes_time() -> None:
    assert seconds_per_step("chain", published_learner("chain"), steps=1) > 0.0
