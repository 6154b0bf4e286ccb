"""An array that takes new columns behind and gives up old ones in front, without being copied each time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.arrays import Array


@dataclass(frozen=True, eq=False)
class Columns:
    """At most `capacity` columns, the newest ones; what has been given out never changes.

    Attributes
    ----------
    capacity
        How many are kept.
    whole, first, last
        (rows, wider), column by column, of which these are between `first` and `last`.
    taken
        How many columns of `whole` are in use, by these columns or by others that began as these.
    """

    capacity: int
    whole: Array
    first: int
    last: int
    taken: list[int]

    @classmethod
    def of(cls, parts: Sequence[Array], capacity: int) -> "Columns":
        """A copy of parts (rows, K) below each other, with room for as many more columns as are kept."""
        count = parts[0].shape[1]
        whole = np.empty((sum(map(len, parts)), count + capacity), order="F")
        np.concatenate(parts, out=whole[:, :count])
        return cls(capacity, whole, max(0, count - capacity), count, [count])

    @property
    def array(self) -> Array:
        """(rows, K)."""
        return self.whole[:, self.first : self.last]

    def with_newest(self, parts: Sequence[Array]) -> "Columns":
        """With one column more, of parts (rows, 1) below each other."""
        if self.last < self.taken[0] or self.last == self.whole.shape[1]:
            return Columns.of([self.array], self.capacity).with_newest(parts)
        last = self.taken[0] = self.last + 1
        np.concatenate(parts, out=self.whole[:, self.last : last])
        return Columns(self.capacity, self.whole, max(self.first, last - self.capacity), last, self.taken)
