"""Residuals of the optimality conditions of the network's problem, for one agent's variables and constraints.

Every residual is relative to the largest of the terms that have to balance in the same entry; entries whose terms are
all tiny are measured against 1e-5 of the largest that the same component has over the horizon, or of what would change
the cost by as much as it is, so that no unit is mixed with another. A multiplier counts as large as its share in the
entries of the stationarity that its constraint touches.
"""

from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.arrays import Array, existing
from dmpcrl_ctrl.lagrangian import AgentPoint
from dmpcrl_ctrl.qp import KKTResiduals

_SMALL = 1e-5
# of what an agent's whole range would cost; at rest all costs are rounding, and so would be what is relative to them
_NOTHING = 1e-8
_TINY = 1e-100


@dataclass(frozen=True, eq=False)
class _Scales:
    """What the stationarity in each state, input and slack is measured against."""

    x: Array
    u: Array
    sigma: Array


def residuals(point: AgentPoint, incoming: Array, action: Array | None, cost: float) -> KKTResiduals:
    """Residuals of one agent.

    Parameters
    ----------
    point
        The agent's plan with its neighbours' own trajectories in it, and its multipliers.
    incoming
        (N + 1, n): what the neighbours pay for its states.
    action
        (m,): u(0) where it is given, so that it is no variable and has no bounds.
    cost
        The network's :func:`cost_scale`: what small numbers are small against.
    """
    given = action is not None
    stationarity, scales = _stationarity(point, incoming, given, cost)
    feasibility, sign, complementarity = [_dynamics(point, cost), _given(point, action)], [], []
    for excess, size, multiplier, weight in _inequalities(point, scales, given, cost):
        exists = np.isfinite(excess)
        distance = np.where(exists, excess, -np.inf) / size
        share = multiplier * weight
        feasibility.append(np.maximum(distance, 0.0))
        sign += [np.maximum(-share, 0.0), np.where(exists, 0.0, np.abs(share))]
        # of a bound's distance and its multiplier one is zero
        complementarity.append(np.where(exists, np.minimum(np.abs(share), np.abs(distance)), 0.0))
    return KKTResiduals(stationarity, _largest(feasibility), _largest(sign), _largest(complementarity))


def cost_scale(point: AgentPoint) -> float:
    """An agent's share in what costs are measured against: its own, and 1e-8 of what its range would cost."""
    (x, u), model = point.ranges, point.model
    whole = point.weights.sum() * (np.diag(model.Q) @ x**2 + np.diag(model.R) @ u**2)
    # V0, which is first, costs the same whatever the plan
    return float(np.abs(point.costs()[1:]).sum() + _NOTHING * whole)


def _stationarity(point: AgentPoint, incoming: Array, action: bool, cost: float) -> tuple[float, _Scales]:
    model, duals, w = point.model, point.duals, point.weights[:-1, None]
    through, back = np.zeros((2, *point.plan.x.shape))
    through[:-1], back[1:] = duals.dynamics @ model.A, -duals.dynamics
    x_terms = np.concatenate([point.state_terms(), np.stack([through, back, incoming])])[:, 1:]
    u_terms = np.concatenate([point.input_terms(), np.stack([duals.u_max, -duals.u_min])])[:, 1 if action else 0 :]
    soft = model.soft & model.bounded
    prices = w * np.where(soft, model.slack_weight, 0.0), 2.0 * w * model.slack_quadratic * point.plan.sigma
    s_terms = np.stack([*prices, *(-np.where(soft, part, 0.0) for part in (duals.lower, duals.upper, duals.slack))])
    # h d^2 = F at d = sqrt(F / h), where the slope is 2 sqrt(h F); without curvature, F over the component's range
    h = np.maximum(np.diag(model.Q), np.diag(model.P))
    size = np.abs(point.plan.x).max(axis=0)
    size = np.maximum(size, 1e-3 * size.max(initial=0.0))
    flat = np.divide(cost, size, out=np.zeros_like(size), where=size > _TINY)
    r, reach = np.diag(model.R), point.ranges[1]
    flat_u = np.divide(cost, reach, out=np.zeros_like(reach), where=reach > _TINY)
    # where B'lambda has to vanish, the products that cancel in it are what it is measured against
    lam = np.abs(duals.dynamics)
    products = [(lam @ np.abs(M)).max(axis=0, initial=0.0) for M in (model.A, model.B)]
    steep_x = np.maximum(np.where(h > 0.0, 2.0 * np.sqrt(h * cost), flat), products[0])
    steep_u = np.maximum(np.where(r > 0.0, 2.0 * np.sqrt(r * cost), flat_u), products[1])
    steep_s = 2.0 * np.sqrt(np.where(soft, model.slack_quadratic, 0.0) * cost)
    scales = _Scales(_scale(x_terms, steep_x), _scale(u_terms, steep_u), _scale(s_terms, steep_s))
    pairs = (x_terms, scales.x), (u_terms, scales.u), (s_terms, scales.sigma)
    return _largest([np.abs(terms.sum(axis=0)) / scale for terms, scale in pairs]), scales


