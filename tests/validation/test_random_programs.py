"""A program's numbers follow from its ingredients."""

import numpy as np
import pytest
from scipy import sparse

from dmpcrl_ctrl.qp import kkt_residuals
from dmpcrl_ctrl.validation.random_programs import DEGENERATE_ROWS, REGULAR, random_program


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("rank", [0, 2, 4])
def test_the_solution_is_one(rank: int, is_sparse: bool) -> None:
    rows = REGULAR + DEGENERATE_ROWS
    for seed in range(5):
        case = random_program(4, rank, 2, rows, is_sparse, seed)
        assert kkt_residuals(case.qp, case.solution).worst < 1e-12
        assert case.strictly_convex == (rank == 4)
        assert sparse.issparse(case.qp.H) == is_sparse
        assert np.linalg.matrix_rank(case.qp.dense().H) == rank


def test_each_kind_of_row_is_what_it_says() -> None:
    case = random_program(3, 3, 0, ("inactive", "lower", "upper", "one_sided", "weak", "free"), False, 1)
    qp, at = case.qp, case.qp.C @ case.solution.x
    assert (at > qp.lower).tolist() == [True, False, True, True, False, True]
    assert (case.solution.lower_dual > 0.0).tolist() == [False, True, False, False, False, False]
    assert (case.solution.upper_dual > 0.0).tolist() == [False, False, True, False, False, False]
    assert np.isinf(qp.upper).tolist() == [False, False, False, True, False, True]


def test_the_seed_determines_the_numbers() -> None:
    one, two, other = (random_program(3, 3, 1, REGULAR, False, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.qp.H, two.qp.H) and not np.array_equal(one.qp.H, other.qp.H)
