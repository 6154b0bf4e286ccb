"""A large sparse system moves as the exponential of its matrix says, and equal runs are equal to the last bit."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.plants import dynamics, sparse_flow
from dmpcrl_ctrl.plants.dynamics import LinearDynamics
from dmpcrl_ctrl.plants.random_network import random_power_network
from dmpcrl_ctrl.plants.sparse_flow import SparseFlow, worthwhile
from dmpcrl_ctrl.plants.zoh import foh_ramp, zoh


def matrices(areas: int, topology: str = "grid") -> tuple[Array, Array]:
    system = random_power_network(areas, topology).system
    return np.asarray(system.A), np.asarray(system.B)


@pytest.mark.parametrize("topology", ["ring", "grid", "star"])
@given(seed=st.integers(0, 2**32 - 1), duration=st.floats(1e-3, 20.0))
def test_the_state_is_that_of_the_dense_exponential(topology: str, seed: int, duration: float) -> None:
    A, B = matrices(9, topology)
    rng = np.random.default_rng(seed)
    x, (u, slope) = rng.normal(size=len(A)), rng.normal(size=(2, B.shape[1]))
    Ad, B0, B1 = foh_ramp(A, B, duration)
    wanted = Ad @ x + B0 @ u + B1 @ slope
    found = SparseFlow(A, B).advance(x, duration, u, slope)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_an_oscillation_and_a_double_integrator_are_exact() -> None:
    A = np.array([[0.0, 3.0, 0.0, 0.0], [-3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    B = np.array([[0.0], [0.0], [0.0], [1.0]])
    found = SparseFlow(A, B).advance(np.array([1.0, 0.0, 1.0, 2.0]), 7.0, np.array([4.0]), np.array([6.0]))
    wanted = [np.cos(21.0), -np.sin(21.0), 1.0 + 2.0 * 7 + 4.0 * 49 / 2 + 6.0 * 343 / 6, 2.0 + 4.0 * 7 + 6.0 * 49 / 2]
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


@pytest.mark.parametrize("size", [1e6, 1e9, 1e12])
def test_neither_an_input_nor_a_state_in_small_units_hides_another(size: float) -> None:
    """x' = -3 x from 1e-3 beside an input that acts on nothing, beside a state that does not move, and driven by it."""
    decay = 1e-3 * np.exp(-3.0)
    flow = SparseFlow(np.diag([-3.0, 0.0]), np.array([[0.0, 0.0], [0.0, 0.0]]))
    found = flow.advance(np.array([1e-3, size]), 1.0, np.full(2, size), np.full(2, size))
    np.testing.assert_allclose(found, [decay, size], rtol=1e-14)
    driven = SparseFlow(np.array([[-3.0]]), np.array([[1.0 / size]]))
    found = driven.advance(np.array([1e-3]), 1.0, np.array([2.0 * size]), np.array([size]))
    # x(1) of x' = -3 x + 2 + t
    by_hand = decay + 2.0 * (1.0 - np.exp(-3.0)) / 3.0 + 1.0 / 3.0 - (1.0 - np.exp(-3.0)) / 9.0
    np.testing.assert_allclose(found, [by_hand], rtol=1e-14)


def test_a_system_without_inputs_moves_too() -> None:
    found = SparseFlow(np.array([[-2.0]]), np.zeros((1, 0))).advance(np.ones(1), 3.0, np.zeros(0), np.zeros(0))
    np.testing.assert_allclose(found, [np.exp(-6.0)], rtol=1e-14)


def test_equal_calls_are_equal_to_the_last_bit() -> None:
    A, B = matrices(30)
    x, u = np.linspace(-1.0, 1.0, len(A)), np.linspace(0.0, 1.0, B.shape[1])
    first, again = (SparseFlow(A, B).advance(x, 1.0, u, 0.1 * u) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_only_large_and_sparse_systems_go_this_way() -> None:
    assert not worthwhile(*matrices(4))
    large = np.diag(np.ones(3000))
    assert worthwhile(large, np.zeros((3000, 1)))
    assert not worthwhile(np.ones((3000, 3000)), np.zeros((3000, 1)))


def test_a_stiff_system_over_a_long_time_does_not() -> None:
    flow = SparseFlow(np.diag([-1e6, -1.0]), np.ones((2, 1)))
    assert flow.fits(1e-4) and not flow.fits(1.0)


def test_a_plant_of_such_a_size_needs_no_dense_exponential(monkeypatch: pytest.MonkeyPatch) -> None:
    A, B = matrices(40)
    monkeypatch.setattr(sparse_flow, "_LARGE", 100)
    plant = LinearDynamics(A, B, np.eye(len(A)), np.zeros((len(A), B.shape[1])))
    x, w = np.full(len(A), 0.1), np.full(B.shape[1], 0.1)
    Ad, Bd = zoh(A, B, 1.0)

    def refuse(*matrices: Array) -> None:
        raise AssertionError("a dense exponential of a large sparse system")

    monkeypatch.setattr(dynamics, "zoh", refuse)
    found = plant.advance(x, Fraction(1), w, 0.0 * w)
    np.testing.assert_allclose(found, Ad @ x + Bd @ w, rtol=1e-12, atol=1e-14)
