"""One agent's share of the Lagrangian at a plan and its multipliers, and its derivatives by every trajectory.

    L_i = F_i + sum_k lambda_i(k)'( A_i x_i(k) + sum_j A_ij x_j(k) + B_i u_i(k) + E_i d_i(k) + b_i - x_i(k+1) )
              + mu'( bounds of agent i ) + nu_i'( x_i(N) - xbar_i(N) )

The Lagrangian of the network is the sum. What an agent's share gains by a neighbour's x_j is called its price of x_j;
it is all that the neighbour has to be told to see the derivative of the whole by its own states.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dmpcrl_ctrl.arrays import Array, existing, or_zero
from dmpcrl_ctrl.model import Coupling, LocalModel
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import AgentData, MPCProblem


@dataclass(frozen=True, eq=False)
class AgentPoint:
    """One agent's model and data, a plan and multipliers.

    Attributes
    ----------
    model, data, plan, duals
        Of this agent.
    weights
        (N + 1,): gamma^k.
    """

    model: LocalModel
    data: AgentData
    plan: Plan
    duals: Duals
    weights: Array

    @cached_property
    def neighbours(self) -> Mapping[int, Array]:
        """The plan's, with zeros for what the agent does not know: nothing known is multiplied with them but zeros."""
        return {j: or_zero(x) for j, x in self.plan.neighbours.items()}

    @cached_property
    def deviation(self) -> tuple[Array, Array]:
        """(N + 1, n), (N, m): x - xbar, u - ubar."""
        return self.plan.x - self.data.x_setpoint, self.plan.u - self.data.u_setpoint

    @cached_property
    def mixed(self) -> Array:
        """(N, q): v(k) = G x(k) + sum_j G_ij x_j(k)."""
        return self.plan.x[:-1] @ self.model.G.T + self._coupled(self.model.G_ij, slice(0, -1), len(self.model.G))

    @cached_property
    def bounded(self) -> Array:
        """(N, p): row k is C x(k+1) + sum_j C_ij x_j(k+1)."""
        return self.plan.x[1:] @ self.model.C.T + self._coupled(self.model.C_ij, slice(1, None), len(self.model.C))

    @cached_property
    def changes(self) -> Array:
        """(N, m): u(k) - u(k-1)."""
        return np.diff(np.vstack([self.data.previous_input, self.plan.u]), axis=0)

    @cached_property
    def prediction(self) -> Array:
        """(N, n): the right-hand side of the dynamics, for x(k+1)."""
        model, plan = self.model, self.plan
        own = plan.x[:-1] @ model.A.T + plan.u @ model.B.T + self.data.disturbance @ model.E.T + model.b
        return own + self._coupled(model.A_ij, slice(0, -1), model.n)

    @cached_property
    def prediction_terms(self) -> Array:
        """(N, n): sum of the magnitudes of what `prediction` is the sum of."""
        model, plan = self.model, self.plan
        terms = np.abs(plan.x[:-1]) @ np.abs(model.A).T + np.abs(plan.u) @ np.abs(model.B).T
        terms += np.abs(self.data.disturbance) @ np.abs(model.E).T + np.abs(model.b)
        for j, x in self.neighbours.items():
            terms += np.abs(x[:-1]) @ np.abs(model.A_ij[j]).T if j in model.A_ij else 0.0
        return np.asarray(terms)

    @cached_property
    def bounded_terms(self) -> Array:
        """(N, p): sum of the magnitudes of what `bounded` is the sum of."""
        terms = np.abs(self.plan.x[1:]) @ np.abs(self.model.C).T
        for j, x in self.neighbours.items():
            terms += np.abs(x[1:]) @ np.abs(self.model.C_ij[j]).T if j in self.model.C_ij else 0.0
        return np.asarray(terms)

    @cached_property
    def sizes(self) -> tuple[float, ...]:
        """Sums of the magnitudes of all products behind :meth:`costs`, which may cancel in it, V0 apart."""
        model, w, sigma = self.model, self.weights, self.plan.sigma
        x, u = np.abs(self.plan.x), np.abs(self.plan.u)
        dx, du = (np.abs(part) for part in self.deviation)
        price = np.where(model.soft, model.slack_weight, 0.0)
        mixed = x[:-1] @ np.abs(model.G).T
        for j, known in self.neighbours.items():
            mixed = mixed + (np.abs(known[:-1]) @ np.abs(model.G_ij[j]).T if j in model.G_ij else 0.0)
        return (
            float((np.hstack([x[:-1], u]) @ np.abs(model.f)).sum()),
            float(w[:-1] @ _squares(dx[:-1], np.abs(model.Q))),
            float(w[:-1] @ _squares(du, np.abs(model.R))),
            float(w[:-1] @ _squares(mixed, np.abs(model.Q_c))),
            float(w[-1] * _squares(dx[-1:], np.abs(model.P))[0]),
            float(w[:-1] @ (sigma @ price)),
            float(w[:-1] @ (sigma**2 @ model.slack_quadratic)),
        )

    @cached_property
    def ranges(self) -> tuple[Array, Array]:
        """(n,), (m,): how large states and inputs may become: of the plan, the set points, and what limits reach."""
        model, plan, data = self.model, self.plan, self.data
        limits = (existing(np.abs(limit))[None] for limit in (model.u_min, model.u_max))
        u = np.abs(np.vstack([plan.u, data.u_setpoint, *limits])).max(axis=0)
        moved = np.abs(data.disturbance) @ np.abs(model.E).T + np.abs(model.b) + u @ np.abs(model.B).T
        return np.abs(np.vstack([plan.x, data.x_setpoint, moved])).max(axis=0), u

    def costs(self) -> tuple[float, ...]:
        """F_i term by term: V0, linear, states, inputs, coupling, terminal, linear and quadratic slack."""
        model, w, sigma = self.model, self.weights, self.plan.sigma
        (dx, du), v = self.deviation, self.mixed
        linear = np.hstack([self.plan.x[:-1], self.plan.u]) @ model.f
        price = np.where(model.soft, model.slack_weight, 0.0)
        return (
            model.V0,
            float(linear.sum()),
            float(w[:-1] @ _squares(dx[:-1], model.Q)),
            float(w[:-1] @ _squares(du, model.R)),
            float(w[:-1] @ _squares(v, model.Q_c)),
            float(w[-1] * _squares(dx[-1:], model.P)[0]),
            float(w[:-1] @ (sigma @ price)),
            float(w[:-1] @ (sigma**2 @ model.slack_quadratic)),
        )

    def state_terms(self) -> Array:
        """(terms, N + 1, n): what dL_i/dx_i(k) is the sum of, but for the terms with lambda."""
        model, w, (dx, _), n = self.model, self.weights, self.deviation, self.model.n
        f = np.broadcast_to(model.f[:n], dx.shape).copy()
        f[-1] = 0.0
        cost = np.vstack([2.0 * w[:-1, None] * (dx[:-1] @ model.Q), 2.0 * w[-1:, None] * (dx[-1:] @ model.P)])
        mixed, low, high, end = np.zeros((4, *dx.shape))
        mixed[:-1] = 2.0 * w[:-1, None] * (self.mixed @ model.Q_c @ model.G)
        low[1:], high[1:] = -self.duals.lower @ model.C, self.duals.upper @ model.C
        end[-1] = self.duals.terminal
        return np.stack([cost, f, mixed, low, high, end])

    def input_terms(self) -> Array:
        """(terms, N, m): what dL_i/du_i(k) is the sum of, bounds on u apart."""
        model, w, duals = self.model, self.weights, self.duals
        f = np.broadcast_to(model.f[model.n :], self.plan.u.shape)
        rate = duals.du_max - duals.du_min
        later = np.vstack([-rate[1:], np.zeros((1, model.m))])
        return np.stack([2.0 * w[:-1, None] * (self.deviation[1] @ model.R), f, duals.dynamics @ model.B, rate, later])

    def prices(self, j: int, dynamics: bool = True) -> Array:
        """(N + 1, n_j): dL_i/dx_j(k), with or without the terms of lambda."""
        model, w = self.model, self.weights
        price = np.zeros((len(w), self.plan.neighbours[j].shape[1]))
        if j in model.G_ij:
            price[:-1] += 2.0 * w[:-1, None] * (self.mixed @ model.Q_c @ model.G_ij[j])
        if j in model.C_ij:
            price[1:] += (self.duals.upper - self.duals.lower) @ model.C_ij[j]
        if dynamics and j in model.A_ij:
            price[:-1] += self.duals.dynamics @ model.A_ij[j]
        return price

    def _coupled(self, blocks: Coupling, stages: slice, rows: int) -> Array:
        parts = [self.neighbours[j][stages] @ block.T for j, block in blocks.items() if j in self.neighbours]
        return sum(parts, np.zeros((len(self.weights) - 1, rows)))


def agent_points(
    problem: MPCProblem, data: Sequence[AgentData], plans: Sequence[Plan], duals: Sequence[Duals]
) -> tuple[AgentPoint, ...]:
    """One an agent."""
    weights = problem.discount ** np.arange(problem.horizon + 1.0)
    each = zip(problem.models, data, plans, duals, strict=True)
    return tuple(AgentPoint(model, d, plan, own, weights) for model, d, plan, own in each)


def plan_costs(points: Sequence[AgentPoint]) -> Array:
    """(M,): F_i of each agent, from deviations: the program's own objective loses digits where set points are large."""
    return np.array([sum(point.costs()) for point in points])


def _squares(rows: Array, weight: Array) -> Array:
    """(rows,): |row|^2_weight."""
    return np.asarray(((rows @ weight) * rows).sum(axis=1))
