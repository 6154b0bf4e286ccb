"""Signals find each other by their names in a mosaik scenario as they do in `simulate`."""

from collections.abc import Iterator
from typing import Any

import mosaik
import numpy as np
import pytest

from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.adapters.mosaik import close_loop
from dmpcrl_ctrl.errors import ClockError, WiringError

SIMULATORS: Any = {
    "Plant": {"python": "dmpcrl_ctrl.cosim.adapters.mosaik:PlantSimulator"},
    "Controller": {"python": "dmpcrl_ctrl.cosim.adapters.mosaik:ControllerSimulator"},
}


@pytest.fixture
def world() -> Iterator[Any]:
    with mosaik.World(SIMULATORS, skip_greetings=True, configure_logging=False) as world:
        yield world


def test_another_controller_goes_before_the_plant_and_a_driven_input_before_both(
    world: Any, make_plant: Any, make_block: Any
) -> None:
    """The plant has an output w as well; of v the reader is told what is in effect, not what was said just now."""
    plant = make_plant([[-0.5]], [[1.0, 0.5]], [[1.0], [2.0]], signals="s; u v; x w", initial_state=[1.0])

    def blocks() -> list[Any]:
        reader = make_block("v x w u", "u", lambda k, m: [0.1 * k - m[1]], name="reader")
        other = make_block("x", "v w", lambda k, m: [0.2 * k, 7.0 + k], name="other")
        return [reader, other]

    native, outside = blocks(), blocks()
    before = {"u": 0.25, "v": -0.5}
    simulate(plant, native, t_end=3, initial_input=before)
    entity = world.start("Plant", plant=plant, sample_time=1.0).Plant()
    controllers = [world.start("Controller", controller=block).Controller() for block in outside]
    close_loop(world, entity, *controllers, initial_input=before)
    world.run(until=3, print_progress=False)
    for one, two in zip(native, outside, strict=True):
        assert len(one.seen) == len(two.seen) == 3
        assert all(
            np.array_equal(a, b) for x, y in zip(one.seen, two.seen, strict=True) for a, b in zip(x, y, strict=True)
        )
    assert [measured[2] for _, measured, _, _ in outside[0].seen] == [7.0, 8.0, 9.0]
    assert [measured[0] for _, measured, _, _ in outside[0].seen] == [-0.5, 0.0, 0.2]


@pytest.mark.parametrize(
    ("controllers", "initial_input", "error", "message"),
    [
        (
            [("z", "u")],
            {},
            WiringError,
            "Controller-0.b0: signal 'z' does not exist; there are x, x_ref, u_ref, v_ref, u, v",
        ),
        (
            [("", "z"), ("", "z"), ("z", "u")],
            {},
            WiringError,
            "-2.b2: Controller-0.b0 and Controller-1.b1 both offer 'z'",
        ),
        ([("x", "u"), ("x", "v u")], {}, WiringError, "Plant-0.p: Controller-0.b0 and Controller-1.b1 both drive 'u'"),
        (
            [("x", "u", 1.5)],
            {},
            ClockError,
            "-0.b0: its sample time 3/2 s is no multiple of that of Plant-0.p, 1 s; start",
        ),
        (
            [("x", "u")],
            {"v": 1.0},
            WiringError,
            "initial_input: control input that a controller drives 'v' does not exist",
        ),
    ],
)
def test_what_cannot_be_connected(
    controllers: Any, initial_input: Any, error: type[Exception], message: str, make_plant: Any, make_block: Any
) -> None:
    """Nothing is connected then: the plant waits for its inputs."""
    plant = make_plant([[-1.0]], [[1.0, 1.0]], signals="x; u v", name="p")
    with mosaik.World(SIMULATORS, time_resolution=0.5, skip_greetings=True, configure_logging=False) as world:
        entity = world.start("Plant", plant=plant, sample_time=1.0).Plant()
        others = [
            world.start(
                "Controller", controller=make_block(*names, lambda k, m: [0.0], *times, name=f"b{i}")
            ).Controller()
            for i, (*names, times) in enumerate((c[0], c[1], c[2:]) for c in controllers)
        ]
        with pytest.raises(error, match=message):
            close_loop(world, entity, *others, initial_input=initial_input)
        assert all(not sim.input_delays for sim in world.compile().values())
