"""The program's objective and constraints are those of the definition, evaluated term by term at random points."""

import numpy as np
import pytest

from dmpcrl_ctrl.horizon import build_horizon
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem


def stagewise(
    problem: MPCProblem,
    i: int,
    data: AgentData,
    states: list[np.ndarray],
    u: np.ndarray,
    sigma: np.ndarray,
    others: dict[int, np.ndarray],
) -> tuple[float, np.ndarray, np.ndarray]:
    """F_i, the states, and the bounded combinations, straight from the docstring of `model`, by loops."""
    model, N, gamma = problem.models[i], problem.horizon, problem.discount
    x, bounded, cost = [np.array(data.state)], [], model.V0
    neighbours = {j: [states[j], *others[j]] for j in others}
    for k in range(N):
        dx, du = x[k] - data.x_setpoint[k], u[k] - data.u_setpoint[k]
        mixed = model.G @ x[k] + sum((G @ neighbours[j][k] for j, G in model.G_ij.items()), np.zeros(len(model.G)))
        soft = model.soft
        stage = dx @ model.Q @ dx + du @ model.R @ du + mixed @ model.Q_c @ mixed
        stage += model.slack_weight[soft] @ sigma[k][soft] + model.slack_quadratic[soft] @ sigma[k][soft] ** 2
        cost += gamma**k * stage + model.f @ np.concatenate([x[k], u[k]])
        step = model.A @ x[k] + model.B @ u[k] + model.E @ data.disturbance[k] + model.b
        x.append(step + sum((A @ neighbours[j][k] for j, A in model.A_ij.items()), np.zeros(model.n)))
        later = [neighbours[j][k + 1] for j in model.C_ij]
        bounded.append(
            model.C @ x[k + 1]
            + sum((C @ z for C, z in zip(model.C_ij.values(), later, strict=True)), np.zeros(len(model.C)))
        )
    end = x[N] - data.x_setpoint[N]
    return cost + gamma**N * end @ model.P @ end, np.array(x), np.array(bounded)


@pytest.mark.parametrize("agent", [0, 1, 2])
def test_objective_and_rows_agree_with_the_definition(
    problem: MPCProblem, data: tuple[AgentData, ...], agent: int
) -> None:
    rng = np.random.default_rng(agent)
    model, N = problem.models[agent], problem.horizon
    horizon = build_horizon(problem, agent)
    layout, states = horizon.layout, [d.state for d in data]
    qp = horizon.program(data[agent], states)
    u, sigma = rng.normal(size=(N, model.m)), rng.uniform(size=(N, len(model.lower)))
    others = {j: rng.normal(size=(N, problem.models[j].n)) for j in model.neighbours}
    cost, x, bounded = stagewise(problem, agent, data[agent], states, u, sigma, others)
    point = np.zeros(layout.size)
    point[layout.x], point[layout.u], point[layout.sigma] = x[1:], u, sigma[:, layout.priced]
    for copy, where in zip(layout.copies, layout.copied, strict=True):
        point[where] = others[copy.owner][: copy.last_stage, copy.columns]
    assert qp.objective(point) == pytest.approx(cost, rel=1e-12)
    assert np.allclose(qp.A @ point, qp.b, atol=1e-12)
    rows = qp.C @ point
    low, high = model.lower + model.x_lb, model.upper + model.x_ub
    for kind, sign in ((layout.hard, 0.0), (layout.soft_lower, 1.0), (layout.soft_upper, -1.0)):
        assert np.allclose(rows[kind.index], bounded[kind.at] + sign * sigma[kind.at], atol=1e-12)
        if sign >= 0.0:
            assert np.array_equal(qp.lower[kind.index], low[kind.component])
        if sign <= 0.0:
            assert np.array_equal(qp.upper[kind.index], high[kind.component])
    assert np.allclose(rows[layout.slack.index], sigma[layout.slack.at])
    assert np.allclose(rows[layout.input.index], u[layout.input.at])
    changes = np.diff(np.vstack([data[agent].previous_input, u]), axis=0)
    middle = (qp.lower[layout.rate.index] + qp.upper[layout.rate.index]) / 2.0
    assert np.allclose(rows[layout.rate.index] - middle, changes[layout.rate.at], atol=1e-12)
    assert np.allclose((qp.upper - qp.lower)[layout.rate.index], 2.0 * model.du_max[layout.rate.component])


def test_a_bound_that_does_not_exist_has_no_row(problem: MPCProblem) -> None:
    layout = build_horizon(problem, 1).layout
    assert set(layout.soft_lower.component.tolist()) == {0}
    assert set(layout.soft_upper.component.tolist()) == {0, 1}
    assert set(layout.hard.component.tolist()) == {2}
    assert build_horizon(problem, 2).layout.input.index.size == 0


def test_copies_reach_stage_n_only_where_a_bound_needs_them(problem: MPCProblem) -> None:
    held = {i: build_horizon(problem, i).layout.copies for i in range(3)}
    assert held[0] == ()
    assert [(c.owner, c.columns, c.last_stage) for c in held[1]] == [(0, (0, 1), 3), (2, (0,), 3)]
    assert [(c.owner, c.columns, c.last_stage) for c in held[2]] == [(0, (0,), 4)]


def test_an_agent_without_states_or_inputs_has_a_program() -> None:
    static = LocalModel(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((0, 0)), [[1.0]], u_setpoint=[2.0])
    idle = LocalModel([[0.5]], np.zeros((1, 0)), [[1.0]], np.zeros((0, 0)))
    problem = MPCProblem((static, idle), 2)
    for i, model in enumerate(problem.models):
        data = AgentData(
            np.ones(model.n), np.zeros((2, 0)), np.zeros((3, model.n)), np.zeros((2, model.m)), np.zeros(model.m)
        )
        qp = build_horizon(problem, i).program(data, [np.zeros(0), np.ones(1)])
        assert len(qp.g) == 2 * (model.n + model.m)
