"""With the right active rows the point is exact; with wrong ones the residuals say so; redundant rows do no harm."""

import numpy as np
import pytest
from scipy import sparse

from dmpcrl_ctrl.active_set import active_set, with_rows
from dmpcrl_ctrl.qp import QP, QPSolution, kkt_residuals
from dmpcrl_ctrl.status import Status

INF = np.inf
PROGRAM = QP(
    np.diag([2.0, 2.0, 0.0]),
    np.array([-2.0, -8.0, 1.0]),
    np.zeros((0, 3)),
    np.zeros(0),
    np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0], [0.0, 0.0, 1.0]]),
    np.array([-INF, -INF, 0.0]),
    np.array([5.0, 1.0, INF]),
)
# x_0 = 1 is free; x_1 - x_2 <= 1 is active with multiplier 1, so 2 x_1 - 8 + 1 = 0 and x_2 = 2.5
EXACT = np.array([1.0, 3.5, 2.5])


def nearby(x: np.ndarray, low: list[float], high: list[float]) -> QPSolution:
    return QPSolution(x, np.zeros(0), np.array(low), np.array(high), Status.OPTIMAL)


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
def test_a_rough_point_with_the_right_rows_becomes_exact(matrix: type) -> None:
    program = QP(
        matrix(PROGRAM.H), PROGRAM.g, matrix(PROGRAM.A), PROGRAM.b, matrix(PROGRAM.C), PROGRAM.lower, PROGRAM.upper
    )
    rough = nearby(EXACT + 1e-3, [0.0, 0.0, 1e-6], [1e-6, 0.98, 0.0])
    rows = active_set(program, rough)
    assert (rows.at_lower.tolist(), rows.at_upper.tolist()) == ([], [1])
    for start in (None, rough):
        point = rows.solve(program, start)
        assert np.allclose(point.x, EXACT, atol=1e-14)
        assert kkt_residuals(program, point).worst < 1e-14


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
def test_given_rows_serve_for_other_matrices(matrix: type) -> None:
    """H and C twice as large: x_0 = 1/2, and 2 (x_1 - x_2) = 1 with multiplier 1/2 gives x_1 = 7/4."""
    H, A, C = (matrix(M) for M in (2.0 * PROGRAM.H, PROGRAM.A, 2.0 * PROGRAM.C))
    program = QP(H, PROGRAM.g, A, PROGRAM.b, C, PROGRAM.lower, PROGRAM.upper)
    point = with_rows(program, np.array([], dtype=int), np.array([1])).solve(program)
    assert np.allclose(point.x, [0.5, 1.75, 1.25], atol=1e-14)
    assert np.allclose(point.upper_dual, [0.0, 0.5, 0.0], atol=1e-14)


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
def test_no_rows_at_all_leave_the_unconstrained_minimum(matrix: type) -> None:
    none = np.zeros((0, 2))
    program = QP(matrix(np.diag([1.0, 4.0])), np.array([2.0, 4.0]), matrix(none), none[:, 0], matrix(none), *none.T)
    start = nearby(np.zeros(2), [], [])
    assert np.allclose(active_set(program, start).solve(program, start).x, [-2.0, -1.0], atol=1e-15)


def test_wrong_rows_show_in_the_residuals() -> None:
    wrong = active_set(PROGRAM, nearby(np.array([5.0, 1.0, 0.0]), [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]))
    assert (wrong.at_lower.tolist(), wrong.at_upper.tolist()) == ([2], [0, 1])
    assert kkt_residuals(PROGRAM, wrong.solve(PROGRAM)).sign > 0.1


def test_redundant_active_rows_and_flat_directions_are_solved() -> None:
    program = QP(
        np.diag([1.0, 0.0]),
        np.array([-3.0, 0.0]),
        np.array([[1.0, 1.0], [2.0, 2.0]]),
        np.array([2.0, 4.0]),
        np.array([[1.0, 0.0], [1.0, 0.0]]),
        np.array([-INF, -INF]),
        np.array([1.0, 1.0]),
    )
    start = QPSolution(np.array([1.0, 1.0]), np.zeros(2), np.zeros(2), np.ones(2), Status.OPTIMAL)
    point = active_set(program, start).solve(program, start)
    assert np.allclose(point.x, [1.0, 1.0], atol=1e-12)
    assert kkt_residuals(program, point).worst < 1e-10


def test_a_pinned_variable_has_a_multiplier_of_either_sign() -> None:
    pinned = (np.zeros((0, 1)), np.zeros(0), np.eye(1), np.array([2.0]), np.array([2.0]))
    for g, low, high in ((-5.0, 0.0, 3.0), (5.0, 7.0, 0.0)):
        program = QP(np.eye(1), np.array([g]), *pinned)
        start = QPSolution(np.array([2.0]), np.zeros(0), np.zeros(1), np.zeros(1), Status.OPTIMAL)
        point = active_set(program, start).solve(program, start)
        assert (point.lower_dual[0], point.upper_dual[0]) == pytest.approx((low, high))


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
def test_the_sensitivity_is_what_point_and_multipliers_follow_a_push_by(matrix: type) -> None:
    """x_1 and x_2 move together while x_1 - x_2 = 1 is held: 2 x_1 = 8 - mu + p_1 and mu = 1 - p_2."""
    program = QP(
        matrix(PROGRAM.H), PROGRAM.g, matrix(PROGRAM.A), PROGRAM.b, matrix(PROGRAM.C), PROGRAM.lower, PROGRAM.upper
    )
    rows = with_rows(program, np.array([], dtype=int), np.array([1]))
    found = rows.sensitivity(np.array([0, 1, 2]))
    assert np.allclose(found[:3], [[0.5, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]], atol=1e-14)
    assert np.allclose(found[3], [0.0, 0.0, -1.0], atol=1e-14)
    assert np.allclose(rows.sensitivity(np.array([2]))[2], [0.5], atol=1e-14)
    assert rows.sensitivity(np.array([], dtype=int)).shape == (4, 0)
