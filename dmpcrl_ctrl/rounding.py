"""How far rounding may carry what a bracket computes: bounds on errors along a roll-out, and back along its costates.

With u units of rounding and |.| entry by entry, the rolled-out states differ from the exact ones by at most e(k),

    e_i(k+1) = |A_i| e_i(k) + sum_j |A_ij| e_j(k) + u (|A_i||x_i| + |B_i||u_i| + ...)(k),     e(0) = 0

and the multipliers from those that zero every derivative by a state by at most l(k), the same recursion backwards with
the transposed matrices. Terms are counted with twice as many roundings as a sum of them has, so that errors of second
order are covered.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.channel import Kind
from dmpcrl_ctrl.lagrangian import AgentPoint
from dmpcrl_ctrl.model import Coupling
from dmpcrl_ctrl.network import Components

_EPS = np.finfo(float).eps

Errors = tuple[Array, Mapping[int, Array]]


def state_errors(points: Sequence[AgentPoint], components: Components) -> list[Errors]:
    """For each agent (N + 1, n): by how much its rolled-out states may be off; and the same of its neighbours."""
    N = len(points[0].weights) - 1
    own = [np.zeros((N + 1, p.model.n)) for p in points]
    known = [{j: np.zeros_like(x) for j, x in p.plan.neighbours.items()} for p in points]
    fresh = [_units(p) * p.prediction_terms for p in points]
    for k in range(N + 1):
        for mine, heard in zip(known, components.tell(Kind.PLAN, [e[k] for e in own]), strict=True):
            for j, errors in mine.items():
                errors[k] = np.nan_to_num(heard[j])
        if k < N:
            for p, e, others, rounded in zip(points, own, known, fresh, strict=True):
                e[k + 1] = np.abs(p.model.A) @ e[k] + rounded[k] + _coupled(p.model.A_ij, others, k)
    return list(zip(own, known, strict=True))


def cost_error(point: AgentPoint, errors: Errors) -> float:
    """By how much the cost of the exact states may exceed that of the computed ones."""
    (e, others), model, w, N = errors, point.model, point.weights, len(point.weights) - 1
    dx, _ = point.deviation
    stage = w[:N] @ _quadratic(dx[:-1], e[:-1], model.Q) + w[-1] * _quadratic(dx[-1:], e[-1:], model.P)[0]
    linear = float((e[:-1] @ np.abs(model.f[: model.n])).sum())
    mixed = np.array([np.abs(model.G) @ e[k] + _coupled(model.G_ij, others, k) for k in range(N)])
    # v is a sum that may cancel, and is squared
    mixed = mixed + _units(point) * _mixed_terms(point)
    coupled = w[:N] @ _quadratic(point.mixed, mixed, model.Q_c)
    rows = np.array([np.abs(model.C) @ e[k] + _coupled(model.C_ij, others, k) for k in range(1, N + 1)])
    price = np.where(model.soft, model.slack_weight, 0.0)
    slack = rows @ price + (2.0 * point.plan.sigma * rows + rows**2) @ model.slack_quadratic
    return float(stage + linear + coupled + w[:N] @ slack)


def slope_errors(points: Sequence[AgentPoint], components: Components) -> list[Array]:
    """For each agent (N, m): by how much the derivative by its inputs may be off, its own rounding included."""
    N = len(points[0].weights) - 1
    lam = [np.zeros((N + 1, p.model.n)) for p in points]
    # a state's owner adds up the prices of all who hold it
    crowd = int(components.neighbourhood.holders.max(initial=0))
    fresh = [_units(p, crowd) * _state_sizes(p) for p in points]
    prices = [{j: _units(p, crowd) * _price_sizes(p, j) for j in p.plan.neighbours} for p in points]
    for k in range(N, 0, -1):
        told = [
            {j: own[k] + (errors[k] @ np.abs(p.model.A_ij[j]) if j in p.model.A_ij else 0.0) for j, own in part.items()}
            for p, errors, part in zip(points, lam, prices, strict=True)
        ]
        incoming = components.collect(Kind.PRICE, told, [sizes[k] for sizes in fresh])
        for p, errors, sizes, heard in zip(points, lam, fresh, incoming, strict=True):
            errors[k - 1] = errors[k] @ np.abs(p.model.A) + sizes[k] + heard
    return [
        errors[:-1] @ np.abs(p.model.B) + _units(p) * _input_sizes(p) for p, errors in zip(points, lam, strict=True)
    ]


def _state_sizes(point: AgentPoint) -> Array:
    """(N + 1, n): magnitudes of all products that make up the derivative by the agent's states."""
    model, duals, w = point.model, point.duals, point.weights
    dx = np.abs(point.deviation[0])
    sizes = np.vstack([2.0 * w[:-1, None] * (dx[:-1] @ np.abs(model.Q)), 2.0 * w[-1] * (dx[-1:] @ np.abs(model.P))])
    sizes[:-1] += np.abs(model.f[: model.n]) + np.abs(duals.dynamics) @ np.abs(model.A)
    sizes[:-1] += _mixed_sizes(point) @ np.abs(model.G)
    sizes[1:] += (duals.lower + duals.upper) @ np.abs(model.C)
    sizes[-1] += np.abs(duals.terminal)
    return sizes


