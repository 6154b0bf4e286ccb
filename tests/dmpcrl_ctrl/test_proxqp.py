"""ProxQP survives what crashes it when handled without care: updates after init, copies."""

import copy

import numpy as np

from dmpcrl_ctrl.proxqp import ProxQP
from dmpcrl_ctrl.qp import QP, kkt_residuals


def program(rng: np.random.Generator) -> QP:
    g, b, low, high = rng.normal(size=3), rng.normal(size=1), -5 - rng.uniform(size=3), 5 + rng.uniform(size=3)
    return QP(np.eye(3), g, np.ones((1, 3)), b, np.eye(3), low, high)


def test_updates_of_every_vector_are_solved_warm() -> None:
    rng, raw = np.random.default_rng(0), ProxQP()
    for _ in range(20):
        qp = program(rng)
        assert kkt_residuals(qp, raw.solve(qp)).worst < 1e-4
        assert raw.warm
    raw.forget()
    assert not raw.warm


def test_matrices_that_move_are_passed_on_to_a_warm_solver() -> None:
    """min 1/2 h |x|^2 - h t'x, a sum x = a s: x = t + (s - sum t) / 3."""
    rng, raw = np.random.default_rng(2), ProxQP()
    for _ in range(50):
        h, a, c = rng.uniform(0.5, 2.0, 3)
        t, s = rng.normal(size=3), rng.normal()
        wide = np.full(3, 100.0)
        qp = QP(h * np.eye(3), -h * t, np.full((1, 3), a), np.array([a * s]), c * np.eye(3), -wide, wide)
        assert np.allclose(raw.solve(qp).x, t + (s - t.sum()) / 3.0, atol=1e-6)
    assert raw.warm


def test_a_program_of_another_size_starts_cold() -> None:
    raw = ProxQP()
    for n in (3, 2, 5):
        qp = QP(np.eye(n), -np.ones(n), np.zeros((0, n)), np.zeros(0), np.eye(n), np.zeros(n), np.full(n, 0.5))
        assert np.allclose(raw.solve(qp).x, 0.5, atol=1e-6)


def test_a_copied_workspace_starts_cold_and_solves() -> None:
    qp, raw = program(np.random.default_rng(1)), ProxQP()
    expected = raw.solve(qp).x
    for copied in (copy.copy(raw), copy.deepcopy(raw)):
        assert raw.warm and not copied.warm
        assert np.allclose(copied.solve(qp).x, expected, atol=1e-5)
