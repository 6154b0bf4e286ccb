"""Convex sets that parameters stay in, by the projection onto them."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.parts import Theta

Projection = Callable[[Array], Array]


def within(low: float, high: float) -> Projection:
    """Entries between two numbers; infinite where there is no bound."""
    return partial(np.clip, a_min=low, a_max=high)


def at_least(low: float) -> Projection:
    """Entries of at least a number: the price of a slack, the stiffness of a tie line."""
    return within(low, np.inf)


def semidefinite(floor: float = 0.0) -> Projection:
    """Symmetric matrices without an eigenvalue below `floor`; the nearest in the Frobenius norm."""

    def project(weight: Array) -> Array:
        values, vectors = np.linalg.eigh((weight + weight.T) / 2.0)
        if values.min(initial=np.inf) >= floor:
            return np.asarray((weight + weight.T) / 2.0)
        nearest = (vectors * np.maximum(values, floor)) @ vectors.T
        return np.asarray((nearest + nearest.T) / 2.0)

    return project


def projected(theta: Theta, sets: Mapping[str, Projection]) -> dict[str, Array]:
    """Each parameter in its set. The key of a set is a parameter's name, or the part before "/" of several."""
    found = {}
    for name, value in theta.items():
        project = sets.get(name) or sets.get(name.split("/")[0])
        found[name] = value if project is None else np.asarray(project(value), dtype=float)
    return found
