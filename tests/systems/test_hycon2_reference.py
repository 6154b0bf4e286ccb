"""The plant reproduces the published indices of the benchmark under a controller that shares no code with this package.

The QP is assembled here, from the benchmark's description alone: matrices from `scipy.linalg.expm` of the published
table, N = 15, terminal equality, hard angle bounds, no preview. Conventions that the numbers confirm: load levels hold
from their time on and are known at that very sample; the set point of sample k is that of the load just after k; the
mean is over the 100 samples k = 0..99, not over the last state; each tie counts once.
"""

import numpy as np
import pytest
import qpsolvers
from scipy import sparse
from scipy.linalg import expm

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.plants import Trajectory, power_network

ETA, PHI = 0.0248777962619, 0.0029550923098
N, STEPS, n, m = 15, 100, 16, 4
AREAS = [(12, 0.05, 0.7, 0.65, 0.1), (10, 0.0625, 0.9, 0.4, 0.1), (8, 0.08, 0.9, 0.3, 0.1), (8, 0.08, 0.7, 0.6, 0.1)]
LINE = [(0, 1, 4.0), (1, 2, 2.0), (2, 3, 2.0)]
BOUND = np.array([0.5, 0.65, 0.65, 0.55])
Q, R = np.tile([500.0, 0.01, 0.01, 10.0], 4), np.full(m, 10.0)


def discretised() -> tuple[Array, Array, Array]:
    """Ad, Bd, Ed of the whole network over 1 s."""
    generator = np.zeros((n + 2 * m, n + 2 * m))
    for i, (H, droop, D, Tt, Tg) in enumerate(AREAS):
        k = 4 * i
        generator[k, k + 1] = 1.0
        generator[k + 1, [k + 1, k + 2, n + m + i]] = -D / (2 * H), 1 / (2 * H), -1 / (2 * H)
        generator[k + 2, [k + 2, k + 3]] = -1 / Tt, 1 / Tt
        generator[k + 3, [k + 1, k + 3, n + i]] = -1 / (droop * Tg), -1 / Tg, 1 / Tg
    for i, j, P in LINE:
        for a, b in ((i, j), (j, i)):
            generator[4 * a + 1, [4 * a, 4 * b]] += np.array([-P, P]) / (2 * AREAS[a][0])
    phi = expm(generator)
    return phi[:n, :n], phi[:n, n : n + m], phi[:n, n + m :]


def load_at(t: int) -> Array:
    """(4,): published levels."""
    return np.array([0.15 * (t >= 5), -0.15 * (t >= 15), 0.12 * (20 <= t < 40) - 0.12 * (t >= 40), 0.28 * (t >= 40)])


class Benchmark:
    """min over z = (u0, x1, u1, x2, .., u14, x15) of the benchmark's cost; x15 = xbar."""

    def __init__(self) -> None:
        self.A, self.B, self.E = discretised()
        stage = np.concatenate([R, Q])
        weights = np.tile(stage, N)
        weights[-n:] = 0.0  # the last state is fixed
        self.weights, self.H = weights, sparse.diags_array(2.0 * weights, format="csc")
        dynamics = sparse.kron(sparse.eye_array(N), np.hstack([self.B, -np.eye(n)]))
        shift = sparse.kron(sparse.eye_array(N, k=-1), np.hstack([np.zeros((n, m)), self.A]))
        last = sparse.hstack([sparse.csc_array((n, N * (n + m) - n)), sparse.eye_array(n)])
        self.rows = sparse.vstack([dynamics + shift, last]).tocsc()
        free = np.tile([0.1, np.inf, np.inf, np.inf], 4)
        self.limit = np.tile(np.concatenate([BOUND, free]), N)

    def input(self, x: Array, load: Array) -> Array:
        """(4,): first input of the plan from `x` with the load held over the horizon."""
        target = np.concatenate([load, np.kron(load, [0.0, 0.0, 1.0, 1.0])])
        right = np.tile(-self.E @ load, N)
        right[:n] -= self.A @ x
        g = -2.0 * self.weights * np.tile(target, N)
        z = qpsolvers.solve_qp(
            self.H, g, A=self.rows, b=np.concatenate([right, target[m:]]), lb=-self.limit, ub=self.limit,
            solver="clarabel", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12,
        )  # fmt: skip
        assert z is not None
        return z[:m]


@pytest.fixture(scope="module")
def run() -> Trajectory:
    """Scenario 1: 100 s of the plant under the benchmark's controller."""
    plant, controller = power_network(1), Benchmark()
    outside = plant.bind(1, np.random.SeedSequence(0))
    states, inputs = [plant.initial_state], []
    for t in range(STEPS):
        inputs.append(controller.input(states[-1], load_at(t)))
        states.append(plant.advance(states[-1], 1, inputs[-1], outside.values(t)))
    return Trajectory(
        np.arange(STEPS + 1.0), np.array(states), np.array(inputs),
        np.array([outside.values(t) for t in range(STEPS)]), np.array([outside.setpoints(t) for t in range(STEPS)]),
        plant.state_names, plant.input_names, plant.disturbance_names,
    )  # fmt: skip


def test_eta_and_phi_are_the_published_ones(run: Trajectory) -> None:
    indices = power_network(1).indices
    assert indices["eta"](run) == pytest.approx(ETA, rel=1e-6)
    assert indices["phi"](run) == pytest.approx(PHI, rel=1e-6)


def test_the_limits_hold(run: Trajectory) -> None:
    assert np.abs(run.state[:, ::4]).max() < 0.1
    assert (np.abs(run.input) <= BOUND + 1e-9).all()


def test_the_network_model_is_the_benchmarks() -> None:
    (model,) = power_network(1).local_models(1.0, hold="network", terminal="equality").models
    for mine, other in zip((model.A, model.B, model.E), discretised(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-12)
    np.testing.assert_array_equal(model.u_max, BOUND)
    np.testing.assert_array_equal(np.diag(model.Q), Q)
    np.testing.assert_array_equal(np.diag(model.R), R)
    assert model.terminal_equality and not model.soft.any()
    np.testing.assert_array_equal(model.upper, np.full(4, 0.1))
