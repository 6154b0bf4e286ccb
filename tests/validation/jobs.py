"""Jobs for the tests of campaigns, from functions that a worker process can import."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.controllers.block import Block
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.plants import Plant, chain


class Proportional:
    """u_i = -gain x1_i on the chain."""

    sample_time, name = 1.0, "proportional"
    inputs, outputs = ("x1_1", "x1_2", "x1_3"), ("u_1", "u_2", "u_3")

    def __init__(self, gain: float) -> None:
        self.gain = gain

    def init(self, seed: int) -> None:
        """No state."""

    def step(self, state: None, tick: int, measurement: np.ndarray, applied: Any, cost: Any) -> tuple[Any, ...]:
        """The law."""
        return None, -self.gain * measurement, {}


def proportional(plant: Plant, gain: float) -> Block:
    """A controller that solves nothing."""
    return Proportional(gain)


def broken(plant: Plant) -> Block:
    """None at all."""
    raise ModelError("there is\nno such controller")


def clumsy(plant: Plant) -> Block:
    """A fault that is none of the package."""
    raise ZeroDivisionError("by nothing")


def deadly(plant: Plant, marker: str) -> Block:
    """Kills its process the first time."""
    file = Path(marker)
    if not file.exists():
        file.write_text("once", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    return LQR.for_plant(plant)


LAWS = {"weak": partial(proportional, gain=0.2), "strong": partial(proportional, gain=0.6)}
PLANT = chain
