"""Parts: their maps against the formulas written out, their pullbacks against differences that are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.parts import Field, Fields, Free, Part, SemidefiniteFactor, Shared, label, path

seeds = st.integers(0, 2**32 - 1)


def some_fields(rng: np.random.Generator) -> dict[Field, Array]:
    root = rng.normal(size=(3, 3))
    return {
        "A": rng.normal(size=(3, 3)),
        ("A_ij", 2): rng.normal(size=(3, 2)),
        "b": rng.normal(size=3),
        "V0": np.asarray(rng.normal()),
        "Q": root @ root.T + np.eye(3),
    }


def parts(rng: np.random.Generator) -> list[Part]:
    return [
        Free("A"),
        Free("V0"),
        Free(("A_ij", 2), mask=rng.random((3, 2)) < 0.5),
        Shared("scalar", {"A": rng.normal(size=(3, 3)), "V0": 2.0, ("A_ij", 2): rng.normal(size=(3, 2))}),
        Shared("matrix", {"b": rng.normal(size=(2, 2, 3)), "A": rng.normal(size=(2, 2, 3, 3))}, np.ones((2, 2))),
        SemidefiniteFactor("Q", floor=0.5),
        SemidefiniteFactor("Q", triangular=False),
    ]


def product(gradient: Fields, fields: Fields) -> float:
    return float(sum(np.sum(gradient[f] * fields[f]) for f in gradient))


@given(seeds, st.integers(0, 6))
def test_the_pullback_is_the_adjoint_of_the_derivative(seed: int, which: int) -> None:
    rng = np.random.default_rng(seed)
    base, part = some_fields(rng), parts(rng)[which]
    moved, theta = part.moved(base), part.initial(base)
    gradient = {f: mask * rng.normal(size=mask.shape) for f, mask in moved.items()}
    theta = {name: start + rng.normal(size=start.shape) for name, start in theta.items()}
    pulled = part.pullback(theta, gradient)
    assert {name: array.shape for name, array in pulled.items()} == {name: a.shape for name, a in theta.items()}
    for name, start in theta.items():
        for at in np.ndindex(start.shape):
            unit = np.zeros(start.shape)
            unit[at] = 1.0
            # The maps are polynomials of degree two at most: central differences have no error of truncation.
            there, back = (part.applied(base, theta | {name: start + sign * unit}) for sign in (1.0, -1.0))
            slope = (product(gradient, there) - product(gradient, back)) / 2.0
            np.testing.assert_allclose(pulled[name][at], slope, rtol=1e-11, atol=1e-11)


@given(seeds, st.integers(0, 6))
def test_at_its_initial_theta_a_part_changes_nothing_and_elsewhere_what_it_says(seed: int, which: int) -> None:
    rng = np.random.default_rng(seed)
    base, part = some_fields(rng), parts(rng)[which]
    theta = part.initial(base)
    moved, there = part.moved(base), part.applied(base, theta)
    away = part.applied(base, {name: start + 1.0 for name, start in theta.items()})
    assert moved.keys() == there.keys() == away.keys()
    for field, mask in moved.items():
        np.testing.assert_allclose(there[field], base[field], rtol=1e-14, atol=1e-14)
        np.testing.assert_array_equal(away[field][~mask], base[field][~mask])


def test_free_entries_stand_in_theta_row_by_row() -> None:
    base: dict[Field, Array] = {"A": np.arange(4.0).reshape(2, 2)}
    part = Free("A", mask=np.array([[False, True], [True, False]]))
    np.testing.assert_array_equal(part.initial(base)["A"], [1.0, 2.0])
    np.testing.assert_array_equal(part.applied(base, {"A": np.array([5.0, 6.0])})["A"], [[0.0, 5.0], [6.0, 3.0]])
    np.testing.assert_array_equal(base["A"], [[0.0, 1.0], [2.0, 3.0]])


def test_a_shared_parameter_adds_its_basis() -> None:
    base: dict[Field, Array] = {"A": np.eye(2), "b": np.zeros(2)}
    part = Shared("p", {"A": [[0.0, 2.0], [0.0, 0.0]], "b": [1.0, -1.0]}, start=3.0)
    there = part.applied(base, {"p": np.asarray(3.5)})
    np.testing.assert_array_equal(there["A"], [[1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(there["b"], [0.5, -0.5])


@pytest.mark.parametrize(
    "W",
    [
        np.diag([500.0, 0.1, 0.1, 10.0]),
        np.diag([1e8, 1e-8, 1.0]),
        np.diag([1.0, 0.0, 2.0]),
        np.ones((3, 3)),
        np.zeros((2, 2)),
        np.zeros((0, 0)),
    ],
    ids=["power", "scales", "singular", "rank one", "zero", "empty"],
)
@pytest.mark.parametrize("triangular", [True, False])
def test_every_semidefinite_weight_has_a_factor(W: Array, triangular: bool) -> None:
    part = SemidefiniteFactor("Q", triangular=triangular)
    theta = part.initial({"Q": W})
    L = theta["Q/factor"]
    np.testing.assert_array_equal(L, np.tril(L))
    assert (np.diag(L) >= 0.0).all()
    np.testing.assert_allclose(part.applied({"Q": W}, theta)["Q"], W, rtol=4e-15, atol=1e-15)


@given(seeds, st.floats(0.0, 2.0), st.booleans())
def test_a_factor_keeps_a_weight_above_its_floor(seed: int, floor: float, triangular: bool) -> None:
    rng = np.random.default_rng(seed)
    part = SemidefiniteFactor("R", floor, triangular, name="R_half")
    R = part.applied({"R": np.eye(4)}, {"R_half": rng.normal(size=(4, 4))})["R"]
    np.testing.assert_array_equal(R, R.T)
    assert np.linalg.eigvalsh(R)[0] >= floor - 1e-13 * np.abs(R).max()


def test_names_in_messages_and_in_logs() -> None:
    assert (label("A", (0, 1)), label(("A_ij", 2)), label(("A_ij", 2), (1, 0))) == (
        "A[0, 1]",
        "A_ij[2]",
        "A_ij[2][1, 0]",
    )
    assert (path("V0"), path(("G_ij", 0))) == ("V0", "G_ij/0")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Free("a"), "field 'a' does not exist; did you mean 'A'|there are A"),
        (Free("x_setpiont"), "field 'x_setpiont' does not exist; there are A, A_ij"),
        (Free(("A_ij", 1)), r"there is no block A_ij\[1\]; give the model one, of zeros if need be, and declare"),
        (Free("A", mask=np.ones((2, 2), dtype=bool)), r"mask of A must be booleans of shape \(3, 3\), got bool of"),
        (Free("upper"), r"upper\[1\] = inf cannot be free; leave it out by a mask"),
        (Shared("p", {"B": np.ones((3, 1))}), "field 'B' does not exist"),
        (Shared("p", {"A": np.ones((3, 3))}, [0.0, 0.0]), r"basis of p in A has shape \(3, 3\), expected \(2, 3, 3\)"),
        (SemidefiniteFactor("P"), "field 'P' does not exist"),
    ],
)
def test_what_does_not_fit_the_fields_is_refused(part: Part, message: str) -> None:
    base = some_fields(np.random.default_rng(0)) | {"upper": np.array([1.0, np.inf])}
    with pytest.raises(ModelError, match=message):
        part.moved(base)


def test_what_cannot_be_a_part_is_refused() -> None:
    with pytest.raises(ModelError, match=r"basis of p in A_ij\[1\]\[0\] is nan"):
        Shared("p", {("A_ij", 1): [np.nan]})
    with pytest.raises(ModelError, match="only a weight \\(Q, R, P, Q_c\\) has a factor, got 'A'"):
        SemidefiniteFactor("A")
    with pytest.raises(ModelError, match="floor of Q must be finite and not negative, got -1"):
        SemidefiniteFactor("Q", floor=-1.0)
    with pytest.raises(ModelError, match="Q has an eigenvalue 1 below its floor 2; lower the floor"):
        SemidefiniteFactor("Q", floor=2.0).initial({"Q": np.diag([1.0, 3.0])})
