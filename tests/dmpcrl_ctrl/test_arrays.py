"""Arrays in the forms that others want, against scipy's own way there."""

import numpy as np
import pytest
from scipy import sparse

from dmpcrl_ctrl.arrays import by_columns


@pytest.mark.parametrize("shape", [(5, 4), (0, 3), (3, 0), (1, 1)])
def test_a_matrix_by_columns_is_what_scipy_makes_of_it(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=shape) * (rng.random(shape) < 0.5)
    for given in (matrix, np.asfortranarray(matrix), sparse.csc_array(matrix)):
        found, expected = by_columns(given), sparse.csc_matrix(matrix)
        assert found.shape == shape
        assert found.has_sorted_indices
        for name in ("data", "indices", "indptr"):
            assert np.array_equal(getattr(found, name), getattr(expected, name))
