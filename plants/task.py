"""What is asked of a plant: limits, and the cost of one sample."""

from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.arrays import Array


@dataclass(frozen=True, eq=False)
class Task:
    """Limits and weights of a plant with n states and m control inputs.

    Parameters
    ----------
    Q, R
        (n, n), (m, m): weights of the deviations from the set points (full weight, no factor 1/2).
    violation_weight
        (n,): price per unit by which a state leaves its limits.
    state_limits, input_limits
        (n, 2), (m, 2): lower and upper limits; infinite where there is none. Inputs are saturated, states are not.
    rate_limits
        (m,): largest change of an input per second; inf where there is none.
    """

    Q: Array
    R: Array
    violation_weight: Array
    state_limits: Array
    input_limits: Array
    rate_limits: Array

    def saturate(self, u: Array) -> Array:
        """(m,): inputs clipped to their limits."""
        return np.clip(u, self.input_limits[:, 0], self.input_limits[:, 1])

    def violation(self, x: Array) -> Array:
        """(..., n): by how much each state is outside its limits, in its own unit; zero inside."""
        low, high = self.state_limits.T
        return np.maximum(np.maximum(low - x, x - high), 0.0)

    def state_cost(self, x: Array, setpoint: Array) -> Array:
        """(..., n): each state's share of |x - xbar|^2_Q, plus the price of its violation; the shares add up.

        State i has e_i (Q e)_i, so that a weight between two agents' states is split evenly.
        """
        e = x - setpoint
        return e * (e @ self.Q) + self.violation_weight * self.violation(x)

    def input_cost(self, u: Array, setpoint: Array) -> Array:
        """(..., m): each input's share of |u - ubar|^2_R."""
        e = u - setpoint
        return e * (e @ self.R)
