"""States, outputs, inputs and costs of a log beside each other, loop by loop; logs in memory, altered in place."""

from collections.abc import Callable
from typing import Any

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim import Run, simulate
from dmpcrl_ctrl.plants import Plant, Ramp, Steps
from dmpcrl_ctrl.validation.loop_check import check_loop
from dmpcrl_ctrl.validation.verdict import Outcome, Verdict


class Law:
    """Sends out a function of what it measured."""

    fields = ()

    def __init__(self, inputs: str, outputs: str, law: Callable[[Array], Any], sample_time: float = 1.0, **more: Any):
        self.inputs, self.outputs = tuple(inputs.split()), tuple(outputs.split())
        self.law, self.sample_time = law, sample_time
        self.__dict__.update({"name": "law", **more})

    def init(self, seed: int) -> None:
        return None

    def step(self, state: None, tick: int, measurement: Array, applied: Array, cost: Array) -> Any:
        return None, np.asarray(self.law(measurement), dtype=float), {}


def cart(dt: float = 0, **options: Any) -> Plant:
    """Position and velocity, a force, and a push from outside."""
    A, B = ([[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]]) if dt == 0 else ([[1, 0.5], [0, 0.9]], [[0, 0], [1, 1]])
    system = ct.ss(A, B, np.eye(2), 0, dt, states=["p", "v"], outputs=["p", "v"], inputs=["F", "d"])
    given = {"initial_state": [1.0, -0.5], "disturbances": {"d": 0.2}, "input_limits": {"F": (-0.4, 0.4)}}
    return Plant(system, name="cart", **(given | options))


def verdicts(run: Run) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in check_loop(run, run._reader)}


def outcomes(run: Run) -> set[Outcome]:
    return {verdict.outcome for verdict in verdicts(run).values()}


def alter(run: Run, path: str, at: tuple[int, ...], size: float = 1e-6) -> Run:
    """The run with one number of its log changed."""
    run._reader._file[path][at] += size
    return Run(run._reader)


def feedback() -> Law:
    return Law("p v p_ref", "F", lambda y: [-0.6 * y[0] - 1.1 * y[1] + 0.3 * y[2]])


LOOPS: dict[str, Callable[[], Run]] = {
    "continuous": lambda: simulate(cart(), feedback(), t_end=6),
    "ramp": lambda: simulate(cart(disturbances={"d": Ramp(2.0, 0.1, 5.0)}), feedback(), t_end=6),
    "discrete": lambda: simulate(cart(1.0), feedback(), t_end=6),
    "sampled faster than it moves": lambda: simulate(
        cart(1.0), Law("p v", "F", lambda y: [-0.3 * y[0]], 0.5), t_end=6, initial_input={"F": 0.1}
    ),
    "an observer in between": lambda: simulate(
        cart(), [Law("p v", "z", lambda y: [2.0 * y[0]], name="filter"), Law("z", "F", lambda z: -0.2 * z)], t_end=6
    ),
    "a late output": lambda: simulate(
        cart(), Law("p", "F", lambda y: -0.3 * y, delay=1.0), t_end=6, initial_input={"F": 0.1}
    ),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_as_it_ran_passes(name: str) -> None:
    found = verdicts(LOOPS[name]())
    assert outcomes(LOOPS[name]()) <= {Outcome.PASSED}, found
    assert "left out" not in found["states follow from states"].detail


@pytest.mark.parametrize(
    ("path", "at", "check"),
    [
        ("plant/state", (3, 0), "states follow from states"),
        ("plant/state", (-1, 1), "states follow from states"),
        ("plant/output", (2, 1), "outputs"),
        ("plant/input", (4, 0), "inputs follow from outputs"),
        ("plant/disturbance", (2, 0), "states follow from states"),
        ("plant/model/A", (0, 0), "states follow from states"),
        ("plant/model/B", (1, 1), "states follow from states"),
        ("cost/stage", (1, 0), "stage costs"),
        ("cost/weights/Q", (0, 0), "stage costs"),
        ("plant/setpoint", (1, 0), "law: measurements"),
        ("controller/law/input", (3, 1), "law: measurements"),
        ("controller/law/output", (3, 0), "inputs follow from outputs"),
    ],
)
@pytest.mark.parametrize("loop", ["continuous", "ramp", "discrete"])
def test_one_altered_number_is_found(loop: str, path: str, at: tuple[int, ...], check: str) -> None:
    run = alter(LOOPS[loop](), path, at)
    assert verdicts(run)[check].outcome is Outcome.FAILED


def test_the_first_fault_is_named_with_its_time_and_signal() -> None:
    run = alter(LOOPS["continuous"](), "plant/state", (4, 1), 0.25)
    found = verdicts(run)["states follow from states"]
    assert found.example.startswith("t = 4 s, v: claimed ") and "allowed" in found.example


def test_a_saturated_input_is_the_limit_and_no_more() -> None:
    run = simulate(cart(), Law("p", "F", lambda y: 5.0 * y), t_end=3)
    assert run.input[0, 0] == 0.4 and outcomes(run) == {Outcome.PASSED}
    run._reader._file["plant/input"][0, 0] = 5.0
    assert verdicts(Run(run._reader))["inputs follow from outputs"].outcome is Outcome.FAILED


def test_what_happens_within_an_interval_is_left_out_and_said() -> None:
    run = simulate(cart(disturbances={"d": Steps((2.5,), (0.3,))}), feedback(), t_end=6)
    found = verdicts(run)["states follow from states"]
    assert found.outcome is Outcome.PASSED and "1 of 6 intervals left out" in found.detail
    assert verdicts(alter(run, "plant/state", (5, 0)))["states follow from states"].outcome is Outcome.FAILED
