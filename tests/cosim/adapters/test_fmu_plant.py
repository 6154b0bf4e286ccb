"""An FMU in a loop of ours is the exported plant, to the last bit; it goes back where it can, and says where not."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pythonfmu import FmuBuilder

from dmpcrl_ctrl.controllers import LQR, CentralizedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.adapters.driven import DrivenPlant
from dmpcrl_ctrl.cosim.adapters.episode import Episodes
from dmpcrl_ctrl.cosim.adapters.fmu_export import export_controller, export_plant
from dmpcrl_ctrl.cosim.adapters.fmu_plant import STEP, FMUPlant
from dmpcrl_ctrl.errors import FMUError, ModelError, PlantError, SimulationError
from dmpcrl_ctrl.plants import chain, power_network

# Not written by this package: dots in names, other kinds of variables, no state that could be kept.
SPRING = """
from pythonfmu import Fmi2Causality, Fmi2Slave, Fmi2Variability, Integer, Real, String

class Spring(Fmi2Slave):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.values = {"mass.position": 1.0, "mass.speed": 0.0, "force": 0.0, "bias": 0.0, "stiffness": 1.0}
        kinds = {"mass.position": "output", "mass.speed": "output", "force": "input", "bias": "input"}
        for name, kind in kinds.items():
            self._add(name, causality=Fmi2Causality[kind])
        self._add("stiffness", causality=Fmi2Causality.parameter, variability=Fmi2Variability.fixed)
        self.steps, self.label = 0, "spring"
        now = {"causality": Fmi2Causality.output, "variability": Fmi2Variability.discrete}
        self.register_variable(Integer("steps", causality=Fmi2Causality.output))
        self.register_variable(String("label", **now))

    def _add(self, name, **options):
        get, put = (lambda: self.values[name]), (lambda value: self.values.__setitem__(name, value))
        self.register_variable(Real(name, getter=get, setter=put, **options), nested=False)

    def do_step(self, time, step):
        v = self.values
        if v["force"] > 50.0:
            return False
        v["mass.speed"] += step * (v["force"] + v["bias"] - v["stiffness"] * v["mass.position"])
        v["mass.position"] += step * v["mass.speed"]
        self.steps += 1
        return True
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("fmu")
    script = folder / "spring_of_somebody.py"
    script.write_text(SPRING, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        FmuBuilder.build_FMU(script, folder / "spring.fmu")
    return {
        "power": export_plant(folder / "power.fmu", power_network, {"scenario": 1}, sample_time=1.0),
        "chain": export_plant(folder / "chain.fmu", chain),
        "spring": folder / "spring.fmu",
    }


@pytest.fixture
def spring(files: dict[str, Path]) -> Iterator[FMUPlant]:
    with FMUPlant(
        files["spring"], validate=False, sample_time=0.1, inputs=["force"], input_limits={"force": (-60.0, 60.0)}
    ) as plant:
        yield plant


def limits_of(plant: Any) -> dict[str, Any]:
    return dict(zip(plant.input_names, plant.input_limits, strict=True))


def test_the_power_network_as_an_fmu_is_the_native_run(files: dict[str, Path]) -> None:
    native = power_network(1)
    run = simulate(native, CentralizedMPC.for_plant(native, 5), t_end=12.0)
    with FMUPlant(files["power"], input_limits=limits_of(native)) as plant:
        other = simulate(plant, CentralizedMPC.for_plant(native, 5), t_end=12.0, dense=2)
    own = [plant.state_names.index(name) for name in native.state_names]
    difference = max(np.abs(other.state[:][:, own] - run.state[:]).max(), np.abs(other.input[:] - run.input[:]).max())
    assert difference <= 1e-9
    assert difference == 0.0  # the same operations in the same order
    assert other.state[:, plant.state_names.index(STEP)].tolist() == list(range(13))


def test_noise_by_the_fmus_own_seed(files: dict[str, Path]) -> None:
    native = chain()
    block = LQR.for_plant(native, sample_time=1.0)
    run = simulate(native, block, t_end=5.0, seed=4)
    with FMUPlant(files["chain"], start_values={"seed": 4}, name="other", input_limits=limits_of(native)) as plant:
        other = simulate(plant, block, t_end=5.0, seed=0)
        assert np.array_equal(other.state[:, : len(native.state_names)], run.state[:])


def test_stage_cost_limits_and_set_points_of_the_user(files: dict[str, Path]) -> None:
    options: dict[str, Any] = {"Q": {"mass_position": 2.0}, "setpoints": {"mass_position": 0.5}}
    with FMUPlant(
        files["spring"],
        validate=False,
        inputs={"push": "force"},
        outputs=["mass.position", "mass.speed", "steps"],
        sample_time=0.1,
        start_values={"stiffness": 3.0, "bias": 1.0},
        R={"push": 1.0},
        disturbances=None,
        **options,
    ) as plant:
        assert plant.output_names == ("mass_position", "mass_speed", "steps") and plant.input_names == ("push",)
        outside = DrivenPlant(plant, 0.1)
        first = outside.start()
        second = outside.follow(first, [2.0])
        assert second.cost.tolist() == [2.0 * 0.5**2 + 2.0**2]
        assert second.state.tolist() == pytest.approx([1.0, 0.0, 1.0, 1.0])  # 2 + 1 - 3 * 1 = 0


def test_an_old_sample_can_be_followed_again(files: dict[str, Path]) -> None:
    with FMUPlant(files["chain"], history=2) as plant:
        outside = DrivenPlant(plant, 1.0)
        first = outside.start()
        second = outside.follow(first, [0.1, 0.2, 0.3])
        ends = []
        for value in (0.5, -0.5, 0.5):
            third = outside.follow(second, [value, 0.0, 0.0])
            ends.append(outside.follow(third, [0.0, 0.0, 0.0]).measurement)
            second = outside.follow(first, [0.1, 0.2, 0.3])
        assert np.array_equal(ends[0], ends[2]) and not np.array_equal(ends[0], ends[1])
        third = second
        for _ in range(4):
            third = outside.follow(third, [0.0, 0.0, 0.0])
        with pytest.raises(SimulationError, match="is not kept .any more.; the last 2 of the latest run are"):
            outside.follow(second, [0.0, 0.0, 0.0])


def test_one_that_cannot_go_back_goes_on_or_begins_anew(spring: FMUPlant) -> None:
    block = LQR_of_the_spring()
    runs = [simulate(spring, block, t_end=2.0, dense=3).state[:] for _ in range(2)]
    assert np.array_equal(runs[0], runs[1]) and np.abs(runs[0][-1, :2]).max() < 0.5 * np.abs(runs[0][0, :2]).max()
    outside = DrivenPlant(spring, 0.1)
    first = outside.follow(outside.start(), [0.0])
    outside.follow(first, [0.0])
    with pytest.raises(SimulationError, match=r"spring.fmu cannot go back to an earlier state \(canGetAndSetFMUstate"):
        outside.follow(first, [1.0])


def LQR_of_the_spring() -> LQR:
    """A controller by a model of one's own."""
    import control as ct

    from dmpcrl_ctrl.plants import Plant

    names = ["mass_position", "mass_speed"]
    model = ct.ss([[0, 1], [-1, 0]], [[0], [1]], np.eye(2), 0, states=names, outputs=names, inputs=["force"])
    return LQR.for_plant(Plant(model, R={"force": 0.1}), sample_time=0.1)


def test_a_step_that_it_refuses_and_an_input_that_is_none(spring: FMUPlant) -> None:
    outside = DrivenPlant(spring, 0.1)
    first = outside.start()
    with pytest.raises(SimulationError, match=r"t = 0 s: Spring: .*spring.fmu: doStep: .*discard"):
        outside.follow(first, [55.0])
    assert outside.follow(first, [1.0]).number == 1
    with pytest.raises(SimulationError, match="'force' is nan"):
        outside.follow(first, [np.nan])
    with pytest.raises(PlantError, match="input 'force' is nan at t = 0 s"):
        spring.advance(spring.initial_state, 0.1, np.array([np.nan]))


def test_it_has_no_model(spring: FMUPlant) -> None:
    with pytest.raises(ModelError, match="an FMU gives no model to predict with; make the controller for a Plant"):
        CentralizedMPC.for_plant(spring, 5)
    with pytest.raises(ModelError, match="gives no model"):
        spring.agent_rates()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validate": True}, '"steps" .* must have variability != "continuous". .validate=False runs it all the same'),
        ({}, "spring.fmu declares no step size; give a sample_time"),
        ({"outputs": ["speed"]}, "spring.fmu: output 'speed' does not exist; did you mean 'mass.speed'?"),
        ({"inputs": ["mass.speed"]}, "spring.fmu: input 'mass.speed' does not exist"),
        ({"outputs": ["label"]}, "output 'label' is String, expected Real or Integer or Boolean"),
        ({"outputs": "steps"}, r"outputs must be names, got the text 'steps': write \('steps',\)"),
        ({"outputs": []}, "has no output that is a real number"),
        ({"start_values": {"stifness": 1.0}, "sample_time": 1}, "did you mean 'stiffness'?"),
    ],
)
def test_what_the_fmu_has_not(options: dict[str, Any], message: str, files: dict[str, Path]) -> None:
    path = list(sys.path)
    with pytest.raises(FMUError, match=message) as caught:
        FMUPlant(files["spring"], **{"validate": False, **options})
    assert "\n" not in str(caught.value) and sys.path == path


