"""Words that all rooms share: the nearest name, lists that end, errors of one line."""

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.messages import listed, one_line, unknown


def test_the_nearest_name_is_offered() -> None:
    assert unknown("alpa", ["alpha", "beta"], "state") == "state 'alpa' does not exist; did you mean 'alpha'?"


def test_unlike_names_are_listed() -> None:
    assert unknown("zzz", ["alpha", "beta"], "state") == "state 'zzz' does not exist; there are alpha, beta"
    assert unknown("zzz", [], "state") == "state 'zzz' does not exist; there are none"
    assert listed([str(k) for k in range(20)]).endswith("11, ...")


def test_an_error_is_one_line() -> None:
    assert one_line(PlantError("this\n  and\tthat ")) == "this and that"
    assert one_line(ValueError()) == ""
