"""Learners of example 1 that are compared beyond the paper: what each change of the published recipe brings.

From one to the next: no bias of the temporal difference (and the upper bound starts where it is); exploration that does
not end; second order, with batches and steps of its own. And a policy gradient.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from dmpcrl_ctrl.controllers.learning_block import LearnerState, LearningBlock, Theta
from dmpcrl_ctrl.cosim.scheduler import Row
from dmpcrl_ctrl.errors import SimulationError
from dmpcrl_ctrl.exploration import Exploration
from dmpcrl_ctrl.schedule import Geometric
from dmpcrl_ctrl.validation.paper import chain_learning, chain_plant, chain_policy_learning
from dmpcrl_ctrl.validation.training import train

AS_PUBLISHED, FIRST = "first order, as published", "first order, unbiased"
EXPLORING, SECOND, POLICY = "first order, exploring for good", "second order, exploring for good", "policy gradient"
# the central solver is the quicker one; agents learn the same
COMPARED: Mapping[str, Callable[[], LearningBlock]] = {
    AS_PUBLISHED: partial(chain_learning, distributed=False, variant="published"),
    FIRST: partial(chain_learning, distributed=False, order=1),
    EXPLORING: partial(chain_learning, distributed=False, order=1, exploration=Exploration(Geometric(0.5))),
    SECOND: partial(chain_learning, distributed=False),
    POLICY: partial(chain_policy_learning, distributed=False),
}
MARKS = (50, 100, 200, 400, 700, 1000, 2000)


def learned(name: str, samples: int, seed: int) -> tuple[dict[int, tuple[Theta, ...]], int]:
    """Samples of training -> the parameters then, as far as the training came; and how many transitions it skipped."""
    learning = COMPARED[name]()
    marks: dict[int, tuple[Theta, ...]] = {}
    skipped = 0

    def observe(sample: int, row: Row, state: LearnerState) -> None:
        nonlocal skipped
        skipped = state.skipped
        if sample + 1 in (*MARKS, samples):
            marks[sample + 1] = state.theta

    with suppress(SimulationError):  # where its state runs away, what there was before is what it has learned
        train(chain_plant(), learning, steps=samples, seed=seed, observe=observe)
    return marks or {0: learning.theta}, skipped
