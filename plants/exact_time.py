"""Times as exact fractions of a second: the floats that people write stand for simple fractions, which add up."""

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from dmpcrl_ctrl.errors import ClockError

# Largest denominators that are tried, smallest first: 0.1 is 1/10, 1/3 is 1/3, 0.000125 is 1/8000.
_DENOMINATORS = (1_000, 1_000_000)
# Decimals finer than a microsecond, down to a nanosecond, are taken as they are written.
_FINEST = 10**9


def exact_seconds(value: float | int | str | Fraction) -> Fraction:
    """Fraction of a second that a number stands for.

    Parameters
    ----------
    value
        Seconds. An integer, a `Fraction` and a string ("0.1", "1/3") are taken literally; a float is read as the
        simplest fraction that rounds to that very float, with a denominator of at most 10**6 or at most nine decimals.

    Returns
    -------
    Fraction
        The exact time, in seconds.

    Raises
    ------
    ClockError
        Not a number, not finite, or a float such as pi that no simple fraction stands for.

    Examples
    --------
    >>> exact_seconds(0.1), exact_seconds(1 / 3)
    (Fraction(1, 10), Fraction(1, 3))
    """
    given: object = value
    if isinstance(given, str):
        try:
            return Fraction(given)
        except (ValueError, ZeroDivisionError) as error:
            raise ClockError(f"{given!r} is not a number of seconds; write 0.1 or 1/3") from error
    if isinstance(given, bool):
        raise ClockError(f"a time must be a number of seconds, got {given}")
    if isinstance(given, int | Fraction):
        return Fraction(given)
    if isinstance(given, np.integer):
        return Fraction(int(given))
    if isinstance(given, float | np.floating):
        return _simplest(float(given))
    raise ClockError(f"a time must be a number of seconds, got {given!r}")


def ticks_per_second(times: Iterable[float | int | str | Fraction]) -> int:
    """Least number of ticks per second on which every one of `times` (seconds) falls: the lcm of their denominators."""
    return math.lcm(*(exact_seconds(time).denominator for time in times))


def to_ticks(value: float | int | str | Fraction, base: int) -> int:
    """Time `value` (seconds) as a whole number of ticks of 1/`base` second; ClockError where it falls between two."""
    ticks = exact_seconds(value) * base
    if ticks.denominator != 1:
        raise ClockError(f"{value} s falls between two ticks of 1/{base} s; add its denominator to the clock's base")
    return int(ticks)


def _simplest(value: float) -> Fraction:
    if not math.isfinite(value):
        raise ClockError(f"a time must be finite, got {value}")
    exact = Fraction(value)
    for denominator in _DENOMINATORS:
        simple = exact.limit_denominator(denominator)
        if float(simple) == value:
            return simple
    decimal = Fraction(repr(value))
    if decimal.denominator <= _FINEST and _FINEST % decimal.denominator == 0:
        return decimal
    # A sum such as 0.1 + 0.2 misses its fraction by a few units in the last place: name what was meant, do not guess.
    near = exact.limit_denominator(_DENOMINATORS[0])
    meant = f" (is it {near}?)" if abs(float(near) - value) <= 1e-12 * abs(value) else ""
    raise ClockError(
        f"{value!r} s is no simple fraction of a second, with a denominator up to 10**6 or nine decimals{meant}; "
        "round it, or pass a Fraction"
    )
