"""Samples on mosaik's integer time, and inputs that are looked at before they are taken."""

import sys
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.cosim.adapters.mosaik_sampled import Sampled, number
from dmpcrl_ctrl.errors import ClockError, SimulationError, WiringError


class Ten(Sampled):
    model = "Ten"

    def clocked(self, sample_time: Any, resolution: float) -> int:
        self._clocked("Ten-0", sample_time, resolution)
        self._eid = "ten"
        return self._ticks


@pytest.mark.parametrize(
    ("sample_time", "resolution", "ticks"),
    [(0.1, 0.1, 1), (0.3, 0.1, 3), ("1/3", 1 / 3, 1), (1 / 3, 1 / 30, 10), (1, 0.001, 1000), (3600, 900.0, 4)],
)
def test_a_sample_is_a_whole_number_of_steps(sample_time: Any, resolution: float, ticks: int) -> None:
    assert Ten().clocked(sample_time, resolution) == ticks


def test_a_sample_that_is_not() -> None:
    with pytest.raises(ClockError, match=r"Ten-0: its sample time 1/10 s is no whole .*of 0.25 s; .*=0.05\) would do"):
        Ten().clocked(0.1, 0.25)
    assert Ten().clocked(0.1, 0.05) == 2
    with pytest.raises(ClockError, match="Ten-0: its sample time must be positive, got 0 s"):
        Ten().clocked(0, 1.0)
    with pytest.raises(ClockError, match="Ten-0: mosaik's time_resolution must be positive, got 0 s"):
        Ten().clocked(1, 0.0)


def test_a_step_between_two_samples() -> None:
    ten = Ten()
    ten.clocked(1.0, 0.1)
    assert ten._due(0) == "t = 0 s: Ten-0.ten"
    with pytest.raises(SimulationError, match="Ten-0: stepped at 3 of mosaik's time, but its next sample is at 0"):
        ten._due(3)


def test_nothing_to_say_before_the_first_step() -> None:
    ten = Ten()
    ten.clocked(1.0, 1.0)
    with pytest.raises(SimulationError, match="Ten-0.ten: it has nothing to say before its first step"):
        ten.get_data({"ten": ["x"]})


@pytest.mark.parametrize("value", [None, "1.0", [1.0], True, float("inf"), np.float64("nan")])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(SimulationError, match="t = 0 s: 'u' is .* from a.b, expected a finite number"):
        number("t = 0 s", "u", "a.b", value)


def test_what_is_a_number() -> None:
    assert [number("", "u", "a", value) for value in (1, 0.5, np.int64(2), np.float32(0.25))] == [1.0, 0.5, 2.0, 0.25]


def test_without_mosaik(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mosaik_api_v3", None)
    monkeypatch.delitem(sys.modules, "dmpcrl_ctrl.cosim.adapters.mosaik_sampled")
    with pytest.raises(WiringError, match=r"mosaik is not installed: pip install 'dmpcrl-ctrl\[mosaik\]'"):
        import_module("dmpcrl_ctrl.cosim.adapters.mosaik_sampled")
