"""Plans and multipliers that solve nothing: any point will do for identities of the Lagrangian."""

from collections.abc import Sequence

import numpy as np

from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import AgentData, MPCProblem

Array = np.ndarray


def held_columns(problem: MPCProblem, i: int, j: int) -> tuple[list[int], bool]:
    """Components of x_j that agent i holds, and whether it holds them at the last stage too."""
    model = problem.models[i]
    blocks = [b[j] for b in (model.A_ij, model.C_ij, model.G_ij) if j in b]
    used = {c for block in blocks for c in range(block.shape[1]) if block[:, c].any()} | set(model.declared.get(j, ()))
    return sorted(used), j in model.C_ij


def with_neighbours(problem: MPCProblem, plans: Sequence[Plan]) -> list[Plan]:
    """The plans with the owners' trajectories as copies."""
    found = []
    for i, plan in enumerate(plans):
        told = {}
        for j in problem.models[i].neighbours:
            columns, to_end = held_columns(problem, i, j)
            if columns:
                told[j] = np.full_like(plans[j].x, np.nan)
                last = None if to_end else -1
                told[j][:last, columns] = plans[j].x[:last, columns]
        found.append(Plan(plan.x, plan.u, plan.sigma, told))
    return found


def random_point(
    problem: MPCProblem, data: Sequence[AgentData], seed: int, given: bool = False
) -> tuple[list[Plan], list[Duals]]:
    """Random trajectories from the data's states, and multipliers for the bounds that exist."""
    rng, N = np.random.default_rng(seed), problem.horizon
    plans, duals = [], []
    for model, d in zip(problem.models, data, strict=True):
        x = np.vstack([d.state, d.state + rng.normal(size=(N, model.n)) * (0.1 + np.abs(d.state))])
        sigma = np.abs(rng.normal(size=(N, len(model.lower)))) * (model.soft & bounded(model))
        plans.append(Plan(x, rng.normal(size=(N, model.m)), sigma))
        duals.append(random_duals(model, N, rng, given))
    return with_neighbours(problem, plans), duals


def random_duals(model: LocalModel, N: int, rng: np.random.Generator, given: bool) -> Duals:
    """Nonnegative where a bound exists, else zero."""

    def some(exists: Array, inputs: bool = False) -> Array:
        values = np.abs(rng.normal(size=(N, len(exists)))) * exists
        if inputs and given:
            values[0] = 0.0
        return values

    return Duals(
        dynamics=rng.normal(size=(N, model.n)),
        terminal=rng.normal(size=model.n) * model.terminal_equality,
        lower=some(np.isfinite(model.lower)),
        upper=some(np.isfinite(model.upper)),
        slack=some(model.soft & bounded(model)),
        u_min=some(np.isfinite(model.u_min), inputs=True),
        u_max=some(np.isfinite(model.u_max), inputs=True),
        du_min=some(np.isfinite(model.du_max), inputs=True),
        du_max=some(np.isfinite(model.du_max), inputs=True),
    )


def bounded(model: LocalModel) -> Array:
    """(p,): rows with a bound on at least one side."""
    return np.isfinite(model.lower) | np.isfinite(model.upper)
