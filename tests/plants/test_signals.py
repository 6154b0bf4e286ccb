"""Vectors, weights and limits by name; every misspelt name is met with the nearest one."""

from typing import Any

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.signals import limits, plant_name, prices, rates, signal_names, vector, weight

NAMES = ("dtheta_1", "domega_1")


def test_a_vector_is_full_or_by_name() -> None:
    np.testing.assert_array_equal(vector([1.0, 2.0], NAMES, "x"), [1.0, 2.0])
    np.testing.assert_array_equal(vector({"domega_1": 3.0}, NAMES, "x", default=9.0), [9.0, 3.0])
    np.testing.assert_array_equal(vector(None, NAMES, "x"), [0.0, 0.0])


def test_a_weight_is_a_matrix_a_diagonal_or_by_name() -> None:
    np.testing.assert_array_equal(weight(None, NAMES, "Q"), np.eye(2))
    np.testing.assert_array_equal(weight([1.0, 2.0], NAMES, "Q"), np.diag([1.0, 2.0]))
    np.testing.assert_array_equal(weight({"domega_1": 3.0}, NAMES, "Q"), np.diag([0.0, 3.0]))
    full = np.array([[2.0, 1.0], [1.0, 2.0]])
    np.testing.assert_array_equal(weight(full, NAMES, "Q"), full)
    assert weight(None, (), "Q").shape == weight(np.zeros((0, 0)), (), "Q").shape == (0, 0)


def test_a_price_may_be_one_for_all() -> None:
    np.testing.assert_array_equal(prices(4.0, NAMES, "w"), [4.0, 4.0])
    np.testing.assert_array_equal(prices({"dtheta_1": 4.0}, NAMES, "w"), [4.0, 0.0])


def test_what_has_no_limit_is_free() -> None:
    np.testing.assert_array_equal(limits({"domega_1": (-1.0, np.inf)}, NAMES, "x"), [[-np.inf, np.inf], [-1.0, np.inf]])
    np.testing.assert_array_equal(rates({"domega_1": 2.0}, NAMES, "r"), [np.inf, 2.0])
    assert not limits(None, NAMES, "x").flags.writeable


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (vector, [1.0], r"x has shape \(1,\), expected \(2,\) \(for dtheta_1, domega_1\)"),
        (vector, [1.0, np.nan], r"x\[1\] is nan"),
        (vector, {"dtheta1": 1.0}, "x: signal 'dtheta1' does not exist; did you mean 'dtheta_1'"),
        (weight, np.eye(3), r"x has shape \(3, 3\), expected \(2, 2\)"),
        (weight, [1.0, -1.0], "x of 'domega_1' must not be negative, got -1"),
        (weight, np.diag([1.0, -1.0]), "x of 'domega_1' must not be negative, got -1"),
        (weight, [[1.0, 2.0], [2.0, 1.0]], "x must be symmetric and positive semidefinite"),
        (weight, [[1.0, 1.0], [0.0, 1.0]], "x must be symmetric and positive semidefinite"),
        (prices, -1.0, "x of 'dtheta_1' must not be negative"),
        (limits, {"dtheta_1": (1.0, -1.0)}, r"x of 'dtheta_1' must be a pair \(low, high\).*got \(1.0, -1.0\)"),
        (limits, {"dtheta_1": (np.nan, 1.0)}, "must be a pair"),
        (limits, {"dtheta_1": 3.0}, "must be a pair"),
        (limits, {"dtheta_1": (np.inf, np.inf)}, "must be a pair"),
        (limits, {"omega_1": (0.0, 1.0)}, "x: signal 'omega_1' does not exist; did you mean 'domega_1'"),
        (rates, {"dtheta_1": 0.0}, "x of 'dtheta_1' must be positive, got 0.0"),
        (rates, {"dtheta_1": np.nan}, "x of 'dtheta_1' must be positive, got nan"),
    ],
)
def test_bad_input_is_refused_by_name(read: Any, value: Any, message: str) -> None:
    with pytest.raises(PlantError, match=message):
        read(value, NAMES, "x")


def test_a_plant_is_named_by_its_system_unless_that_is_a_number() -> None:
    def system(**name: str) -> ct.StateSpace:
        return ct.ss([[0.0]], [[1.0]], [[1.0]], 0, **name)

    assert plant_name(system(), None) == "plant"
    assert plant_name(system(name="cart"), None) == "cart"
    assert plant_name(system(name="cart"), "wagon") == "wagon"
    for name in ("", "a/b", "a.b"):
        with pytest.raises(PlantError, match="must not be empty or contain"):
            plant_name(system(), name)


def test_a_doubled_name_is_found_though_the_system_hides_it() -> None:
    system = ct.ss(np.zeros((2, 2)), np.ones((2, 1)), np.eye(2), 0, states=["a", "a"])
    with pytest.raises(PlantError, match="p: 2 states need as many different names, got a"):
        signal_names(system, "p")
    both = ct.ss([[0.0]], [[1.0]], [[1.0]], 0, states=["a"], inputs=["a"])
    with pytest.raises(PlantError, match="p: 'a' names both a state and an input"):
        signal_names(both, "p")


def test_default_names_are_kept() -> None:
    system = ct.ss([[0.0]], [[1.0]], [[1.0]], 0)
    assert signal_names(system, "p") == (("x[0]",), ("u[0]",), ("y[0]",))
