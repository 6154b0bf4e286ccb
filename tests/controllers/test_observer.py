"""The observer block: steady gains in closed form, the error that theory predicts, and the input that was in effect."""

from typing import Any

import control as ct
import numpy as np
import pytest
from scipy.linalg import circulant, solve_discrete_lyapunov

from dmpcrl_ctrl.controllers.lqr import LQR
from dmpcrl_ctrl.controllers.observer import Observer
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants import Plant, Steps, power_network


def model_of(A: Any, **more: Any) -> LocalModel:
    n = len(np.atleast_2d(A))
    return LocalModel(np.atleast_2d(A), np.eye(n)[:, :1], np.eye(n), [[1.0]], **more)


def steady_variance(a: np.ndarray | float, c: float, w: float, v: float) -> np.ndarray:
    """The positive root p of p = w + a^2 p v / (v + c^2 p): variance before a measurement."""
    linear = v - v * np.square(a) - w * c**2
    return np.asarray((-linear + np.sqrt(linear**2 + 4.0 * c**2 * w * v)) / (2.0 * c**2))


def watch(observer: Observer, *rows: list[float]) -> list[np.ndarray]:
    state, estimates = observer.init(0), []
    for tick, row in enumerate(rows):
        before = state.estimate.copy()
        after, estimate, record = observer.step(state, tick, np.array(row), np.zeros(len(before)), np.zeros(1))
        assert np.array_equal(state.estimate, before)
        assert {field.name: field.shape for field in observer.fields} == {k: np.shape(v) for k, v in record.items()}
        state = after
        estimates.append(estimate)
    return estimates


@pytest.mark.parametrize(("a", "c", "w", "v"), [(1.0, 1.0, 1.0, 1.0), (1.3, 0.2, 0.5, 2.0), (0.4, -3.0, 4.0, 0.1)])
def test_a_scalar_gain_is_the_closed_form(a: float, c: float, w: float, v: float) -> None:
    p = steady_variance(a, c, w, v)
    observer = Observer(model_of(a), [[c]], 1.0, process_noise=w, measurement_noise=v)
    assert observer.gain == pytest.approx(p * c / (c**2 * p + v), rel=1e-10)


@pytest.mark.parametrize("n", [3, 5, 8])
def test_the_gain_of_a_ring_is_that_of_its_modes(n: int) -> None:
    A = np.eye(n) + 0.2 * circulant([-2.0, 1.0, *[0.0] * (n - 3), 1.0])
    a = 1.0 + 0.2 * (-2.0 + 2.0 * np.cos(2.0 * np.pi * np.arange(n) / n))
    p = steady_variance(a, 1.0, 0.3, 0.7)
    observer = Observer(model_of(A), np.eye(n), 1.0, process_noise=0.3, measurement_noise=[0.7] * n)
    assert np.linalg.eigvalsh(observer.gain) == pytest.approx(np.sort(p / (p + 0.7)), abs=1e-10)


@pytest.mark.parametrize("n", [3, 6])
def test_fast_sampling_of_a_ring_tends_to_the_riccati_solution_of_theory(n: int) -> None:
    """Duality: the filter's Riccati equation of a symmetric ring is the regulator's."""
    c = np.cos(2.0 * np.pi * np.arange(n) / n)
    limit = np.sort(-2.0 + 2.0 * c + np.sqrt(5.0 + 4.0 * c * (c - 2.0)))
    h = 1e-4
    A = np.eye(n) + h * circulant([-2.0, 1.0, *[0.0] * (n - 3), 1.0])
    gain = Observer(model_of(A), np.eye(n), h, process_noise=h, measurement_noise=1.0 / h).gain
    assert np.linalg.eigvalsh(gain) / h == pytest.approx(limit, abs=5e-4)


