"""What all sections have in common."""

import pytest
from pydantic import ValidationError

from dmpcrl_ctrl.validation.section import NonNegative, Section, hint, nearest


class Small(Section):
    """A section. With more text."""

    weight: NonNegative = 1.0


def test_the_nearest_word() -> None:
    assert nearest("horzion", ["horizon", "hold"]) == "horizon"
    assert nearest("xyz", ["horizon", "hold"]) is None


def test_a_message_ends_with_the_nearest_word_or_with_all() -> None:
    assert hint("horzion", ["horizon", "hold"]) == "did you mean horizon?"
    assert hint("xyz", ["horizon", "hold"], "known:") == "known: horizon, hold"
    assert hint("xyz", []) == "there are none"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"wieght": 1.0}, "unknown key; did you mean weight?"),
        ({"zzz": 1.0}, "unknown key; known here: weight"),
        ({"weight": "1.0"}, "valid number"),
        ({"weight": True}, "valid number"),
        ({"weight": float("nan")}, "finite number"),
        ({"weight": float("inf")}, "finite number"),
    ],
)
def test_types_are_strict_and_keys_known(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as fault:
        Small.model_validate(table)
    assert message in str(fault.value)
    assert Small.line() == "A section. With more text"
