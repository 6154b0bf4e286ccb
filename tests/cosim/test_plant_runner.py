from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.cosim.clock import Clock
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.plant_runner import PlantRunner
from dmpcrl_ctrl.cosim.wiring import wire
from dmpcrl_ctrl.errors import SimulationError
from dmpcrl_ctrl.plants import Plant, Steps

Make = Callable[..., Any]


def runner_of(plant: Plant, base: int) -> tuple[PlantRunner, np.ndarray]:
    who = Participants.of(plant, (), 1)
    wiring = wire(who, {f"{plant.name}.{name}": None for name in plant.input_names})
    return PlantRunner(plant, wiring.plants[0], Clock(base), 0), np.zeros(wiring.size)


def test_the_board_shows_outputs_measured_disturbances_and_set_points(make_plant: Make) -> None:
    plant = make_plant(
        0.0, [[1.0, 1.0, 1.0]], signals="x; u d e", initial_state=[3.0], setpoints={"x": 4.0, "u": 5.0},
        disturbances={"d": 6.0, "e": Steps((), (), initial=7.0, measured=False)}, input_limits={"u": (1.0, 2.0)},
    )  # fmt: skip
    runner, board = runner_of(plant, 10)
    state = runner.publish(board, 0, runner.start(board, {}))
    ports = runner.ports
    told = [board[part].tolist() for part in (ports.outputs, ports.inputs, ports.disturbances, ports.setpoints)]
    assert told == [[3.0], [1.0], [6.0, 0.0], [4.0, 5.0]]
    assert state.d.tolist() == [6.0, 7.0] and state.u.tolist() == [1.0]


def test_a_plant_takes_its_initial_inputs_and_leaves_the_others(make_plant: Make) -> None:
    runner, board = runner_of(make_plant(0.0, 1.0, input_limits={"u0": (-1.0, 1.0)}), 1)
    given = {"u0": 3.0, "u9": 1.0}
    assert runner.start(board, given).u.tolist() == [1.0] and given == {"u9": 1.0}


def test_edges_are_the_events_of_a_continuous_plant_and_samples_those_of_a_discrete_one(make_plant: Make) -> None:
    options = {"signals": "x; u d", "disturbances": {"d": Steps(("1/2", "3/5"), (1.0, 2.0))}}
    continuous, _ = runner_of(make_plant(0.0, [[1.0, 1.0]], **options), 10)
    discrete, _ = runner_of(make_plant(0.0, [[1.0, 1.0]], dt=0.3, **options), 10)
    assert [continuous.next_event(t) for t in (0, 4, 5, 6)] == [5, 5, 6, None]
    assert [discrete.next_event(t) for t in (0, 2, 3)] == [3, 3, 6]


def test_states_between_two_instants(make_plant: Make) -> None:
    runner, board = runner_of(make_plant(-1.0, 1.0, initial_state=[1.0]), 1)
    state = runner.start(board, {})
    third = Fraction(1, 3)
    assert runner.between(state, 0, Fraction(0)) is state.x
    np.testing.assert_allclose(runner.between(state, 0, third), np.exp(-1 / 3), rtol=1e-15)
    sampled, board = runner_of(make_plant(-1.0, 1.0, dt=1, initial_state=[1.0]), 1)
    state = sampled.start(board, {})
    assert sampled.between(state, 0, third) is state.x


@pytest.mark.parametrize("when", ["cost", "advance"])
def test_a_users_function_that_fails_is_named_with_the_time(make_plant: Make, when: str) -> None:
    import control as ct

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("by zero")

    rate = fail if when == "advance" else (lambda t, x, u, p: -x)
    calm = {"now": True}
    system = ct.nlsys(
        lambda t, x, u, p: -x if calm["now"] else rate(t, x, u, p), None, inputs="u", states="x", outputs="x"
    )
    plant = Plant(system, name="tank", extra_stage_cost=fail if when == "cost" else None)
    runner, board = runner_of(plant, 10)
    calm["now"] = False
    state = runner.publish(board, 5, runner.start(board, {}))
    act = (lambda: runner.cost(board, 5, state)) if when == "cost" else (lambda: runner.advance(state, 5, 7))
    who = "tank: stage cost" if when == "cost" else "tank"
    with pytest.raises(SimulationError, match=f"^t = 0.5 s: {who}: .*by zero"):
        act()
