from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.wiring import Wiring, wire
from dmpcrl_ctrl.errors import WiringError

Make = Callable[..., Any]


def wired(plants: Any, blocks: Any, connections: Any = None) -> tuple[Participants, Wiring]:
    who = Participants.of(plants, blocks, 1)
    return who, wire(who, connections)


def read_by(who: Participants, wiring: Wiring, block: int = 0) -> list[str]:
    """What every input of a block is connected to, in words."""
    cells = {0: "zero"}
    for plant, ports in zip(who.plants, wiring.plants, strict=True):
        groups = (plant.output_names, plant.input_names, plant.disturbance_names, plant.setpoint_names)
        slices = (ports.outputs, ports.inputs, ports.disturbances, ports.setpoints)
        for kind, names, cell in zip(("output", "input", "disturbance", "setpoint"), groups, slices, strict=True):
            cells |= {cell.start + k: f"{plant.name} {kind} {name}" for k, name in enumerate(names)}
    for timed, own in zip(who.blocks, wiring.blocks, strict=True):
        cells |= {own.outputs.start + k: f"{timed.name} {name}" for k, name in enumerate(timed.outputs)}
    assert len(cells) == wiring.size
    return [cells[int(cell)] for cell in wiring.blocks[block].inputs]


def drivers(who: Participants, wiring: Wiring, plant: int = 0) -> list[int]:
    return [int(cell) for cell in wiring.plants[plant].drivers]


@pytest.fixture
def cart(make_plant: Make) -> Any:
    """Two states, both measured; a force and a known wind."""
    return make_plant(
        [[0, 1], [0, 0]], [[0, 0], [1, 1]], signals="p v; F wind", disturbances={"wind": 0.5}, name="cart"
    )


def test_equal_names_are_connected(cart: Any, make_block: Make) -> None:
    who, wiring = wired(cart, make_block("v p wind p_ref F_ref F", "F", lambda k, y: [0.0]))
    assert read_by(who, wiring) == [
        "cart output v", "cart output p", "cart disturbance wind", "cart setpoint p_ref", "cart setpoint F_ref",
        "cart input F",
    ]  # fmt: skip
    assert drivers(who, wiring) == [wiring.blocks[0].outputs.start]
    # What took effect of the block's output is the plant's input, after saturation.
    assert wiring.blocks[0].applied.tolist() == [wiring.plants[0].inputs.start]


def test_known_columns_are_found_for_previews(cart: Any, make_block: Make) -> None:
    _, wiring = wired(cart, make_block("v F_ref p wind", "F", lambda k, y: [0.0]))
    (known,) = wiring.blocks[0].known
    # Positions in (wind, p_ref, v_ref, F_ref).
    assert known.columns.tolist() == [1, 3] and known.sources.tolist() == [3, 0]


