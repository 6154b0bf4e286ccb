"""A name and JSON make what a function makes; everything else is an error that names it."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dmpcrl_ctrl.cosim.adapters.factory import Factory, made
from dmpcrl_ctrl.errors import WiringError
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
        ("chain", {}, "'chain': expected 'module:function'"),
        ("os:system; ls", {}, "expected 'module:function'"),
        ("__main__:make", {}, "a script cannot be imported"),
        (
            "dmpcrl_ctrl.nowhere:make",
            {},
            "nowhere:make': cannot import 'dmpcrl_ctrl.nowhere': No module named",
        ),
        ("dmpcrl_ctrl.plants:make", {}, "'make' does not exist"),
        ("dmpcrl_ctrl:__version__", {}, "is no function: str"),
        ("dmpcrl_ctrl.plants:chain", {"nose": True}, "unexpected keyword argument 'nose'"),
        ("dmpcrl_ctrl.plants:chain", {"noise": float("nan")}, "argument 'noise' is not JSON"),
        ("dmpcrl_ctrl.plants:chain", {"noise": (1, 2)}, "argument 'noise' is not JSON"),
        ("dmpcrl_ctrl.plants:chain", {"noise": chain}, "argument 'noise' is not JSON"),
    ],
)
def test_what_makes_nothing(where: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(WiringError, match=message) as caught:
        Factory(where, arguments)()
    assert "\n" not in str(caught.value)


def test_a_function_without_a_name() -> None:
    with pytest.raises(WiringError, match="cannot be imported by a name"):
        Factory.of(lambda: chain())


def test_what_is_no_text_is_what_was_meant() -> None:
    thing = object()
    assert made("thing", thing, None) is thing
    with pytest.raises(WiringError, match="thing: arguments belong to 'module:function', got object"):
        made("thing", thing, {"a": 1})


def test_a_function_a_class_and_a_method_by_name() -> None:
    assert made("plant", "dmpcrl_ctrl.plants:chain", {"noise": False}).name == "chain"
    assert made("count", "collections:Counter", {"a": 2}) == Counter("aa")
    assert made("keys", "collections:OrderedDict.fromkeys", {"iterable": "ab"}) == {"a": None, "b": None}


def test_an_error_says_what_was_to_be_made() -> None:
    with pytest.raises(WiringError, match="^sim-0: plant: 'dmpcrl_ctrl.plants:chian': 'chian' does not exist"):
        made("sim-0: plant", "dmpcrl_ctrl.plants:chian")


def test_a_module_that_is_no_python_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no_python_in_here.py").write_text("no python", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(WiringError, match="cannot import 'no_python_in_here': invalid syntax .no_python_in_here.py"):
        Factory("no_python_in_here:make").function()


def test_an_error_of_many_lines_becomes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> None:
        raise TypeError("first\n  second")

    monkeypatch.setattr("dmpcrl_ctrl.plants.made_here", make, raising=False)
    with pytest.raises(WiringError, match="^'dmpcrl_ctrl.plants:made_here': first second$"):
        Factory("dmpcrl_ctrl.plants:made_here")()
