"""Bounds and costs that tie an agent's states to its neighbours' (equations 12a and 12d of the paper), row by row."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel


def with_bound(
    model: LocalModel,
    own: ArrayLike,
    others: Mapping[int, ArrayLike] | None = None,
    *,
    lower: float = -np.inf,
    upper: float = np.inf,
    slack_weight: float = np.inf,
    slack_quadratic: float = 0.0,
) -> LocalModel:
    """The model with one bound more: lower - sigma <= own'x + sum_j others[j]'x_j <= upper + sigma at stages 1..N.

    Parameters
    ----------
    own, others
        (n,), and neighbour number -> (n_j,).
    lower, upper
        Of the combination.
    slack_weight, slack_quadratic
        Prices of a violation; an infinite linear price makes the bound hard.

    Raises
    ------
    ModelError
        A row has another length than the states, or lower exceeds upper.

    Examples
    --------
    At most 0.2 through a tie line of stiffness 4 to agent 1:

    >>> area = LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]])
    >>> tied = with_bound(area, [4.0], {1: [-4.0]}, lower=-0.2, upper=0.2)
    >>> tied.C, tied.C_ij[1]
    (array([[4.]]), array([[-4.]]))
    """
    if not lower <= upper:
        raise ModelError(f"lower = {lower:g} exceeds upper = {upper:g}")
    C, C_ij = _appended(model.C, model.C_ij, own, others or {})
    new = {"lower": lower, "upper": upper, "x_lb": 0.0, "x_ub": 0.0}
    prices = {"slack_weight": slack_weight, "slack_quadratic": slack_quadratic}
    rows: dict[str, Any] = {name: np.append(getattr(model, name), value) for name, value in (new | prices).items()}
    return replace(model, C=C, C_ij=C_ij, **rows)


def with_cost(
    model: LocalModel, own: ArrayLike, others: Mapping[int, ArrayLike] | None = None, *, weight: float
) -> LocalModel:
    """The model with one cost more: gamma^k weight (own'x + sum_j others[j]'x_j)^2 at stages 0..N-1.

    Parameters
    ----------
    own, others
        (n,), and neighbour number -> (n_j,).
    weight
        At least 0.

    Raises
    ------
    ModelError
        A row has another length than the states, or the weight is negative.
    """
    G, G_ij = _appended(model.G, model.G_ij, own, others or {})
    q = len(model.G)
    Q_c = np.zeros((q + 1, q + 1))
    Q_c[:q, :q], Q_c[q, q] = model.Q_c, weight
    return replace(model, G=G, G_ij=G_ij, Q_c=Q_c)


def _appended(
    block: Array, blocks: Mapping[int, Array], own: ArrayLike, others: Mapping[int, ArrayLike]
) -> tuple[Array, dict[int, Array]]:
    """Own and neighbours' blocks with one row more; neighbours without one get zeros."""
    rows = {j: checked(f"others[{j}]", row, (-1,)) for j, row in others.items()}
    widths = {j: len(row) for j, row in rows.items()} | {j: old.shape[1] for j, old in blocks.items()}
    grown = {}
    for j, width in widths.items():
        above = blocks.get(j, np.zeros((len(block), width)))
        below = checked(f"others[{j}]", rows.get(j, np.zeros(width)), (width,))
        grown[j] = np.vstack([above, below])
    return np.vstack([block, checked("own", own, (block.shape[1],))]), grown
