"""Projections end in the set, leave what is in it, and go to its nearest point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmpcrl_ctrl.projection import at_least, projected, semidefinite, within


@given(st.integers(0, 10_000), st.floats(0.0, 2.0))
def test_the_nearest_semidefinite_matrix_is_nearer_than_any_other(seed: int, floor: float) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 3))
    weight = weight + weight.T
    nearest = semidefinite(floor)(weight)
    assert np.linalg.eigvalsh(nearest)[0] >= floor - 1e-12
    assert np.array_equal(nearest, nearest.T)
    root = rng.normal(size=(3, 3))
    other = root @ root.T + floor * np.eye(3)
    # the angle at a projection onto a convex set is not acute
    assert np.sum((weight - nearest) * (other - nearest)) <= 1e-9


def test_what_is_in_the_set_stays() -> None:
    weight = np.diag([1.0, 2.0])
    assert np.array_equal(semidefinite()(weight), weight)
    assert within(-1.0, 2.0)(np.array([-1.0, 0.5, 2.0])).tolist() == [-1.0, 0.5, 2.0]


def test_sets_go_by_the_name_or_what_stands_before_the_slash() -> None:
    theta = {"P_ij/area_2": np.array(-1.0), "P_ij/area_3": np.array(3.0), "b": np.array([-5.0]), "f": np.array([-5.0])}
    found = projected(theta, {"P_ij": at_least(0.1), "P_ij/area_3": at_least(4.0), "b": within(-2.0, 2.0)})
    assert {name: value.tolist() for name, value in found.items()} == {
        "P_ij/area_2": 0.1,
        "P_ij/area_3": 4.0,
        "b": [-2.0],
        "f": [-5.0],
    }


@pytest.mark.parametrize("floor", [0.0, 0.5])
def test_an_indefinite_weight_loses_its_negative_part_only(floor: float) -> None:
    assert semidefinite(floor)(np.diag([3.0, -1.0])) == pytest.approx(np.diag([3.0, floor]))
