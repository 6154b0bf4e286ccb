"""Linear plants: exact between samples, discrete ones by their own sample only, matrices kept by duration."""

from fractions import Fraction

import numpy as np
import pytest

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.dynamics import LinearDynamics, require_own_sample

A = np.array([[0.0, 1.0], [0.0, 0.0]])
B = np.array([[0.0, 0.0], [1.0, 2.0]])
C, D = np.array([[1.0, 0.0]]), np.array([[0.0, 3.0]])
NOTHING = np.zeros(2)


def cart() -> LinearDynamics:
    return LinearDynamics(A, B, C, D)


def test_a_cart_under_constant_force_moves_on_a_parabola() -> None:
    x = cart().advance(np.array([1.0, 2.0]), Fraction(3), np.array([4.0, -1.0]), NOTHING)
    np.testing.assert_allclose(x, [1.0 + 2.0 * 3 + 2.0 * 9 / 2, 2.0 + 2.0 * 3], rtol=1e-14)


def test_a_ramping_force_adds_a_cubic() -> None:
    x = cart().advance(NOTHING, Fraction(2), NOTHING, np.array([6.0, 0.0]))
    np.testing.assert_allclose(x, [8.0, 12.0], rtol=1e-14)


def test_a_sample_may_be_cut_anywhere() -> None:
    x, u, slope = np.array([1.0, 2.0]), np.array([4.0, -1.0]), np.array([0.3, 0.1])
    once = cart().advance(x, Fraction(1), u, slope)
    half = cart().advance(x, Fraction(1, 3), u, slope)
    twice = cart().advance(half, Fraction(2, 3), u + slope / 3, slope)
    np.testing.assert_allclose(twice, once, rtol=1e-14)


def test_the_state_that_goes_in_stays_as_it_was() -> None:
    x = np.array([1.0, 2.0])
    cart().advance(x, Fraction(1), NOTHING, NOTHING)
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_equal_durations_share_one_exponential(monkeypatch: pytest.MonkeyPatch) -> None:
    from dmpcrl_ctrl.plants import dynamics

    durations = []

    def counting(A: np.ndarray, B: np.ndarray, duration: float) -> tuple[np.ndarray, np.ndarray]:
        durations.append(duration)
        return np.eye(2), np.zeros((2, 2))

    monkeypatch.setattr(dynamics, "zoh", counting)
    plant = cart()
    for _ in range(3):
        for k in range(2, 102):
            plant.advance(NOTHING, Fraction(1, k), NOTHING, NOTHING)
        plant.advance(NOTHING, Fraction(1, 101), NOTHING, NOTHING)
    assert durations.count(1 / 101) == 3  # 100 durations do not fit, but the one just used does
    assert len(plant._holds) <= 64


def test_a_discrete_plant_takes_one_step_of_its_own() -> None:
    plant = LinearDynamics(A, B, C, D, Fraction(1, 2))
    np.testing.assert_array_equal(
        plant.advance(np.array([1.0, 2.0]), Fraction(1, 2), np.array([1.0, 1.0]), NOTHING), [2.0, 3.0]
    )
    with pytest.raises(PlantError, match=r"its own sample of 0\.5 s, not 1 s"):
        plant.advance(NOTHING, Fraction(1), NOTHING, NOTHING)
    require_own_sample(Fraction(1, 2), Fraction(1, 2))


def test_outputs_and_matrices() -> None:
    np.testing.assert_array_equal(cart().output(np.array([5.0, 1.0]), np.array([1.0, 2.0])), [11.0])
    model = cart().linearise(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(model.rate, [2.0, 3.0])
    assert model.A is A and model.B is B and model.C is C and model.D is D
