"""Exogenous signals as a person writes them: levels, ramps, recorded data, seeded noise, and sums of those.

A *source* speaks of seconds; bound to a clock and a seed (`bound_source.py`) it answers for any tick, in any order,
always with the same numbers. At an edge the new value already holds (right-continuous).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import ClockError, SourceError
from dmpcrl_ctrl.plants.bound_source import BoundSource, Held, Piecewise, Total, child_seed, noise_sampler
from dmpcrl_ctrl.plants.exact_time import exact_seconds, to_ticks

Seconds = float | int | str | Fraction


class Source(ABC):
    """A scalar signal of time; `a + b` (or `a + 0.5`) superposes two."""

    @property
    @abstractmethod
    def measured(self) -> bool:
        """Whether controllers are told the value (a field of most sources)."""

    @abstractmethod
    def instants(self) -> tuple[Fraction, ...]:
        """Seconds that the clock has to hit: edges and sample times."""

    @abstractmethod
    def bind(self, base: int, seed: np.random.SeedSequence) -> BoundSource:
        """Signal on a clock of `base` ticks per second; the seed matters to noise only.

        Raises
        ------
        ClockError
            An edge or a sample time falls between two ticks.
        """

    def measured_part(self) -> "Source":
        """What controllers are told of this signal: itself, or zero where it is not measured."""
        return self if self.measured else Constant(0.0, measured=False)

    def draw_noise(self, rng: np.random.Generator, size: int) -> Array:
        """(size,): independent draws of what is random in this signal and not measured; zeros where nothing is."""
        return np.zeros(size)

    def __add__(self, other: "Source | float") -> "Source":
        return Superposition((*_parts(self), *_parts(as_source(other))))

    __radd__ = __add__


@dataclass(frozen=True)
class Constant(Source):
    """The same value for ever."""

    level: float
    measured: bool = True

    def __post_init__(self) -> None:
        _require_finite(self, level=self.level)

    def instants(self) -> tuple[Fraction, ...]:
        """No edge."""
        return ()

    def bind(self, base: int, seed: np.random.SeedSequence) -> BoundSource:
        """Signal on a clock of `base` ticks per second."""
        return Piecewise(base, (), (float(self.level),), (0.0,))


@dataclass(frozen=True)
class Steps(Source):
    """Absolute levels: `values[k]` holds from `times[k]` seconds on, `initial` before the first.

    Levels, not increments: `Steps((5, 20), (0.1, -0.2))` goes from 0 to 0.1 and from there to -0.2. Times increase.
    """

    times: tuple[Seconds, ...]
    values: tuple[float, ...]
    initial: float = 0.0
    measured: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", tuple(self.times))
        object.__setattr__(self, "values", tuple(self.values))
        if len(self.times) != len(self.values):
            raise SourceError(f"Steps needs one value a time, got {len(self.times)} times, {len(self.values)} values")
        _require_finite(self, initial=self.initial)
        _require_finite_values(self, self.values)
        instants = self.instants()
        for earlier, later in pairwise(instants):
            if later <= earlier:
                raise SourceError(f"Steps: times must increase, got {float(later):g} s after {float(earlier):g} s")

    def instants(self) -> tuple[Fraction, ...]:
        """Instants of the steps."""
        return tuple(_seconds(self, "times", time) for time in self.times)

    def bind(self, base: int, seed: np.random.SeedSequence) -> BoundSource:
        """Signal on a clock of `base` ticks per second."""
        levels = tuple(float(v) for v in (self.initial, *self.values))
        return Piecewise(base, tuple(to_ticks(t, base) for t in self.times), levels, (0.0,) * len(levels))


@dataclass(frozen=True)
class Ramp(Source):
    """`initial` until `start` seconds, then `slope` per second until `end` seconds (None: for ever), then constant."""

    start: Seconds
    slope: float
    end: Seconds | None = None
    initial: float = 0.0
    measured: bool = True

    def __post_init__(self) -> None:
        _require_finite(self, slope=self.slope, initial=self.initial)
        instants = self.instants()
        if len(instants) == 2 and instants[1] <= instants[0]:
            raise SourceError(f"Ramp must end after its start {self.start} s, got end = {self.end} s")

    def instants(self) -> tuple[Fraction, ...]:
        """Start and end."""
        times = {"start": self.start} if self.end is None else {"start": self.start, "end": self.end}
        return tuple(_seconds(self, name, time) for name, time in times.items())

    def bind(self, base: int, seed: np.random.SeedSequence) -> BoundSource:
        """Signal on a clock of `base` ticks per second."""
        instants = self.instants()
        initial, slope = float(self.initial), float(self.slope)
        final = [initial + slope * float(end - begin) for begin, end in pairwise(instants)]
        knots = tuple(to_ticks(t, base) for t in instants)
        return Piecewise(base, knots, (initial, initial, *final), (0.0, slope, *(0.0 for _ in final)))


@dataclass(frozen=True)
class Sampled(Source):
    """Recorded data: `values[k]` holds over [start + k sample_time, start + (k + 1) sample_time).

    Before `start` the signal is `initial`; after the data it holds the last value, or (`after="error"`) stops the run.
    """

    values: tuple[float, ...]
    sample_time: Seconds
    start: Seconds = 0.0
    after: Literal["hold", "error"] = "hold"
    initial: float = 0.0
    measured: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(float(v) for v in self.values))
        if not self.values:
            raise SourceError("Sampled needs at least one value")
        if self.after not in ("hold", "error"):
            raise SourceError(f"Sampled: after must be 'hold' or 'error', got {self.after!r}")
        _require_finite(self, initial=self.initial)
        _require_finite_values(self, self.values)
        _period(self, self.sample_time)

    def instants(self) -> tuple[Fraction, ...]:
        """Sample time and start."""
        return (_period(self, self.sample_time), _seconds(self, "start", self.start))

    def bind(self, base: int, seed: np.random.SeedSequence) -> BoundSource:
        """Signal on a clock of `base` ticks per second."""
        period, start = to_ticks(self.sample_time, base), to_ticks(self.start, base)
        return Held(
            base, period, start, self.values.__getitem__, len(self.values), float(self.initial), self.after == "error"
        )


@dataclass(frozen=True)
class UniformNoise(Source):
    """Independent samples, uniform on [low, high), each held for `sample_time` seconds, from time zero on."""

    low: float
    high: float
    sample_time: Seconds
    measured: bool = False

    def __post_init__(self) -> None:
        _require_finite(self, low=self.low, high=self.high)
        if self.low > self.high:
            raise SourceError(f"UniformNoise: low = {self.low:g} exceeds high = {self.high:g}")
        _period(self, self.sample_time)

    def instants(self) -> tuple[Fraction, ...]:
        """Sample time."""
        return (_period(self, self.sample_time),)

    def bind(self, base: int, seed: np.random.SeedSequence) -> BoundSource:
        """Signal on a clock of `base` ticks per second; sample k depends on the seed and on k alone."""
        sampler = noise_sampler(lambda rng, size: rng.uniform(self.low, self.high, size), seed)
        return Held(base, to_ticks(self.sample_time, base), 0, sampler)

    def draw_noise(self, rng: np.random.Generator, size: int) -> Array:
        """(size,): independent draws; zeros where it is measured."""
        return np.zeros(size) if self.measured else rng.uniform(self.low, self.high, size)


@dataclass(frozen=True)
class GaussianNoise(Source):
    """Independent normal samples of mean zero and deviation `std`, each held for `sample_time` seconds."""

    std: float
    sample_time: Seconds
    measured: bool = False

    def __post_init__(self) -> None:
        _require_finite(self, std=self.std)
        if self.std < 0.0:
            raise SourceError(f"GaussianNoise: std must not be negative, got {self.std:g}")
        _period(self, self.sample_time)

    def instants(self) -> tuple[Fraction, ...]:
        """Sample time."""
        return (_period(self, self.sample_time),)

    def bind(self, base: int, seed: np.random.SeedSequence) -> BoundSource:
        """Signal on a clock of `base` ticks per second; sample k depends on the seed and on k alone."""
        sampler = noise_sampler(lambda rng, size: rng.normal(0.0, self.std, size), seed)
        return Held(base, to_ticks(self.sample_time, base), 0, sampler)

    def draw_noise(self, rng: np.random.Generator, size: int) -> Array:
        """(size,): independent draws; zeros where it is measured."""
        return np.zeros(size) if self.measured else rng.normal(0.0, self.std, size)


@dataclass(frozen=True)
class Superposition(Source):
    """Sum of sources; what `+` makes."""

    parts: tuple[Source, ...]

    @property
    def measured(self) -> bool:
        """Whether any part is measured; controllers are told the sum of the measured parts."""
        return any(part.measured for part in self.parts)

    def instants(self) -> tuple[Fraction, ...]:
        """Instants of all parts."""
        return tuple(instant for part in self.parts for instant in part.instants())

    def bind(self, base: int, seed: np.random.SeedSequence) -> BoundSource:
        """Signal on a clock of `base` ticks per second; every part has a seed of its own."""
        return Total(tuple(part.bind(base, child_seed(seed, k)) for k, part in enumerate(self.parts)))

    def measured_part(self) -> Source:
        """Sum of the measured parts; an unmeasured one leaves a zero, so that the others keep their seeds."""
        return Superposition(tuple(part.measured_part() for part in self.parts))

    def draw_noise(self, rng: np.random.Generator, size: int) -> Array:
        """(size,): sum of independent draws of the parts."""
        return sum((part.draw_noise(rng, size) for part in self.parts), np.zeros(size))


def as_source(value: Source | float) -> Source:
    """`value` itself, or a constant of that value; SourceError where it is neither a source nor a number."""
    if isinstance(value, Source):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise SourceError(f"a signal is a Source or a number, got {value!r}")
    return Constant(float(value))


def _parts(source: Source) -> tuple[Source, ...]:
    return source.parts if isinstance(source, Superposition) else (source,)


def _require_finite(source: Source, **values: float) -> None:
    for name, value in values.items():
        if not np.isfinite(value):
            raise SourceError(f"{type(source).__name__}: {name} must be a finite number, got {value}")


def _require_finite_values(source: Source, values: tuple[float, ...]) -> None:
    bad = np.flatnonzero(~np.isfinite(np.asarray(values, dtype=np.float64)))
    if bad.size:
        _require_finite(source, **{f"values[{bad[0]}]": values[bad[0]]})


def _seconds(source: Source, name: str, value: Seconds) -> Fraction:
    try:
        return exact_seconds(value)
    except ClockError as error:
        raise SourceError(f"{type(source).__name__}: {name}: {error}") from error


def _period(source: Source, value: Seconds) -> Fraction:
    period = _seconds(source, "sample_time", value)
    if period <= 0:
        raise SourceError(f"{type(source).__name__}: sample_time must be positive, got {value} s")
    return period
