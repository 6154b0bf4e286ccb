"""Nonlinear plants: the integrator against closed forms, derivatives, and every way in which integration can fail."""

from collections.abc import Callable
from fractions import Fraction

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants import nonlinear
from dmpcrl_ctrl.plants.nonlinear import NonlinearDynamics, jacobian

ZERO, ONE = np.zeros(1), np.ones(1)


def scalar(rate: Callable[[float, float, float], float], dt: float = 0, **integrator: object) -> NonlinearDynamics:
    system = ct.nlsys(
        lambda t, x, u, params: [rate(t, x[0], u[0])], lambda t, x, u, params: [x[0] ** 2 + u[0]],
        inputs=["u"], states=["x"], outputs=["y"], dt=dt,
    )  # fmt: skip
    sample_time = None if dt == 0 else Fraction(dt)
    return NonlinearDynamics(system, sample_time, integrator, lambda k: f"state 'x{k}' of tank")


def test_logistic_growth_has_a_closed_form() -> None:
    plant = scalar(lambda t, x, u: x * (u - x))
    x = plant.advance(np.array([0.1]), Fraction(3), ONE, ZERO)
    np.testing.assert_allclose(x, 1.0 / (1.0 + 9.0 * np.exp(-3.0)), rtol=1e-10)


def test_ramps_and_time_count_from_the_start() -> None:
    # x' = u + t with u = 2 + 0.5 (t - 10) over [10, 12]: 2 * 2 + 0.5 * 2 + (12^2 - 10^2) / 2.
    plant = scalar(lambda t, x, u: u + t)
    x = plant.advance(ZERO, Fraction(2), np.array([2.0]), np.array([0.5]), start=10.0)
    np.testing.assert_allclose(x, [27.0], rtol=1e-12)


def test_a_discrete_system_takes_its_own_step() -> None:
    plant = scalar(lambda t, x, u: x**2 + u, dt=2)
    np.testing.assert_array_equal(plant.advance(np.array([3.0]), Fraction(2), ONE, ONE), [10.0])
    with pytest.raises(PlantError, match="its own sample of 2 s, not 1 s"):
        plant.advance(ZERO, Fraction(1), ONE, ZERO)


def test_derivatives_by_differences() -> None:
    plant = scalar(lambda t, x, u: np.sin(x) * u)
    model = plant.linearise(np.array([0.4]), np.array([3.0]))
    np.testing.assert_allclose(model.A, [[3.0 * np.cos(0.4)]], rtol=1e-9)
    np.testing.assert_allclose(model.B, [[np.sin(0.4)]], rtol=1e-9)
    np.testing.assert_allclose(model.C, [[0.8]], rtol=1e-9)
    np.testing.assert_allclose(model.D, [[1.0]], rtol=1e-9)
    np.testing.assert_allclose(model.rate, [3.0 * np.sin(0.4)])


def test_a_jacobian_without_arguments_has_no_columns() -> None:
    assert jacobian(lambda x: np.ones(3), np.zeros(0)).shape == (3, 0)


def test_a_zero_in_the_dynamics_is_a_zero_in_the_jacobian() -> None:
    weights = np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]])
    derivative = jacobian(lambda x: weights @ x**3, np.array([0.7, -1.3, 20.0]))
    np.testing.assert_array_equal(derivative == 0.0, weights == 0.0)


def test_blow_up_stops_at_the_last_good_time_and_names_the_state() -> None:
    plant = scalar(lambda t, x, u: x**2)
    x = np.array([1.0])
    with pytest.raises(PlantError, match=r"state 'x0' of tank: integration stopped at t = (6|5\.99\d*) s"):
        plant.advance(x, Fraction(2), ZERO, ZERO, start=5.0)
    np.testing.assert_array_equal(x, [1.0])


def test_nan_from_the_beginning_names_state_and_time() -> None:
    plant = scalar(lambda t, x, u: float("nan"))
    with pytest.raises(PlantError, match="state 'x0' of tank: its right-hand side is nan at t = 4 s"):
        plant.advance(ONE, Fraction(1), ZERO, ZERO, start=4.0)


def test_nan_on_the_way_stops_where_it_begins() -> None:
    plant = scalar(lambda t, x, u: 1.0 if t < 0.5 else float("nan"))
    with pytest.raises(PlantError, match=r"'x0' of tank: integration stopped at t = 0\.(5|49\d*) s"):
        plant.advance(ZERO, Fraction(1), ZERO, ZERO)


def test_a_trial_step_may_leave_the_domain_and_come_back() -> None:
    # sqrt of a negative number on the way of an over-long trial step; the solution (1 - t/2)^2 stays inside.
    plant = scalar(lambda t, x, u: -float(np.sqrt(x)), first_step=1.9)
    x = plant.advance(ONE, Fraction(19, 10), ZERO, ZERO)
    np.testing.assert_allclose(x, [0.05**2], rtol=1e-6)


def test_a_stiff_system_under_an_explicit_method_is_told_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonlinear, "_MAX_EVALUATIONS", 500)
    with pytest.raises(PlantError, match=r"too stiff for DOP853; pass integrator=\{'method': 'Radau'\}"):
        scalar(lambda t, x, u: -1e6 * (x - u)).advance(ZERO, Fraction(1), ONE, ZERO)


def test_the_method_can_be_chosen() -> None:
    plant = scalar(lambda t, x, u: -1e6 * (x - u), method="Radau")
    np.testing.assert_allclose(plant.advance(ZERO, Fraction(1), ONE, ZERO), [1.0], rtol=1e-9)


def test_a_system_without_states_stays_without() -> None:
    system = ct.nlsys(None, lambda t, x, u, params: [2.0 * u[0]], inputs=1, outputs=1, dt=0)
    plant = NonlinearDynamics(system, None, {}, str)
    empty: Array = np.zeros(0)
    assert plant.advance(empty, Fraction(1), ONE, ZERO).shape == (0,)
    np.testing.assert_array_equal(plant.output(empty, ONE), [2.0])
