"""A short run of the power network and a short campaign, shared by the tests of what is made of them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from dmpcrl_ctrl.controllers import DistributedMPC
from dmpcrl_ctrl.controllers.block import Block
from dmpcrl_ctrl.cosim.log import Run, open_log
from dmpcrl_ctrl.plants import Plant, chain
from dmpcrl_ctrl.validation.campaign import BlockFactory, Campaign, jobs_of, run_campaign
from dmpcrl_ctrl.validation.experiment import parse_experiment
from dmpcrl_ctrl.validation.metrics import Summary
from dmpcrl_ctrl.validation.paper import chain_learning
from dmpcrl_ctrl.validation.runner import execute, prepare
from tests.validation.jobs import broken, proportional

EXPERIMENT = """\
title = "A short <run> & its report"
question = "Is everything there?"

[plant]
kind = "power_network"
scenario = 1

[controller]
kind = "distributed_mpc"
horizon = 5
compare_central = true

[controller.admm]
iterations = 30

[simulation]
t_end = 8.0
seed = 3
dense = 4
"""


@dataclass(frozen=True)
class ShortRun:
    """A finished run with its folder."""

    folder: Path
    plant: Plant
    run: Run
    summary: Summary


@pytest.fixture(scope="session")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> ShortRun:
    folder = tmp_path_factory.mktemp("runs") / "short"
    prepared = prepare(parse_experiment(EXPERIMENT, "short.toml"), folder)
    outcome = execute(prepared, command="dmpcrl-ctrl run short.toml --out runs/again")
    return ShortRun(folder, prepared.plant, open_log(outcome.log), outcome.summary)


def _learning(plant: Plant) -> Block:
    return chain_learning()


@pytest.fixture(scope="session")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Three agents: a law, agents that agree, agents that learn, and a controller that cannot be made; two seeds."""
    controllers: dict[str, BlockFactory] = {
        "weak": partial(proportional, gain=0.2),
        "agents": partial(DistributedMPC.for_plant, horizon=4, sample_time=1.0),
        "learning": _learning,
        "broken": broken,
    }
    jobs = jobs_of(chain, controllers, t_end=12.0, seeds=2, seed=5)
    with ThreadPoolExecutor(1) as pool:
        return run_campaign(jobs, folder=tmp_path_factory.mktemp("campaign"), executor=pool)
