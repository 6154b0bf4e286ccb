"""An array that takes new columns behind and gives up old ones in front, without being copied each time."""

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
    def of(cls, columns: Array, capacity: int) -> "Columns":
        """A copy of columns (rows, K), with room for as many more as are kept."""
        rows, count = columns.shape
        whole = np.empty((rows, count + capacity), order="F")
        whole[:, :count] = columns
        return cls(capacity, whole, max(0, count - capacity), count, [count])

    @property
    def array(self) -> Array:
        """(rows, K)."""
        return self.whole[:, self.first : self.last]

    def with_newest(self, column: Array) -> "Columns":
        """With one column (rows, 1) more."""
        if self.last < self.taken[0] or self.last == self.whole.shape[1]:
            return Columns.of(self.array, self.capacity).with_newest(column)
        last = self.taken[0] = self.last + 1
        self.whole[:, self.last : last] = column
        return Columns(self.capacity, self.whole, max(self.first, last - self.capacity), last, self.taken)
