"""What mosaik's simulators of this package share: samples on mosaik's integer time, and inputs that are looked at."""

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from dmpcrl_ctrl.cosim.clock import Seconds
from dmpcrl_ctrl.errors import ClockError, SimulationError, WiringError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.exact_time import exact_seconds

try:
    from mosaik_api_v3 import Simulator
except ImportError as _error:
    raise WiringError("mosaik is not installed: pip install 'dmpcrl-ctrl[mosaik]'") from _error

COST = "cost"


class Sampled(Simulator):
    """What the simulators share: samples on mosaik's clock, one entity, inputs from one source each."""

    model = ""
    sid: str
    _sample_time: Fraction
    _ticks: int
    _eid: str

    def __init__(self) -> None:
        super().__init__({"api_version": "3.0", "type": "time-based", "models": {}})
        self._number = 0  # of the next sample
        self._created = False
        self._values: dict[str, dict[str, Any]] = {}
        self._takes: dict[str, Collection[str]] = {}

    def get_data(self, outputs: Mapping[str, Iterable[str]]) -> dict[str, dict[str, Any]]:
        """Values of the last sample, numbers and lists of numbers."""
        found: dict[str, dict[str, Any]] = {}
        for eid, attrs in outputs.items():
            if eid not in self._values:
                raise SimulationError(f"{self.sid}.{eid}: it has nothing to say before its first step")
            own = found[eid] = {}
            for attr in attrs:
                if attr not in self._values[eid]:
                    raise WiringError(unknown(attr, self._values[eid], f"{self.sid}.{eid}: output"))
                own[attr] = self._values[eid][attr]
        return found

    def _clocked(self, sid: str, sample_time: Seconds, resolution: float) -> None:
        """Find the mosaik steps of a sample."""
        self.sid, self._sample_time, tick = sid, exact_seconds(sample_time), exact_seconds(resolution)
        for what, time in (("its sample time", self._sample_time), ("mosaik's time_resolution", tick)):
            if time <= 0:
                raise ClockError(f"{sid}: {what} must be positive, got {time} s")
        ticks = self._sample_time / tick
        if ticks.denominator != 1:
            raise ClockError(
                f"{sid}: its sample time {self._sample_time} s is no whole number of mosaik's steps of {resolution} s; "
                f"World(time_resolution={float(self._sample_time / ticks.numerator)!r}) would do"
            )
        self._ticks = int(ticks)

    def _one(self, num: int, model: str) -> None:
        if num != 1 or self._created or model != self.model:
            raise WiringError(f"{self.sid}: it has one {self.model}; start another simulator for another")
        self._created = True

    def _refuse_cost(self, names: Iterable[str], owner: str) -> None:
        if COST in names:
            raise WiringError(f"{self.sid}: a signal of {owner!r} is called {COST!r}, which means the stage cost here")

    def _due(self, time: int) -> str:
        """The time in words; SimulationError where it is none of a sample."""
        if time != self._number * self._ticks:
            due = self._number * self._ticks
            raise SimulationError(f"{self.sid}: stepped at {time} of mosaik's time, but its next sample is at {due}")
        return f"t = {float(self._number * self._sample_time):.9g} s: {self.sid}.{self._eid}"

    def _heard(self, inputs: Mapping[str, Mapping[str, Mapping[str, Any]]], what: str) -> dict[str, tuple[str, Any]]:
        """Input -> (source, value), whichever of the entities it was told to."""
        heard: dict[str, tuple[str, Any]] = {}
        for eid, attrs in inputs.items():
            for attr, sources in attrs.items():
                if attr not in self._takes[eid]:
                    raise WiringError(unknown(attr, self._takes[eid], f"{self.sid}.{eid}: input"))
                for source, value in sources.items():
                    if attr in heard:
                        raise WiringError(f"{what}: {attr!r} has two sources, {heard[attr][0]} and {source}: keep one")
                    heard[attr] = source, value
        return heard


def number(what: str, name: str, source: str, value: Any) -> float:
    """A value from another simulator; SimulationError where it is no finite number."""
    numeric = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not numeric or not np.isfinite(value):
        raise SimulationError(f"{what}: {name!r} is {value!r} from {source}, expected a finite number")
    return float(value)
