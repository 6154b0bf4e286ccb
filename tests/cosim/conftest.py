"""Small participants of closed loops, built by hand: what they do can be written down in closed form."""

from collections.abc import Callable
from typing import Any

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.plants import Plant

Law = Callable[[int, Array], Any]


class FunctionBlock:
    """A block whose output is a function of its sample number and measurement, and who remembers what it was told."""

    def __init__(
        self, inputs: tuple[str, ...], outputs: tuple[str, ...], law: Law, sample_time: Any = 1.0, **options: Any
    ) -> None:
        self.inputs, self.outputs, self.law, self.sample_time = inputs, outputs, law, sample_time
        self.seen: list[tuple[int, Array, Array, Array]] = []
        self.seeds: list[int] = []
        self.__dict__.update({"name": "block", **options})

    def init(self, seed: int) -> int:
        self.seeds.append(seed)
        return 0

    def step(self, state: int, tick: int, measurement: Array, applied: Array, cost: Array) -> Any:
        self.seen.append((tick, measurement, applied, cost))
        answer = self.law(tick, measurement)
        output, record = answer if isinstance(answer, tuple) else (answer, {})
        return state + 1, output, record


def function_block(inputs: str, outputs: str, law: Law, sample_time: Any = 1.0, **options: Any) -> FunctionBlock:
    """Names are given as one text, separated by blanks."""
    return FunctionBlock(tuple(inputs.split()), tuple(outputs.split()), law, sample_time, **options)


def linear_plant(
    A: Any, B: Any, C: Any = None, D: Any = 0.0, dt: Any = 0, *, name: str = "plant", signals: str = "", **options: Any
) -> Plant:
    """A plant from matrices; `signals`: "states; inputs; outputs", where no outputs means the states."""
    A, B = np.atleast_2d(np.asarray(A, float)), np.atleast_2d(np.asarray(B, float))
    C = np.eye(len(A)) if C is None else np.atleast_2d(np.asarray(C, float))
    groups = [part.split() for part in signals.split(";")] if signals else [[], [], []]
    states = groups[0] or [f"x{k}" for k in range(len(A))]
    inputs = groups[1] or [f"u{k}" for k in range(B.shape[1])]
    outputs = (groups[2] if len(groups) > 2 else []) or (
        states if len(C) == len(states) else [f"y{k}" for k in range(len(C))]
    )
    D = np.broadcast_to(np.asarray(D, float), (len(C), B.shape[1]))
    return Plant(ct.ss(A, B, C, D, dt, states=states, inputs=inputs, outputs=outputs, name=name), **options)


@pytest.fixture(scope="session")
def make_block() -> Callable[..., FunctionBlock]:
    return function_block


@pytest.fixture(scope="session")
def make_plant() -> Callable[..., Plant]:
    return linear_plant
