"""Anderson acceleration on affine maps, where it is GMRES, with inner products summed over agents."""

import numpy as np
import pytest

from dmpcrl_ctrl.anderson import Residuals

Array = np.ndarray


def summed(scalars: Array) -> Array:
    return np.asarray(scalars.sum(axis=0))


def split(vector: Array) -> tuple[Array, ...]:
    """Two agents share the vector."""
    return vector[:2], vector[2:]


def accelerated(M: Array, c: Array, count: int, capacity: int) -> list[Array]:
    """Points of v <- M v + c, accelerated, from zero."""
    v, residuals, images = np.zeros(len(c)), Residuals(capacity), list[Array]()
    points = [v]
    for _ in range(count):
        image = M @ v + c
        residuals = residuals.with_newest(split(image - v), summed)
        images = [*images, image][-capacity:]
        v = np.tensordot(residuals.mixture(), images, axes=1)
        points.append(v)
    return points


@pytest.mark.parametrize("seed", range(5))
def test_an_affine_map_of_five_dimensions_is_solved_in_six_iterations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    M, c = 0.4 * rng.normal(size=(5, 5)), rng.normal(size=5)
    points = accelerated(M, c, 7, 8)
    assert np.allclose(points[6], np.linalg.solve(np.eye(5) - M, c), atol=1e-6 * np.abs(points[6]).max())


def test_the_mixture_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(3)
    vectors = [10.0**-k * rng.normal(size=7) for k in range(4)]
    residuals = Residuals(4)
    for vector in vectors:
        residuals = residuals.with_newest(split(vector), summed)
    shares = residuals.mixture()
    # min |r_K + sum_j theta_j (r_j - r_K)|, without a constraint
    differences = np.stack([vector - vectors[-1] for vector in vectors[:-1]], axis=1)
    theta = np.linalg.lstsq(differences, -vectors[-1])[0]
    assert np.allclose(shares, [*theta, 1.0 - theta.sum()], rtol=1e-6)
    assert shares.sum() == pytest.approx(1.0)


def test_the_oldest_is_forgotten_and_inner_products_stay_right() -> None:
    rng = np.random.default_rng(0)
    vectors, residuals = list(rng.normal(size=(6, 5))), Residuals(3)
    for vector in vectors:
        residuals = residuals.with_newest(split(vector), summed)
    kept = np.stack(vectors[-3:])
    assert np.allclose(residuals.gram, kept @ kept.T)
    assert residuals.size == pytest.approx(np.linalg.norm(vectors[-1]))


def test_only_as_many_scalars_are_summed_as_residuals_are_kept() -> None:
    shapes = []

    def noted(scalars: Array) -> Array:
        shapes.append(scalars.shape)
        return summed(scalars)

    residuals = Residuals(3)
    for vector in np.random.default_rng(1).normal(size=(5, 5)):
        residuals = residuals.with_newest(split(vector), noted)
    assert shapes == [(2, 1), (2, 2), (2, 3), (2, 3), (2, 3)]


def test_equal_residuals_and_a_fixed_point_give_finite_shares() -> None:
    residuals = Residuals(3)
    for vector in (np.ones(4), np.ones(4)):
        residuals = residuals.with_newest(split(vector), summed)
    assert np.isfinite(residuals.mixture()).all()
    assert residuals.mixture().sum() == pytest.approx(1.0)
    assert residuals.with_newest(split(np.zeros(4)), summed).mixture().tolist() == [0.0, 0.0, 1.0]
