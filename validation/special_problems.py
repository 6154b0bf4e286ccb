"""Problems made difficult on purpose: without a solution, with many multipliers, in units of very different size.

Each starts from a problem that has a solution and changes it so that what comes out is known by construction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.coupling import with_bound
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import coupling_graph
from dmpcrl_ctrl.problem import AgentData, MPCProblem

Data = tuple[AgentData, ...]
_ZERO = 1e-9


def out_of_reach(problem: MPCProblem, data: Data, agent: int) -> MPCProblem:
    """An agent must be at once where its inputs, which get bounds, cannot bring it: its own program is infeasible."""
    model, given = problem.models[agent], data[agent]
    limit = 1.0 + np.abs(given.previous_input)
    model = replace(model, u_min=-limit, u_max=limit, du_max=np.full(model.m, np.inf))
    drift = model.A @ given.state + model.E @ given.disturbance[0] + model.b
    drift = drift + sum((block @ data[j].state for j, block in model.A_ij.items()), np.zeros(model.n))
    row = np.eye(model.n)[0]
    # x(1) = drift + B u(0) has this component at most at
    highest = float(row @ drift + np.abs(row @ model.B) @ limit)
    return _with_model(problem, agent, with_bound(model, row, lower=highest + 1.0 + abs(highest)))


def at_odds(problem: MPCProblem, owner: int, holder: int, level: float = 0.0) -> MPCProblem:
    """Two neighbours demand opposite things of one state; each could have it alone, together they cannot.

    Raises
    ------
    ModelError
        The holder does not know the owner's state.
    """
    if owner not in problem.models[holder].neighbours:
        raise ModelError(f"{problem.names[holder]} holds no copy of a state of {problem.names[owner]}")
    row = np.eye(problem.models[owner].n)[0]
    below = _with_model(problem, owner, with_bound(problem.models[owner], row, upper=level))
    holds = below.models[holder]
    above = with_bound(holds, np.zeros(holds.n), {owner: row}, lower=level + 1.0 + abs(level))
    return _with_model(below, holder, above)


def repeated(problem: MPCProblem) -> MPCProblem:
    """Every bound on states stands twice: where one is active, its multiplier may be split at will. Same solutions."""
    return replace(problem, models=tuple(_twice(model) for model in problem.models))


def touching(problem: MPCProblem, data: Data) -> MPCProblem:
    """Hard bounds on all states and inputs that the solution just touches; the solution is the same.

    Some input lies exactly on its bound without being pushed, and where more bounds touch than inputs can move, the
    active constraints are linearly dependent.
    """
    plans, models = CentralEvaluator(problem).evaluate(data).plans, []
    for model, plan in zip(problem.models, plans, strict=True):
        low, high = _reached(plan.u)
        low = np.maximum(model.u_min, low)
        bounded = replace(model, u_min=low, u_max=np.maximum(low, np.minimum(model.u_max, high)))
        for row, lower, upper in zip(np.eye(model.n), *_reached(plan.x[1:]), strict=True):
            bounded = with_bound(bounded, row, lower=float(lower), upper=float(upper))
        models.append(bounded)
    return replace(problem, models=tuple(models))


def ending_at_its_optimum(problem: MPCProblem, data: Data) -> tuple[MPCProblem, Data]:
    """A terminal equality where the solution ends anyway, without a terminal cost: multipliers of it beside others'."""
    free = replace(
        problem,
        models=tuple(replace(m, P=np.zeros_like(m.P), terminal_equality=False) for m in problem.models),
    )
    plans = CentralEvaluator(free).evaluate(data).plans
    ends = [
        replace(d, x_setpoint=np.vstack([d.x_setpoint[:-1], plan.x[-1:]])) for d, plan in zip(data, plans, strict=True)
    ]
    models = tuple(replace(model, terminal_equality=True) for model in free.models)
    return replace(free, models=models), tuple(ends)


def rescaled(
    problem: MPCProblem, data: Data, units: Sequence[Array], input_units: Sequence[Array], price: float
) -> tuple[MPCProblem, Data]:
    """The same problem in other units: x = units x', u = input_units u', and `price` times the cost.

    The optimal value is `price` times what it was, x' and u' are what they were in the new units.
    """
    models = tuple(_in_units(model, units, i, input_units[i], price) for i, model in enumerate(problem.models))
    told = tuple(
        AgentData(d.state / x, d.disturbance, d.x_setpoint / x, d.u_setpoint / u, d.previous_input / u)
        for d, x, u in zip(data, units, input_units, strict=True)
    )
    return replace(problem, models=models), told


def coupled_pairs(problem: MPCProblem) -> list[tuple[int, int]]:
    """(owner, holder) of every copy."""
    return sorted(coupling_graph(problem).edges)


def _reached(trajectory: Array) -> tuple[Array, Array]:
    """Least and largest value of each column; infinite where that is zero but for rounding, which is no place."""
    low, high = trajectory.min(axis=0), trajectory.max(axis=0)
    return np.where(np.abs(low) > _ZERO, low, -np.inf), np.where(np.abs(high) > _ZERO, high, np.inf)


def _with_model(problem: MPCProblem, agent: int, model: LocalModel) -> MPCProblem:
    return replace(problem, models=(*problem.models[:agent], model, *problem.models[agent + 1 :]))


def _twice(model: LocalModel) -> LocalModel:
    rows = ("C", "lower", "upper", "x_lb", "x_ub", "slack_weight", "slack_quadratic")
    # half the price for each of two slacks that are equal
    doubled: dict[str, Any] = {name: np.concatenate([getattr(model, name)] * 2) for name in rows}
    for price in ("slack_weight", "slack_quadratic"):
        doubled[price] = doubled[price] / 2.0
    doubled["C_ij"] = {j: np.vstack([block, block]) for j, block in model.C_ij.items()}
    return replace(model, **doubled)


def _in_units(model: LocalModel, units: Sequence[Array], i: int, u: Array, price: float) -> LocalModel:
    x = units[i]

    def blocks(of: Mapping[int, Array], rows: Array | float) -> dict[int, Array]:
        return {j: block * units[j] / rows for j, block in of.items()}

    def weight(W: Array, unit: Array) -> Array:
        return price * W * np.outer(unit, unit)

    column = x[:, None]
    return replace(
        model,
        A=model.A * x / column,
        B=model.B * u / column,
        A_ij=blocks(model.A_ij, column),
        E=model.E / column,
        b=model.b / x,
        Q=weight(model.Q, x),
        R=weight(model.R, u),
        P=weight(model.P, x),
        f=price * model.f * np.concatenate([x, u]),
        V0=price * model.V0,
        C=model.C * x,
        C_ij=blocks(model.C_ij, 1.0),
        slack_weight=price * model.slack_weight,
        slack_quadratic=price * model.slack_quadratic,
        u_min=model.u_min / u,
        u_max=model.u_max / u,
        du_max=model.du_max / u,
        x_setpoint=model.x_setpoint / x,
        u_setpoint=model.u_setpoint / u,
        G=model.G * x,
        G_ij=blocks(model.G_ij, 1.0),
        Q_c=price * model.Q_c,
    )


# What a degenerate problem may be made of.
DEGENERATE: Mapping[str, Callable[[MPCProblem, Data], tuple[MPCProblem, Data]]] = {
    "ending": ending_at_its_optimum,
    "repeated": lambda problem, data: (repeated(problem), data),
    "touching": lambda problem, data: (touching(problem, data), data),
}
