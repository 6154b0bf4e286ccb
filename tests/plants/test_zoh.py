"""Exact holds against closed forms and against an integrator; what grows beyond all floats is named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.zoh import foh_ramp, zoh, zoh_adjoint

# Of rates near the smallest float the integrator cannot tell its error.
entries = st.floats(-2, 2).map(lambda rate: rate if abs(rate) > 1e-9 else 0.0)


@st.composite
def systems(draw: st.DrawFn) -> tuple[Array, Array, float]:
    """A (n, n), B (n, m), T; singular A often, because Hypothesis likes zeros."""
    n, m = draw(st.integers(1, 5)), draw(st.integers(0, 3))
    A, B = draw(arrays(float, (n, n), elements=entries)), draw(arrays(float, (n, m), elements=entries))
    return A, B, draw(st.floats(0.01, 2.0))


def integrated(A: Array, B: Array, T: float, x: Array, u: Array, slope: Array) -> Array:
    solution = solve_ivp(
        lambda t, state: A @ state + B @ (u + slope * t), (0.0, T), x, method="DOP853", rtol=1e-11, atol=1e-13
    )
    return np.asarray(solution.y[:, -1])


@settings(max_examples=200)
@given(systems(), st.integers(0, 2**32 - 1))
def test_a_hold_is_what_an_integrator_finds(system: tuple[Array, Array, float], seed: int) -> None:
    A, B, T = system
    rng = np.random.default_rng(seed)
    n, m = map(int, B.shape)
    x, u, slope = rng.normal(size=n), rng.normal(size=m), rng.normal(size=m)
    Ad, Bd = zoh(A, B, T)
    scale = 1.0 + np.abs(Ad).max()
    np.testing.assert_allclose(Ad @ x + Bd @ u, integrated(A, B, T, x, u, 0.0 * slope), atol=1e-8 * scale)
    Ad, B0, B1 = foh_ramp(A, B, T)
    np.testing.assert_allclose(Ad @ x + B0 @ u + B1 @ slope, integrated(A, B, T, x, u, slope), atol=1e-8 * scale)


@settings(max_examples=200)
@given(systems(), st.floats(0.01, 2.0))
def test_two_holds_in_a_row_are_one(system: tuple[Array, Array, float], second: float) -> None:
    A, B, first = system
    (A1, B1), (A2, B2), (A3, B3) = zoh(A, B, first), zoh(A, B, second), zoh(A, B, first + second)
    scale = max(np.abs(A2).max() * np.abs(A1).max(), 1.0)
    np.testing.assert_allclose(A2 @ A1, A3, atol=1e-11 * scale)
    np.testing.assert_allclose(A2 @ B1 + B2, B3, atol=1e-11 * scale)


def test_integrators_and_first_order_lags_have_closed_forms() -> None:
    T = 0.7
    A, B = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -3.0]]), np.array([[0.0], [1.0], [3.0]])
    Ad, B0, B1 = foh_ramp(A, B, T)
    lag = np.exp(-3.0 * T)
    np.testing.assert_allclose(Ad, [[1.0, T, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, lag]], atol=1e-15)
    np.testing.assert_allclose(B0[:, 0], [T**2 / 2, T, 1 - lag], rtol=1e-14)
    np.testing.assert_allclose(B1[:, 0], [T**3 / 6, T**2 / 2, T - (1 - lag) / 3], rtol=1e-13)


@pytest.mark.parametrize("pole", [-1e6, -1e3, 300.0])
def test_stiff_and_fast_growing_poles_keep_their_digits(pole: float) -> None:
    A, B = np.array([[pole, 0.0], [1.0, 0.0]]), np.array([[1.0], [0.0]])
    Ad, Bd = zoh(A, B, 1.0)
    growth = np.expm1(pole)
    np.testing.assert_allclose(Ad, [[np.exp(pole), 0.0], [growth / pole, 1.0]], rtol=1e-11)
    np.testing.assert_allclose(Bd[:, 0], [growth / pole, (growth / pole - 1.0) / pole], rtol=1e-11)


def test_growth_beyond_all_floats_names_the_pole_and_the_sample() -> None:
    with pytest.raises(PlantError, match=r"the pole 1000 1/s grows beyond all floats over T = 1 s"):
        zoh(np.diag([-1.0, 1000.0]), np.ones((2, 1)), 1.0)


@pytest.mark.parametrize("duration", [0.0, -1.0, np.nan, np.inf])
def test_a_sample_lasts_a_positive_time(duration: float) -> None:
    with pytest.raises(PlantError, match="positive, finite number of seconds"):
        zoh(np.zeros((1, 1)), np.ones((1, 1)), duration)


def test_nothing_to_hold_is_a_hold_of_nothing() -> None:
    Ad, Bd = zoh(np.zeros((0, 0)), np.zeros((0, 2)), 1.0)
    assert Ad.shape == (0, 0) and Bd.shape == (0, 2)


@settings(max_examples=200)
@given(systems(), st.integers(0, 2**32 - 1))
def test_the_adjoint_is_that_of_the_derivative(system: tuple[Array, Array, float], seed: int) -> None:
    A, B, T = system
    rng = np.random.default_rng(seed)
    n, m = map(int, B.shape)
    Ad_bar, Bd_bar, dA, dB = (rng.normal(size=shape) for shape in ((n, n), (n, m), (n, n), (n, m)))
    A_bar, B_bar = zoh_adjoint(A, B, T, Ad_bar, Bd_bar)
    # A complex step has no error of subtraction, so that it may be as short as one likes.
    step = 1e-20
    moved = expm(T * np.vstack([np.hstack([A + 1j * step * dA, B + 1j * step * dB]), np.zeros((m, n + m))]))[:n]
    slope = np.sum(np.hstack([Ad_bar, Bd_bar]) * moved.imag) / step
    size = np.abs(A_bar * dA).sum() + np.abs(B_bar * dB).sum() + np.exp(T * np.linalg.norm(A, 2))
    assert np.sum(A_bar * dA) + np.sum(B_bar * dB) == pytest.approx(slope, abs=1e-12 * size)


@pytest.mark.parametrize("pole", [-1e6, -1e3, -1.0, 1e-9, 2.0, 300.0])
def test_the_derivative_of_a_first_order_lag_has_a_closed_form(pole: float) -> None:
    # Ad = exp(a T), Bd = b (exp(a T) - 1) / a
    b, T = 3.0, 0.5
    x = pole * T
    by_pole = b * T**2 * (0.5 + x / 3.0) if abs(x) < 1e-4 else b * (x * np.exp(x) - np.expm1(x)) / pole**2
    A, B = np.array([[pole]]), np.array([[b]])
    one, none = np.ones((1, 1)), np.zeros((1, 1))
    # An exponential by repeated squaring loses as many digits as the norm has.
    rtol = max(1e-13, np.finfo(float).eps * abs(x))
    np.testing.assert_allclose(zoh_adjoint(A, B, T, one, none), [[[T * np.exp(x)]], [[0.0]]], rtol=rtol)
    np.testing.assert_allclose(zoh_adjoint(A, B, T, none, one), [[[by_pole]], [[np.expm1(x) / pole]]], rtol=rtol)


def test_the_adjoint_needs_a_sample_and_floats_too() -> None:
    A, B = np.diag([-1.0, 1000.0]), np.ones((2, 1))
    with pytest.raises(PlantError, match="positive, finite number of seconds"):
        zoh_adjoint(A, B, 0.0, A, B)
    with pytest.raises(PlantError, match=r"the pole 1000 1/s grows beyond all floats over T = 1 s"):
        zoh_adjoint(A, B, 1.0, A, B)
