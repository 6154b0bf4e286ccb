from collections.abc import Callable
from typing import Any

import pytest

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.cosim import ControllerTrace, simulate
from dmpcrl_ctrl.errors import LogError

Make = Callable[..., Any]


@pytest.fixture
def trace(make_plant: Make, make_block: Make) -> ControllerTrace:
    fields = (Field("value", unit="J"), Field("plan/agent", (2,)), Field("name", dtype="i4"))

    def law(k: int, y: Array) -> Any:
        return -y, {"value": 1.0 * k, "plan/agent": [k, k + 1], "name": k}

    block = make_block("x0", "u0", law, "1/4", name="pid", fields=fields, offset=0.5, delay=0.125)
    run = simulate(make_plant(0.0, 1.0), block, t_end=2)
    controllers: dict[str, ControllerTrace] = dict(run.controllers)
    return controllers["pid"]


def test_fields_are_items_and_attributes(trace: ControllerTrace) -> None:
    assert set(trace.fields) == {"value", "plan/agent", "name"}
    assert trace.value[1:].tolist() == trace["value"][1:].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert trace["plan/agent"][-1].tolist() == [5.0, 6.0]
    assert trace.unit("value") == "J" and trace.unit("plan/agent") == "1"
    # What belongs to the trace itself goes before a field of that name.
    assert trace.name == "pid" and trace["name"][-1] == 5
    assert "value" in dir(trace) and "plan/agent" not in dir(trace)


def test_times_and_names(trace: ControllerTrace) -> None:
    assert (trace.sample_time, trace.offset, trace.delay) == (0.25, 0.5, 0.125)
    assert trace.input_names == ("x0",) and trace.output_names == ("u0",)
    assert trace.due.tolist() == [False] + [True] * 6
    assert repr(trace).startswith("<ControllerTrace 'pid': every 0.25 s, fields ")


def test_a_misspelt_field_brings_the_nearest(trace: ControllerTrace) -> None:
    with pytest.raises(LogError, match=r"field of controller 'pid': 'valu' does not exist; did you mean 'value'"):
        trace["valu"]
    with pytest.raises(AttributeError, match=r"'valu' does not exist; did you mean 'value'"):
        _ = trace.valu
    assert not hasattr(trace, "_repr_html_")
