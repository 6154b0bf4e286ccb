"""The paper's two examples as published: 50 iterations of ADMM at one penalty, 100 rounds of plain averaging."""

import copy

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import DistributedMPC, LearningMPC
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.validation.paper import chain_learning, chain_plant, power_learning, power_plant

ROUNDS = 100
_EXAMPLES = {"chain": (chain_plant, chain_learning, 0.5), "power": (power_plant, power_learning, 50.0)}


def published(example: str, *, certify: bool = False) -> tuple[Plant, LearningMPC]:
    """Plant and learner of "chain" or "power", with a certificate for every evaluation where that is asked for."""
    plant, learning, penalty = _EXAMPLES[example]
    block = copy.copy(learning(variant="published"))
    mpc = block.mpc
    block.mpc = DistributedMPC(
        mpc.problem,
        mpc.sample_time,
        mpc.signals,
        admm=ADMMOptions(iterations=50, penalty=penalty),
        averaging_rounds=ROUNDS,
        acceleration="none",
        certify=certify,
    )
    return plant(variant="published"), block
