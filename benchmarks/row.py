"""A line of docs/performance.md."""

from dataclasses import dataclass

from benchmarks.measure import Ratio


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    name, goal
        What is measured; what is to be reached, in words.
    value, spread
        What was measured, and its quartiles where there are several pairs.
    reached
        Whether that is the goal or better; None where there is none.
    note
        How, or why not.
    """

    name: str
    goal: str
    value: float
    spread: tuple[float, float] | None
    reached: bool | None
    note: str


def most(name: str, limit: float, found: Ratio, note: str) -> Row:
    """A ratio that is to be small."""
    return Row(name, f"<= {limit:g}", found.median, (found.low, found.high), found.median <= limit, note)
