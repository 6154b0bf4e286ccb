"""A run in a process of its own that somebody watches: it writes every row at once, and waits where it is told to.

python watched.py LOG GO: at sample 6 of 12 it goes on once the file GO is there.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from dmpcrl_ctrl.controllers import ADMMOptions, DistributedMPC, LearningMPC
from dmpcrl_ctrl.cosim import recorder, simulate
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free
from dmpcrl_ctrl.plants import chain


class Gate:
    """A block that does nothing, and waits at its sample 6."""

    name, sample_time, inputs, outputs = "gate", 1.0, ("x1_1",), ()

    def __init__(self, go: Path) -> None:
        self.go = go

    def init(self, seed: int) -> None:
        pass

    def step(self, state: None, tick: int, measurement: Any, applied: Any, cost: Any) -> Any:
        while tick == 6 and not self.go.exists():
            time.sleep(0.02)
        return state, np.zeros(0), {}


def main(log: str, go: str) -> None:
    recorder._SECONDS_BETWEEN_WRITES = recorder._PAUSE = 0.0
    mpc = DistributedMPC.for_plant(chain(), 3, admm=ADMMOptions(iterations=15), certify=False)
    parts = [Parametrization(model, [Free("b"), Free("V0")]) for model in mpc.problem.models]
    simulate(chain(), [LearningMPC(mpc, parts, step_size=1e-5), Gate(Path(go))], t_end=12, log=log)


if __name__ == "__main__":
    main(*sys.argv[1:])
