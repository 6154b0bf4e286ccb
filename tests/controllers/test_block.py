from fractions import Fraction
from typing import Any

import pytest

from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.controllers.block import Block, BlockOptions, Field
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem


class HalfGainController:
    sample_time = 0.5
    inputs = ("x",)
    outputs = ("u",)

    def init(self, seed: int) -> None: ...

    def step(self, state: None, tick: int, measurement: Any, applied: Any, cost: Any) -> Any:
        return state, -0.5 * measurement, {}


def test_whoever_has_the_five_names_is_a_block() -> None:
    assert isinstance(HalfGainController(), Block)
    assert not isinstance(object(), Block)


@pytest.mark.parametrize("kind", [CentralizedMPC, DistributedMPC])
def test_the_controllers_of_this_package_are_blocks(kind: Any) -> None:
    model = LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]])
    assert isinstance(kind(MPCProblem((model,), horizon=3), sample_time=1.0), Block)


def test_what_a_block_does_not_say_has_a_default() -> None:
    options = BlockOptions.of(HalfGainController())
    assert options == BlockOptions("half_gain_controller", 0.0, 0.0, 0, ())


def test_what_a_block_says_is_taken() -> None:
    block = HalfGainController()
    said = {"name": "pid", "offset": 0.25, "delay": Fraction(1, 3), "preview": 4, "fields": [Field("value")]}
    block.__dict__.update(said)
    assert BlockOptions.of(block) == BlockOptions("pid", 0.25, Fraction(1, 3), 4, (Field("value"),))


def test_a_field_is_a_number_without_unit_unless_it_says_more() -> None:
    field = Field("value")
    assert (field.shape, field.dtype, field.unit, field.long_name, field.flags, field.dims) == (
        (),
        "f8",
        "1",
        "",
        None,
        (),
    )
