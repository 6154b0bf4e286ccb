"""Fields are what the package means by their name only where their form says so."""

from typing import Any, cast

import numpy as np
import pytest

from dmpcrl_ctrl.controllers import Field
from dmpcrl_ctrl.cosim import ControllerTrace, simulate
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.status import Applied, Status
from dmpcrl_ctrl.validation.figures import pictures
from dmpcrl_ctrl.validation.metrics import summarise
from dmpcrl_ctrl.validation.record_fields import last_numbers, members, numbers
from dmpcrl_ctrl.validation.wording import findings, table

OURS = {int(status): status.name.lower() for status in Status}


class Trace(dict[str, Any]):
    """Fields made by hand; all flags are those of the outcome of a solve."""

    fields = property(lambda self: tuple(self))

    def flags(self, field: str) -> dict[int, str]:
        return OURS if field == "status" else {}


def trace(**fields: Any) -> ControllerTrace:
    return cast(ControllerTrace, Trace({name: np.asarray(values) for name, values in fields.items()}))


class Regulator:
    """Does nothing, and writes down what the test wants."""

    name, sample_time = "mine", 1.0
    inputs = ("dtheta_1",)

    def __init__(self, outputs: tuple[str, ...], field: Field, value: Any) -> None:
        self.outputs, self.fields, self.value = outputs, (field,), value

    def init(self, seed: int) -> None:
        """Nothing to carry."""

    def step(self, state: None, tick: int, measurement: Any, applied: Any, cost: Any) -> Any:
        return None, np.zeros(len(self.outputs)), {self.fields[0].name: self.value}


def test_an_enumeration_is_ours_by_its_flags() -> None:
    given = trace(status=np.array([0, 8, 3, -128], dtype="i1"), other=np.array([0, 0, 0, 0]))
    found = members(given, "status", Status)
    assert found is not None
    assert found.tolist() == [0, 8, 3, -1]  # a value that was left out is no member
    assert members(given, "status", Applied) is None
    assert members(given, "other", Status) is None
    assert members(given, "missing", Status) is None


def test_numbers_that_were_left_out_are_nan() -> None:
    given = trace(count=np.array([3, np.iinfo("i4").min], dtype="i4"), pair=np.zeros((2, 2)))
    np.testing.assert_array_equal(numbers(given, "count"), [3.0, np.nan])
    assert numbers(given, "pair") is None
    assert numbers(given, "missing") is None


def test_the_last_finite_number_of_a_row() -> None:
    nan = np.nan
    given = trace(table=[[1.0, 2.0, nan], [nan, nan, nan], [3.0, nan, 4.0]], flat=[1.0, 2.0], empty=np.zeros((2, 0)))
    np.testing.assert_array_equal(last_numbers(given, "table"), [2.0, nan, 4.0])
    assert last_numbers(given, "flat") is None
    assert last_numbers(given, "empty") is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field("status", dtype="i4"), 42),
        (Field("status", dtype="f8"), 0.5),
        (Field("status", (2,)), [1.0, 2.0]),
        (Field("status", dtype="i4", flags={42: "dancing"}), 42),
        (Field("applied_kind", dtype="i4"), 17),
        (Field("culprit"), float("nan")),
        (Field("solve_time", (3,)), [1.0, 2.0, 3.0]),
        (Field("iterations", (1,)), [1.0]),
        (Field("admm/primal_residual"), 0.1),
        (Field("central_difference", (2,)), [0.1, 0.2]),
    ],
)  # fmt: skip
def test_a_field_of_a_user_by_a_name_of_ours_is_left_alone(field: Field, value: Any) -> None:
    plant = power_network()
    run = simulate(plant, Regulator(plant.input_names, field, value), t_end=3.0)
    summary = summarise(run, plant)
    mine = summary.controllers["mine"]
    assert (mine.statuses, mine.applied, mine.culprits, mine.first_failure) == ({}, {}, {}, None)
    assert mine.solve_time is mine.iterations is mine.primal_residual is mine.central_difference is None
    assert table(summary) and findings(summary)
    assert [picture.key for picture in pictures(run)] == ["states", "inputs", "disturbances", "cost"]
