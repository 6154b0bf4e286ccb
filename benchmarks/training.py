"""The two trainings whose steps are timed."""

import copy
import time
from collections.abc import Callable
from typing import Any

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import DistributedMPC, LearningMPC
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.validation.paper import chain_learning, chain_plant, power_learning, power_plant
from dmpcrl_ctrl.validation.training import train

STEPS = 40
LEARNING: dict[str, Callable[..., LearningMPC]] = {"chain": chain_learning, "power": power_learning}
PLANTS: dict[str, Callable[..., Plant]] = {"chain": chain_plant, "power": power_plant}
_PENALTIES = {"chain": 0.5, "power": 50.0}


def learner(example: str, admm: ADMMOptions | None = None, **options: Any) -> LearningMPC:
    """The block with the published recipe: with iterations and averaging of its own, or as given here."""
    block = copy.copy(LEARNING[example](variant="published"))
    if admm is not None:
        mpc, given = block.mpc, {"certify": False, "admm": admm, **options}
        block.mpc = DistributedMPC(mpc.problem, mpc.sample_time, mpc.signals, **given)
    return block


def published_learner(example: str, **options: Any) -> LearningMPC:
    """50 iterations for V and for Q at one penalty, 100 rounds of plain averaging."""
    admm = ADMMOptions(iterations=50, penalty=_PENALTIES[example])
    return learner(example, admm, averaging_rounds=100, acceleration="none", **options)


def seconds_per_step(example: str, block: LearningMPC, seed: int = 0, steps: int = STEPS) -> float:
    """Of a training, plant and scheduler included."""
    loop = PLANTS[example](variant="published")
    start = time.perf_counter()
    train(loop, block, steps=steps, episodes=1, seed=seed)
    return (time.perf_counter() - start) / steps
