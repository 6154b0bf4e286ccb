"""What is made by name is what the name says, and a name that is none is told."""

from collections import Counter
from typing import Any

import pytest

from dmpcrl_ctrl.cosim.adapters.factory import made
from dmpcrl_ctrl.errors import WiringError


def test_what_is_no_text_is_what_was_meant() -> None:
    thing = object()
    assert made("thing", thing, None) is thing
    with pytest.raises(WiringError, match="thing: arguments belong to 'module:function', got object"):
        made("thing", thing, {"a": 1})


def test_a_function_a_class_and_a_method_by_name() -> None:
    assert made("plant", "dmpcrl_ctrl.plants:chain", {"noise": False}).name == "chain"
    assert made("count", "collections:Counter", {"a": 2}) == Counter("aa")
    assert made("keys", "collections:OrderedDict.fromkeys", {"iterable": "ab"}) == {"a": None, "b": None}


@pytest.mark.parametrize(
    ("given", "arguments", "message"),
    [
        ("chain", None, "plant: expected 'module:function', got 'chain'"),
        (":chain", None, "plant: expected 'module:function', got ':chain'"),
        ("nothing_such:chain", None, "plant: cannot import 'nothing_such': No module named"),
        ("dmpcrl_ctrl.plants:chian", None, "'chian' does not exist; did you mean 'chain'?"),
        ("dmpcrl_ctrl.plants:__all__", None, "'dmpcrl_ctrl.plants:__all__' is no function but list"),
        ("dmpcrl_ctrl.plants:chain", {1: 2}, "plant: 'dmpcrl_ctrl.plants:chain': keywords must be strings"),
        ("dmpcrl_ctrl.plants:power_network", {"scenarios": 1}, "plant: .*power_network': .*'scenarios'"),
    ],
)
def test_what_cannot_be_made(given: str, arguments: Any, message: str) -> None:
    with pytest.raises(WiringError, match=message):
        made("plant", given, arguments)
