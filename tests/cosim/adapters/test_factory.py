"""A name and JSON make what a function makes; everything else is an error that names it."""

from typing import Any

import pytest

from dmpcrl_ctrl.cosim.adapters.factory import Factory
from dmpcrl_ctrl.errors import FMUError
from dmpcrl_ctrl.plants import chain, power_network


def test_by_name_by_function_and_from_its_own_words() -> None:
    by_function = Factory.of(power_network, {"scenario": 2})
    assert by_function == Factory.of("dmpcrl_ctrl.plants.hycon2:power_network", {"scenario": 2})
    again = Factory(by_function.where, dict(by_function.arguments))
    assert again().input_names == power_network(2).input_names
    assert Factory.of(again) is again


@pytest.mark.parametrize(
    ("where", "arguments", "message"),
    [
        ("chain", {}, "factory 'chain': write 'module:function'"),
        ("os:system; ls", {}, "write 'module:function'"),
        ("__main__:make", {}, "a script cannot be imported"),
        ("dmpcrl_ctrl.nowhere:make", {}, "factory 'dmpcrl_ctrl.nowhere:make': No module named"),
        ("dmpcrl_ctrl.plants:make", {}, "has no attribute 'make'"),
        ("dmpcrl_ctrl:__version__", {}, "is no function: str"),
        ("dmpcrl_ctrl.plants:chain", {"nose": True}, "unexpected keyword argument 'nose'"),
        ("dmpcrl_ctrl.plants:chain", {"noise": float("nan")}, "argument 'noise' is not JSON"),
        ("dmpcrl_ctrl.plants:chain", {"noise": (1, 2)}, "argument 'noise' is not JSON"),
        ("dmpcrl_ctrl.plants:chain", {"noise": chain}, "argument 'noise' is not JSON"),
    ],
)
def test_what_makes_nothing(where: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(FMUError, match=message) as caught:
        Factory(where, arguments)()
    assert "\n" not in str(caught.value)


def test_a_function_without_a_name() -> None:
    with pytest.raises(FMUError, match="cannot be imported by a name"):
        Factory.of(lambda: chain())
