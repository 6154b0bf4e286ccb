"""What an agent remembers of earlier transitions, and which of them it learns from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.errors import LearningError


@dataclass(frozen=True)
class Replay:
    """First in, first out; a batch is the newest few and a uniform draw, without replacement, from the older ones.

    Parameters
    ----------
    capacity, batch, newest
        How many are kept, how many an update learns from, how many of these are the newest.

    Raises
    ------
    LearningError
        Unless 0 <= newest <= batch <= capacity and batch >= 1.
    """

    capacity: int = 1
    batch: int = 1
    newest: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.newest <= self.batch <= self.capacity and self.batch >= 1):
            raise LearningError(
                "replay needs 0 <= newest <= batch <= capacity and batch >= 1, "
                f"got newest {self.newest}, batch {self.batch}, capacity {self.capacity}"
            )

    def remembered(self, before: Array, newest: ArrayLike) -> Array:
        """(K,) or (K, p): one more number or row, the oldest given up where there is no room."""
        return np.concatenate([before, np.asarray(newest)[None]])[-self.capacity :]

    def chosen(self, stored: int, seed: int, update: int) -> Index:
        """Rows of an update. Agents that share the seed draw the same, as one central learner would."""
        newest = min(self.newest, stored)
        older = stored - newest
        drawn = np.random.default_rng((seed, update)).permutation(older)[: self.batch - newest]
        return np.concatenate([drawn, np.arange(older, stored)]).astype(np.intp)
