"""The Lagrangian of a network's problem as plain sums over whole trajectories, to hold plans and multipliers against.

Written from the mathematics in the docstring of `dmpcrl_ctrl.model`; it uses none of the package's programs. The
Lagrangian is quadratic, so that a central difference of any width along a direction is its exact slope.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import AgentData, MPCProblem

Array = np.ndarray


def coupled(blocks: Mapping[int, Array], x: Sequence[Array], stages: slice, rows: int) -> Array:
    """(stages, rows): sum_j block_j x_j(k)."""
    parts = [x[j][stages] @ block.T for j, block in blocks.items()]
    return sum(parts, np.zeros((len(range(*stages.indices(len(x[0])))), rows)))


def bounded(model: LocalModel, x: Array, everyone: Sequence[Array]) -> Array:
    """(N, p): C x(k+1) + sum_j C_ij x_j(k+1)."""
    return x[1:] @ model.C.T + coupled(model.C_ij, everyone, slice(1, None), len(model.C))


def objective(problem: MPCProblem, data: Sequence[AgentData], plans: Sequence[Plan]) -> Array:
    """(M,): F_i, each agent's cost of a plan."""
    gamma, everyone = problem.discount ** np.arange(problem.horizon + 1.0), [plan.x for plan in plans]
    costs = []
    for model, d, plan in zip(problem.models, data, plans, strict=True):
        dx, du, soft = plan.x - d.x_setpoint, plan.u - d.u_setpoint, model.soft
        mixed = plan.x[:-1] @ model.G.T + coupled(model.G_ij, everyone, slice(0, -1), len(model.G))
        sigma = plan.sigma[:, soft]
        stage = np.einsum("ki,ij,kj->k", dx[:-1], model.Q, dx[:-1]) + np.einsum("ki,ij,kj->k", du, model.R, du)
        stage += np.einsum("ki,ij,kj->k", mixed, model.Q_c, mixed)
        stage += sigma @ model.slack_weight[soft] + sigma**2 @ model.slack_quadratic[soft]
        linear = np.hstack([plan.x[:-1], plan.u]) @ model.f
        costs.append(model.V0 + linear.sum() + gamma[:-1] @ stage + gamma[-1] * dx[-1] @ model.P @ dx[-1])
    return np.array(costs)


def constraints(problem: MPCProblem, data: Sequence[AgentData], plans: Sequence[Plan]) -> list[dict[str, Array]]:
    """For each agent, by the name of the multiplier: residual of an equality, or excess of an inequality."""
    everyone = [plan.x for plan in plans]
    found = []
    for model, d, plan in zip(problem.models, data, plans, strict=True):
        x, u, rows = plan.x, plan.u, bounded(model, plan.x, everyone)
        prediction = x[:-1] @ model.A.T + u @ model.B.T + d.disturbance @ model.E.T + model.b
        prediction += coupled(model.A_ij, everyone, slice(0, -1), model.n)
        changes = np.diff(np.vstack([d.previous_input, u]), axis=0)
        found.append(
            {
                "dynamics": prediction - x[1:],
                "terminal": x[-1] - d.x_setpoint[-1] if model.terminal_equality else np.zeros(model.n),
                "lower": model.lower + model.x_lb - plan.sigma - rows,
                "upper": rows - model.upper - model.x_ub - plan.sigma,
                "slack": -plan.sigma,
                "u_min": model.u_min - u,
                "u_max": u - model.u_max,
                "du_min": -model.du_max - changes,
                "du_max": changes - model.du_max,
            }
        )
    return found


def lagrangian(problem: MPCProblem, data: Sequence[AgentData], plans: Sequence[Plan], duals: Sequence[Duals]) -> float:
    """Objective plus every multiplier times its constraint; bounds that do not exist count nothing."""
    total = float(objective(problem, data, plans).sum())
    for own, multipliers in zip(constraints(problem, data, plans), duals, strict=True):
        for name, excess in own.items():
            multiplier = getattr(multipliers, name)
            exists = np.isfinite(excess)
            assert not multiplier[~exists].any(), f"{name}: a bound that does not exist has a multiplier"
            total += float(np.sum(multiplier[exists] * excess[exists]))
    return total


class Unchecked(LocalModel):
    """A model whose weights and bounds may be anything: the Lagrangian does not mind."""

    def __init__(self, model: LocalModel, **changes: Any) -> None:
        for name in LocalModel.__dataclass_fields__:
            object.__setattr__(self, name, changes.get(name, getattr(model, name)))


def lagrangian_of(
    problem: MPCProblem,
    i: int,
    change: Mapping[str, Any],
    data: Sequence[AgentData],
    plans: Sequence[Plan],
    duals: Sequence[Duals],
) -> float:
    """The Lagrangian with some fields of agent i's model replaced, unchecked."""
    models = list(problem.models)
    models[i] = Unchecked(models[i], **change)
    changed = object.__new__(MPCProblem)
    fields = {"models": tuple(models), "horizon": problem.horizon, "discount": problem.discount, "names": problem.names}
    for name, value in fields.items():
        object.__setattr__(changed, name, value)
    return lagrangian(changed, data, plans, duals)


def slope(problem: MPCProblem, i: int, name: str, step: Array, *point: Any) -> float:
    """Exact derivative of the Lagrangian as a field of agent i's model moves along `step`."""
    value = getattr(problem.models[i], name)
    ends = [lagrangian_of(problem, i, {name: value + sign * step}, *point) for sign in (1.0, -1.0)]
    return (ends[0] - ends[1]) / 2.0
