"""What stands in a log for a value that nobody has: of a block before its first sample, or left out of a record."""

from collections.abc import Collection

import numpy as np
from numpy.typing import DTypeLike

from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.status import Status


def is_status(field: Field) -> bool:
    """Whether a field tells the outcome of a solve, by its flags; such a field says itself that there was none."""
    return field.flags is not None and field.flags.get(Status.IDLE) == Status.IDLE.name.lower()


def missing(dtype: DTypeLike, flags: Collection[int] = ()) -> float | int:
    """NaN; the least value of a signed integer type, the greatest of an unsigned one, that is not among `flags`."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return float("nan")
    limits = np.iinfo(kind)
    value, step = (limits.min, 1) if limits.min < 0 else (limits.max, -1)
    while value in flags:
        value += step
    return int(value)


def placeholder(field: Field) -> float | int:
    """What the log holds of a field where there is no value: idle for a status, else what `missing` says."""
    return int(Status.IDLE) if is_status(field) else missing(field.dtype, field.flags or ())
