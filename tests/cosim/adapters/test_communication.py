"""Every sample of a block belongs to one communication step, whatever a master's steps are."""

import pytest

from dmpcrl_ctrl.cosim.adapters.communication import Communication
from dmpcrl_ctrl.errors import FMUError


@pytest.mark.parametrize("steps", [[0.1] * 100, [1.0] * 10, [0.5, 0.25, 0.25] * 10, [2.0] * 5, [0.7, 0.3] * 10])
@pytest.mark.parametrize("start", [0.0, 12.3])
def test_no_sample_is_missed_or_taken_twice(steps: list[float], start: float) -> None:
    who, time, number = Communication(1.0, start), start, 0
    for step in steps:
        taken = who.samples(number, time, step)
        assert taken == 0 or who.due(number, time)
        number, time = number + taken, time + step
    assert number == 10


def test_a_million_tenths_added_up() -> None:
    who, time = Communication(0.1), 0.0
    for number in range(1_000_000):
        assert number % 9973 or who.samples(number, time, 0.1) == 1
        time += 0.1
    assert time != 1e5


@pytest.mark.parametrize(
    ("whole", "number", "time", "step"),
    [
        (False, 1, 0.9, 0.3),  # passes the sample at 1
        (False, 0, 0.0, 1.5),  # takes a sample away from its instant
        (False, 0, 0.0, 0.0),
        (False, 0, 0.0, -1.0),
        (False, 0, 0.0, float("nan")),
        (True, 0, 0.0, 0.5),  # a continuous plant between its samples
    ],
)
def test_steps_that_do_not_fit(whole: bool, number: int, time: float, step: float) -> None:
    with pytest.raises(FMUError, match=f"t = {time:g} s: a communication step of") as caught:
        Communication(1.0, whole=whole).samples(number, time, step)
    assert "\n" not in str(caught.value)
