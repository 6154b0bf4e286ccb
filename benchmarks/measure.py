"""Two things timed in turn, A B A B ..., so that a machine's moods fall on both: what counts is the ratio of a pair."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ratio:
    """How many times as long the one takes as the other.

    Attributes
    ----------
    median, low, high
        Over the pairs: the median, and the quartiles.
    one, other
        Median seconds of each.
    """

    median: float
    low: float
    high: float
    one: float
    other: float


def in_turn(one: Callable[[], float], other: Callable[[], float], pairs: int = 9) -> Ratio:
    """The ratio of what two callables say that they took, after one pair that does not count."""
    one(), other()
    took = np.array([(one(), other()) for _ in range(pairs)])
    low, median, high = np.percentile(took[:, 0] / took[:, 1], [25.0, 50.0, 75.0])
    return Ratio(float(median), float(low), float(high), *map(float, np.median(took, axis=0)))


def timed(call: Callable[[], object], times: int = 1) -> Callable[[], float]:
    """A callable that says how many seconds one of so many calls took."""

    def measure() -> float:
        start = time.perf_counter()
        for _ in range(times):
            call()
        return (time.perf_counter() - start) / times

    return measure


def slope(sizes: list[int], seconds: list[float]) -> float:
    """Of log(seconds) over log(size), by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