def test_a_controller_is_no_plant_but_runs_as_one(files: dict[str, Path], tmp_path: Path) -> None:
    """Any FMU: here a controller, whose inputs are driven."""
    file = export_controller(
        tmp_path / "lqr.fmu", "dmpcrl_ctrl.validation.experiment_fmu:made_controller", {"text": TEXT}
    )
    native = LQR.for_plant(chain(), sample_time=1.0)
    with FMUPlant(file) as plant:
        assert plant.input_names == native.inputs and plant.output_names == native.outputs
        outside = DrivenPlant(plant, 1.0)
        u = outside.follow(outside.start(), np.full(len(native.inputs), 0.1)).measurement
        assert np.abs(u).max() > 0.0


TEXT = """
title = "chain"
[plant]
kind = "chain"
[controller]
kind = "lqr"
[simulation]
t_end = 3.0
"""


def test_an_episode_that_cannot_begin_leaves_the_one_that_runs(files: dict[str, Path]) -> None:
    zero = np.zeros(3)
    with FMUPlant(files["chain"]) as plant, FMUPlant(files["chain"]) as alone:
        episodes, other = Episodes(plant), Episodes(alone)
        for each in (episodes, other):
            each.begin(0)
            each.follow(zero)
        for seed, options in ((0, {"initial_state": {"nothing_such": 1.0}}), (-1, {})):
            with pytest.raises((PlantError, SimulationError)):
                episodes.begin(seed, options)
        assert np.array_equal(episodes.follow(zero).sample.state, other.follow(zero).sample.state)
