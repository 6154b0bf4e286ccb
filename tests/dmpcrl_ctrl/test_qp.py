"""Residuals are zero at known solutions and see every fault; a substitution changes no value and no multiplier."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.qp import (
    QP,
    QPSolution,
    kkt_residuals,
    require_matrices,
    require_shapes,
    require_valid,
    substitution,
)
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.status import Status

# min 1/2 |x|^2 - x_0 - 2 x_1 subject to x_0 + x_1 + x_2 = 1, x_1 <= 0.5, solved by hand:
# x = (0.25, 0.5, 0.25) + ..., stationarity x_0 - 1 + lambda = 0, x_1 - 2 + lambda + mu = 0, x_2 + lambda = 0
BY_HAND = QP(
    np.eye(3),
    np.array([-1.0, -2.0, 0.0]),
    np.ones((1, 3)),
    np.array([1.0]),
    np.array([[0.0, 1.0, 0.0]]),
    np.array([-np.inf]),
    np.array([0.5]),
)
SOLUTION = QPSolution(np.array([0.75, 0.5, -0.25]), np.array([0.25]), np.array([0.0]), np.array([1.25]), Status.OPTIMAL)


def test_residuals_vanish_at_a_solution_found_by_hand() -> None:
    assert kkt_residuals(BY_HAND, SOLUTION).worst < 1e-15
    assert BY_HAND.objective(SOLUTION.x) == pytest.approx(0.5 * 0.875 - 0.75 - 1.0)


@pytest.mark.parametrize(
    ("fault", "residual"),
    [
        ({"equality_dual": np.array([0.3])}, "stationarity"),
        ({"x": np.array([0.75, 0.6, -0.35])}, "feasibility"),
        ({"upper_dual": np.array([-1.25])}, "sign"),
        ({"lower_dual": np.array([1.0]), "upper_dual": np.array([2.25])}, "sign"),
        ({"x": np.array([0.75, 0.4, -0.15])}, "complementarity"),
    ],
)
def test_each_fault_shows_in_its_residual(fault: dict[str, Any], residual: str) -> None:
    assert getattr(kkt_residuals(BY_HAND, replace(SOLUTION, **fault)), residual) > 1e-2


def test_a_nan_counts_as_infinitely_wrong() -> None:
    assert kkt_residuals(BY_HAND, replace(SOLUTION, x=np.full(3, np.nan))).worst == np.inf


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
def test_substituting_the_optimal_value_of_a_variable_leaves_value_and_multipliers(matrix: Any) -> None:
    H, A, C = (matrix(M) for M in (BY_HAND.H, BY_HAND.A, BY_HAND.C))
    cut = substitution(H, A, C, np.array([0]), np.array([0]))
    rest = cut.remaining(replace(BY_HAND, H=H, A=A, C=C), np.array([0.75]))
    solution = CheckedSolver("piqp").solve(rest)
    assert np.allclose(cut.full(solution.x, np.array([0.75])), SOLUTION.x, atol=1e-12)
    assert np.allclose(solution.equality_dual, SOLUTION.equality_dual, atol=1e-12)
    assert np.allclose(solution.upper_dual, SOLUTION.upper_dual, atol=1e-12)
    assert rest.objective(solution.x) == pytest.approx(BY_HAND.objective(SOLUTION.x), abs=1e-13)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"g": np.array([np.nan, 0, 0])}, "g holds a number that is not finite"),
        ({"b": np.array([np.inf])}, "b holds"),
        ({"upper": np.array([np.nan])}, "bound of the program is NaN"),
        ({"lower": np.array([1.0])}, "row 0 cross: lower 1 exceeds upper 0.5"),
        ({"upper": np.array([-np.inf])}, "row 0 lies between -inf and -inf"),
        ({"lower": np.array([np.inf]), "upper": np.array([np.inf])}, "row 0 lies between inf and inf"),
    ],
)
def test_what_solvers_would_answer_wrongly_is_refused(fault: dict[str, Any], message: str) -> None:
    with pytest.raises(SolverError, match=message):
        require_valid(replace(BY_HAND, **fault))


@pytest.mark.parametrize("name", ["H", "A", "C", "upper"])
def test_a_part_that_does_not_fit_is_named(name: str) -> None:
    require_shapes(BY_HAND)
    doubled: dict[str, Any] = {name: np.concatenate([getattr(BY_HAND, name)] * 2)}
    with pytest.raises(SolverError, match=f"program's {name} has shape"):
        require_shapes(replace(BY_HAND, **doubled))


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("name", ["H", "A", "C"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_matrix_that_is_not_finite_is_refused(matrix: Any, name: str, value: float) -> None:
    array = np.array(getattr(BY_HAND, name))
    array[0, 1] = value
    parts = {each: matrix(array if each == name else getattr(BY_HAND, each)) for each in ("H", "A", "C")}
    with pytest.raises(SolverError, match=f"{name} holds a number that is not finite"):
        require_matrices(replace(BY_HAND, **parts))


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
def test_a_hessian_must_be_symmetric_but_for_rounding(matrix: Any) -> None:
    H = np.eye(3)
    H[0, 1] = 1e-12
    require_matrices(replace(BY_HAND, H=matrix(H)))
    H[0, 1] = 1e-3
    with pytest.raises(SolverError, match=r"not symmetric: it differs from its transpose by 0\.001"):
        require_matrices(replace(BY_HAND, H=matrix(H)))


@pytest.mark.parametrize("far", [1e3, 1e8, 1e12, 1e14, 1e20])
def test_a_bound_far_away_hides_no_violation(far: float) -> None:
    """|x - 1|^2, x_0 <= 0.5 and |x_1| <= far: the point that was optimal without the first bound is not any more."""
    none, eye = np.zeros(0), np.eye(2)
    low, high = np.array([-np.inf, -far]), np.array([0.5, far])
    program = QP(2.0 * eye, np.full(2, -2.0), np.zeros((0, 2)), none, eye, low, high)
    wrong = QPSolution(np.ones(2), none, np.zeros(2), np.zeros(2), Status.OPTIMAL)
    assert kkt_residuals(program, wrong).feasibility > 0.1
    solver = CheckedSolver()
    assert solver.solve(replace(program, upper=np.array([2.0, far]))).x == pytest.approx([1.0, 1.0])
    assert solver.solve(program).x == pytest.approx([0.5, 1.0])


def test_large_multipliers_that_cancel_explain_no_large_residual() -> None:
    """x >= 0 and x <= 1: multipliers of 1e14 and their rounding leave the derivative 0.01 short."""
    none = np.zeros(0)
    program = QP(np.zeros((1, 1)), np.ones(1), np.zeros((0, 1)), none, np.ones((1, 1)), np.zeros(1), np.ones(1))
    point = QPSolution(np.zeros(1), none, np.array([1e14]), np.array([1e14 - 2.0]), Status.OPTIMAL)
    found = kkt_residuals(program, point)
    assert found.stationarity > 0.0
    assert found.worst > 1e-3
