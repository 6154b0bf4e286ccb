"""From one agent's model to its quadratic program over N stages.

The matrices depend on the model alone and are built once by :func:`build_horizon`; :meth:`Horizon.program` adds the
vectors of one evaluation: the state, the neighbours' states, disturbances, set points and the previous input.
"""

from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.arrays import Array, BlockSum, Index, Matrix
from dmpcrl_ctrl.layout import Layout, layout_of
from dmpcrl_ctrl.model import Coupling, LocalModel, States
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QP

# up to how many variables an agent's matrices are dense
_DENSE = 300


@dataclass(frozen=True, eq=False)
class Horizon:
    """One agent's program without its data.

    Attributes
    ----------
    model, layout, weights
        The model, the positions, and gamma^k for k = 0..N, (N + 1,).
    H, A, C
        Matrices of the :class:`~dmpcrl_ctrl.qp.QP`, each dense where it is small.
    """

    model: LocalModel
    layout: Layout
    weights: Array
    H: Matrix
    A: Matrix
    C: Matrix

    def program(self, data: AgentData, states: States) -> QP:
        """The program V of this agent for one evaluation.

        Parameters
        ----------
        data
            What is known about this agent.
        states
            s_j of at least the neighbours, in the components that couple.
        """
        g, constant = self._cost(data, states)
        b = self._equalities(data, states)
        lower, upper = self._bounds(data)
        return QP(self.H, g, self.A, b, self.C, lower, upper, constant)

    def _cost(self, data: AgentData, states: States) -> tuple[Array, float]:
        model, layout, N = self.model, self.layout, self.layout.horizon
        w = self.weights
        x_ref, u_ref = data.x_setpoint, data.u_setpoint
        f_x, f_u = model.f[: model.n], model.f[model.n :]
        g = np.zeros(layout.size)
        # g = -2 gamma^k Q xbar + f; the terminal stage has P and no f
        weighted_x, weighted_u = x_ref[1:N] @ model.Q, u_ref @ model.R
        g[layout.x[:-1]] = -2.0 * w[1:N, None] * weighted_x + f_x
        g[layout.x[-1]] = -2.0 * w[N] * (model.P @ x_ref[N])
        g[layout.u] = -2.0 * w[:N, None] * weighted_u + f_u
        g[layout.sigma] = w[:N, None] * model.slack_weight[layout.priced]
        s = data.state
        coupled = model.G @ s + sum((block @ states[j] for j, block in model.G_ij.items()), np.zeros(len(model.G)))
        constant = (
            model.V0
            + f_x @ s
            + (s - x_ref[0]) @ model.Q @ (s - x_ref[0])
            + coupled @ model.Q_c @ coupled
            + w[1:N] @ (weighted_x * x_ref[1:N]).sum(axis=1)
            + w[:N] @ (weighted_u * u_ref).sum(axis=1)
            + w[N] * (x_ref[N] @ model.P @ x_ref[N])
        )
        return g, float(constant)

    def _equalities(self, data: AgentData, states: States) -> Array:
        model = self.model
        known = data.disturbance @ model.E.T + model.b
        known[0] += model.A @ data.state
        for j, block in model.A_ij.items():
            known[0] += block @ states[j]
        terminal = data.x_setpoint[-1] if model.terminal_equality else np.zeros(0)
        return np.concatenate([-known.ravel(), terminal])

    def _bounds(self, data: AgentData) -> tuple[Array, Array]:
        model, layout = self.model, self.layout
        lower, upper = np.full(layout.inequalities, -np.inf), np.full(layout.inequalities, np.inf)
        low, high = model.lower + model.x_lb, model.upper + model.x_ub
        lower[layout.hard.index], upper[layout.hard.index] = low[layout.hard.component], high[layout.hard.component]
        lower[layout.soft_lower.index] = low[layout.soft_lower.component]
        upper[layout.soft_upper.index] = high[layout.soft_upper.component]
        lower[layout.slack.index] = 0.0
        lower[layout.input.index] = model.u_min[layout.input.component]
        upper[layout.input.index] = model.u_max[layout.input.component]
        rate = layout.rate
        # |u(0) - u(-1)| <= du_max: u(-1) is data and moves to the bounds
        before = np.where(rate.stage == 0, data.previous_input[rate.component], 0.0)
        lower[rate.index] = before - model.du_max[rate.component]
        upper[rate.index] = before + model.du_max[rate.component]
        return lower, upper