def covariance(A: np.ndarray, C: np.ndarray, L: np.ndarray, W: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Of the error after the correction, for any gain: e <- (I - L C)(A e + w) - L v."""
    keep = np.eye(len(A)) - L @ C
    return solve_discrete_lyapunov(keep @ A, keep @ W @ keep.T + L @ V @ L.T)


def test_no_other_gain_has_a_smaller_error() -> None:
    rng = np.random.default_rng(4)
    A, C = np.array([[1.0, 0.1, 0.0], [0.0, 0.9, 0.3], [-0.1, 0.0, 1.02]]), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    W, V = np.diag([0.1, 0.2, 0.05]), np.array([[0.3, 0.1], [0.1, 0.2]])
    L = Observer(model_of(A), C, 1.0, process_noise=W, measurement_noise=V).gain
    best = np.trace(covariance(A, C, L, W, V))
    for _ in range(20):
        assert np.trace(covariance(A, C, L + 1e-3 * rng.normal(size=L.shape), W, V)) > best


def test_the_error_of_a_random_run_has_the_predicted_size() -> None:
    rng = np.random.default_rng(0)
    model, C = model_of([[1.0, 0.2], [0.0, 0.95]]), np.array([[1.0, 0.0]])
    W, V = np.diag([0.02, 0.1]), np.array([[0.5]])
    observer = Observer(model, C, 1.0, process_noise=W, measurement_noise=V)
    x, held, rows, truth = np.zeros(2), 0.0, [], []
    for _ in range(4000):
        rows.append([*(C @ x + rng.normal(size=1) * np.sqrt(0.5)), held])
        truth.append(x)
        held = -0.3 * x[0]
        x = model.A @ x + model.B[:, 0] * held + rng.normal(size=2) * np.sqrt(np.diag(W))
    errors = np.array(watch(observer, *rows))[100:] - np.array(truth)[100:]
    predicted = covariance(model.A, C, observer.gain, W, V)
    assert np.cov(errors.T) == pytest.approx(predicted, abs=0.1 * np.trace(predicted))


def test_without_noise_the_error_dies_out_as_its_poles_say() -> None:
    model, C = model_of([[1.1, 0.2], [0.0, 0.95]], b=[0.3, -0.2]), np.array([[1.0, 0.5]])
    observer = Observer(model, C, 1.0, initial_estimate=[1.0, -1.0])
    x, error, keep = np.zeros(2), np.array([1.0, -1.0]), np.eye(2) - observer.gain @ C
    rows, expected = [], []
    for k in range(40):
        held = 0.0 if k == 0 else np.sin(k - 1.0)
        x = x if k == 0 else model.A @ x + model.B[:, 0] * held + model.b
        error = keep @ (error if k == 0 else model.A @ error)
        rows.append([*(C @ x), held])
        expected.append(x + error)
    assert np.allclose(watch(observer, *rows), expected, atol=1e-9)


def test_the_first_sample_corrects_the_initial_estimate_and_predicts_nothing() -> None:
    observer = Observer(model_of(2.0, x_setpoint=[5.0]), [[1.0]], 1.0)
    (first,) = watch(observer, [7.0, 100.0])
    assert first == pytest.approx(5.0 + observer.gain[0] * 2.0)


def test_the_input_in_effect_is_the_saturated_one() -> None:
    observer = Observer(model_of(1.0, u_min=[-1.0], u_max=[2.0]), [[1.0]], 1.0)
    low, high = (watch(observer, [0.0, 0.0], [level, 9.0 * level])[1] for level in (-1.0, 2.0))
    assert low == pytest.approx([-1.0])
    assert high == pytest.approx([2.0])


def test_a_measured_disturbance_predicts_from_the_sample_before_and_enters_the_output_now() -> None:
    model = model_of(0.5, E=[[2.0]])
    observer = Observer(model, [[1.0]], 1.0, F=[[10.0]], D=[[3.0]], c=[0.25])
    # x(0) = 0, d(0) = 1, u(0) = 0.2: x(1) = 2.2; y = x + 3 u(k-1) + 10 d(k) + 0.25
    estimates = watch(observer, [10.25, 0.0, 1.0], [2.2 + 0.6 - 30.0 + 0.25, 0.2, -3.0])
    assert np.allclose(estimates, [[0.0], [2.2]], atol=1e-12)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_an_output_that_is_not_finite_corrects_nothing(poison: float) -> None:
    observer = Observer(model_of([[0.5, 0.0], [0.0, 0.5]]), np.eye(2), 1.0, initial_estimate=[4.0, 8.0])
    first, second = watch(observer, [4.0, 8.0, 0.0], [poison, 3.0, 0.0])
    assert first.tolist() == [4.0, 8.0]
    assert second[0] == 2.0 and 3.0 < second[1] < 4.0


def cart(**options: Any) -> Plant:
    """Position is measured, speed is not; the wind is known and acts on the output as well."""
    system = ct.ss(
        [[0.0, 1.0], [0.0, -0.1]], [[0.0, 0.0], [1.0, 0.5]], [[1.0, 0.0]], [[0.0, 0.2]],
        states=["p", "v"], inputs=["F", "wind"], outputs=["position"], name="cart",
    )  # fmt: skip
    return Plant(system, disturbances={"wind": Steps((5.0,), (1.0,))}, input_limits={"F": (-1.0, 1.0)}, **options)


def test_a_plant_with_a_regulator_behind_the_observer_settles_and_the_estimate_is_exact() -> None:
    plant = cart(initial_state={"p": 3.0, "v": -1.0})
    observer = Observer.for_plant(plant, sample_time=0.1, process_noise=[1e-4, 1.0], measurement_noise=1e-2)
    lqr = LQR.for_plant(plant, sample_time=0.1)
    assert observer.inputs == ("position", "F", "wind") and observer.outputs == ("p", "v")
    x, held, state = plant.initial_state, np.zeros(1), observer.init(0)
    errors = []
    for k in range(300):
        d = np.array([1.0 if k >= 50 else 0.0])
        y = plant.output(x, held, d)
        state, estimate, _ = observer.step(state, k, np.concatenate([y, held, d]), np.zeros(2), np.zeros(1))
        errors.append(np.abs(estimate - x).max())
        held = plant.saturate(-lqr.gain @ estimate - 0.5 * d)
        x = plant.advance(x, 0.1, held, d)
    assert errors[0] > 0.5 and max(errors[100:]) < 1e-9
    assert np.abs(x).max() < 1e-3


def test_the_matrices_of_a_linear_plant_are_exact_in_the_order_of_the_plant() -> None:
    observer = Observer.for_plant(cart(), sample_time=0.1)
    assert observer.C.tolist() == [[1.0, 0.0]]
    assert (observer.D.tolist(), observer.F.tolist()) == ([[0.0]], [[0.2]])


def test_every_state_of_the_power_network_is_found_from_its_angles() -> None:
    full = power_network(scenario=1)
    angles = [name for name in full.state_names if name.startswith("dtheta")]
    system = full.system
    C = np.array([[float(name == angle) for name in full.state_names] for angle in angles])
    reduced = ct.ss(
        system.A, system.B, C, np.zeros((len(angles), system.ninputs)), states=list(full.state_names),
        inputs=list(system.input_labels), outputs=angles, name="grid",
    )  # fmt: skip
    plant = Plant(reduced, disturbances=dict.fromkeys(full.disturbance_names, 0.0))
    observer = Observer.for_plant(plant, sample_time=1.0, measurement_noise=1e-4)
    rng = np.random.default_rng(1)
    x, held, state = rng.normal(size=len(full.state_names)), np.zeros(4), observer.init(0)
    for k in range(200):
        d = np.zeros(len(full.disturbance_names))
        y = plant.output(x, held, d)
        state, estimate, _ = observer.step(state, k, np.concatenate([y, held, d]), np.zeros(16), np.zeros(1))
        if k < 199:
            held = 0.1 * rng.normal(size=4)
            x = plant.advance(x, 1.0, held, d)
    assert np.allclose(estimate, x, atol=1e-6)


def test_a_nonlinear_output_is_linearised_at_the_set_point() -> None:
    system = ct.nlsys(
        lambda t, x, u, params: -x + u, lambda t, x, u, params: x**2 + 3.0 * u,
        states=["x"], inputs=["u"], outputs=["y"], name="square",
    )  # fmt: skip
    plant = Plant(system, operating_point=([2.0], [2.0]))
    observer = Observer.for_plant(plant, sample_time=0.1)
    assert np.allclose(observer.C, [[4.0]], rtol=1e-8)
    assert np.allclose(observer.D, [[3.0]], rtol=1e-8)
    assert np.allclose(observer.c, 4.0 + 6.0 - 8.0 - 6.0, rtol=1e-7)
    assert observer.initial_estimate.tolist() == [2.0]
    # at rest at the operating point nothing moves
    estimates = watch(observer, *[[10.0, 2.0]] * 5)
    assert np.allclose(estimates, 2.0, atol=1e-7)


def test_a_plant_without_outputs_or_states_works() -> None:
    assert Observer(model_of(0.5), np.zeros((0, 1)), 1.0).gain.shape == (1, 0)
    nothing = LocalModel(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((0, 0)), [[1.0]])
    assert Observer(nothing, np.zeros((2, 0)), 1.0).gain.shape == (0, 2)


INTEGRATORS, MIXED = np.eye(2), np.diag([1.0, 0.5])
BAD = [
    (
        np.diag([1.2, 0.5]),
        [[0.0, 1.0]],
        {},
        r"eye: no output reveals the mode with eigenvalue 1\.2\+0j, .*measure more",
    ),
    (MIXED, [[0.0, 1.0]], {}, r"eye: no output reveals the mode with eigenvalue 1\+0j"),
    (MIXED, np.zeros((0, 2)), {}, r"eye: no output reveals the mode"),
    (MIXED, [[1.0, 0.0]], {"process_noise": 0.0}, r"eye: .* process_noise"),
    (MIXED, [[1.0, 0.0]], {"measurement_noise": -1.0}, "measurement_noise must be symmetric positive"),
    (INTEGRATORS, [[1.0]], {}, r"C has shape \(1, 1\), expected \(any, 2\)"),
    (INTEGRATORS, [[np.nan, 1.0]], {}, r"C\[0\]\[0\] is nan"),
    (INTEGRATORS, INTEGRATORS, {"process_noise": np.eye(3)}, r"process_noise has shape \(3, 3\), expected \(2, 2\)"),
    (INTEGRATORS, INTEGRATORS, {"process_noise": [1.0]}, r"process_noise has shape \(1,\), expected \(2"),
    (INTEGRATORS, INTEGRATORS, {"initial_estimate": [1.0]}, r"initial_estimate has shape \(1,\)"),
    (INTEGRATORS, INTEGRATORS, {"D": np.eye(2)}, r"D has shape \(2, 2\), expected \(2, 1\)"),
    (INTEGRATORS, INTEGRATORS, {"outputs_read": ["y"]}, "eye: 2 outputs need as many names, got 1"),
]


@pytest.mark.parametrize(("A", "C", "options", "message"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_observed_is_refused_in_one_line(
    A: np.ndarray, C: np.ndarray, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Observer(model_of(A), C, 1.0, name="eye", **options)
    assert "\n" not in str(caught.value)
