from collections.abc import Callable
from typing import Any

from dmpcrl_ctrl.cosim import simulate

Make = Callable[..., Any]


def test_a_log_says_what_drives_inputs_and_what_blocks_read(make_plant: Make, make_block: Make) -> None:
    first = make_block("x0 x0_ref", "u0", lambda k, y: [0.0], name="first")
    second = make_block("u0 x0", "", lambda k, y: ([], {}), name="second")
    run = simulate(make_plant(0.0, 1.0, name="tank"), [first, second], t_end=1)
    reader = run._reader
    assert reader.labels("plant/input_source") == ("controller/first/output/u0",)
    [x, reference] = reader.labels("controller/first/input_source")
    kind, column = x.rsplit("/", 1)
    assert kind == "plant/output" and column in run.output_names and reference == "plant/setpoint/x0_ref"
    assert reader.labels("controller/second/input_source") == ("plant/input/u0", x)


def test_several_plants_and_an_input_that_nothing_drives(make_plant: Make, make_block: Make) -> None:
    plants = [make_plant(0.0, 1.0, name="a"), make_plant(0.0, 1.0, name="b")]
    block = make_block("a.x0", "a.u0", lambda k, y: [0.0], name="only")
    run = simulate(plants, block, t_end=1, connections={"b.u0": None})
    assert run._reader.labels("plant/input_source") == ("controller/only/output/a.u0", "")
    assert run._reader.labels("controller/only/input_source")[0].startswith("plant/output/a.")
