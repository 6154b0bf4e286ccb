"""A rigorous bracket on the optimal value, from any plan and any multipliers, however far from optimal.

Above: the inputs of the plan, clipped to what is admissible, are rolled out through the coupled network; what that
costs is at least the optimum. Below (Dorn's dual): the Lagrangian at multipliers that make the rolled-out states its
minimisers. Soft bounds admit mu >= 0 with mu_l + mu_u <= gamma^k w; the costates

    lambda_i(k-1) = dF/dx_i(k) + A_i'lambda_i(k) + sum_j A_ji'lambda_j(k) + (C'mu)(k-1) + nu at k = N

then zero the derivative by every state, and the minimum over the inputs in their box and over sigma >= 0 is a closed
form or a bound of one. The distance of the two is a sum of terms none of which is negative (where the roll-out is
feasible), so that it keeps its digits however small it is. Both take one exchange with the neighbours a stage.

For rounding, errors are bounded along the roll-out and back along the costates (:mod:`dmpcrl_ctrl.rounding`): the upper
side takes the states at their worst, the lower side the slopes by the inputs at their worst over the whole box. To that
comes 1e-12 of the magnitudes of all products that are summed up, where rounding makes a hundredth of it. One thing is
forgiven: hard bounds and terminal equalities that the roll-out misses by rounding alone (64 units of the terms of the
row), at the price that the multipliers at hand have for it. So beside hard constraints the upper side is proved for the
problem with these relaxed by rounding, which is the one that floating-point data can state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dmpcrl_ctrl.arrays import Array, existing
from dmpcrl_ctrl.channel import Kind
from dmpcrl_ctrl.lagrangian import AgentPoint
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import Components
from dmpcrl_ctrl.plan import Plan
from dmpcrl_ctrl.problem import AgentData
from dmpcrl_ctrl.rounding import Errors, cost_error, slope_errors, state_errors

MARGIN = 1e-12
_ROUNDING = 4.0 * np.finfo(float).eps
_FORGIVEN = 64.0 * np.finfo(float).eps
# a bound is far away, whatever rounding does, where it is missed by more than this part of what is summed in its row
_NEARLY = 1e-6


@dataclass(frozen=True, eq=False)
class Bracket:
    """Shares of the agents in two bounds on the optimal value; only their sums are bounds.

    Attributes
    ----------
    lower, relaxed
        (M,) each: shares of the lower bound, and of the cost of the roll-out; both with the margin for rounding.
    violation
        (M,): by how much the roll-out leaves hard bounds or a terminal equality, beyond rounding (1e-14 of the terms);
        zero where it is feasible.
    """

    lower: Array
    relaxed: Array
    violation: Array

    @property
    def upper(self) -> Array:
        """(M,): shares of the upper bound; infinite of an agent that the roll-out leaves without a feasible plan."""
        return np.where(self.violation > 0.0, np.inf, self.relaxed)


def bracket(points: Sequence[AgentPoint], components: Components, action: bool) -> Bracket:
    """Bracket the optimal value of V, or of Q where the first inputs are given (`action`)."""
    inputs = [admissible(point.model, point.data, point.plan.u, action) for point in points]
    rolled = [replace(p, plan=plan) for p, plan in zip(points, roll_out(points, inputs, components), strict=True)]
    dual = costates([_priced(point) for point in rolled], components)
    uncertain = zip(dual, state_errors(dual, components), slope_errors(dual, components), strict=True)
    shares = [_share(point, states, slopes, action) for point, states, slopes in uncertain]
    lower, relaxed, violation = np.array(shares).T
    outside = [_input_violation(point.model, point, action) for point in dual]
    return Bracket(lower, relaxed, np.maximum(violation, outside))


def admissible(model: LocalModel, data: AgentData, u: Array, action: bool) -> Array:
    """(N, m): inputs clipped to their box, and stage by stage to the rate limits; a given action stays."""
    clipped, before = u.copy(), data.previous_input
    for k in range(len(u)):
        if k or not action:
            # a unit of rounding inside, so that the exact difference keeps to the limit as well
            low, high = np.nextafter(before - model.du_max, before), np.nextafter(before + model.du_max, before)
            near = np.clip(u[k], low, high)
            clipped[k] = np.clip(near, model.u_min, model.u_max)
        before = clipped[k]
    return clipped


def roll_out(points: Sequence[AgentPoint], inputs: Sequence[Array], components: Components) -> list[Plan]:
    """The plans that follow from the inputs, with the least slacks; neighbours are told stage by stage."""
    N = len(points[0].weights) - 1
    x = [np.vstack([p.data.state, np.zeros((N, p.model.n))]) for p in points]
    known = [{j: np.full_like(told, np.nan) for j, told in p.plan.neighbours.items()} for p in points]
    for k in range(N + 1):
        for mine, heard in zip(known, components.tell(Kind.PLAN, [states[k] for states in x]), strict=True):
            for j, trajectory in mine.items():
                trajectory[k] = heard[j]
        if k == N:
            break
        for i, p in enumerate(points):
            own = p.model.A @ x[i][k] + p.model.B @ inputs[i][k] + p.model.E @ p.data.disturbance[k] + p.model.b
            coupled = (block @ np.nan_to_num(known[i][j][k]) for j, block in p.model.A_ij.items() if j in known[i])
            x[i][k + 1] = own + sum(coupled, np.zeros(p.model.n))
    plans = []
    for p, states, u, told in zip(points, x, inputs, known, strict=True):
        plan = Plan(states, u, np.zeros_like(p.plan.sigma), told)
        low, high = _excess(replace(p, plan=plan))
        plans.append(replace(plan, sigma=np.where(p.model.soft, np.maximum(np.maximum(low, high), 0.0), 0.0)))
    return plans


def costates(points: Sequence[AgentPoint], components: Components) -> list[AgentPoint]:
    """The points with the multipliers of the dynamics that zero the derivative by every state after the first."""
    N = len(points[0].weights) - 1
    own = [p.state_terms().sum(axis=0) for p in points]
    fixed = [{j: p.prices(j, dynamics=False) for j in p.plan.neighbours} for p in points]
    lam = [np.zeros((N + 1, p.model.n)) for p in points]
    for k in range(N, 0, -1):
        told = [
            {j: price[k] + (after[k] @ p.model.A_ij[j] if j in p.model.A_ij else 0.0) for j, price in prices.items()}
            for p, prices, after in zip(points, fixed, lam, strict=True)
        ]
        incoming = components.collect(Kind.PRICE, told, [terms[k] for terms in own])
        for p, terms, after, prices_in in zip(points, own, lam, incoming, strict=True):
            # lam[k - 1] belongs to x(k); there is no lambda(N), so that row N stays zero
            after[k - 1] = terms[k] + after[k] @ p.model.A + prices_in
    return [replace(p, duals=replace(p.duals, dynamics=own[:-1])) for p, own in zip(points, lam, strict=True)]


def _priced(point: AgentPoint) -> AgentPoint:
    """The point with multipliers that the dual problem admits."""
    model, duals, w = point.model, point.duals, point.weights[:-1, None]
    exists_l, exists_u = np.isfinite(model.lower), np.isfinite(model.upper)
    low, high = (
        np.where(exists_l, np.maximum(duals.lower, 0.0), 0.0),
        np.where(exists_u, np.maximum(duals.upper, 0.0), 0.0),
    )
    # with a purely linear price a larger multiplier would let sigma lower the Lagrangian without end
    limit = np.where(
        model.soft & (model.slack_quadratic == 0.0), w * np.where(model.soft, model.slack_weight, 0.0), np.inf
    )
    total = low + high
    share = np.divide(np.minimum(total, limit), total, out=np.ones_like(total), where=total > 0.0)
    rates = np.isfinite(model.du_max)
    return replace(
        point,
        duals=replace(
            duals,
            lower=low * share,
            upper=high * share,
            du_min=np.where(rates, np.maximum(duals.du_min, 0.0), 0.0),
            du_max=np.where(rates, np.maximum(duals.du_max, 0.0), 0.0),
            terminal=duals.terminal if model.terminal_equality else np.zeros_like(duals.terminal),
        ),
    )


def _share(point: AgentPoint, states: Errors, slopes: Array, action: bool) -> tuple[float, float, float]:
    """An agent's share of the lower bound and of the cost, and its violation of hard bounds.

    `states` and `slopes` are what rounding may have moved states, and derivatives by the inputs, by.
    """
    model, duals, w = point.model, point.duals, point.weights[:-1, None]
    low, high = _excess(point)
    end = point.plan.x[-1] - point.data.x_setpoint[-1]
    costs = point.costs()
    # what sigma costs beyond its least Lagrangian -e^2 / (4 gamma^k w2), e the excess of multipliers over the price
    excess = np.maximum(duals.lower + duals.upper - w * np.where(model.soft, model.slack_weight, np.inf), 0.0)
    steep = w * model.slack_quadratic
    with np.errstate(over="ignore"):  # minus infinity is right, beside a price as good as none
        least = np.divide(-(excess**2), 4.0 * steep, out=np.zeros_like(excess), where=(excess > 0.0) & (steep > 0.0))
    # mu'(bound) counts against the cost: a multiplier of a bound that is not met exactly widens the bracket
    slackness = (_product(duals.lower, low), _product(duals.upper, high), float(duals.terminal @ end))
    gap_u, rates, error = _input_gap(point, slopes, action)
    gap = costs[-1] + costs[-2] - float(least.sum()) - sum(slackness) + gap_u + rates
    terms = np.abs((model.V0, *point.sizes, *slackness, rates, *_sensitivity(point)))
    margin = MARGIN * float(terms.sum())
    violation, price = _violation(point, low, high)
    total = sum(costs)
    lower = total - gap - margin - MARGIN * gap_u - error
    return lower, total + margin + price + cost_error(point, states), violation


def _violation(point: AgentPoint, low: Array, high: Array) -> tuple[float, float]:
    """By how much hard bounds and a terminal equality are broken beyond rounding; the price of what rounding breaks.

    A plan satisfies an equality to rounding at best: 64 units of rounding of the terms of the same row and stage count
    as nothing, at the price that the multipliers have for it.
    """
    model, duals = point.model, point.duals
    # a state is the sum of terms that may be far larger than itself
    sizes = np.maximum(point.prediction_terms, np.abs(point.plan.x[1:]))
    rows = sizes @ np.abs(model.C).T
    for j, x in point.neighbours.items():
        rows += np.abs(x[1:]) @ np.abs(model.C_ij[j]).T if j in model.C_ij else 0.0
    broken = [
        (np.maximum(side, 0.0) * ~model.soft, np.maximum(rows, existing(np.abs(limit))), mu)
        for side, limit, mu in (
            (low, model.lower + model.x_lb, duals.lower),
            (high, model.upper + model.x_ub, duals.upper),
        )
    ]
    if model.terminal_equality:
        reference = point.data.x_setpoint[-1]
        end = np.abs(point.plan.x[-1] - reference)
        broken.append((end, np.maximum(sizes[-1], np.abs(reference)), np.abs(duals.terminal)))
    beyond = max(float(np.where(by > _FORGIVEN * size, by, 0.0).max(initial=0.0)) for by, size, _ in broken)
    tolerated = (float((by * multiplier)[by <= _FORGIVEN * size].sum()) for by, size, multiplier in broken)
    return beyond, sum(tolerated)


def _sensitivity(point: AgentPoint) -> tuple[float, float, float]:
    """What relative errors would change: in dynamics and rates by their multipliers, in bounds by their prices."""
    model, plan, w = point.model, point.plan, point.weights[:-1, None]
    price = w * np.where(model.soft, model.slack_weight, 0.0) + 2.0 * w * model.slack_quadratic * plan.sigma
    multiplier = price + point.duals.lower + point.duals.upper
    rows = float((multiplier * point.bounded_terms).sum())
    sides = zip(
        _excess(point),
        (point.duals.lower, point.duals.upper),
        ((model.lower, model.x_lb), (model.upper, model.x_ub)),
        strict=True,
    )
    for excess, own, parts in sides:
        size = np.sum([existing(np.abs(part)) for part in parts], axis=0)
        # the price is at stake where the bound is met or nearly so, and not of a bound far away
        near = existing(excess) > -_NEARLY * (point.bounded_terms + size)
        rows += float(((own + np.where(near & np.isfinite(excess), price, 0.0)) * size).sum())
    u = np.abs(np.vstack([point.data.previous_input, plan.u]))
    rates = (point.duals.du_min + point.duals.du_max) * (u[1:] + u[:-1] + existing(model.du_max))
    dynamics = np.abs(point.duals.dynamics) * point.prediction_terms
    return float(dynamics.sum()), rows, float(rates.sum())


def _excess(point: AgentPoint) -> tuple[Array, Array]:
    """(N, p) each: lower + x_lb - C x and C x - upper - x_ub, -inf where there is no bound."""
    model, rows = point.model, point.bounded
    return (model.lower + model.x_lb) - rows, rows - (model.upper + model.x_ub)


def _product(multiplier: Array, excess: Array) -> float:
    """mu'excess, where a bound that does not exist counts nothing."""
    return float((multiplier * existing(excess)).sum())


