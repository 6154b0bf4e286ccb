"""Signals on an integer clock: value, slope and next edge at any tick, asked in any order.

Time counts in ticks of 1/`base` second. Every signal is piecewise linear and right-continuous: at an edge the new value
already holds, and `slope` is the one of the piece that begins there.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import SourceError

# Noise is drawn in blocks: one generator a block costs 20 us, one a sample would cost as much each.
_BLOCK = 256


class BoundSource(Protocol):
    """What the simulation asks of a signal."""

    def value(self, tick: int) -> float:
        """Value at `tick`, in the signal's unit."""

    def slope(self, tick: int) -> float:
        """Change per second just after `tick`, constant until the next edge."""

    def next_edge(self, tick: int) -> int | None:
        """First tick strictly after `tick` at which value or slope may jump; None where there is none."""


@dataclass(frozen=True)
class Piecewise:
    """Finitely many linear pieces.

    Parameters
    ----------
    base
        Ticks per second.
    knots
        Ticks, increasing, at which a new piece begins.
    values, slopes
        One more than `knots`: value at the beginning of each piece, and slope per second. The piece before the first
        knot is constant.
    """

    base: int
    knots: tuple[int, ...]
    values: tuple[float, ...]
    slopes: tuple[float, ...]

    def value(self, tick: int) -> float:
        """Value at `tick`."""
        piece = bisect_right(self.knots, tick)
        if self.slopes[piece] == 0.0:
            return self.values[piece]
        return self.values[piece] + self.slopes[piece] * ((tick - self.knots[piece - 1]) / self.base)

    def slope(self, tick: int) -> float:
        """Change per second just after `tick`."""
        return self.slopes[bisect_right(self.knots, tick)]

    def next_edge(self, tick: int) -> int | None:
        """Next knot after `tick`."""
        piece = bisect_right(self.knots, tick)
        return self.knots[piece] if piece < len(self.knots) else None


@dataclass(frozen=True)
class Held:
    """Samples held for `period` ticks each, the first from tick `start` on.

    Parameters
    ----------
    base
        Ticks per second.
    period, start
        Ticks.
    sample
        Sample number -> value.
    count
        Number of samples; the last is held for ever. None: endless.
    initial
        Value before `start`.
    refuse_after_end
        Raise :class:`SourceError` past the end of the last sample instead of holding it.
    """

    base: int
    period: int
    start: int
    sample: Callable[[int], float]
    count: int | None = None
    initial: float = 0.0
    refuse_after_end: bool = False

    def value(self, tick: int) -> float:
        """Value at `tick`."""
        if tick < self.start:
            return self.initial
        number = (tick - self.start) // self.period
        if self.count is None or number < self.count:
            return self.sample(number)
        # The very end of the last sample still belongs to it, so that data for 100 s serve a run of 100 s.
        end = self.start + self.count * self.period
        if self.refuse_after_end and tick > end:
            raise SourceError(
                f"the data end at t = {end / self.base:g} s and do not reach t = {tick / self.base:g} s; "
                "give more, or after='hold'"
            )
        return self.sample(self.count - 1)

    def slope(self, tick: int) -> float:
        """Zero: samples are held."""
        return 0.0

    def next_edge(self, tick: int) -> int | None:
        """Beginning of the next sample."""
        number = max((tick - self.start) // self.period + 1, 0)
        if self.count is not None and number >= self.count:
            return None
        return self.start + number * self.period


@dataclass(frozen=True)
class Total:
    """Sum of signals."""

    parts: tuple[BoundSource, ...]

    def value(self, tick: int) -> float:
        """Sum of the values."""
        return sum((part.value(tick) for part in self.parts), 0.0)

    def slope(self, tick: int) -> float:
        """Sum of the slopes."""
        return sum((part.slope(tick) for part in self.parts), 0.0)

    def next_edge(self, tick: int) -> int | None:
        """Earliest edge of any part."""
        return earliest(part.next_edge(tick) for part in self.parts)


def earliest(edges: Iterable[int | None]) -> int | None:
    """Least tick of those that are not None."""
    return min((edge for edge in edges if edge is not None), default=None)


def child_seed(seed: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """Seed derived from `seed` and `key` alone, unlike `seed.spawn`, which also counts how often it was called."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key), pool_size=seed.pool_size)


def noise_sampler(
    draw: Callable[[np.random.Generator, int], Array], seed: np.random.SeedSequence
) -> Callable[[int], float]:
    """Sample number -> random number that depends on the seed and the number alone.

    Parameters
    ----------
    draw
        Generator, size -> that many independent samples.
    seed
        Where the randomness comes from.
    """

    @lru_cache(maxsize=8)
    def block(number: int) -> list[float]:
        return [float(v) for v in draw(np.random.default_rng(child_seed(seed, number)), _BLOCK)]

    return lambda number: block(number // _BLOCK)[number % _BLOCK]
