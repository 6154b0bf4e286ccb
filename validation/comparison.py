"""What a file claims beside what was found: how much was compared, how far apart it is at most, and the first fault."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.validation.verdict import Outcome, Verdict

# Position of an entry -> what it is.
Where = Callable[[tuple[int, ...]], str]


@dataclass(frozen=True)
class Compared:
    """Outcome of one comparison.

    Attributes
    ----------
    count, faults
        Numbers that were compared; those that are further apart than allowed.
    worst, share
        The largest difference beside what is allowed there: itself, and as a share of that.
    fault
        The first fault in words; empty without one.
    """

    count: int
    faults: int = 0
    worst: float = 0.0
    share: float = 0.0
    fault: str = ""

    def joined(self, later: "Compared") -> "Compared":
        """This comparison and a later one as one."""
        worst = later if later.share > self.share else self
        count, faults = self.count + later.count, self.faults + later.faults
        return Compared(count, faults, worst.worst, worst.share, self.fault or later.fault)


def compared(where: Where, claimed: ArrayLike, found: ArrayLike, allowed: ArrayLike = 0.0) -> Compared:
    """Compare arrays of one shape, entry by entry; equal infinities agree, NaN agrees with nothing.

    Parameters
    ----------
    where
        Position of an entry -> what it is, with time and owner.
    claimed, found
        In the file, and as recomputed from the rest of it.
    allowed
        Largest difference that rounding explains; broadcast.
    """
    told, seen, limit = np.broadcast_arrays(*(np.asarray(each, dtype=np.float64) for each in (claimed, found, allowed)))
    same = told == seen
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(told - seen))
    apart = np.where(np.isnan(apart), np.inf, apart)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(apart > 0.0, apart / limit, 0.0)
    bad = np.argwhere(~(apart <= limit))
    if not told.size:
        return Compared(0)
    at = np.unravel_index(int(np.argmax(share)), share.shape)
    worst = float(apart[at]), float(share[at])
    if not len(bad):
        return Compared(told.size, 0, *worst)
    first = tuple(int(k) for k in bad[0])
    text = f"{where(first)}: claimed {float(told[first])!r}, found {float(seen[first])!r}"
    if np.isfinite(limit[first]) and limit[first] > 0.0:
        text += f", allowed {float(limit[first]):.1e} apart"
    return Compared(told.size, len(bad), *worst, text)


def verdict(check: str, parts: Iterable[Compared], tolerance: str, remark: str = "") -> Verdict:
    """The verdict on comparisons in the order of time.

    Parameters
    ----------
    check, tolerance
        What was compared, and what was allowed, in words.
    parts
        The comparisons; without any the check is skipped.
    remark
        What a reader has to know besides.
    """
    found = reduce(Compared.joined, parts, Compared(0))
    more = f"; {remark}" if remark else ""
    if not found.count:
        return Verdict(check, Outcome.SKIPPED, remark or "nothing to compare")
    if found.faults:
        told = f"{found.faults} of {found.count} numbers, first {found.fault}{more}"
        return Verdict(check, Outcome.FAILED, told, found.fault)
    if not found.worst:
        return Verdict(check, Outcome.PASSED, f"{found.count} numbers, equal{more}")
    told = f"{found.count} numbers, largest difference {found.worst:.1e}, allowed {tolerance}{more}"
    return Verdict(check, Outcome.PASSED, told)
