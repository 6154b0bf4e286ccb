"""What the figures of the paper have in common: a picture beside its numbers, colours, windows of a curve."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.plot import COLOURS
from dmpcrl_ctrl.validation.drawing import Axes, Picture

Results = Mapping[str, Mapping[str, Array]]
LEARNERS = ("distributed", "central")
COLOUR = dict(zip(LEARNERS, COLOURS, strict=False))
DOT = {"color": "black", "marker": "o", "markersize": 3.5, "linestyle": "none"}


@dataclass(frozen=True)
class Shown:
    """A picture and its numbers.

    Attributes
    ----------
    picture
        To be placed in a page.
    numbers
        For `summary.json`: ours, and the published ones where there are any.
    checks
        Statement -> whether our numbers bear it out.
    """

    picture: Picture
    numbers: dict[str, Any]
    checks: dict[str, bool] = field(default_factory=dict)


def finite(value: float) -> float | None:
    """The number, None where it is none: a file of JSON has no infinity."""
    return float(value) if np.isfinite(value) else None


def legend(ax: Axes) -> None:
    """Inside, where it covers least."""
    ax.legend(loc="best", frameon=False, fontsize=7, handlelength=1.4, labelspacing=0.25)


def windows_of(values: Array, width: int) -> list[Array]:
    """The curve in parts of about so many samples."""
    count = max(1, len(values) // width)
    return np.array_split(values, count)


def windows(values: Array, width: int) -> Array:
    """Their means."""
    return np.array([np.nanmean(part) for part in windows_of(values, width)])


def points(values: Mapping[int, float]) -> tuple[list[int], list[float]]:
    """For a line."""
    return list(values), list(values.values())
