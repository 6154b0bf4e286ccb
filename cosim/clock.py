"""Time as a whole number of ticks: t_k = k Ts holds exactly, for any number of samples and any mixture of rates.

A tick is 1/`base` second, where `base` is the least common denominator of all times that matter. Seconds appear as
floats only at the edges (log, messages, user functions), rounded once from the exact ratio.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from dmpcrl_ctrl.errors import ClockError
from dmpcrl_ctrl.plants.exact_time import exact_seconds, to_ticks

Seconds = float | int | str | Fraction

# Ticks finer than a picosecond mean that two of the times have nothing to do with each other.
FINEST_BASE = 10**12


@dataclass(frozen=True)
class Clock:
    """Ticks of 1/`base` second.

    Parameters
    ----------
    base
        Ticks per second, at least 1.

    Examples
    --------
    >>> clock = Clock.common({"controller": 0.1, "observer": 1 / 3})
    >>> clock.base, clock.ticks(0.1), clock.seconds(10**7)
    (30, 3, 333333.3333333333)
    """

    base: int

    @classmethod
    def common(cls, times: Mapping[str, Seconds]) -> "Clock":
        """The coarsest clock that hits every one of `times` (what it is -> seconds).

        Raises
        ------
        ClockError
            A time that no simple fraction stands for, or two times without a common tick; both are named.
        """
        base = 1
        exact: dict[str, Fraction] = {}
        for what, time in times.items():
            try:
                exact[what] = exact_seconds(time)
            except ClockError as error:
                other = next((f" beside {name} {value} s" for name, value in times.items() if name != what), "")
                raise ClockError(f"{what}{other}: {error}") from error
            base = math.lcm(base, exact[what].denominator)
            if base > FINEST_BASE:
                worst = max(exact, key=lambda name: math.lcm(exact[name].denominator, exact[what].denominator))
                raise ClockError(
                    f"{what} {exact[what]} s and {worst} {exact[worst]} s have no common tick of a picosecond or more; "
                    "choose times with a common divisor"
                )
        return cls(base)

    def ticks(self, time: Seconds) -> int:
        """Time in seconds as ticks; ClockError where it falls between two."""
        return to_ticks(time, self.base)

    def seconds(self, tick: int) -> float:
        """Seconds of a tick, correctly rounded."""
        return tick / self.base

    def exact(self, tick: int) -> Fraction:
        """Seconds of a tick."""
        return Fraction(tick, self.base)


@dataclass(frozen=True)
class Schedule:
    """The instants offset, offset + period, offset + 2 period ...

    Parameters
    ----------
    period
        Ticks, at least 1.
    offset
        Ticks, at least 0.
    """

    period: int
    offset: int = 0

    def __post_init__(self) -> None:
        if self.period < 1 or self.offset < 0:
            raise ClockError(
                f"a period must be positive and an offset not negative, got {self.period} and {self.offset} ticks"
            )

    def due(self, tick: int) -> bool:
        """Whether `tick` is one of the instants."""
        return tick >= self.offset and (tick - self.offset) % self.period == 0

    def after(self, tick: int) -> int:
        """First instant strictly after `tick`."""
        if tick < self.offset:
            return self.offset
        return tick + self.period - (tick - self.offset) % self.period

    def number(self, tick: int) -> int:
        """How many instants lie before `tick`; at an instant, its number counted from zero."""
        return max(0, -((self.offset - tick) // self.period))