def _input_gap(point: AgentPoint, errors: Array, action: bool) -> tuple[float, float, float]:
    """What the inputs cost beyond the least Lagrangian over their box; what multipliers of rate limits leave over; and
    what errors of the slopes may change, at their worst."""
    model, duals = point.model, point.duals
    free = slice(1 if action else 0, None)
    slope, u = point.input_terms()[:, free].sum(axis=0), point.plan.u[free]
    curvature = np.broadcast_to(point.weights[:-1][free, None] * max(_least_curvature(model.R), 0.0), u.shape)
    box = model.u_min - u, model.u_max - u
    least = _least(slope, curvature, *box)
    worst = np.minimum(_least(slope - errors[free], curvature, *box), _least(slope + errors[free], curvature, *box))
    limits = existing(model.du_max)
    over = duals.du_max[free] * (limits - point.changes[free]) + duals.du_min[free] * (limits + point.changes[free])
    # where the minimum is unbounded anyway, errors change nothing
    more = np.subtract(least, worst, out=np.zeros_like(least), where=np.isfinite(least))
    return -float(least.sum()), float(over.sum()), float(more.sum())


def _least(slope: Array, curvature: Array, down: Array, up: Array) -> Array:
    """Least slope d + curvature d^2 over down <= d <= up, entry by entry."""
    step = _downhill(slope, curvature, down, up)
    moves = step != 0.0
    linear = np.multiply(slope, step, out=np.zeros_like(step), where=moves)
    return linear + np.multiply(curvature, step**2, out=np.zeros_like(step), where=moves & (curvature > 0.0))