def test_an_output_answers_to_the_name_of_the_state_that_it_is(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(
        np.diag([1.0, 2.0]), [[1.0], [1.0]], C=[[0, 1], [1, 0], [0, 1]], signals="a b; u; second first again"
    )
    who, wiring = wired(plant, make_block("a b", "u", lambda k, y: [0.0]))
    assert read_by(who, wiring) == ["plant output first", "plant output second"]


def test_unmeasured_states_are_named_with_the_way_out(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(np.eye(3), np.ones((3, 1)), C=[[1, 0, 0], [0, 1, 1]], signals="a b c; u; a sum")
    with pytest.raises(WiringError, match=r"mpc: no output is the state 'b', 'c'; .* Observer"):
        wired(plant, make_block("a b c", "u", lambda k, y: [0.0], name="mpc"))


def test_an_output_called_like_a_state_that_it_is_not_needs_a_word(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(np.eye(2), np.ones((2, 1)), C=[[2, 0], [0, 1]], signals="a b; u; a b")
    block = make_block("a b", "u", lambda k, y: [0.0])
    with pytest.raises(WiringError, match=r"block\.a: output plant\.a is called like a state but is not that state"):
        wired(plant, block)
    who, wiring = wired(plant, block, {"block.a": "plant.a"})
    assert read_by(who, wiring) == ["plant output a", "plant output b"]


def test_an_estimate_goes_before_a_measurement_but_not_for_the_observer_itself(cart: Any, make_block: Make) -> None:
    observer = make_block("p F", "p v", lambda k, y: [0.0, 0.0], name="observer")
    who, wiring = wired(cart, [make_block("p v", "F", lambda k, y: [0.0], name="mpc"), observer])
    assert read_by(who, wiring, 0) == ["observer p", "observer v"]
    assert read_by(who, wiring, 1) == ["cart output p", "cart input F"]
    assert wiring.order == (1, 0)


@pytest.fixture
def cascade(make_plant: Make) -> list[Any]:
    """A plant `a` whose output p1 drives the input p1 of a sampled filter."""
    a = make_plant(0.0, 1.0, C=[[2.0]], signals="s; F; p1", name="a")
    return [a, make_plant(0.5, 1.0, dt=2.0, signals="low; p1; low", name="filt")]


def test_an_input_that_a_plant_drives_is_what_drives_it(cascade: list[Any], make_block: Make) -> None:
    who, wiring = wired(cascade, make_block("p1 filt.p1 F filt.p1_ref", "F", lambda k, y: [0.0]))
    assert read_by(who, wiring) == ["a output p1", "filt input p1", "a input F", "filt setpoint p1_ref"]


def test_its_set_point_is_not_taken_for_that_of_what_drives_it(cascade: list[Any], make_block: Make) -> None:
    with pytest.raises(WiringError, match=r"block: signal 'p1_ref' does not exist; did you mean"):
        wired(cascade, make_block("p1 p1_ref", "F", lambda k, y: [0.0]))
    observer = make_block("low p1 p1_ref", "", lambda k, y: [], name="observer")
    who, wiring = wired(
        cascade, [observer, make_block("s", "F", lambda k, y: [0.0])], {"observer": "filt", "block.s": "a.p1"}
    )
    assert read_by(who, wiring) == ["filt output low", "filt input p1", "filt setpoint p1_ref"]


def test_an_input_that_nothing_drives_can_be_read_where_nothing_else_is_called_so(cart: Any, make_block: Make) -> None:
    who, wiring = wired(cart, make_block("p F", "", lambda k, y: []), {"cart.F": None})
    assert read_by(who, wiring) == ["cart output p", "cart input F"]


def test_a_command_and_a_measurement_of_the_same_name_are_told_apart(cascade: list[Any], make_block: Make) -> None:
    block = make_block("p1", "F v", lambda k, y: [0.0, 0.0])
    with pytest.raises(WiringError, match=r"block\.p1: several signals have that name \((a|filt)\.p1, (a|filt)\.p1\)"):
        wired(cascade, block, {"filt.p1": "block.v"})
    who, wiring = wired(cascade, block, {"filt.p1": "block.v", "block.p1": "a.p1"})
    assert read_by(who, wiring) == ["a output p1"]


def test_a_misspelt_name_brings_the_nearest(cart: Any, make_block: Make) -> None:
    with pytest.raises(WiringError, match=r"block: signal 'wimd' does not exist; did you mean 'wind'\?"):
        wired(cart, make_block("p wimd", "F", lambda k, y: [0.0]))
    with pytest.raises(WiringError, match=r"nothing drives cart\.F: .*'F' does not exist.*'cart\.F': None"):
        wired(cart, make_block("p", "thrust", lambda k, y: [0.0]))


def test_an_input_may_be_held_at_zero_on_request(cart: Any) -> None:
    who, wiring = wired(cart, (), {"cart.F": None})
    assert drivers(who, wiring) == [0]


def test_two_drivers_of_one_input_are_refused_until_one_is_chosen(cart: Any, make_block: Make) -> None:
    blocks = [make_block("p", "F", lambda k, y: [0.0], name=name) for name in ("pid", "lqr")]
    with pytest.raises(WiringError, match=r"cart\.F: pid\.F and lqr\.F drive the same input"):
        wired(cart, blocks)
    who, wiring = wired(cart, blocks, {"cart.F": "lqr.F"})
    assert drivers(who, wiring) == [wiring.blocks[1].outputs.start]


def test_of_two_equal_plants_one_must_be_meant(make_plant: Make, make_block: Make) -> None:
    plants = [make_plant(0.0, 1.0, name=name) for name in ("north", "south")]
    with pytest.raises(WiringError, match=r"a\.x0: several signals have that name \(north\.x0, south\.x0\)"):
        wired(plants, make_block("x0", "u0", lambda k, y: [0.0], name="a"))


def test_qualified_names_say_which_plant_is_meant(make_plant: Make, make_block: Make) -> None:
    plants = [make_plant(0.0, 1.0, name=name) for name in ("north", "south")]
    block = make_block("south.x0 north.x0 south.x0_ref", "north.u0 south.u0", lambda k, y: [0.0, 0.0])
    who, wiring = wired(plants, block)
    assert read_by(who, wiring) == ["south output x0", "north output x0", "south setpoint x0_ref"]
    start = wiring.blocks[0].outputs.start
    assert drivers(who, wiring, 0) == [start] and drivers(who, wiring, 1) == [start + 1]


def test_a_block_may_belong_to_one_plant(make_plant: Make, make_block: Make) -> None:
    plants = [make_plant(0.0, 1.0, name=name) for name in ("north", "south")]
    blocks = [make_block("x0 x0_ref", "u0", lambda k, y: [0.0], name=name) for name in ("a", "b")]
    who, wiring = wired(plants, blocks, {"a": "south", "b": "north"})
    assert read_by(who, wiring, 0) == ["south output x0", "south setpoint x0_ref"]
    assert read_by(who, wiring, 1) == ["north output x0", "north setpoint x0_ref"]
    assert drivers(who, wiring, 0) == [wiring.blocks[1].outputs.start]
    assert drivers(who, wiring, 1) == [wiring.blocks[0].outputs.start]


@pytest.mark.parametrize(
    ("connections", "message"),
    [
        ({"cart.G": None}, r"connections: reader 'cart\.G' does not exist; did you mean 'cart\.F'"),
        ({"cart.F": "block.G"}, r"connections: cart\.F: signal 'block\.G' does not exist; did you mean 'block\.F'"),
        ({"block": "car"}, r"connections: block: plant 'car' does not exist; did you mean 'cart'"),
    ],
)
def test_connections_name_what_exists(cart: Any, make_block: Make, connections: Any, message: str) -> None:
    with pytest.raises(WiringError, match=message):
        wired(cart, make_block("p", "F", lambda k, y: [0.0]), connections)


def test_blocks_that_wait_for_each_other_are_listed(cart: Any, make_block: Make) -> None:
    blocks = [
        make_block("b_out", "a_out", lambda k, y: y, name="a"),
        make_block("a_out", "b_out F", lambda k, y: [0.0, 0.0], name="b"),
    ]
    with pytest.raises(WiringError, match=r"same instant: (a -> b -> a|b -> a -> b); give one of them a delay"):
        wired(cart, blocks)


@pytest.mark.parametrize("way_out", [{"delay": 0.5}, {"offset": 0.5}])
def test_a_delay_or_another_offset_ends_the_waiting(cart: Any, make_block: Make, way_out: dict[str, float]) -> None:
    blocks = [
        make_block("b_out", "a_out", lambda k, y: y, name="a"),
        make_block("a_out", "b_out F", lambda k, y: [0.0, 0.0], name="b", **way_out),
    ]
    _, wiring = wired(cart, blocks)
    assert sorted(wiring.order) == [0, 1]


def test_a_loop_of_continuous_plants_through_their_d_is_listed(make_plant: Make) -> None:
    first = make_plant(-1.0, 1.0, D=1.0, signals="a; w; z", name="first")
    second = make_plant(-1.0, 1.0, D=1.0, signals="b; z; w", name="second")
    with pytest.raises(WiringError, match="algebraic loop of continuous plants: ") as caught:
        wired([first, second], ())
    cycle = str(caught.value).split(": ")[1].split(";")[0].split(" -> ")
    assert cycle[0] == cycle[-1]
    # Signals flow in this direction, wherever one begins.
    around = ["first.w", "first.z", "second.z", "second.w"]
    begin = around.index(cycle[0])
    assert cycle[:-1] == around[begin:] + around[:begin]


def test_continuous_plants_are_to_be_joined_first(make_plant: Make) -> None:
    first = make_plant(-1.0, 1.0, signals="z; w", name="first")
    second = make_plant(-1.0, 1.0, D=1.0, signals="b; z; w", name="second")
    with pytest.raises(
        WiringError, match=r"second\.w drives first\.w, and both are continuous: .*control\.interconnect"
    ):
        wired([first, second], ())


@pytest.mark.parametrize("sampled", ["first", "second", "both"])
def test_sampled_plants_may_feed_and_be_fed(make_plant: Make, sampled: str) -> None:
    first = make_plant(-0.5, 1.0, D=1.0, dt=0.5 if sampled in ("first", "both") else 0, signals="a; w; z", name="first")
    second = make_plant(
        -0.5, 1.0, D=1.0, dt=0.5 if sampled in ("second", "both") else 0, signals="b; z; w", name="second"
    )
    who, wiring = wired([first, second], ())
    assert drivers(who, wiring, 0) == [wiring.plants[1].outputs.start]
    assert drivers(who, wiring, 1) == [wiring.plants[0].outputs.start]
