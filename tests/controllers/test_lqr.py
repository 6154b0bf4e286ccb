"""The LQR block: gains in closed form, the cost that the Riccati equation promises, limits, and what it refuses."""

from typing import Any

import numpy as np
import pytest
from scipy.linalg import block_diag, circulant, solve_discrete_are

from dmpcrl_ctrl.controllers.lqr import LQR
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.status import Applied, Status


def scalar_riccati(a: np.ndarray | float, b: float, q: float, r: float) -> np.ndarray:
    """The positive root p of p = q + a^2 p - (a b p)^2 / (r + b^2 p)."""
    linear = r - r * np.square(a) - q * b**2
    return np.asarray((-linear + np.sqrt(linear**2 + 4.0 * b**2 * q * r)) / (2.0 * b**2))


def scalar(a: float = 1.0, b: float = 1.0, q: float = 1.0, r: float = 1.0, **limits: Any) -> LocalModel:
    return LocalModel([[a]], [[b]], [[q]], [[r]], **limits)


def ring(n: int, step: float) -> LocalModel:
    """The ring of theory.md over a short sample: dx/dt = circulant(-2, 1, .., 1) x + u, Q = R = I."""
    A = np.eye(n) + step * circulant([-2.0, 1.0, *[0.0] * (n - 3), 1.0])
    return LocalModel(A, step * np.eye(n), step * np.eye(n), step * np.eye(n))


def act(lqr: LQR, applied: float = 0.0, **values: float) -> tuple[np.ndarray, dict[str, int]]:
    measurement = np.array([values.get(name, 0.0) for name in lqr.inputs])
    _, u, record = lqr.step(lqr.init(0), 0, measurement, np.full(len(lqr.outputs), applied), np.zeros(1))
    return u, record


@pytest.mark.parametrize(("a", "b", "q", "r"), [(1.0, 1.0, 1.0, 1.0), (1.3, 0.2, 0.5, 2.0), (0.4, -3.0, 4.0, 0.1)])
def test_a_scalar_gain_is_the_closed_form(a: float, b: float, q: float, r: float) -> None:
    p = scalar_riccati(a, b, q, r)
    assert LQR([scalar(a, b, q, r)], 1.0).gain == pytest.approx(a * b * p / (r + b**2 * p), rel=1e-10)


@pytest.mark.parametrize("n", [3, 4, 7])
def test_the_gain_of_a_ring_is_that_of_its_modes(n: int) -> None:
    model = ring(n, 0.3)
    a = 1.0 + 0.3 * (-2.0 + 2.0 * np.cos(2.0 * np.pi * np.arange(n) / n))
    p = scalar_riccati(a, 0.3, 0.3, 0.3)
    modes = 0.3 * a * p / (0.3 + 0.09 * p)
    assert np.linalg.eigvalsh(LQR([model], 0.3).gain) == pytest.approx(np.sort(modes), abs=1e-10)


@pytest.mark.parametrize("n", [3, 6])
def test_fast_sampling_of_a_ring_tends_to_the_riccati_solution_of_theory(n: int) -> None:
    c = np.cos(2.0 * np.pi * np.arange(n) / n)
    limit = np.sort(-2.0 + 2.0 * c + np.sqrt(5.0 + 4.0 * c * (c - 2.0)))
    errors = [np.abs(np.linalg.eigvalsh(LQR([ring(n, h)], h).gain) - limit).max() for h in (1e-3, 1e-4)]
    assert errors[1] < 5e-4 and errors[1] == pytest.approx(0.1 * errors[0], rel=0.05)


def test_the_cost_of_a_plant_is_what_its_riccati_equation_promises() -> None:
    plant = power_network(scenario=1)
    lqr = LQR.for_plant(plant)
    (model,) = plant.local_models(1.0, hold="network").models
    P = solve_discrete_are(model.A, model.B, model.Q, model.R)
    start = x = np.random.default_rng(2).normal(size=model.n) * 1e-3
    cost = 0.0
    for _ in range(400):
        u, _ = act(lqr, **dict(zip(plant.state_names, x, strict=True)))
        cost += x @ model.Q @ x + u @ model.R @ u
        x = model.A @ x + model.B @ u
    assert cost == pytest.approx(start @ P @ start, rel=1e-8)


