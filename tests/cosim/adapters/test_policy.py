"""What a policy reads and writes, by name."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.cosim.adapters.policy import ControllerPolicy, JointPolicy
from dmpcrl_ctrl.errors import SimulationError, WiringError


class Echo:
    """Sends out what it measured, and keeps what it was told."""

    name, sample_time, inputs, outputs = "echo", 1.0, ("a", "b"), ("u", "v")

    def __init__(self) -> None:
        self.heard: list[tuple[list[float], list[float]]] = []
        self.seeds: list[int] = []

    def init(self, seed: int) -> None:
        self.seeds.append(seed)

    def step(self, state: None, tick: int, measurement: Any, applied: Any, cost: Any) -> Any:
        self.heard.append((applied.tolist(), cost.tolist()))
        return state, measurement, {}


def test_names_decide() -> None:
    policy = ControllerPolicy(Echo(), ("b", "c", "a"), ("v", "u"))
    assert policy([1.0, 2.0, 3.0]).tolist() == [1.0, 3.0]
    assert ControllerPolicy(Echo(), ("y", "b", "b"), ("u", "v"), same={"a": "y"})([1.0, 2.0, 3.0]).tolist() == [
        1.0,
        2.0,
    ]
    assert ControllerPolicy(Echo(), ("a",), ("u", "v"), unmeasured=("b",))([1.0]).tolist() == [1.0, 0.0]


def test_what_was_applied_and_its_cost_come_from_the_environment_where_it_says_so() -> None:
    echo = Echo()
    policy = ControllerPolicy(echo, ("a", "b"), ("v", "u"), limits={"u": (-1.0, 1.0), "w": (0.0, 1.0)}, agents=1)
    policy([4.0, 5.0])
    policy([4.0, 5.0])
    policy([4.0, 5.0], {"applied": np.array([0.25, 0.5]), "cost": 3.0})
    assert [applied for applied, _ in echo.heard] == [[0.0, 0.0], [1.0, 5.0], [0.5, 0.25]]
    assert [cost for _, cost in echo.heard][::2] == [[0.0], [3.0]] and np.isnan(echo.heard[1][1]).all()


def test_a_reset_is_a_start() -> None:
    echo = Echo()
    policy = ControllerPolicy(echo, ("a", "b"), ("u", "v"), seed=1)
    policy([1.0, 2.0])
    policy.reset()
    policy([1.0, 2.0])
    policy.reset(2)
    assert echo.heard == [([0.0, 0.0], [])] * 2
    assert echo.seeds[0] == echo.seeds[1] != echo.seeds[2]


def test_a_joint_policy_gives_each_its_share() -> None:
    echo = Echo()
    policy = JointPolicy(
        echo, {"one": ("b",), "two": (), "three": ("a", "b")}, {"one": ("v",), "two": (), "three": ("u",)}
    )
    seen = {"one": np.array([1.0]), "two": np.zeros(0), "three": np.array([3.0, 1.0])}
    assert {name: action.tolist() for name, action in policy(seen).items()} == {"one": [1.0], "two": [], "three": [3.0]}
    told = {name: {"applied": np.zeros(int(name != "two")), "cost": cost} for cost, name in enumerate(seen)}
    policy(seen, told)
    policy.reset()
    assert echo.heard[1] == ([0.0, 0.0], [0.0, 1.0, 2.0])


def test_what_is_no_policy_and_no_observation() -> None:
    with pytest.raises(WiringError, match="echo: its outputs are not the actions u: 'v' is one of these alone"):
        ControllerPolicy(Echo(), ("a", "b"), ("u",))
    with pytest.raises(
        WiringError, match="echo: observed signal 'b' does not exist; there are a .an environment observes"
    ):
        ControllerPolicy(Echo(), ("a",), ("u", "v"))
    policy = ControllerPolicy(Echo(), ("a", "b"), ("u", "v"))
    with pytest.raises(SimulationError, match=r"echo: observation has shape \(1,\), expected \(2,\)"):
        policy([1.0])
    with pytest.raises(SimulationError, match="echo: observation is no array of numbers"):
        policy(["a", 1.0])  # type: ignore[arg-type]
    with pytest.raises(SimulationError, match="t = 0 s: echo: measurement: 'b' is nan"):
        policy([1.0, np.nan])
