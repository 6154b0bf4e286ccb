"""Cost and indices are those of the plant under its controller, whoever else samples in the same loop."""

from types import SimpleNamespace
from typing import Any, cast

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import Block, CentralizedMPC
from dmpcrl_ctrl.cosim import Run, simulate
from dmpcrl_ctrl.plants import Plant, power_network
from dmpcrl_ctrl.plants.indices import mean_deviation_cost
from dmpcrl_ctrl.plants.trajectory import Trajectory
from dmpcrl_ctrl.validation.experiment import Override, parse_experiment
from dmpcrl_ctrl.validation.metrics import stage_costs, summarise
from dmpcrl_ctrl.validation.runner import prepare
from dmpcrl_ctrl.validation.samples import columns_of, sample_rows, sampled
from dmpcrl_ctrl.validation.tally import tally


class Gain:
    """u = -gain x."""

    def __init__(self, name: str, x: str, u: str, sample_time: float, gain: float = 0.5) -> None:
        self.name, self.sample_time, self.gain = name, sample_time, gain
        self.inputs, self.outputs = (x,), (u,)

    def init(self, seed: int) -> None:
        """Nothing to carry."""

    def step(
        self, state: None, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[None, Array, dict[str, Any]]:
        return None, -self.gain * measurement, {}


class Watcher(Gain):
    """Reads a state and sends out a signal that nobody needs."""


def lag(name: str, x: str, u: str) -> Plant:
    system = ct.ss([[-0.5]], [[1.0]], [[1.0]], [[0.0]], states=[x], inputs=[u], outputs=[x])
    weight = np.eye(1)
    return Plant(
        system,
        name=name,
        initial_state=[1.0],
        state_limits={x: (-1.0, 0.3)},
        indices={"eta": mean_deviation_cost(weight, weight)},
    )


def test_a_watcher_at_four_times_the_rate_changes_no_number() -> None:
    plant, gain = lag("lag", "x", "u"), Gain("gain", "x", "u", 1.0)
    alone = summarise(simulate(plant, gain, t_end=6.0), plant)
    watched = simulate(plant, [gain, Watcher("watcher", "x", "seen", 0.25)], t_end=6.0)
    assert watched.samples == 24
    found = summarise(watched, plant)
    assert found.samples == 6
    assert found.violated_samples == alone.violated_samples > 0
    assert found.violations == alone.violations
    counted = tally(plant, gain, 6.0, 0, [Watcher("watcher", "x", "seen", 0.25)])
    assert counted.cost == pytest.approx(alone.total_cost, rel=1e-12)
    assert counted.violated == alone.violated_samples
    for key in ("total_cost", "mean_cost", "agent_cost", "indices", "saturated"):
        assert getattr(found, key) == pytest.approx(getattr(alone, key), rel=1e-12), key
    time, cost = stage_costs(watched)
    np.testing.assert_array_equal(time, np.arange(7.0))
    assert cost.sum() == pytest.approx(alone.total_cost, rel=1e-12)


def test_an_observer_at_four_times_the_rate_leaves_the_published_index(tmp_path: Any) -> None:
    """arXiv:1207.2000, scenario 1 until 10 s: the mean over the 10 samples, by hand from the rows at whole seconds."""
    text = """
    title = "observed"
    plant = { kind = "power_network" }
    controller = { kind = "centralized_mpc", horizon = 15, hold = "network", terminal = "equality", soft = false }
    simulation = { t_end = 10.0 }
    """
    prepared = prepare(parse_experiment(text, "e.toml", [Override.read("observer.sample_time=0.25")]), tmp_path / "out")
    observed = simulate(prepared.plant, prepared.blocks, t_end=10.0)
    alone = simulate(prepared.plant, prepared.blocks[-1], t_end=10.0)
    assert (observed.samples, alone.samples) == (40, 10)
    with_observer, without = summarise(observed, prepared.plant), summarise(alone, prepared.plant)
    assert with_observer.indices == pytest.approx(without.indices, rel=1e-6)
    assert with_observer.total_cost == pytest.approx(without.total_cost, rel=1e-6)
    assert without.total_cost == pytest.approx(alone.cost.sum(), rel=1e-12)


@pytest.mark.parametrize("other_rate", [0.25, 0.5, 1.0])
def test_a_second_loop_beside_it_does_not_change_the_cost_of_the_first(other_rate: float) -> None:
    first, second = lag("one", "x", "u"), lag("two", "z", "v")
    loops = [Gain("fast", "z", "v", other_rate), Gain("gain", "x", "u", 1.0)]
    run = simulate([first, second], loops, t_end=4.0)
    alone = [
        summarise(simulate(plant, loop, t_end=4.0), plant) for plant, loop in zip((second, first), loops, strict=True)
    ]
    found = summarise(run)
    own = {"one": alone[1], "two": alone[0]}
    for name, cost in found.agent_cost.items():
        assert cost == pytest.approx(own[name.split(".")[0]].total_cost, rel=1e-12)
    assert found.mean_cost == pytest.approx(alone[0].mean_cost + alone[1].mean_cost, rel=1e-12)
    assert summarise(run, first).indices["eta"] == pytest.approx(alone[1].indices["eta"], rel=1e-12)
    assert found.violations["one.x"].samples == alone[1].violations["x"].samples


def test_of_two_blocks_that_drive_a_plant_the_fastest_gives_the_samples() -> None:
    system = ct.ss(-np.eye(2), np.eye(2), np.eye(2), 0, states=["x", "z"], inputs=["u", "v"], outputs=["x", "z"])
    plant = Plant(system, name="pair", initial_state=[1.0, 1.0])
    run = simulate(plant, [Gain("slow", "x", "u", 1.0), Gain("fast", "z", "v", 0.5)], t_end=3.0)
    rows = sample_rows(run, "pair")
    np.testing.assert_array_equal(run.time[:-1][rows], np.arange(0.0, 3.0, 0.5))
    late = [Gain("slow", "x", "u", 1.0), Gain("z", "z", "v", 1.0)]
    assert summarise(simulate(plant, late, t_end=3.0)).samples == 3


def test_a_plant_that_nobody_drives_is_seen_at_every_row() -> None:
    plant = power_network()
    run = simulate(plant, t_end=2.0, connections={f"{plant.name}.{u}": None for u in plant.input_names})
    assert sample_rows(run, plant.name).all()
    assert summarise(run, plant).samples == len(run.time) - 1


def test_a_delayed_controller_is_seen_when_it_samples() -> None:
    plant = power_network()
    mpc: Block = CentralizedMPC.for_plant(plant, horizon=3, delay=0.5)
    run = simulate(plant, [mpc, Watcher("watcher", "dtheta_1", "seen", 0.1)], t_end=2.0)
    np.testing.assert_array_equal(run.time[:-1][sample_rows(run, plant.name)], [0.0, 1.0])


def test_a_trajectory_keeps_its_end() -> None:
    rows = np.array([True, False, True])
    numbers = np.arange(4.0)[:, None]
    seen = sampled(
        Trajectory(np.arange(4.0), numbers, numbers[:3], np.zeros((3, 0)), np.zeros((3, 2)), ("x",), ("u",)), rows
    )
    np.testing.assert_array_equal(seen.time, [0.0, 2.0, 3.0])
    np.testing.assert_array_equal(seen.state[:, 0], [0.0, 2.0, 3.0])
    np.testing.assert_array_equal(seen.input[:, 0], [0.0, 2.0])


def test_columns_are_told_apart_by_the_whole_name_of_their_plant() -> None:
    run = cast(Run, SimpleNamespace(plants=("a", "ab")))
    assert columns_of(("a.x", "ab.x"), "a", run).tolist() == [True, False]
    assert columns_of(("x",), "a", cast(Run, SimpleNamespace(plants=("a",)))).tolist() == [True]
