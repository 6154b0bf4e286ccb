"""Arrays in the forms that others want, against scipy's own way there."""

import numpy as np
import pytest
from scipy import sparse

from dmpcrl_ctrl.arrays import BlockSum, by_columns, dense, frozen, is_frozen, same


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


@pytest.mark.parametrize("small", [True, False])
def test_a_sum_of_blocks_is_the_sum_entry_by_entry(small: bool) -> None:
    rng = np.random.default_rng(1)
    total, expected = BlockSum((7, 9), small), np.zeros((7, 9))
    # a block a stage, one block at all stages, and a whole matrix at places in any order; they overlap
    rows, columns = np.array([[0, 1], [3, 2], [5, 6]]), np.array([[8, 1, 2], [0, 4, 3], [5, 6, 7]])
    for blocks in (rng.normal(size=(3, 2, 3)), rng.normal(size=(2, 3))):
        total.add(rows, columns, blocks)
        for k in range(3):
            expected[np.ix_(rows[k], columns[k])] += np.broadcast_to(blocks, (3, 2, 3))[k]
    whole = rng.normal(size=(3, 4)) * (rng.random((3, 4)) < 0.5)
    for matrix in (whole, sparse.csc_array(whole)):
        total.put(matrix, np.array([4, 0, 6]), np.array([2, 8, 0, 3]))
        expected[np.ix_([4, 0, 6], [2, 8, 0, 3])] += whole
    found = total.matrix()
    assert isinstance(found, np.ndarray) == small
    np.testing.assert_allclose(dense(found), expected, rtol=0.0, atol=1e-15)


@pytest.mark.parametrize("small", [True, False])
def test_a_sum_of_nothing_is_zero(small: bool) -> None:
    assert not dense(BlockSum((2, 0), small).matrix()).size
    assert not dense(BlockSum((2, 3), small).matrix()).any()


def test_what_is_frozen_cannot_be_changed_by_any_way() -> None:
    for matrix in (np.eye(3), sparse.csc_array(np.eye(3))):
        assert not is_frozen(matrix)
        assert is_frozen(frozen(matrix))
        with pytest.raises(ValueError, match="read-only"):
            (matrix if isinstance(matrix, np.ndarray) else matrix.data)[0] = 2.0
    behind = np.eye(3)
    view = behind[:2]
    view.flags.writeable = False
    # whoever has what it is a view of can change it
    assert not is_frozen(view)


def test_matrices_are_the_same_by_form_and_by_value() -> None:
    one, other = np.eye(3), np.eye(3)
    assert same(one, other) and same(sparse.csc_array(one), sparse.csc_array(other))
    assert not same(one, sparse.csc_array(other)) and not same(one, np.eye(4))
    other[0, 1] = 1e-300
    assert not same(one, other) and not same(sparse.csc_array(one), sparse.csc_array(other))
