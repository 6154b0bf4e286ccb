"""Limits and costs."""

import numpy as np

from dmpcrl_ctrl.plants.task import Task

Q = np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 5.0]])
R = np.array([[3.0]])
TASK = Task(
    Q, R,
    violation_weight=np.array([10.0, 0.0, 100.0]),
    state_limits=np.array([[-1.0, 1.0], [0.0, 0.0], [-np.inf, 2.0]]),
    input_limits=np.array([[-0.5, np.inf]]),
    rate_limits=np.array([np.inf]),
)  # fmt: skip


def test_inputs_are_clipped() -> None:
    np.testing.assert_array_equal(TASK.saturate(np.array([-0.5000001])), [-0.5])
    np.testing.assert_array_equal(TASK.saturate(np.array([1e9])), [1e9])


def test_a_violation_is_the_distance_to_the_limits() -> None:
    x = np.array([[-1.5, 0.3, 1.0], [1.0, 0.0, 2.5]])
    np.testing.assert_allclose(TASK.violation(x), [[0.5, 0.3, 0.0], [0.0, 0.0, 0.5]])


def test_the_shares_add_up_to_the_cost() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, xbar = rng.normal(size=3), rng.normal(size=3)
        e, outside = x - xbar, [max(-1 - x[0], x[0] - 1, 0), abs(x[1]), max(x[2] - 2, 0)]
        expected = e @ Q @ e + 10.0 * outside[0] + 100.0 * outside[2]
        np.testing.assert_allclose(TASK.state_cost(x, xbar).sum(), expected)
    np.testing.assert_allclose(TASK.input_cost(np.array([2.0]), np.array([1.0])), [3.0])