def _price_sizes(point: AgentPoint, j: int) -> Array:
    """(N + 1, n_j): the same of what the agent's share gains by a neighbour's states."""
    model, duals = point.model, point.duals
    sizes = np.zeros(point.plan.neighbours[j].shape)
    if j in model.A_ij:
        sizes[:-1] += np.abs(duals.dynamics) @ np.abs(model.A_ij[j])
    if j in model.G_ij:
        sizes[:-1] += _mixed_sizes(point) @ np.abs(model.G_ij[j])
    if j in model.C_ij:
        sizes[1:] += (duals.lower + duals.upper) @ np.abs(model.C_ij[j])
    return sizes


def _mixed_sizes(point: AgentPoint) -> Array:
    """(N, q): magnitudes in 2 gamma^k Q_c (G x + sum_j G_ij x_j)."""
    return np.asarray(2.0 * point.weights[:-1, None] * (_mixed_terms(point) @ np.abs(point.model.Q_c)))


def _mixed_terms(point: AgentPoint) -> Array:
    """(N, q): magnitudes in G x + sum_j G_ij x_j."""
    mixed = np.abs(point.plan.x[:-1]) @ np.abs(point.model.G).T
    for j, block in point.model.G_ij.items():
        if j in point.neighbours:
            mixed = mixed + np.abs(point.neighbours[j][:-1]) @ np.abs(block).T
    return np.asarray(mixed)


def _input_sizes(point: AgentPoint) -> Array:
    """(N, m): magnitudes of all products that make up the derivative by the agent's inputs."""
    model, duals, w = point.model, point.duals, point.weights[:-1, None]
    rates = np.abs(duals.du_max) + np.abs(duals.du_min)
    later = np.vstack([rates[1:], np.zeros((1, model.m))])
    own = 2.0 * w * (np.abs(point.deviation[1]) @ np.abs(model.R)) + np.abs(model.f[model.n :])
    return np.asarray(own + np.abs(duals.dynamics) @ np.abs(model.B) + rates + later)


def _units(point: AgentPoint, more: int = 0) -> float:
    """Relative error of a sum over everything that enters one state, and `more` terms, with room for second order."""
    model = point.model
    terms = model.n + model.m + model.d + 4 + sum(x.shape[1] for x in point.plan.neighbours.values()) + len(model.C)
    terms += more
    return float(2.0 * terms * _EPS)


def _coupled(blocks: Coupling, others: Mapping[int, Array], k: int) -> Array | float:
    return sum(np.abs(block) @ others[j][k] for j, block in blocks.items() if j in others)


def _quadratic(rows: Array, errors: Array, weight: Array) -> Array:
    """(rows,): by how much |row|^2_weight may grow."""
    sizes = np.abs(weight)
    return np.asarray(
        2.0 * (errors * np.abs(rows @ weight)).sum(axis=1) + np.einsum("ki,ij,kj->k", errors, sizes, errors)
    )