def _dynamics(point: AgentPoint, cost: float) -> Array:
    """Relative residuals of the dynamics and of a terminal equality, one after the other."""
    model, plan, data = point.model, point.plan, point.data
    known = data.disturbance @ model.E.T + model.b
    own = plan.x[:-1] @ model.A.T, plan.u @ model.B.T
    others = point.prediction - own[0] - own[1] - known
    h = np.maximum(np.diag(model.Q), np.diag(model.P))
    far = np.sqrt(np.divide(cost, h, out=np.zeros_like(h), where=h > 0.0))
    gaps = np.abs(point.prediction - plan.x[1:]) / _scale(np.stack([*own, known, others, plan.x[1:]]), far)
    if not model.terminal_equality:
        return gaps.ravel()
    size = np.maximum(np.abs(data.x_setpoint[-1]), np.abs(plan.x).max(axis=0))
    end = np.abs(plan.x[-1] - data.x_setpoint[-1]) / np.where(size > 0.0, size, 1.0)
    return np.concatenate([gaps.ravel(), end])


def _given(point: AgentPoint, action: Array | None) -> Array:
    """How far the plan is from what is no variable: its first state, an action, slacks that rows do not have."""
    model, plan = point.model, point.plan
    x, u = (np.maximum(np.abs(part).max(axis=0), np.abs(part[0])) for part in (plan.x, plan.u))
    first = np.abs(plan.x[0] - point.data.state) / _scale(np.stack([x, np.abs(point.data.state)])[:, None])[0]
    tried = plan.u[0] if action is None else action
    taken = np.abs(plan.u[0] - tried) / _scale(np.stack([u, np.abs(tried)])[:, None])[0]
    invented = np.where(model.soft, 0.0, np.abs(plan.sigma)) / _rows(point)
    return np.concatenate([first, taken, invented.ravel()])


def _inequalities(
    point: AgentPoint, scales: _Scales, action: bool, cost: float
) -> list[tuple[Array, Array, Array, Array]]:
    """Kind by kind: excess (positive where broken), its size, the multiplier, and what one of it counts."""
    model, plan, duals, N = point.model, point.plan, point.duals, len(point.weights) - 1
    first = 1 if action else 0
    row_weight = _row_weight(point, scales, cost)
    lowest, highest = model.lower + model.x_lb, model.upper + model.x_ub
    slack = np.where(model.soft, plan.sigma, 0.0)
    bounds = [
        (lowest - slack - point.bounded, _rows(point, lowest), duals.lower, row_weight),
        (point.bounded - highest - slack, _rows(point, highest), duals.upper, row_weight),
    ]
    soft = np.broadcast_to(model.soft & model.bounded, (N, len(model.lower)))
    bounds.append((np.where(soft, -plan.sigma, -np.inf), _rows(point), duals.slack, 1.0 / scales.sigma))
    u, weight = plan.u[first:], 1.0 / scales.u
    for excess, limit, low in ((model.u_min - u, model.u_min, True), (u - model.u_max, model.u_max, False)):
        size = _scale(np.stack([u, np.broadcast_to(existing(limit), u.shape)]))
        bounds.append((excess, size, (duals.u_min if low else duals.u_max)[first:], weight))
    changes = point.changes[first:]
    limit = np.broadcast_to(existing(model.du_max), changes.shape)
    size = _scale(np.stack([u, changes, limit]))
    bounds.append((-model.du_max - changes, size, duals.du_min[first:], weight))
    bounds.append((changes - model.du_max, size, duals.du_max[first:], weight))
    if action:
        # no bound on the given input has a multiplier
        free = np.full((1, model.m), -np.inf)
        for given in (duals.u_min, duals.u_max, duals.du_min, duals.du_max):
            bounds.append((free, np.ones_like(free), given[:1], np.ones_like(free)))
    return bounds


def _rows(point: AgentPoint, limit: Array | None = None) -> Array:
    """(N, p): size of the terms in each bounded row, and of a limit: one side's, so that the other may be far away."""
    terms = [point.bounded_terms, np.abs(point.plan.sigma)]
    if limit is not None:
        terms.append(np.broadcast_to(existing(np.abs(limit)), terms[0].shape))
    return _scale(np.stack(terms))


def _row_weight(point: AgentPoint, scales: _Scales, cost: float) -> Array:
    """(N, p): what one unit of a bounded row's multiplier counts in the stationarity of states and slacks."""
    model = point.model
    touched = np.abs(model.C)[None] / scales.x[:, None, :]
    weight = touched.max(axis=2, initial=0.0)
    weight = np.where(model.soft, np.maximum(weight, 1.0 / scales.sigma), weight)
    # a row on neighbours' states alone: its share in the cost, as their scales are not known here
    return np.where(weight > 0.0, weight, _rows(point) / (cost if cost > _TINY else 1.0))


def _scale(terms: Array, usual: Array | float = 0.0) -> Array:
    """Of (terms, stages, components): each entry's largest term, at least 1e-5 of the component's or of `usual`."""
    scale = np.abs(terms).max(axis=0, initial=0.0)
    scale = np.maximum(scale, _SMALL * np.maximum(scale.max(axis=0, initial=0.0), usual))
    return np.where(scale > _TINY, scale, 1.0)


def _largest(parts: list[Array]) -> float:
    return max((float(part.max()) for part in parts if part.size), default=0.0)
