"""Parametrizations: round trips, pullbacks against differences of the model itself, and what is refused."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parametrization import Parametrization, fields_of
from dmpcrl_ctrl.parts import Free, Part, SemidefiniteFactor, Shared
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.strategies import mpc_problems

COUPLINGS = ("A_ij", "C_ij", "G_ij")


def everything_free(model: LocalModel) -> list[Part]:
    """Every finite entry of a model, weights by their factors."""
    parts: list[Part] = []
    for field, array in fields_of(model).items():
        if field in ("Q", "R", "P", "Q_c"):
            parts.append(SemidefiniteFactor(str(field)))
        else:
            parts.append(Free(field, mask=None if np.isfinite(array).all() else np.isfinite(array)))
    return parts


def random_gradient(model: LocalModel, rng: np.random.Generator) -> dict[str, Any]:
    """Numbers of the shapes that a gradient has, for all keys that it has."""
    gradient: dict[str, Any] = {name: {} for name in COUPLINGS}
    for field, array in fields_of(model).items():
        if isinstance(field, str):
            gradient[field] = rng.normal(size=array.shape)
        else:
            gradient[field[0]][field[1]] = rng.normal(size=array.shape)
    return gradient | {"V0": 1.0, "state": rng.normal(size=model.n)}


def product(gradient: Mapping[str, Any], model: LocalModel) -> float:
    """<gradient, model> over the finite entries."""
    total = 0.0
    for field, array in fields_of(model).items():
        by = gradient[field] if isinstance(field, str) else gradient[field[0]][field[1]]
        total += float(np.sum(np.where(np.isfinite(array), by * np.nan_to_num(array, posinf=0.0, neginf=0.0), 0.0)))
    return total


def assert_same(one: LocalModel, other: LocalModel, rtol: float = 0.0) -> None:
    assert (one.terminal_equality, one.declared) == (other.terminal_equality, other.declared)
    ours, theirs = fields_of(one), fields_of(other)
    assert ours.keys() == theirs.keys()
    for field, array in ours.items():
        scale = np.abs(array[np.isfinite(array)]).max(initial=0.0)
        np.testing.assert_allclose(array, theirs[field], rtol=rtol, atol=rtol * scale)


@given(mpc_problems(max_agents=3), st.integers(0, 2**32 - 1))
def test_everything_free(case: tuple[MPCProblem, Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    for model in case[0].models:
        learned = Parametrization(model, everything_free(model))
        theta = learned.initial
        assert_same(learned.model(theta), model, rtol=1e-14)
        gradient = random_gradient(model, rng)
        pulled = learned.pullback(theta, gradient)
        assert {n: a.shape for n, a in pulled.items()} == {n: a.shape for n, a in theta.items()}
        # A step is short beside the distance between bounds. Prices and rate limits, which may be zero, cannot fall.
        step = 1e-4
        way = {name: rng.uniform(-1.0, 1.0, start.shape) for name, start in theta.items()}
        way |= {name: 0.0 * way[name] for name in ("du_max", "slack_weight", "slack_quadratic")}
        there, back = ({n: a + sign * step * way[n] for n, a in theta.items()} for sign in (1.0, -1.0))
        slope = (product(gradient, learned.model(there)) - product(gradient, learned.model(back))) / (2.0 * step)
        size = sum(float(np.sum(np.abs(pulled[n] * way[n]))) for n in theta)
        scale = max(size, float(max(np.abs(a[np.isfinite(a)]).max(initial=1.0) for a in fields_of(model).values())))
        assert sum(float(np.sum(pulled[n] * way[n])) for n in theta) == pytest.approx(slope, abs=1e-10 * scale)


@pytest.fixture
def model() -> LocalModel:
    """Two neighbours, soft bounds; of neighbour 2 only column 1 couples."""
    return LocalModel(
        A=[[0.9, 0.1], [0.0, 1.1]], B=[[0.0], [1.0]], Q=np.eye(2), R=[[1.0]],
        A_ij={1: np.array([[0.1], [0.2]]), 2: np.array([[0.0, 0.3], [0.0, 0.0]])},
        C=np.eye(2), lower=[-1.0, -np.inf], upper=[1.0, 2.0], slack_weight=[3.0, 4.0],
    )  # fmt: skip


def test_theta_reads_like_the_model(model: LocalModel) -> None:
    parts: list[Part] = [Free("A"), Free(("A_ij", 1)), Free("V0"), SemidefiniteFactor("Q"), Free("b", name="offset")]
    learned = Parametrization(model, parts)
    assert list(learned.initial) == ["A", "A_ij/1", "V0", "Q/factor", "offset"]
    there = learned.model(learned.initial | {"V0": 2, "A_ij/1": [[0.5], [0.6]], "Q/factor": [[2.0, 9.0], [1.0, 1.0]]})
    assert there.V0 == 2.0
    np.testing.assert_array_equal(there.A_ij[1], [[0.5], [0.6]])
    np.testing.assert_array_equal(there.A_ij[2], model.A_ij[2])
    np.testing.assert_array_equal(there.Q, [[4.0, 2.0], [2.0, 2.0]])


def test_additive_parts_may_share_an_entry(model: LocalModel) -> None:
    one, two = Shared("p", {"b": [1.0, 0.0]}), Shared("q", {"b": [2.0, 1.0]}, start=1.0)
    learned = Parametrization(model, [one, two])
    np.testing.assert_array_equal(learned.model({"p": 3.0, "q": 2.0}).b, [5.0, 1.0])
    gradient = random_gradient(model, np.random.default_rng(0)) | {"b": np.array([1.0, 10.0])}
    assert learned.pullback(learned.initial, gradient) == {"p": 1.0, "q": 12.0}


def test_a_symmetric_gradient_of_a_free_weight_keeps_it_symmetric(model: LocalModel) -> None:
    learned = Parametrization(model, [Free("Q")])
    gradient = random_gradient(model, np.random.default_rng(0))
    pulled = learned.pullback(learned.initial, gradient | {"Q": np.array([[1.0, 2.0], [2.0, -3.0]])})
    there = learned.model({"Q": learned.initial["Q"] + 0.1 * pulled["Q"]})
    np.testing.assert_allclose(there.Q, [[1.1, 0.2], [0.2, 0.7]])


class TestUnknownDerivatives:
    """NaN stands at columns of x_j that the agent does not hold."""

    @pytest.fixture
    def gradient(self, model: LocalModel) -> dict[str, Any]:
        gradient = random_gradient(model, np.random.default_rng(1))
        gradient["A_ij"][2] = np.array([[np.nan, 1.0], [np.nan, 2.0]])
        return gradient

    def test_they_are_not_used_where_no_parameter_moves_the_entry(
        self, model: LocalModel, gradient: dict[str, Any]
    ) -> None:
        column = np.array([[False, True], [False, True]])
        learned = Parametrization(
            model, [Free(("A_ij", 2), mask=column), Shared("p", {("A_ij", 1): [[1.0], [0.0]]}), Free("A")]
        )
        np.testing.assert_array_equal(learned.pullback(learned.initial, gradient)["A_ij/2"], [1.0, 2.0])

    @pytest.mark.parametrize("part", [Free(("A_ij", 2)), Shared("p", {("A_ij", 2): [[1.0, 0.0], [0.0, 0.0]]})])
    def test_a_parameter_that_moves_one_is_told_to_declare_its_column(
        self, model: LocalModel, gradient: dict[str, Any], part: Part
    ) -> None:
        learned = Parametrization(model, [part])
        message = (
            r"a parameter moves A_ij\[2\]\[0, 0\], whose derivative is nan: declare the column: declared=\{2: \(0,\)\}"
        )
        with pytest.raises(ModelError, match=message):
            learned.pullback(learned.initial, gradient)

    def test_a_block_that_the_agent_does_not_hold_at_all(self, model: LocalModel, gradient: dict[str, Any]) -> None:
        del gradient["A_ij"][1]
        learned = Parametrization(model, [Free(("A_ij", 1))])
        with pytest.raises(ModelError, match=r"moves A_ij\[1\]\[0, 0\], .* declare the column"):
            learned.pullback(learned.initial, gradient)

    def test_elsewhere_they_come_from_a_failure(self, model: LocalModel, gradient: dict[str, Any]) -> None:
        learned = Parametrization(model, [Free("b")])
        with pytest.raises(ModelError, match=r"moves b\[1\], whose derivative is nan: the evaluation .* has failed"):
            learned.pullback(learned.initial, gradient | {"b": np.array([1.0, np.nan])})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([Free("slack_wieght")], "field 'slack_wieght' does not exist; did you mean 'slack_weight'"),
        ([Free("declared")], "field 'declared' does not exist"),
        ([Free("lower")], r"lower\[1\] = -inf cannot be free; leave it out by a mask"),
        ([Free("A"), Free("A", name="again")], r"A and again both move A\[0, 0\]; leave it out of one of them"),
        ([Free("b"), Shared("p", {"b": [0.0, 1.0]})], r"b and p both move b\[1\]"),
        ([Free("Q"), SemidefiniteFactor("Q")], r"Q and Q/factor both move Q\[0, 0\]"),
        ([Free("b", name="p"), Shared("p", {"A": np.eye(2)})], "two parameters have the name 'p'; give one of them"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(model: LocalModel, parts: Sequence[Part], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Parametrization(model, parts)


@pytest.mark.parametrize(
    ("theta", "message"),
    [
        ({"A": np.eye(2)}, "theta lacks b, V0; take what does not change from `initial`"),
        ({"A": np.eye(2), "b": [0.0, 0.0], "V_0": 1.0}, "parameter 'V_0' does not exist; did you mean 'V0'"),
        ({"A": np.eye(2), "b": [0.0, 0.0], "zeta": 1.0}, "parameter 'zeta' does not exist; there are A, b, V0"),
        ({"A": np.eye(3), "b": [0.0, 0.0], "V0": 0.0}, r"A has shape \(3, 3\), expected \(2, 2\)"),
        ({"A": np.eye(2), "b": [0.0, np.nan], "V0": 0.0}, r"b\[1\] is nan, expected a finite number"),
    ],
)
def test_a_theta_of_another_form_is_refused(model: LocalModel, theta: dict[str, Any], message: str) -> None:
    learned = Parametrization(model, [Free("A"), Free("b"), Free("V0")])
    with pytest.raises(ModelError, match=message):
        learned.model(theta)
    with pytest.raises(ModelError, match=message):
        learned.pullback(theta, {})


def test_a_theta_that_makes_no_model_is_refused_by_the_model(model: LocalModel) -> None:
    learned = Parametrization(model, [Free("R")])
    with pytest.raises(ModelError, match="R must be positive semidefinite, its least eigenvalue is -1"):
        learned.model({"R": [[-1.0]]})


def test_a_gradient_of_another_model_is_refused(model: LocalModel) -> None:
    learned = Parametrization(model, [Free("b")])
    with pytest.raises(ModelError, match=r"gradient of b has shape \(3,\), expected \(2,\)"):
        learned.pullback(learned.initial, {"b": np.zeros(3)})
