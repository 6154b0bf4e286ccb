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


def test_a_copied_workspace_starts_cold_and_solves() -> None:
    qp, raw = program(np.random.default_rng(1)), ProxQP()
    expected = raw.solve(qp).x
    for copied in (copy.copy(raw), copy.deepcopy(raw)):
        assert raw.warm and not copied.warm
        assert np.allclose(copied.solve(qp).x, expected, atol=1e-5)
