"""The gradient of V or Q by every parameter of the agents' models, from each agent's own plan and multipliers.

By the envelope theorem dQ/dtheta_i is the partial derivative of agent i's share of the Lagrangian at a primal-dual
solution: no derivative of the solution is needed, and nothing from other agents but the copies that agent i holds
anyway. Only dQ/ds_i takes what the neighbours pay for s_i.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.channel import Kind
from dmpcrl_ctrl.lagrangian import AgentPoint
from dmpcrl_ctrl.model import Coupling
from dmpcrl_ctrl.network import Components
from dmpcrl_ctrl.plan import Plan

Gradient = Mapping[str, Any]


def parameter_gradient(point: AgentPoint) -> dict[str, Any]:
    """Derivative of the value by every field of one agent's model, and by its data.

    Keys are the names of the fields of :class:`~dmpcrl_ctrl.model.LocalModel`; a value has the shape of the field, that
    of `A_ij`, `C_ij`, `G_ij` is a mapping from the neighbour's number. Besides: "disturbance" (N, d) and
    "previous_input" (m,).

    Each entry of a matrix counts as a parameter of its own: a change dW changes the value by sum(gradient * dW), and
    the gradients of symmetric weights are symmetric. A set point moves at all stages. NaN: the entry stands for a
    column of x_j that the agent does not hold (see `declared`). Bounds and prices that are infinite have zero.
    """
    model, plan, duals, w, (dx, du) = point.model, point.plan, point.duals, point.weights, point.deviation
    x, u, sigma, v = plan.x, plan.u, plan.sigma, point.mixed
    lam, mu, stage = duals.dynamics, duals.upper - duals.lower, w[:-1, None]
    weighted = 2.0 * stage * (v @ model.Q_c)
    first = duals.du_min[0] - duals.du_max[0]
    return {
        # lambda(k)'( A x(k) + sum_j A_ij x_j(k) + B u(k) + E d(k) + b - x(k+1) )
        "A": lam.T @ x[:-1],
        "B": lam.T @ u,
        "A_ij": _by_neighbour(model.A_ij, lam, plan, slice(0, -1)),
        "E": lam.T @ point.data.disturbance,
        "b": lam.sum(axis=0),
        # gamma^k ( |x - xbar|^2_Q + |u - ubar|^2_R + |v|^2_Qc ) + gamma^N |x(N) - xbar|^2_P + f'[x; u] + V0
        "Q": dx[:-1].T @ (stage * dx[:-1]),
        "R": du.T @ (stage * du),
        "P": w[-1] * np.outer(dx[-1], dx[-1]),
        "Q_c": v.T @ (stage * v),
        "G": weighted.T @ x[:-1],
        "G_ij": _by_neighbour(model.G_ij, weighted, plan, slice(0, -1)),
        "f": np.concatenate([x[:-1].sum(axis=0), u.sum(axis=0)]),
        "V0": 1.0,
        "x_setpoint": -2.0 * (model.Q @ (w[:-1] @ dx[:-1]) + w[-1] * model.P @ dx[-1]) - duals.terminal,
        "u_setpoint": -2.0 * model.R @ (w[:-1] @ du),
        # mu_l'( lower + x_lb - sigma - C x ) + mu_u'( C x - upper - x_ub - sigma ) + gamma^k ( w'sigma + ... )
        "C": mu.T @ x[1:],
        "C_ij": _by_neighbour(model.C_ij, mu, plan, slice(1, None)),
        "lower": duals.lower.sum(axis=0),
        "upper": -duals.upper.sum(axis=0),
        "x_lb": duals.lower.sum(axis=0),
        "x_ub": -duals.upper.sum(axis=0),
        "slack_weight": w[:-1] @ sigma,
        "slack_quadratic": w[:-1] @ sigma**2,
        "u_min": duals.u_min.sum(axis=0),
        "u_max": -duals.u_max.sum(axis=0),
        "du_max": -(duals.du_min + duals.du_max).sum(axis=0),
        "previous_input": first,
        "disturbance": lam @ model.E,
    }


def _by_neighbour(blocks: Coupling, left: Array, plan: Plan, stages: slice) -> dict[int, Array]:
    """Product left' x_j for every neighbour with a block; NaN where the agent does not know x_j."""
    unknown = {j: np.full(block.shape, np.nan) for j, block in blocks.items()}
    return unknown | {j: left.T @ x[stages] for j, x in plan.neighbours.items() if j in blocks}


def action_gradient(point: AgentPoint) -> Array:
    """(m,): dQ/da, by an action that is given."""
    return np.asarray(point.input_terms()[:, 0].sum(axis=0))


def state_gradients(points: Sequence[AgentPoint], components: Components) -> list[Array]:
    """(n_i,) each: dQ/ds_i, with what the neighbours' shares gain by s_i."""
    incoming = gathered_prices(points, components)
    return [
        point.state_terms()[:, 0].sum(axis=0) + point.duals.dynamics[0] @ point.model.A + prices[0]
        for point, prices in zip(points, incoming, strict=True)
    ]


def gathered_prices(points: Sequence[AgentPoint], components: Components) -> list[Array]:
    """(N + 1, n_i) each: what all neighbours of agent i pay for x_i(k), as they tell it."""
    told = [{j: point.prices(j).T for j in point.plan.neighbours} for point in points]
    return [sums.T for sums in components.collect(Kind.PRICE, told, [point.plan.x.T for point in points])]


def gradients(points: Sequence[AgentPoint], components: Components, action: bool) -> tuple[Gradient, ...]:
    """One an agent: :func:`parameter_gradient`, with "state" (n,) and, of Q, "action" (m,)."""
    states = state_gradients(points, components)
    return tuple(
        parameter_gradient(point) | {"state": state} | ({"action": action_gradient(point)} if action else {})
        for point, state in zip(points, states, strict=True)
    )
