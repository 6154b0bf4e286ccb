"""Figures by name, from the arrays that pieces of work have left: those of the paper, and what goes past it."""

from collections.abc import Callable
from typing import Any

from dmpcrl_ctrl.validation.chain_figures import (
    chain_costs,
    chain_learning_curves,
    chain_parameters,
    chain_states,
    dual_recovery,
)
from dmpcrl_ctrl.validation.figure_parts import Results, Shown
from dmpcrl_ctrl.validation.learners_figure import learners
from dmpcrl_ctrl.validation.power_figures import power_angles, power_costs, power_learning_curves

PAPER: dict[str, Callable[[Results], Shown]] = {
    "fig1": dual_recovery,
    "fig2": chain_states,
    "fig3": chain_learning_curves,
    "fig4": chain_parameters,
    "fig5": chain_costs,
    "fig6": power_learning_curves,
    "fig7": power_angles,
    "fig8": power_costs,
}
FIGURES = PAPER | {"learners": learners}


def deployment(found: Results) -> dict[str, Any]:
    """Cost of the learned policies under few iterations of ADMM."""
    rows = {}
    for example in ("chain", "power"):
        tried = found[f"{example}-deployed-0"]
        rows[example] = {
            int(k): {"mean cost": float(cost.mean()), "samples outside the limits": float(outside.mean())}
            for k, cost, outside in zip(tried["iterations"], tried["cost"], tried["violations"], strict=True)
        }
    return rows
