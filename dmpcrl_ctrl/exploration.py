"""Exploration: now and then an agent adds a random linear cost q'u(0) to what it minimises.

So the input that is tried still respects all bounds. With a positive definite R the linear cost is a set point of the
input that has moved, up to a constant:

    |u - ubar|^2_R + q'u = |u - (ubar - R^-1 q / 2)|^2_R + q'ubar - q'R^-1 q / 4

which is how it enters the program, and how a log shows it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData


@dataclass(frozen=True)
class Exploration:
    """When and how strongly agents explore.

    Parameters
    ----------
    probability
        Of exploring, by update; each agent tosses its own coin at each sample.
    strength
        Of q: its standard deviation, or its largest entry.
    distribution
        "normal" or "uniform" on [-strength, strength].

    Raises
    ------
    LearningError
        Another distribution, or a negative strength.
    """

    probability: Callable[[int], float]
    strength: float = 1.0
    distribution: Literal["normal", "uniform"] = "normal"

    def __post_init__(self) -> None:
        if self.distribution not in ("normal", "uniform"):
            raise LearningError(f"distribution of exploration is 'normal' or 'uniform', got {self.distribution!r}")
        if not 0.0 <= self.strength < np.inf:
            raise LearningError(f"strength of exploration must be at least 0, got {self.strength!r}")

    def costs(self, sizes: Sequence[int], update: int, seed: int, tick: int) -> tuple[Array, ...]:
        """Q of every agent, zero where it does not explore; agent i draws from (seed, tick, i) alone."""
        drawn = []
        for i, size in enumerate(sizes):
            rng = np.random.default_rng((seed, tick, i))
            explores = rng.random() < self.probability(update)
            q = rng.normal(size=size) if self.distribution == "normal" else rng.uniform(-1.0, 1.0, size)
            drawn.append(self.strength * q * explores)
        return tuple(drawn)


def explored(data: AgentData, model: LocalModel, q: Array) -> tuple[AgentData, float]:
    """The agent's data with q'u(0) added to its cost, and the constant that its value then lacks.

    Raises
    ------
    LearningError
        R is not positive definite, so that a linear cost has no minimum of its own.
    """
    if not q.any():
        return data, 0.0
    try:
        np.linalg.cholesky(model.R)
    except np.linalg.LinAlgError:
        raise LearningError("exploration needs a positive definite R: it moves the set point of the input") from None
    shift = np.linalg.solve(model.R + model.R.T, q)
    moved = data.u_setpoint.copy()
    moved[0] -= shift
    return replace(data, u_setpoint=moved), float(q @ data.u_setpoint[0] - 0.5 * q @ shift)
