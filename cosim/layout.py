"""A file of named arrays, described before it exists: dimensions, arrays, units, attributes.

An array's dimensions are arrays of the file as well (HDF5 dimension scales): seconds along time, names along signals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

# Rows that are written at once.
BLOCK_ROWS = 256
# Of the table of chunks that every open array has for itself: HDF5's own 8,191 slots are 2 GB for 1,000 agents.
CHUNK_SLOTS = 101
DTYPES = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


@dataclass(frozen=True)
class Axis:
    """A dimension of the log.

    Parameters
    ----------
    path
        In the file.
    labels
        Names along it, or None.
    size
        Length without labels; None: it grows with the run, and holds seconds.
    long_name
        What a person reads.
    """

    path: str
    labels: tuple[str, ...] | None = None
    size: int | None = None
    long_name: str = ""

    @property
    def grows(self) -> bool:
        """Whether it gets longer with the run."""
        return self.labels is None and self.size is None

    @property
    def length(self) -> int:
        """Of an axis that does not grow."""
        return len(self.labels) if self.labels is not None else self.size or 0


@dataclass(frozen=True, eq=False)
class Variable:
    """An array of the log.

    Parameters
    ----------
    path
        In the file.
    axes
        Paths of its dimensions.
    dtype
        NumPy type code; "str" for text.
    unit, long_name, flags
        As for :class:`Field`; an empty unit where it differs along an axis.
    value
        Of an array that is known from the start; None: it grows along its first axis.
    units_along
        Names, with blanks between, of the arrays beside it that hold the units along its axes.
    fill
        What stands for a missing value; None where nothing is missing, or NaN.
    """

    path: str
    axes: tuple[str, ...]
    dtype: str = "f8"
    unit: str = ""
    long_name: str = ""
    flags: Mapping[int, str] | None = None
    value: NDArray[Any] | tuple[str, ...] | None = None
    units_along: str = ""
    fill: int | None = None


@dataclass(frozen=True, eq=False)
class Layout:
    """Everything that is fixed about a log before the run.

    Parameters
    ----------
    axes, variables
        In the order in which they are created.
    attributes
        Group path ("" for the root) -> name -> text or number.
    rows
        How many the growing axes will have, if known: a short log then takes little room.
    links
        Path -> path of an array that stands there as well, so that a group can be read by itself.
    """

    axes: tuple[Axis, ...]
    variables: tuple[Variable, ...]
    attributes: Mapping[str, Mapping[str, str | int | float]]
    rows: int = BLOCK_ROWS
    links: Mapping[str, str] = field(default_factory=dict)

    def axis(self, path: str) -> Axis:
        """The dimension of that path."""
        return next(axis for axis in self.axes if axis.path == path)
