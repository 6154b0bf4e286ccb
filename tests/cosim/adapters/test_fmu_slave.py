"""What runs inside an exported FMU, without the C functions around it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.cosim.adapters.driven import DrivenBlock, DrivenPlant
from dmpcrl_ctrl.cosim.adapters.fmu_slave import ControllerSlave, PlantSlave, Slave
from dmpcrl_ctrl.cosim.adapters.fmu_spec import FORMAT, SPEC
from dmpcrl_ctrl.errors import FMUError
from dmpcrl_ctrl.plants import chain, power_network

COUNTER = '''
import numpy as np

class Counter:
    """Says its sample number and what it was told; counts how often it is asked."""
    sample_time, inputs, outputs, name, asked = 0.5, ("y",), ("u", "v", "seed_of_it"), "counter", 0

    def init(self, seed):
        return 0, seed

    def step(self, state, tick, measurement, applied, cost):
        Counter.asked += 1
        count, seed = state
        told = 10.0 * measurement[0] + applied[0] + 100.0 * cost.sum()
        return (count + 1, seed), np.array([count, told, seed]), {}
'''


def slave(kind: type[Slave], folder: Path, where: str, arguments: Any = None, **options: Any) -> Any:
    spec = {"format": FORMAT, "identifier": "it", "guid": "1", "description": "", "seed": 0, **options}
    spec["factory"] = {"where": where, "arguments": arguments or {}}
    (folder / SPEC).write_text(json.dumps(spec), encoding="utf-8")
    made = kind(instance_name="it", resources=str(folder))
    made.setup_experiment(0.0)
    made.exit_initialization_mode()
    return made


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = f"counter_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(COUNTER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def make(**options: Any) -> Any:
        common = {"limits": {"u": [None, 2.0]}, "applied": False, "costs": []}
        return slave(ControllerSlave, tmp_path, f"{module}:Counter", **{**common, **options})

    return make


def test_smaller_steps_hold_and_longer_ones_take_every_sample(counter: Any) -> None:
    one = counter()
    one.set_real([0], [1.0])
    heard = []
    for k in range(4):
        assert one.do_step(0.25 * k, 0.25)
        heard.append(one.get_real([1, 2]))
    assert heard == [[0.0, 10.0], [0.0, 10.0], [1.0, 10.0], [1.0, 10.0]]
    assert one.do_step(1.0, 1.5)
    assert one.get_real([0, 1, 2]) == [1.0, 4.0, 12.0]  # what took effect of 3 is 2
    assert [message.msg for message in one.log_queue] == ["it: t = 1 s: 3 samples saw the same inputs"]


def test_outputs_depend_on_inputs_at_once_and_cost_one_solve(counter: Any) -> None:
    one = counter()
    asked = one._block.asked
    one.set_real([0], [1.0])
    assert [one.get_real([1, 2]) for _ in range(3)] == [[0.0, 10.0]] * 3
    assert one.do_step(0.0, 0.5) and one.get_real([2]) == [10.0] and one._block.asked == asked + 1
    one.set_real([0], [2.0])
    assert one.get_real([2]) == [20.0] and one.do_step(0.5, 0.25)
    one.set_real([0], [3.0])
    assert one.get_real([2]) == [20.0]  # between samples


def test_what_was_applied_and_what_it_cost_can_be_told(counter: Any) -> None:
    one = counter(applied=True, costs=["cost_a", "cost_b"])
    assert one.input_ports == ("y", "u_applied", "v_applied", "seed_of_it_applied", "cost_a", "cost_b")
    one.set_real([0, 1, 2, 4, 5], [1.0, 0.5, 0.0, 2.0, 3.0])
    assert one.do_step(0.0, 0.5) and one.get_real([6, 7]) == [0.0, 510.5]


@pytest.mark.parametrize(
    ("time", "step", "value", "message"),
    [
        (0.0, 0.5, float("nan"), "it: t = 0 s: counter: measurement: 'y' is nan, expected a finite number"),
        (0.0, 0.7, 1.0, "it: t = 0 s: a communication step of 0.7 s does not fit the sample time of 0.5 s"),
        (0.5, 0.5, 1.0, "it: t = 0.5 s: the last step ended at 0 s"),
    ],
)
def test_a_step_that_is_refused_changes_nothing(
    time: float, step: float, value: float, message: str, counter: Any
) -> None:
    one = counter()
    one.set_real([0], [value])
    assert not one.do_step(time, step)
    assert one.log_queue[-1].msg.startswith(message) and one.log_queue[-1].status == 3
    one.set_real([0], [1.0])
    assert one.do_step(0.0, 0.5) and one.get_real([1, 2]) == [0.0, 10.0]


def test_its_seed_is_known_before_it_runs(counter: Any) -> None:
    one = counter()
    one.set_integer([4], [7])
    native = DrivenBlock(one._block, seed=7)
    expected = native.ask(native.start(), [0.0]).output[2]
    assert one.get_integer([4]) == [7] and one.do_step(0.0, 0.5) and one.get_real([3]) == [expected]
    one.set_integer([4], [8])
    assert not one.do_step(0.5, 0.5)
    assert one.log_queue[-1].msg == "it: seed is set before the first step, not at 0.5 s"


def test_what_a_master_may_not_set_ends_it(counter: Any) -> None:
    for call, message in (
        (lambda one: one.set_integer([4], [-1]), "it: seed must not be negative, got -1"),
        (lambda one: one.set_real([0, 1], [0.0, 0.0]), "it: variable 1 is no input"),
    ):
        one = counter()
        call(one)
        one.exit_initialization_mode()
        assert not one.do_step(0.0, 0.5) and one.log_queue[-1].msg == message


def test_a_plant_shows_the_last_sample(tmp_path: Path) -> None:
    one = slave(PlantSlave, tmp_path, "dmpcrl_ctrl.plants:chain", sample_time=1.0, signals=None)
    native = DrivenPlant(chain(), 1.0)
    sample = native.start()
    for k in range(3):
        first = [*sample.measurement, *sample.applied, sample.cost.sum(), *sample.cost]
        assert one.get_real(range(3, 3 + len(first))) == first
        one.set_real([0, 1, 2], [0.1, 5.0, -0.1 * k])
        assert one.do_step(k, 0.5)
        assert one.get_real(range(3, 3 + len(first))) == first
        one.set_real([0, 1, 2], [9.0, 9.0, 9.0])  # a discrete plant has taken its inputs
        assert one.do_step(k + 0.5, 0.5)
        sample = native.follow(sample, [0.1, 5.0, -0.1 * k])
    assert one.get_real([3]) == [sample.measurement[0]]
    assert one.output_ports[len(native.signals) :] == tuple(
        ["u_1_applied", "u_2_applied", "u_3_applied", "stage_cost"] + [f"stage_cost_{a.name}" for a in chain().agents]
    )


def test_a_continuous_plant_holds_its_inputs_over_long_steps(tmp_path: Path) -> None:
    arguments = {"scenario": 1}
    one = slave(PlantSlave, tmp_path, "dmpcrl_ctrl.plants:power_network", arguments, sample_time=1.0, signals=None)
    native = DrivenPlant(power_network(1), 1.0)
    one.set_real([0], [0.1])
    assert one.do_step(0.0, 3.0) and not one.do_step(3.0, 0.5)
    sample = native.start()
    for _ in range(3):
        sample = native.follow(sample, [0.1, 0.0, 0.0, 0.0])
    assert np.array_equal(one.get_real(range(4, 4 + len(native.signals))), sample.measurement)


def test_going_back_is_exact(tmp_path: Path) -> None:
    one = slave(PlantSlave, tmp_path, "dmpcrl_ctrl.plants:chain", sample_time=1.0, signals=None)
    one.do_step(0.0, 1.0)
    kept, ends = one._get_fmu_state(), []
    for value in (0.3, -0.7, 0.3):
        one._set_fmu_state(kept)
        one.set_real([0], [value])
        assert one.do_step(1.0, 1.0) and one.do_step(2.0, 1.0)
        ends.append(one.get_real(range(3, 10)))
    assert ends[0] == ends[2] != ends[1]


@pytest.mark.parametrize(("name", "ports"), [("u", ("u", "u_out", "v", "seed_of_it")), ("seed", None)])
def test_ports_of_one_name(name: str, ports: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"twice_{name}"
    (tmp_path / f"{module}.py").write_text(COUNTER.replace('("y",)', f'("{name}",)'), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    options: dict[str, Any] = {"limits": {}, "applied": False, "costs": []}
    if ports is None:
        with pytest.raises(FMUError, match="two variables would be called 'seed'"):
            slave(ControllerSlave, tmp_path, f"{module}:Counter", **options)
    else:
        one = slave(ControllerSlave, tmp_path, f"{module}:Counter", **options)
        assert (*one.input_ports, *one.output_ports) == ports


def test_a_file_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(FMUError, match=r"dmpcrl_ctrl.json cannot be read"):
        ControllerSlave(instance_name="it", resources=str(tmp_path))
