"""A stage cost of absolute values of linear combinations of states, such as the power that ties carry.

Unlike a function of the user it is data: a program can hold it, as bounds of zero whose violation has a price.
"""

from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError


@dataclass(frozen=True, eq=False)
class AbsoluteCost:
    """Agent i pays sum_q shares[i, q] |rows[q] x|; to be given as `extra_stage_cost` of a plant.

    Parameters
    ----------
    rows
        (q, n): combinations of the plant's states.
    shares
        (M, q), not negative.

    Raises
    ------
    PlantError
        Shapes that do not fit, or a share that is negative or no number.

    Examples
    --------
    >>> cost = AbsoluteCost(np.array([[1.0, -1.0]]), np.array([[0.5], [0.5]]))
    >>> cost(np.array([3.0, 1.0]), np.zeros(0), np.zeros(0), np.zeros(0))
    array([1., 1.])
    """

    rows: Array
    shares: Array

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or self.shares.ndim != 2 or self.shares.shape[1] != len(self.rows):
            raise PlantError(
                f"an absolute cost has rows (q, n) and shares (M, q), got {self.rows.shape} and {self.shares.shape}"
            )
        if not (np.isfinite(self.rows).all() and (self.shares >= 0.0).all() and np.isfinite(self.shares).all()):
            raise PlantError("an absolute cost has finite rows, and shares of at least 0")

    def __call__(self, x: Array, u: Array, setpoint: Array, disturbance: Array) -> Array:
        """(M,): what each agent pays at state x (n,)."""
        return np.asarray(self.shares @ np.abs(self.rows @ x))
