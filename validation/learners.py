"""Learners of example 1 that are compared beyond the paper: orders of Q-learning, and a policy gradient."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from dmpcrl_ctrl.controllers.learning_block import LearnerState, LearningBlock, Theta
from dmpcrl_ctrl.cosim.scheduler import Row
from dmpcrl_ctrl.errors import SimulationError
from dmpcrl_ctrl.validation.paper import Variant, chain_learning, chain_plant, chain_policy_learning
from dmpcrl_ctrl.validation.training import train

AS_PUBLISHED, FIRST, SECOND, POLICY = "first order, as published", "first order", "second order", "policy gradient"
# the central solver is the quicker one; agents learn the same
LEARNERS: Mapping[str, Callable[[], LearningBlock]] = {
    AS_PUBLISHED: partial(chain_learning, distributed=False, variant="published"),
    FIRST: partial(chain_learning, distributed=False, order=1),
    SECOND: partial(chain_learning, distributed=False),
    POLICY: partial(chain_policy_learning, distributed=False),
}
MARKS = (50, 100, 200, 400, 700, 1000, 2000)


def learned(name: str, samples: int, seed: int) -> tuple[dict[int, tuple[Theta, ...]], int]:
    """Samples of training -> the parameters then, as far as the training came; and how many transitions it skipped."""
    learning = LEARNERS[name]()
    marks: dict[int, tuple[Theta, ...]] = {}
    skipped = 0

    def observe(sample: int, row: Row, state: LearnerState) -> None:
        nonlocal skipped
        skipped = state.skipped
        if sample + 1 in (*MARKS, samples):
            marks[sample + 1] = state.theta

    variant: Variant = "published" if name == AS_PUBLISHED else "default"
    with suppress(SimulationError):  # where its state runs away, what there was before is what it has learned
        train(chain_plant(variant=variant), learning, steps=samples, seed=seed, observe=observe)
    return marks, skipped
