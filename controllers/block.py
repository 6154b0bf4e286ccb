"""What a controller is to the rest of the package: a discrete-time block with its own sample time.

Any object with the attributes of :class:`Block` is one; it need not inherit from anything. What a block may say about
itself besides, and what holds where it says nothing, is :class:`BlockOptions`.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import ModelError


@dataclass(frozen=True)
class Field:
    """One entry of a block's record, as the log needs to know it before the first step.

    Where the block was not due, the log repeats the last value. Where there is none, before the first sample or because
    the record left it out, it holds NaN, or of integers the least value of a signed type and the greatest of an
    unsigned one (the next where `flags` has it); the log declares that integer as `_FillValue`, and among the flags as
    "missing".

    Parameters
    ----------
    name
        Key in the record; "group/entry" puts it into a group of the log.
    shape
        Of the value at one sample; () for a number.
    dtype
        NumPy type code: "f8", "i4", "i1" ...
    unit
        Such as "s"; "1" for a number without unit.
    long_name
        What a person reads.
    flags
        Value -> lower-case name, for an entry that is an enumeration. One with the flag 8 "idle" of
        :class:`dmpcrl_ctrl.status.Status` is the outcome of a solve: where the block was not due, the log says idle.
    dims
        Names of the axes of `shape`; made up where empty.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = "f8"
    unit: str = "1"
    long_name: str = ""
    flags: Mapping[int, str] | None = None
    dims: tuple[str, ...] = ()


@runtime_checkable
class Block(Protocol):
    """A discrete-time block: pure, its state goes in and comes out.

    Attributes
    ----------
    sample_time
        Seconds between two samples.
    inputs
        Names of the signals that it samples.
    outputs
        Names of the signals that it holds until its next sample.
    """

    @property
    def sample_time(self) -> float | Fraction:
        """Seconds."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Signals that the block samples."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Signals that the block sends out."""

    def init(self, seed: int) -> Any:
        """State before the first sample; all randomness comes from `seed`."""

    def step(
        self, state: Any, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[Any, Array, Mapping[str, Any]]:
        """One sample.

        Parameters
        ----------
        state
            What `init` or the last step returned; it must not be changed in place.
        tick
            Number of this sample: 0, 1, 2 ...
        measurement
            (len(inputs),); with `preview` > 0 (preview + 1, len(inputs)), where row j is what is known now about j
            samples ahead (set points and measured disturbances; what is fed back repeats its value of now).
        applied
            (len(outputs),): the outputs in effect just before this instant, after saturation; first the initial input.
        cost
            (M,): cost by agent of the last sample (state then, input as applied from then on); zeros at the first.

        Returns
        -------
        state
            For the next step.
        outputs
            (len(outputs),), held until the next sample.
        record
            Values of `fields` by name; what is left out is logged as missing.
        """


@dataclass(frozen=True)
class BlockOptions:
    """What a block may say about itself by attributes of these names.

    Parameters
    ----------
    name
        In logs and messages; default: the class's name in lower case with underscores.
    offset
        Time of the first sample, in seconds.
    delay
        Seconds from a sample until its outputs take effect.
    preview
        Samples ahead of which known signals are read.
    fields
        What the record may hold.
    log_attributes
        Texts and numbers that the log keeps of it.
    """

    name: str
    offset: float | Fraction = 0.0
    delay: float | Fraction = 0.0
    preview: int = 0
    fields: tuple[Field, ...] = ()
    log_attributes: Mapping[str, str | int | float] = field(default_factory=dict)

    @classmethod
    def of(cls, block: Block) -> "BlockOptions":
        """Options of `block`, with the defaults for those that it does not have."""
        given = {name: getattr(block, name) for name in cls.__dataclass_fields__ if hasattr(block, name)}
        given.setdefault("name", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(block).__name__).lower())
        return cls(**{**given, "fields": tuple(given.get("fields", ()))})


def block_seed(name: str, seed: int) -> int:
    """What the block of that name is started with in a run with that seed."""
    return int(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),)).generate_state(1)[0])


def checked_sample_time(value: float | Fraction) -> float | Fraction:
    """A positive number of seconds; ModelError for anything else."""
    number = isinstance(value, (int, float, Fraction)) and not isinstance(value, bool)
    if not (number and 0.0 < value < float("inf")):
        raise ModelError(f"sample_time must be a positive number of seconds, got {value!r}")
    return value


def checked_interval(name: str, value: bool | int) -> int:
    """Samples from one time to the next: 1 for True, 0 (never) for False; ModelError for what is none."""
    if isinstance(value, (bool, int)) and value >= 0:
        return int(value)
    raise ModelError(f"{name} must be True, False or a number of samples, got {value!r}")
