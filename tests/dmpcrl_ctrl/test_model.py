"""A local model refuses every shape, number and order that does not fit, and names it."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel

VALID: dict[str, Any] = {
    "A": np.eye(2),
    "B": np.ones((2, 1)),
    "Q": np.eye(2),
    "R": np.eye(1),
    "A_ij": {1: np.ones((2, 3))},
    "E": np.ones((2, 1)),
    "b": np.zeros(2),
    "P": np.eye(2),
    "f": np.zeros(3),
    "C": np.eye(2),
    "C_ij": {1: np.ones((2, 3))},
    "lower": [-1.0, -np.inf],
    "upper": [1.0, np.inf],
    "x_lb": np.zeros(2),
    "x_ub": np.zeros(2),
    "slack_weight": [10.0, np.inf],
    "slack_quadratic": np.zeros(2),
    "u_min": [-1.0],
    "u_max": [1.0],
    "du_max": [0.5],
    "x_setpoint": np.zeros(2),
    "u_setpoint": np.zeros(1),
    "G": np.ones((1, 2)),
    "G_ij": {1: np.ones((1, 3))},
    "Q_c": np.eye(1),
}


def test_the_valid_model_is_accepted_and_read_only() -> None:
    model = LocalModel(**VALID)
    assert (model.n, model.m, model.d) == (2, 1, 1)
    assert model.soft.tolist() == [True, False]
    with pytest.raises(ValueError, match="read-only"):
        model.A[0, 0] = 2.0


@pytest.mark.parametrize("name", [key for key in VALID if not key.endswith("_ij")])
def test_each_shape_varied_alone_is_named(name: str) -> None:
    grown = np.pad(np.asarray(VALID[name], dtype=float), [(0, 2)] * np.ndim(VALID[name]))
    with pytest.raises(ModelError, match="has shape"):
        LocalModel(**{**VALID, name: grown})


@pytest.mark.parametrize("name", ["A", "B", "Q", "R", "E", "b", "P", "f", "C", "x_lb", "x_setpoint", "G", "Q_c"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_named_with_its_place(name: str, bad: float) -> None:
    spoilt = np.array(VALID[name], dtype=float)
    spoilt.flat[0] = bad
    with pytest.raises(ModelError, match=rf"^{name}\[0\].*(nan|inf), expected a finite number"):
        LocalModel(**{**VALID, name: spoilt})


@pytest.mark.parametrize("name", ["lower", "upper", "u_min", "du_max", "slack_weight"])
def test_bounds_may_be_infinite_but_not_nan(name: str) -> None:
    spoilt = np.full(np.shape(VALID[name]), np.nan)
    with pytest.raises(ModelError, match=rf"^{name}\[0\] is nan"):
        LocalModel(**{**VALID, name: spoilt})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Q": [[1.0, 0.0], [0.5, 1.0]]}, "Q must be symmetric"),
        ({"R": [[-1.0]]}, "R must be positive semidefinite"),
        ({"Q_c": [[-1.0]]}, "Q_c must be positive semidefinite"),
        ({"u_min": [2.0]}, r"u_min\[0\] = 2 exceeds u_max\[0\] = 1"),
        ({"lower": [0.0, 2.0], "upper": [0.0, 1.0]}, r"lower \+ x_lb\[1\] = 2 exceeds"),
        ({"du_max": [-1.0]}, r"du_max\[0\] = -1 must not be negative"),
        ({"slack_weight": [-1.0, 1.0]}, r"slack_weight\[0\] = -1"),
        ({"A": np.eye(2) * 1j}, "complex"),
        ({"A": "abc"}, "A must be a matrix"),
    ],
)
def test_values_out_of_range_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        LocalModel(**{**VALID, **changes})


def test_only_columns_that_are_nonzero_or_declared_couple() -> None:
    coupling = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    model = LocalModel(
        np.eye(2), np.ones((2, 1)), np.eye(2), np.eye(1), A_ij={1: coupling}, declared={1: (2,), 3: (0,)}
    )
    assert model.coupled_columns(1) == (1, 2)
    assert model.coupled_columns(3) == (0,)
    assert model.neighbours == (1, 3)


MOVED: dict[Any, Any] = {
    "A": [[0.5, 0.1], [0.0, 0.9]],
    "Q": np.diag([2.0, 3.0]),
    "V0": 4.0,
    "upper": [2.0, np.inf],
    ("A_ij", 1): np.full((2, 3), 0.2),
    ("G_ij", 1): np.full((1, 3), 0.3),
}


def test_a_moved_model_is_the_one_built_anew() -> None:
    model = LocalModel(**VALID)
    moved = model.moved(MOVED)
    plain = {name: value for name, value in MOVED.items() if isinstance(name, str)}
    anew = LocalModel(**{**VALID, **plain, "A_ij": {1: MOVED["A_ij", 1]}, "G_ij": {1: MOVED["G_ij", 1]}})
    for name in (field.name for field in fields(LocalModel)):
        mine, theirs, before = (getattr(m, name) for m in (moved, anew, LocalModel(**VALID)))
        for one, other in zip(_numbers(mine), _numbers(theirs), strict=True):
            assert np.array_equal(one, other), name
        for one, other in zip(_numbers(getattr(model, name)), _numbers(before), strict=True):
            assert np.array_equal(one, other), f"{name} of the model that was moved"
    with pytest.raises(ValueError, match="read-only"):
        moved.A[0, 0] = 2.0


def _numbers(value: Any) -> list[Any]:
    return [item for pair in sorted(value.items()) for item in pair] if isinstance(value, dict) else [value]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"A": np.eye(3)}, r"A has shape \(3, 3\), expected \(2, 2\)"),
        ({"b": [np.nan, 0.0]}, r"b\[0\] is nan"),
        ({"Q": -np.eye(2)}, "Q must be positive semidefinite"),
        ({"u_min": [2.0]}, r"u_min\[0\] = 2 exceeds u_max\[0\] = 1"),
        ({("A_ij", 1): np.ones((2, 2))}, r"A_ij\[1\] has shape"),
        ({("A_ij", 2): np.ones((2, 3))}, r"no block A_ij\[2\]"),
        ({"A_ij": np.ones((2, 3))}, "no array 'A_ij'"),
        ({("A", 0): np.eye(2)}, r"no block A\[0\]"),
        ({"declared": 1.0}, "no array 'declared'"),
    ],
)
def test_a_model_is_moved_to_what_it_may_be_only(changes: dict[Any, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        LocalModel(**VALID).moved(changes)
