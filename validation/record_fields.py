"""What controllers wrote down, read with care: a block of a user may mean something else by the same name.

A field counts as what the package means by it only where its form says so: an outcome is an enumeration with our names
of the values, a number is one number a sample. Everything else is the user's own, and is left alone.
"""

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.missing import missing

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.trace import ControllerTrace


def members(trace: "ControllerTrace", field: str, kind: type[IntEnum]) -> NDArray[np.int64] | None:
    """(K,) values of an enumeration of ours, -1 where there is none; None if the field is no such enumeration."""
    if field not in trace.fields or trace[field].ndim != 1:
        return None
    known = {int(member): member.name.lower() for member in kind}
    flags = trace.flags(field)
    if not flags or not flags.items() <= known.items():
        return None
    values = trace[field].astype(np.int64)
    return np.where(np.isin(values, list(known)), values, -1)


def numbers(trace: "ControllerTrace", field: str) -> Array | None:
    """(K,) numbers of a field, NaN where it was left out; None if there is no such field with one number a sample."""
    if field not in trace.fields or trace[field].ndim != 1:
        return None
    return _with_gaps(trace[field])


def last_numbers(trace: "ControllerTrace", field: str) -> Array | None:
    """(K,): the last finite entry of each row of a table, NaN where there is none; None if there is no such table."""
    if field not in trace.fields or trace[field].ndim != 2 or not trace[field].shape[1]:
        return None
    table = _with_gaps(trace[field])
    there = np.isfinite(table)
    last = table.shape[1] - 1 - np.argmax(there[:, ::-1], axis=1)
    return np.where(there.any(axis=1), table[np.arange(len(table)), last], np.nan)


def _with_gaps(values: NDArray[Any]) -> Array:
    """As floats, with NaN for what was left out."""
    return np.where(values == missing(values.dtype), np.nan, values.astype(np.float64))
