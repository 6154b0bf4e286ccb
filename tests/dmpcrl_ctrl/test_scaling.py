"""Scaled programs have entries of one size, the same in any units, and the same solutions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from dmpcrl_ctrl.arrays import dense
from dmpcrl_ctrl.qp import QP, QPSolution, kkt_residuals
from dmpcrl_ctrl.scaling import equilibrate
from dmpcrl_ctrl.status import Status

PROGRAM = QP(
    np.diag([4e6, 1e-3, 0.0]),
    np.array([-8e6, 1.0, 2.0]),
    np.array([[1e5, 1.0, 0.0]]),
    np.array([3.0]),
    np.array([[0.0, 1.0, -1.0], [0.0, 0.0, 1e-4]]),
    np.array([-np.inf, 0.0]),
    np.array([1.0, np.inf]),
)


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
def test_every_row_and_column_of_the_conditions_has_a_largest_entry_near_one(matrix: type) -> None:
    program = replace(PROGRAM, H=matrix(PROGRAM.H), A=matrix(PROGRAM.A), C=matrix(PROGRAM.C))
    scaling = equilibrate(program)
    H, A, C = (np.abs(dense(M)) for M in (scaling.H, scaling.A, scaling.C))
    columns = np.vstack([H, A, C]).max(axis=0)
    rows = np.concatenate([A.max(axis=1), C.max(axis=1)])
    assert np.allclose(columns, 1.0, atol=0.1) and np.allclose(rows, 1.0, atol=0.1)


def test_a_solution_of_the_scaled_program_is_one_of_the_original() -> None:
    scaling = equilibrate(PROGRAM)
    scaled = scaling.scaled(PROGRAM)
    point = QPSolution(
        np.array([1.0, -2.0, 0.5]), np.array([0.3]), np.array([0.0, 0.2]), np.array([0.7, 0.0]), Status.OPTIMAL
    )
    original = scaling.original(point)
    assert scaling.cost * PROGRAM.objective(original.x) == pytest.approx(scaled.objective(point.x))

    def gradient(qp: QP, at: QPSolution) -> np.ndarray:
        return qp.H @ at.x + qp.g + qp.A.T @ at.equality_dual + qp.C.T @ (at.upper_dual - at.lower_dual)

    assert np.allclose(scaling.cost * scaling.variables * gradient(PROGRAM, original), gradient(scaled, point))
    assert np.allclose(scaling.equalities * (PROGRAM.A @ original.x - PROGRAM.b), scaled.A @ point.x - scaled.b)
    assert np.isfinite(kkt_residuals(scaled, point).worst)


@pytest.mark.parametrize("unit", [1e-9, 1e7])
def test_the_unit_of_the_cost_leaves_the_scaled_program(unit: float) -> None:
    other = replace(PROGRAM, H=PROGRAM.H * unit, g=PROGRAM.g * unit)
    first, second = equilibrate(PROGRAM), equilibrate(other)
    assert np.allclose(first.H, second.H, rtol=1e-6) and np.allclose(first.C, second.C, rtol=1e-6)
    assert np.allclose(first.scaled(PROGRAM).g, second.scaled(other).g, rtol=1e-6)


def test_empty_blocks_and_columns_without_an_entry_are_left_alone() -> None:
    empty = QP(np.zeros((2, 2)), np.ones(2), np.zeros((0, 2)), np.zeros(0), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    scaling = equilibrate(empty)
    assert scaling.variables.tolist() == [1.0, 1.0] and scaling.cost == 1.0


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
def test_units_serve_for_matrices_that_moved_a_little_and_are_given_up_after_much(matrix: type) -> None:
    program = replace(PROGRAM, H=matrix(PROGRAM.H), A=matrix(PROGRAM.A), C=matrix(PROGRAM.C))
    scaling = equilibrate(program)
    near = scaling.moved(replace(program, H=2.0 * program.H, A=0.7 * program.A))
    assert scaling.balanced and near.balanced
    assert np.allclose(near.variables, scaling.variables) and near.cost == scaling.cost
    moved, whole = near.H, np.diag(scaling.variables) @ (2.0 * PROGRAM.H) @ np.diag(scaling.variables) * scaling.cost
    assert np.allclose(dense(moved), whole)
    for name in ("H", "A", "C"):
        for factor in (1e-2, 1e2):
            assert not scaling.moved(replace(program, **{name: factor * getattr(program, name)})).balanced
