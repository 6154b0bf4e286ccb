import math
from collections.abc import Callable
from typing import Any

import pytest

from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.errors import ClockError, WiringError
from dmpcrl_ctrl.plants import Plant, Steps

Make = Callable[..., Any]


class Plain:
    """No more than a block must have."""

    sample_time = 0.5
    inputs = ("x0",)
    outputs = ("u0",)

    def init(self, seed: int) -> None: ...

    def step(self, state: None, tick: int, measurement: Any, applied: Any, cost: Any) -> Any:
        return None, [0.0], {}


@pytest.fixture
def plant(make_plant: Make) -> Plant:
    plant: Plant = make_plant(0.0, 1.0)
    return plant


def test_what_a_block_leaves_out_has_a_default(plant: Plant) -> None:
    who = Participants.of(plant, Plain(), 2)
    (block,) = who.blocks
    assert (block.name, block.delay, block.preview, block.fields) == ("plain", 0, 0, ())
    assert (block.schedule.period, block.schedule.offset, who.clock.base, who.end) == (1, 0, 2, 4)


def test_the_clock_serves_edges_offsets_delays_and_the_end(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(0.0, [[1.0, 1.0]], signals="x; u d", disturbances={"d": Steps((1 / 3,), (1.0,))})
    block = make_block("x", "u", lambda k, y: y, 0.5, offset=0.2, delay=0.001)
    who = Participants.of(plant, block, "10/7")
    assert who.clock.base == math.lcm(3, 2, 5, 1000, 7)
    assert (who.blocks[0].schedule.offset, who.blocks[0].delay) == (who.clock.base // 5, who.clock.base // 1000)
    assert who.clock.exact(who.end) * 7 == 10


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "line\nbreak"])
def test_names_that_a_log_or_a_connection_could_not_hold_are_refused(plant: Plant, make_block: Make, name: str) -> None:
    with pytest.raises(WiringError, match="cannot name a plant or block"):
        Participants.of(plant, make_block("x0", "u0", lambda k, y: y, name=name), 1)


def test_a_name_stands_once(plant: Plant, make_block: Make) -> None:
    with pytest.raises(WiringError, match="'plant'"):
        Participants.of(plant, make_block("x0", "u0", lambda k, y: y, name="plant"), 1)


def test_who_is_no_plant_or_block_is_named(plant: Plant) -> None:
    with pytest.raises(WiringError, match=r"object .* is no block: it has no 'sample_time'"):
        Participants.of(plant, object(), 1)
    with pytest.raises(WiringError, match="is no plant: it has no 'advance'"):
        Participants.of(Plain(), (), 1)
    with pytest.raises(WiringError, match="at least one plant"):
        Participants.of([], (), 1)


@pytest.mark.parametrize(
    "options", [{"sample_time": 0.0}, {"sample_time": -1.0}, {"offset": -0.5}, {"delay": -1}, {"preview": -1}]
)
def test_times_out_of_range_are_refused(plant: Plant, make_block: Make, options: dict[str, Any]) -> None:
    ((what, value),) = options.items()
    expected = rf"^block: its {what.replace('_', ' ')} must (be positive|not be negative), got {value}( s)?$"
    with pytest.raises(ClockError, match=expected):
        Participants.of(plant, make_block("x0", "u0", lambda k, y: y, **options), 1)


@pytest.mark.parametrize("t_end", [0, -1.0])
def test_a_run_ends_after_it_begins(plant: Plant, t_end: float) -> None:
    with pytest.raises(ClockError, match=f"t_end must be positive, got {t_end}"):
        Participants.of(plant, (), t_end)


def test_an_end_that_is_no_simple_fraction_is_named_alone(plant: Plant, make_block: Make) -> None:
    with pytest.raises(ClockError, match=r"^t_end: 3\.14159\d* s is no simple fraction") as caught:
        Participants.of(plant, make_block("x0", "u0", lambda k, y: y, 1 / 3), math.pi)
    assert "block" not in str(caught.value)


def test_a_system_is_to_be_wrapped_and_a_class_to_be_called(plant: Plant) -> None:
    with pytest.raises(WiringError, match=r"^'plant' \(StateSpace\) is a system, not a plant: wrap it, as in Plant\("):
        Participants.of(plant.system, (), 1)
    with pytest.raises(WiringError, match=r"^Plain is a class, not a block: make one, as in Plain\(\.\.\.\)$"):
        Participants.of(plant, Plain, 1)
    with pytest.raises(WiringError, match=r"^Plant is a class, not a plant: make one"):
        Participants.of(Plant, (), 1)


@pytest.mark.parametrize("what", ["inputs", "outputs"])
def test_a_text_is_not_a_list_of_names(plant: Plant, what: str) -> None:
    block = Plain()
    setattr(block, what, "pv")
    with pytest.raises(WiringError, match=rf"^plain: its {what} must be names, got the text 'pv': write \('pv',\)$"):
        Participants.of(plant, block, 1)


def test_incommensurate_sample_times_are_both_named(plant: Plant, make_block: Make) -> None:
    blocks = [
        make_block("x0", "u0", lambda k, y: y, 1 / 3, name="lqr"),
        make_block("x0", "", lambda k, y: [], math.pi, name="mpc"),
    ]
    with pytest.raises(ClockError, match=r"mpc: sample time .*lqr: sample time.* 3\.14159"):
        Participants.of(plant, blocks, 1)


def test_a_signal_stands_once_in_a_block(plant: Plant, make_block: Make) -> None:
    with pytest.raises(WiringError, match="'x0' stands twice"):
        Participants.of(plant, make_block("x0 x0", "u0", lambda k, y: y), 1)