def _least_curvature(R: Array) -> float:
    """Least eigenvalue, less what rounding may have added to it: that of a singular weight is not to be believed."""
    if not R.size:
        return 0.0
    return float(np.linalg.eigvalsh(R)[0]) - 8.0 * len(R) * np.finfo(float).eps * float(np.abs(R).max())


def _downhill(slope: Array, curvature: Array, down: Array, up: Array) -> Array:
    """Step that minimises slope'd + sum curvature d^2 over down <= d <= up.

    |d|^2_R is at least that with the least eigenvalue of R as curvature, for which the components part; so the minimum
    is a lower bound, exact where R is a multiple of I.
    """
    # without curvature the minimum lies at an end of the box, which may be infinite
    unbounded = np.where(slope == 0.0, 0.0, np.copysign(np.inf, -slope))
    return np.clip(np.divide(-slope, 2.0 * curvature, out=unbounded, where=curvature > 0.0), down, up)


def _input_violation(model: LocalModel, point: AgentPoint, action: bool) -> float:
    """By how much inputs in their box still break rate limits, where the last input leaves no admissible one."""
    first = 1 if action else 0
    over = np.abs(point.changes[first:]) - model.du_max
    # rounding of a difference is no violation
    slack = _ROUNDING * (np.abs(point.plan.u[first:]) + existing(model.du_max))
    return float(np.where(over > slack, over, 0.0).max(initial=0.0))
