"""One short run of the power network, shared by the tests of what is made of a run."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from dmpcrl_ctrl.cosim.log import Run, open_log
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.validation.experiment import parse_experiment
from dmpcrl_ctrl.validation.metrics import Summary
from dmpcrl_ctrl.validation.runner import execute, prepare

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
