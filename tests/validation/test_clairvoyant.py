"""The clairvoyant: its cost is what its inputs cost in the loop, CVXPY agrees, and nobody is cheaper."""

from fractions import Fraction
from typing import Any

import control as ct
import cvxpy as cp
import numpy as np
import pytest

from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants import Plant, quadruple_tank
from dmpcrl_ctrl.plants.disturbance import Ramp, Steps, UniformNoise
from dmpcrl_ctrl.validation.clairvoyant import Played, clairvoyant
from dmpcrl_ctrl.validation.paper import chain_plant, power_plant
from dmpcrl_ctrl.validation.paper_baselines import chain_nominal, power_nominal


def cart(**options: Any) -> Plant:
    """Wind that jumps between samples, rises, and is noisy at another rate; it begins outside its limit."""
    system = ct.ss(
        [[0.0, 1.0], [0.0, 0.2]],
        [[0.0, 0.0], [1.0, 1.0]],
        np.eye(2),
        0,
        states=["p", "v"],
        inputs=["F", "wind"],
        outputs=["p", "v"],
    )
    wind = Steps(("1.3", "4.75"), (0.4, -0.3)) + Ramp("2.1", 0.1, "3.2") + UniformNoise(-0.3, 0.3, "0.4")
    return Plant(
        system,
        name="cart",
        disturbances={"wind": wind},
        input_limits={"F": (-0.6, 0.6)},
        state_limits={"p": (-0.3, 0.3)},
        initial_state={"p": 0.5},
        setpoints={"p": Steps((3,), (0.1,)), "F": 0.9},
        violation_weight={"p": 20.0},
        **{"Q": [1.0, 0.2], "R": [0.3], **options},
    )


@pytest.mark.parametrize(
    ("plant", "steps", "sample_time"),
    [
        (chain_plant(evaluation=True), 100, 1.0),
        (chain_plant(), 40, 1.0),
        (power_plant(), 100, 1.0),
        (cart(), 12, 0.5),
        (cart(), 1, 0.5),
        (cart(), 2, 1.0),
    ],
    ids=["chain, common noise", "chain", "power", "cart", "one sample", "two samples"],
)
def test_its_inputs_cost_in_the_loop_what_it_says(plant: Plant, steps: int, sample_time: float) -> None:
    for seed in (10_000, 3):
        best = clairvoyant(plant, seed, steps, sample_time=sample_time)
        played = Played(best.inputs, plant.input_names, sample_time)
        run = simulate(plant, played, t_end=Fraction(steps) * Fraction(sample_time), seed=seed)
        assert best.inputs.shape == (steps, len(plant.input_names))
        assert np.asarray(run.cost)[:steps].sum() == pytest.approx(best.cost, rel=1e-8)
        assert best.cost == pytest.approx(best.bound, rel=1e-8)


def test_cvxpy_finds_nothing_better() -> None:
    """The whole episode written out, from states that the simulation reached with other inputs."""
    plant, steps = cart(), 8
    zero = simulate(plant, Played(np.zeros((1, 1)), ("F",), 0.5), t_end=4.0, seed=5)
    drift = np.asarray(zero.state)
    # the plant is linear: what unit forces add is known in closed form
    a, T = 0.2, 0.5
    growth = np.exp(a * T)
    A = np.array([[1.0, (growth - 1.0) / a], [0.0, growth]])
    B = np.array([(growth - 1.0 - a * T) / a**2, (growth - 1.0) / a])
    moved = np.zeros((steps, 2, steps))
    for k in range(1, steps):
        moved[k] = A @ moved[k - 1]
        moved[k, :, k - 1] = B
    u = cp.Variable(steps)
    cost = 0.0
    for k in range(steps):
        x = drift[k] + moved[k] @ u
        target = 0.1 if k * T >= 3.0 else 0.0
        cost += (x[0] - target) ** 2 + 0.2 * x[1] ** 2 + 0.3 * (u[k] - 0.9) ** 2 + 20.0 * cp.pos(cp.abs(x[0]) - 0.3)
    found = cp.Problem(cp.Minimize(cost), [cp.abs(u) <= 0.6])
    found.solve(solver=cp.CLARABEL)
    best = clairvoyant(plant, 5, steps, sample_time=T)
    assert best.cost == pytest.approx(float(found.value), rel=1e-7)
    assert np.allclose(best.inputs[:, 0], np.asarray(u.value), atol=1e-4)


def test_no_controller_is_cheaper_on_the_same_noise() -> None:
    cases = [
        (chain_plant(evaluation=True), chain_nominal(true_model=True), 30),
        (chain_plant(evaluation=True), LQR.for_plant(chain_plant()), 30),
        (power_plant(), power_nominal(), 30),
        (power_plant(), LQR.for_plant(power_plant()), 30),
    ]
    for plant, block, steps in cases:
        best = clairvoyant(plant, 1, steps)
        cost = np.asarray(simulate(plant, block, t_end=float(steps), seed=1).cost)[:steps].sum()
        assert best.cost <= cost


def test_weights_between_inputs_are_kept() -> None:
    R = np.array([[2.0, 0.9], [0.9, 1.0]])
    system = ct.ss(np.eye(1), np.ones((1, 2)), np.eye(1), 0, 1, states=["x"], inputs=["a", "b"], outputs=["x"])
    limits = {"a": (-1.0, 0.2), "b": (-1.0, 1.0)}
    plant = Plant(system, input_limits=limits, setpoints={"a": 0.7, "b": 0.1}, R=R, initial_state=[0.0], name="both")
    best = clairvoyant(plant, 0, 1)
    u = cp.Variable(2)
    deviation = u - np.array([0.7, 0.1])
    found = cp.Problem(cp.Minimize(cp.quad_form(deviation, R)), [u >= -1.0, u[0] <= 0.2, u[1] <= 1.0])
    found.solve(solver=cp.CLARABEL)
    assert best.cost == pytest.approx(float(found.value), rel=1e-7)
    assert np.allclose(best.inputs[0], np.asarray(u.value), atol=1e-6)


def test_what_has_no_clairvoyant_is_refused() -> None:
    with pytest.raises(PlantError, match="needs a linear plant"):
        clairvoyant(quadruple_tank(), 0, 5)
    with pytest.raises(PlantError, match="steps must be a whole number of at least 1, got 0"):
        clairvoyant(chain_plant(), 0, 0)
    with pytest.raises(PlantError, match=r"chain: its samples last 1 s, not 0.5 s"):
        clairvoyant(chain_plant(), 0, 5, sample_time=0.5)
    with pytest.raises(PlantError, match="its stage cost has an extra term"):
        clairvoyant(cart(extra_stage_cost=lambda x, u, r, d: np.zeros(1)), 0, 5)
