"""What python-control system becomes a plant, and what is refused at the gate."""

from fractions import Fraction
from typing import Any

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.dynamics import LinearDynamics
from dmpcrl_ctrl.plants.nonlinear import NonlinearDynamics
from dmpcrl_ctrl.plants.systems import accepted, dynamics_of, output_structure, sample_time_of, with_same_signals


def lag(**options: Any) -> ct.StateSpace:
    return ct.ss([[-1.0]], [[1.0]], [[1.0]], [[0.0]], **options)


def test_interconnections_of_linear_systems_are_linear() -> None:
    first = ct.ss([[-1.0]], [[1.0]], [[1.0]], 0, name="first", inputs=["u"], outputs=["v"])
    second = ct.ss([[-2.0]], [[1.0]], [[1.0]], 0, name="second", inputs=["v"], outputs=["y"])
    joined = ct.interconnect([first, second], inputs=["u"], outputs=["y"])
    assert isinstance(dynamics_of(accepted(joined, "p"), "p", {}, str), LinearDynamics)
    bent = ct.nlsys(
        lambda t, x, u, params: [-(x[0] ** 3) + u[0]], inputs=["v"], states=["z"], outputs=["y"], name="bent"
    )
    mixed = ct.interconnect([first, bent], inputs=["u"], outputs=["y"])
    assert isinstance(dynamics_of(accepted(mixed, "p"), "p", {}, str), NonlinearDynamics)


def test_a_proper_transfer_function_gets_states() -> None:
    system = accepted(ct.tf([1.0], [1.0, 2.0]), "p")
    np.testing.assert_allclose(np.linalg.eigvals(system.A), [-2.0])


@pytest.mark.parametrize(
    ("system", "message"),
    [
        (ct.tf([1.0, 0.0, 0.0], [1.0, 1.0]), "p: the transfer function has no state space form: .*non-proper"),
        (ct.frd([1.0, 2.0], [1.0, 2.0]), "python-control system with states, got FrequencyResponseData"),
        (3.0, "got float"),
    ],
)
def test_what_has_no_states_is_refused(system: Any, message: str) -> None:
    with pytest.raises(PlantError, match=message):
        accepted(system, "p")


def test_the_time_base_must_be_said() -> None:
    assert sample_time_of(lag(), "p") is None
    assert sample_time_of(lag(dt=0.1), "p") == Fraction(1, 10)
    with pytest.raises(PlantError, match=r"p: the system has no time base \(dt=None\)"):
        sample_time_of(lag(dt=None), "p")
    with pytest.raises(PlantError, match=r"discrete without a sample time \(dt=True\)"):
        sample_time_of(lag(dt=True), "p")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("matrix", ["A", "B", "C", "D"])
def test_numbers_that_are_not_finite_are_found(matrix: str, bad: float) -> None:
    matrices = {name: np.ones((2, 2)) for name in "ABCD"}
    matrices[matrix][1, 0] = bad
    with pytest.raises(PlantError, match=rf"p: {matrix}\[1\]\[0\] is {bad}"):
        dynamics_of(ct.StateSpace(*matrices.values(), 0), "p", {}, str)


def test_outputs_that_are_states_and_outputs_that_only_look_like_it() -> None:
    C = [[0.0, 1.0], [1.0, 1.0], [2.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    D = [[0.0], [0.0], [0.0], [1.0], [1.0], [0.0]]
    plant = LinearDynamics(np.zeros((2, 2)), np.zeros((2, 1)), np.array(C), np.array(D))
    structure = output_structure(plant, np.zeros(2), np.zeros(1))
    assert structure.state_of_output == (1, None, None, None, None, 0)
    np.testing.assert_array_equal(structure.feedthrough[:, 0], [False, False, False, True, True, False])


def test_a_nonlinear_output_function_is_tried_out() -> None:
    system = ct.nlsys(
        lambda t, x, u, params: [x[1], u[0]],
        lambda t, x, u, params: [x[1], x[0] ** 2, x[0] + u[1], x[0]],
        inputs=["F", "w"], states=["p", "v"], outputs=["a", "b", "c", "d"],
    )  # fmt: skip
    structure = output_structure(dynamics_of(system, "p", {}, str), np.zeros(2), np.zeros(2))
    assert structure.state_of_output == (1, None, None, 0)
    np.testing.assert_array_equal(np.argwhere(structure.feedthrough), [[2, 1]])


def test_a_prediction_system_has_the_plants_signals() -> None:
    plant = lag(states=["x"], inputs=["u"])
    assert with_same_signals(lag(states=["x"], inputs=["u"], dt=1.0), plant, "p").dt == 1.0
    with pytest.raises(PlantError, match="must have the plant's inputs u, in this order, got v"):
        with_same_signals(lag(states=["x"], inputs=["v"]), plant, "p")
