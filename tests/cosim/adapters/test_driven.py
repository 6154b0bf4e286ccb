"""What is driven from outside moves as `simulate` moves it, to the last bit."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.controllers import LQR, CentralizedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.adapters.driven import Answer, DrivenBlock, DrivenPlant, Sample
from dmpcrl_ctrl.errors import ClockError, PlantError, SimulationError, WiringError
from dmpcrl_ctrl.plants import Plant, chain, power_network, quadruple_tank


def limits_of(plant: Plant) -> dict[str, Any]:
    return dict(zip(plant.input_names, plant.input_limits, strict=True))


@pytest.mark.parametrize(
    ("plant", "block"),
    [
        (chain(), CentralizedMPC.for_plant(chain(), 5)),  # noise, discrete
        (power_network(1), CentralizedMPC.for_plant(power_network(1), 5)),  # load steps, set points, continuous
        (quadruple_tank(), LQR.for_plant(quadruple_tank(), sample_time=5.0)),  # nonlinear, saturated
    ],
    ids=["chain", "power", "tanks"],
)
def test_plant_and_block_by_turns_are_the_closed_loop(plant: Plant, block: Any) -> None:
    samples = 20
    run = simulate(plant, block, t_end=samples * float(block.sample_time), seed=3)
    outside = DrivenPlant(plant, block.sample_time, signals=block.inputs, seed=3)
    asked = DrivenBlock(block, seed=3, limits=limits_of(plant))
    sample, answer = outside.start(), asked.start()
    for k in range(samples):
        assert np.array_equal(sample.state, run.state[k]) and sample.time == run.time[k]
        answer = asked.ask(answer, sample.measurement)
        sample = outside.follow(sample, answer.output)
        assert np.array_equal(sample.cost, run.cost[k])
        assert np.array_equal(sample.applied, run.input[k])
    assert np.array_equal(sample.state, run.state[samples])


def test_an_old_sample_can_be_followed_again() -> None:
    outside = DrivenPlant(chain(), 1.0)
    first = outside.start()
    once = outside.follow(first, [0.1, 0.2, 0.3])
    outside.follow(once, [1.0, 1.0, 1.0])
    again = outside.follow(first, [0.1, 0.2, 0.3])
    assert np.array_equal(once.state, again.state) and once.number == again.number == 1
    assert not np.array_equal(once.state, outside.follow(first, [0.0, 0.2, 0.3]).state)


def test_what_was_in_effect_before_the_start() -> None:
    first = DrivenPlant(chain(), 1.0).start(initial_input={"u_2": 7.0})
    assert first.applied.tolist() == [0.0, 1.0, 0.0]  # saturated
    with pytest.raises(WiringError, match="initial_input: control input 'u2' does not exist"):
        DrivenPlant(chain(), 1.0).start(initial_input={"u2": 0.0})


def test_other_noise_and_another_beginning() -> None:
    first, zero = DrivenPlant(chain(), 1.0, seed=5), np.zeros(3)
    other = DrivenPlant(chain(), 1.0).with_seed(5)
    elsewhere = {"x1_2": 0.5}
    moved = [each.follow(each.start(elsewhere), zero).state for each in (first, other, first.with_seed(6))]
    assert np.array_equal(moved[0], moved[1]) and not np.array_equal(moved[0], moved[2])
    assert not np.array_equal(moved[0], first.follow(first.start(), zero).state)
    begun = first.start(elsewhere).state
    expected = np.array(chain().initial_state)
    expected[2] = 0.5
    assert np.array_equal(begun, expected)
    with pytest.raises(PlantError, match="chain: initial_state: 'x1_2' is inf|chain: initial_state.*inf"):
        first.start({"x1_2": np.inf})


def test_between_samples_nothing_is_missed() -> None:
    """A pulse of a disturbance inside one sample, beside a loop that samples ten times as often."""
    plant = power_network(1)  # loads change at 5 s and 15 s
    coarse, fine = DrivenPlant(plant, 20.0), DrivenPlant(plant, 1.0)
    one, many = coarse.follow(coarse.start(), np.zeros(4)), fine.start()
    for _ in range(20):
        many = fine.follow(many, np.zeros(4))
    np.testing.assert_allclose(one.state, many.state, rtol=0, atol=1e-13)
    assert np.abs(one.state).max() > 1e-3


def test_signals_are_outputs_measured_disturbances_and_set_points() -> None:
    plant = power_network(1)
    outside = DrivenPlant(plant, 1.0)
    assert set(outside.signals) == {*plant.output_names, *plant.measured_names, *plant.setpoint_names}
    with pytest.raises(WiringError, match="nothing_such"):
        DrivenPlant(plant, 1.0, signals=("nothing_such",))


@pytest.mark.parametrize(
    ("u", "message"),
    [
        ([0.0, np.nan, 0.0], "t = 0 s: the input: 'u_2' is nan, expected a finite number"),
        ([0.0], "t = 0 s: the input has shape .1,., expected .3,.: u_1, u_2, u_3"),
        (["a", 0, 0], "t = 0 s: the input is no array of numbers"),
    ],
)
def test_an_input_that_is_none(u: Any, message: str) -> None:
    outside = DrivenPlant(chain(), 1.0)
    with pytest.raises(SimulationError, match=message):
        outside.follow(outside.start(), u)


def test_a_sample_time_that_is_not_the_plants() -> None:
    with pytest.raises(ClockError, match="0.7"):
        DrivenPlant(chain(), "0.7 s")
    with pytest.raises(ClockError, match="positive"):
        DrivenPlant(chain(), 0.0)


class Counter:
    """Says its sample number, and what it was told."""

    sample_time, inputs, outputs = 0.5, ("y",), ("u", "v")

    def init(self, seed: int) -> int:
        return seed

    def step(self, state: int, tick: int, measurement: Any, applied: Any, cost: Any) -> Any:
        assert state >= 0
        return state, np.array([float(tick), 10.0 * measurement[0] + applied[0]]), {}


def test_what_was_applied_is_the_output_within_its_limits() -> None:
    asked = DrivenBlock(Counter(), limits={"u": (-1.0, 0.25)})
    answer = asked.start()
    heard = []
    for _ in range(3):
        answer = asked.ask(answer, [1.0])
        heard.append(answer.output.tolist())
    assert heard == [[0.0, 10.0], [1.0, 10.0], [2.0, 10.25]]
    assert asked.ask(asked.start(), [1.0], applied=[7.0, 0.0]).output.tolist() == [0.0, 17.0]


def test_a_block_that_only_a_loop_can_run() -> None:
    class Late(Counter):
        delay = 0.5

    with pytest.raises(WiringError, match="late: its delay is 0.5"):
        DrivenBlock(Late())
    with pytest.raises(WiringError, match="limits: output 'w'"):
        DrivenBlock(Counter(), limits={"w": (0.0, 1.0)})


def test_a_measurement_that_is_none() -> None:
    asked = DrivenBlock(Counter())
    with pytest.raises(SimulationError, match="t = 0 s: counter: measurement: 'y' is inf"):
        asked.ask(asked.start(), [np.inf])
    assert isinstance(asked.ask(asked.start(), [0.0]), Answer) and isinstance(DrivenPlant(chain(), 1.0).start(), Sample)
