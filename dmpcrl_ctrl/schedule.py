"""Numbers that change from one update of learning to the next."""

from dataclasses import dataclass

from dmpcrl_ctrl.errors import LearningError


@dataclass(frozen=True)
class Geometric:
    """start factor^u at update u = 0, 1, 2, ...

    Parameters
    ----------
    start
        At least 0.
    factor
        In (0, 1]; 1: constant.

    Raises
    ------
    LearningError
        A number out of its range.

    Examples
    --------
    >>> Geometric(0.5, 0.8)(2)
    0.32000000000000006
    """

    start: float
    factor: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.start < float("inf"):
            raise LearningError(f"a schedule starts at a number of at least 0, got {self.start!r}")
        if not 0.0 < self.factor <= 1.0:
            raise LearningError(f"the factor of a schedule must lie in (0, 1], got {self.factor!r}")

    def __call__(self, update: int) -> float:
        """The number at this update."""
        return float(self.start * self.factor**update)