def test_by_area_every_agent_regulates_itself() -> None:
    plant = power_network(scenario=1)
    models = plant.local_models(1.0, hold="area").models
    gains = []
    for model in models:
        P = solve_discrete_are(model.A, model.B, model.Q, model.R)
        gains.append(np.linalg.solve(model.R + model.B.T @ P @ model.B, model.B.T @ P @ model.A))
    lqr = LQR.for_plant(plant, hold="area", name="local", delay=0.25, offset=0.5)
    assert np.allclose(lqr.gain, block_diag(*gains), atol=1e-9)
    assert (lqr.name, lqr.delay, lqr.offset, lqr.sample_time) == ("local", 0.25, 0.5, 1.0)


def test_signals_are_asked_for_by_the_names_of_the_plant() -> None:
    plant = power_network(scenario=1)
    lqr = LQR.for_plant(plant)
    assert lqr.inputs == plant.state_names + plant.setpoint_names
    assert lqr.outputs == plant.input_names


def test_weights_replace_the_plants() -> None:
    plant = power_network(scenario=1)
    dear = LQR.for_plant(plant, R=[1e3] * 4)
    assert np.abs(dear.gain).max() < 0.1 * np.abs(LQR.for_plant(plant).gain).max()


def test_set_points_are_tracked() -> None:
    lqr = LQR([scalar()], 1.0)
    u, record = act(lqr, x0_0=3.0, x0_0_ref=1.0, u0_0_ref=0.25)
    assert u == pytest.approx(0.25 - 2.0 * (np.sqrt(5.0) - 1.0) / 2.0)
    assert record == {"status": Status.OPTIMAL, "applied_kind": Applied.FRESH}
    assert set(record) == {field.name for field in lqr.fields}


def test_limits_of_level_and_change_hold() -> None:
    lqr = LQR([scalar(u_min=[-1.0], u_max=[0.5], du_max=[0.4])], 1.0)
    assert act(lqr, x0_0=9.0)[0] == pytest.approx([-0.4])
    assert act(lqr, applied=-0.8, x0_0=9.0)[0] == pytest.approx([-1.0])
    assert act(lqr, applied=0.3, x0_0=-9.0)[0] == pytest.approx([0.5])


def test_agents_keep_their_places() -> None:
    two = LocalModel(np.diag([0.5, 1.0]), [[0.0], [1.0]], np.eye(2), [[1.0]])
    problem = MPCProblem((scalar(), two), 1)
    signals = Signals.of_names(problem, [["p"], ["v", "w"]], [["F"], ["G"]])
    lqr = LQR(problem.models, 1.0, signals)
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    assert lqr.inputs == ("p", "v", "w", "p_ref", "v_ref", "w_ref", "F_ref", "G_ref")
    assert lqr.gain == pytest.approx(np.array([[golden, 0.0, 0.0], [0.0, 0.0, golden]]), abs=1e-12)


def test_agents_without_inputs_or_states_are_left_alone() -> None:
    silent = LocalModel([[2.0]], np.zeros((1, 0)), [[1.0]], np.zeros((0, 0)))
    gain = LocalModel(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((0, 0)), [[1.0]])
    lqr = LQR([scalar(), silent, gain], 1.0)
    assert lqr.gain.shape == (2, 2)
    assert lqr.gain[0, 0] > 0.6 and np.count_nonzero(lqr.gain) == 1


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_measurement_that_is_not_finite_leaves_the_input_as_it_is(poison: float) -> None:
    u, record = act(LQR([scalar()], 1.0), applied=0.7, x0_0=poison)
    assert u.tolist() == [0.7]
    assert record == {"status": Status.INVALID_DATA, "applied_kind": Applied.HELD}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LocalModel(np.diag([1.2, 0.5]), [[0.0], [1.0]], np.eye(2), [[1.0]]), r"left: no input reaches .* 1\.2\+0j"),
        (LocalModel(np.diag([1.0, 0.5]), [[0.0], [1.0]], np.eye(2), [[1.0]]), r"left: no input reaches .* 1\+0j"),
        (scalar(1.0, 1.0, 0.0, 1.0), r"left: the LQR gain leaves a pole of modulus 1;|left: no LQR gain"),
    ],
)
def test_what_cannot_be_stabilised_is_refused_in_one_line(model: LocalModel, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        LQR([model], 1.0, agents=["left"])
    assert "\n" not in str(caught.value)