def build_horizon(problem: MPCProblem, i: int, layout: Layout | None = None) -> Horizon:
    """The matrices of agent i's program; with the layout of a problem of the same structure where there is one."""
    model = problem.models[i]
    layout = layout_of(problem, i) if layout is None else layout
    weights = problem.discount ** np.arange(problem.horizon + 1.0)
    equalities = layout.dynamics.size + layout.terminal.size
    return Horizon(
        model,
        layout,
        weights,
        H=_hessian(model, layout, weights),
        A=_dynamics(model, layout, (equalities, layout.size)),
        C=_inequalities(model, layout, (layout.inequalities, layout.size)),
    )


def _blocks(shape: tuple[int, int]) -> BlockSum:
    return BlockSum(shape, shape[1] <= _DENSE)


def _hessian(model: LocalModel, layout: Layout, w: Array) -> Matrix:
    blocks, stage = _blocks((layout.size, layout.size)), w[:, None, None]
    x, inner = layout.x[:-1], stage[1:-1]
    blocks.add(layout.u, layout.u, stage[:-1] * (model.R + model.R.T))
    blocks.add(layout.sigma, layout.sigma, 2.0 * stage[:-1] * np.diag(model.slack_quadratic[layout.priced]))
    blocks.add(x, x, inner * (model.Q + model.Q.T))
    if len(model.G):
        # |G x + sum_j G_ij x_j|^2 over the stacked own state and copies
        parts = [(at[: len(x)], G) for at, G in _stacked(model.G, model.G_ij, layout)]
        for rows, left in parts:
            for columns, right in parts:
                blocks.add(rows, columns, inner * (left.T @ (model.Q_c + model.Q_c.T) @ right))
    blocks.add(layout.x[-1], layout.x[-1], w[-1] * (model.P + model.P.T))
    return blocks.matrix()


def _dynamics(model: LocalModel, layout: Layout, shape: tuple[int, int]) -> Matrix:
    # prediction minus next state: A x(k) + sum_j A_ij x_j(k) + B u(k) - x(k+1) = -(E d(k) + b)
    blocks, N = _blocks(shape), layout.horizon
    blocks.add(layout.dynamics, layout.u, model.B)
    blocks.add(layout.dynamics, layout.x, -np.eye(model.n))
    for at, block in _stacked(model.A, model.A_ij, layout):
        blocks.add(layout.dynamics[1:], at[: N - 1], block)
    if layout.terminal.size:
        blocks.add(layout.terminal, layout.x[-1], np.eye(model.n))
    return blocks.matrix()


def _inequalities(model: LocalModel, layout: Layout, shape: tuple[int, int]) -> Matrix:
    blocks = _blocks(shape)
    for kind, sign in ((layout.hard, 0.0), (layout.soft_lower, 1.0), (layout.soft_upper, -1.0)):
        # a row on x(k+1) reads stage k of the positions
        for at, block in _stacked(model.C, model.C_ij, layout):
            known = kind.stage < len(at)
            rows, stages, components = kind.index[known], kind.stage[known], kind.component[known]
            blocks.add(rows[:, None], at[stages], block[components][:, None, :])
        if sign:
            sigma = layout.sigma[layout.slack_place(kind)]
            blocks.add(kind.index[:, None], sigma[:, None], np.full((1, 1), sign))
    one = np.ones((1, 1))
    blocks.add(layout.slack.index[:, None], layout.sigma.reshape(-1, 1), one)
    for kind in (layout.input, layout.rate):
        blocks.add(kind.index[:, None], layout.u[kind.at][:, None], one)
    later = layout.rate.stage > 0
    before = layout.u[layout.rate.stage[later] - 1, layout.rate.component[later]]
    blocks.add(layout.rate.index[later][:, None], before[:, None], -one)
    return blocks.matrix()


def _stacked(own: Array, others: Coupling, layout: Layout) -> list[tuple[Index, Array]]:
    """Positions (stages, components) of x(1), x(2) ... and of the copies that exist, and the matrices on them."""
    parts = [(layout.x, own)]
    for copy, places in zip(layout.copies, layout.copied, strict=True):
        if copy.owner in others:
            parts.append((places, others[copy.owner][:, copy.columns]))
    return parts
