"""From one agent's model to its quadratic program over N stages.

The matrices depend on the model alone and are built once by :func:`build_horizon`; :meth:`Horizon.program` adds the
vectors of one evaluation: the state, the neighbours' states, disturbances, set points and the previous input.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.layout import Layout, layout_of
from dmpcrl_ctrl.model import Coupling, LocalModel, States
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QP


@dataclass(frozen=True, eq=False)
class Horizon:
    """One agent's program without its data.

    Attributes
    ----------
    model, layout, weights
        The model, the positions, and gamma^k for k = 0..N, (N + 1,).
    H, A, C
        Sparse matrices of the :class:`~dmpcrl_ctrl.qp.QP`.
    """

    model: LocalModel
    layout: Layout
    weights: Array
    H: sparse.csc_array
    A: sparse.csc_array
    C: sparse.csc_array

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
        g[layout.x[:-1]] = -2.0 * w[1:N, None] * (x_ref[1:N] @ model.Q) + f_x
        g[layout.x[-1]] = -2.0 * w[N] * (model.P @ x_ref[N])
        g[layout.u] = -2.0 * w[:N, None] * (u_ref @ model.R) + f_u
        g[layout.sigma] = w[:N, None] * model.slack_weight[layout.priced]
        s = data.state
        coupled = model.G @ s + sum((block @ states[j] for j, block in model.G_ij.items()), np.zeros(len(model.G)))
        constant = (
            model.V0
            + f_x @ s
            + (s - x_ref[0]) @ model.Q @ (s - x_ref[0])
            + coupled @ model.Q_c @ coupled
            + np.einsum("k,ki,ij,kj->", w[1:N], x_ref[1:N], model.Q, x_ref[1:N])
            + np.einsum("k,ki,ij,kj->", w[:N], u_ref, model.R, u_ref)
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


def build_horizon(problem: MPCProblem, i: int) -> Horizon:
    """The matrices of agent i's program."""
    model, layout = problem.models[i], layout_of(problem, i)
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


class _Blocks:
    """Collects dense blocks at index sets and adds them up as one sparse matrix."""

    def __init__(self) -> None:
        self.rows: list[Index] = []
        self.columns: list[Index] = []
        self.values: list[Array] = []

    def add(self, rows: Index, columns: Index, block: Array) -> None:
        """Add a block at rows x columns."""
        self.rows.append(np.repeat(rows, len(columns)))
        self.columns.append(np.tile(columns, len(rows)))
        self.values.append(np.asarray(block, dtype=float).ravel())

    def matrix(self, shape: tuple[int, int]) -> sparse.csc_array:
        """The sum of all blocks."""
        if not self.values:
            return sparse.csc_array(shape)
        entries = np.concatenate(self.values), (np.concatenate(self.rows), np.concatenate(self.columns))
        matrix = sparse.csc_array(sparse.coo_array(entries, shape=shape))
        matrix.eliminate_zeros()
        return matrix


def _hessian(model: LocalModel, layout: Layout, w: Array) -> sparse.csc_array:
    blocks, N = _Blocks(), layout.horizon
    for k in range(N):
        blocks.add(layout.u[k], layout.u[k], w[k] * (model.R + model.R.T))
        blocks.add(layout.sigma[k], layout.sigma[k], 2.0 * w[k] * np.diag(model.slack_quadratic[layout.priced]))
    for k in range(1, N):
        blocks.add(layout.x[k - 1], layout.x[k - 1], w[k] * (model.Q + model.Q.T))
        # |G x + sum_j G_ij x_j|^2 over the stacked own state and copies
        at, G = _stacked(model.G, model.G_ij, layout, k)
        blocks.add(at, at, w[k] * (G.T @ (model.Q_c + model.Q_c.T) @ G))
    blocks.add(layout.x[-1], layout.x[-1], w[N] * (model.P + model.P.T))
    return blocks.matrix((layout.size, layout.size))


def _dynamics(model: LocalModel, layout: Layout, shape: tuple[int, int]) -> sparse.csc_array:
    # prediction minus next state: A x(k) + sum_j A_ij x_j(k) + B u(k) - x(k+1) = -(E d(k) + b)
    blocks = _Blocks()
    for k in range(layout.horizon):
        blocks.add(layout.dynamics[k], layout.u[k], model.B)
        blocks.add(layout.dynamics[k], layout.x[k], -np.eye(model.n))
        if k > 0:
            at, prediction = _stacked(model.A, model.A_ij, layout, k)
            blocks.add(layout.dynamics[k], at, prediction)
    if layout.terminal.size:
        blocks.add(layout.terminal, layout.x[-1], np.eye(model.n))
    return blocks.matrix(shape)


def _inequalities(model: LocalModel, layout: Layout, shape: tuple[int, int]) -> sparse.csc_array:
    blocks, N = _Blocks(), layout.horizon
    slack_of = {int(row): s for s, row in enumerate(layout.priced)}
    stacked = [_stacked(model.C, model.C_ij, layout, k + 1) for k in range(N)]
    for kind, sign in ((layout.hard, 0.0), (layout.soft_lower, 1.0), (layout.soft_upper, -1.0)):
        for row, k, p in zip(kind.index, kind.stage, kind.component, strict=True):
            at, C = stacked[k]
            blocks.add(np.array([row]), at, C[p])
            if sign:
                blocks.add(np.array([row]), layout.sigma[k, [slack_of[int(p)]]], np.array([sign]))
    blocks.rows.append(layout.slack.index)
    blocks.columns.append(layout.sigma.ravel())
    blocks.values.append(np.ones(layout.sigma.size))
    for kind in (layout.input, layout.rate):
        blocks.rows.append(kind.index)
        blocks.columns.append(layout.u[kind.at])
        blocks.values.append(np.ones(len(kind.index)))
    later = layout.rate.stage > 0
    blocks.rows.append(layout.rate.index[later])
    blocks.columns.append(layout.u[layout.rate.stage[later] - 1, layout.rate.component[later]])
    blocks.values.append(-np.ones(int(later.sum())))
    return blocks.matrix(shape)


def _stacked(own: Array, others: Coupling, layout: Layout, k: int) -> tuple[Index, Array]:
    """Positions of x(k) and of the copies that exist at stage k >= 1, and the matrix that acts on them."""
    at, block = [layout.x[k - 1]], [own]
    for copy, places in zip(layout.copies, layout.copied, strict=True):
        if k <= copy.last_stage and copy.owner in others:
            at.append(places[k - 1])
            block.append(others[copy.owner][:, copy.columns])
    return np.concatenate(at), np.hstack(block)
