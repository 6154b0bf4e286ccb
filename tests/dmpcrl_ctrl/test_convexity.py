"""A Hessian is called convex exactly where its eigenvalues say so, dense or sparse, in any units, rounding aside."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from dmpcrl_ctrl.convexity import convex


@given(
    st.integers(1, 6),
    st.integers(0, 6),
    st.floats(-9.0, 9.0),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1e-4, 1.0]),
)
def test_convexity_is_that_of_the_eigenvalues(size: int, rank: int, unit: float, seed: int, bend: float) -> None:
    """A Gram matrix of any rank, one variable in other units; then bent downwards along one direction."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, rank))
    H = root @ root.T
    d = rng.normal(size=size)
    d /= np.linalg.norm(d)
    H -= (bend > 0.0) * (d @ H @ d + bend * max(1.0, np.abs(H).max())) * np.outer(d, d)
    units = np.ones(size)
    units[0] = 10.0**unit
    scaled = H * units * units[:, None] if bend == 0.0 else H
    for matrix in (np.asarray, sparse.csc_array):
        assert convex(matrix(scaled)) is (bend == 0.0)


def test_what_is_flat_to_rounding_is_convex() -> None:
    """What is left of a weight whose negative eigenvalues were cut off."""
    rng = np.random.default_rng(7)
    for _ in range(100):
        values, vectors = np.linalg.eigh(np.diag([500.0, 0.01, 0.01, 10.0]) + sum((M := rng.normal(size=(4, 4)), M.T)))
        assert convex((vectors * np.maximum(values, 0.0)) @ vectors.T)


def test_the_zero_matrix_and_the_empty_one_are_convex() -> None:
    for size in (0, 3):
        assert convex(np.zeros((size, size))) and convex(sparse.csc_array((size, size)))
