"""Solvers behind qpsolvers: found by name, signs of multipliers, shapes of a failure."""

import numpy as np
import pytest

from dmpcrl_ctrl.backends import Backend, failed
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.qp import QP
from dmpcrl_ctrl.status import Status

# min 1/2 (x - 3)^2 + 1/2 (y + 3)^2 with -1 <= x, y <= 1 and z = 5: multipliers 2 at the upper, 2 at the lower bound
BOX = QP(
    np.eye(3),
    np.array([-3.0, 3.0, 0.0]),
    np.array([[0.0, 0.0, 1.0]]),
    np.array([5.0]),
    np.eye(3)[:2],
    np.array([-1.0, -1.0]),
    np.array([1.0, 1.0]),
)


@pytest.mark.parametrize("name", ["piqp", "daqp", "clarabel"])
def test_multipliers_have_the_signs_of_the_lagrangian(name: str) -> None:
    solution = Backend(name).solve(BOX)
    assert np.allclose(solution.x, [1.0, -1.0, 5.0], atol=1e-6)
    assert np.allclose(solution.upper_dual, [2.0, 0.0], atol=1e-5)
    assert np.allclose(solution.lower_dual, [0.0, 2.0], atol=1e-5)
    assert np.allclose(solution.equality_dual, [-5.0], atol=1e-5)


def test_a_missing_solver_is_named_with_those_that_are_here() -> None:
    with pytest.raises(SolverError, match='solver "gurobi_x" is not installed; here are .*daqp'):
        Backend("gurobi_x")


def test_a_failed_solution_has_the_shapes_of_the_program() -> None:
    nothing = failed(BOX)
    assert nothing.status is Status.SOLVER_FAILED
    assert nothing.x.shape == (3,) and nothing.equality_dual.shape == (1,) and nothing.lower_dual.shape == (2,)
    assert np.isnan(nothing.x).all()
