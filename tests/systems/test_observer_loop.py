"""Whole loops of plants that do not put out their states: the observer in between sees what the plant really takes."""

from collections.abc import Sequence

import control as ct
import numpy as np
from scipy.linalg import expm, solve_discrete_are

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import LQR, Block, DistributedMPC, Observer
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.plants import Agent, Plant, Steps, power_network

A, B, WIND = np.array([[0.0, 1.0], [0.0, -0.1]]), np.array([[0.0], [1.0]]), np.array([[0.0], [0.5]])


def cart() -> Plant:
    """Only the position is measured, under the name of the state that it is; a weak motor and a known wind."""
    system = ct.ss(
        A, np.hstack([B, WIND]), [[1.0, 0.0]], np.zeros((1, 2)),
        states=["p", "v"], inputs=["F", "wind"], outputs=["p"], name="cart",
    )  # fmt: skip
    return Plant(
        system,
        disturbances={"wind": Steps((2.0,), (1.0,))},
        input_limits={"F": (-0.8, 0.8)},
        initial_state={"p": 3.0, "v": -0.5},
    )


def test_the_regulator_acts_on_the_estimate_of_the_same_instant_and_the_estimate_knows_the_saturation() -> None:
    plant, Ts = cart(), 0.1
    observer = Observer.for_plant(plant, sample_time=Ts, process_noise=[1e-3, 1.0], measurement_noise=1e-3)
    lqr = LQR.for_plant(plant, sample_time=Ts, R=[0.01])
    with simulate(plant, [lqr, observer], t_end=20.0) as run:
        y, u, wind = run.output[:, 0], run.input[:, 0], run.disturbance[:, 0]
        estimate, wanted = run.controllers["observer"].output, run.controllers["lqr"].output[:, 0]
        sampled = run.controllers["lqr"].input[:, :2]
        state = run.state
    # the filter once more, from the continuous plant
    whole = expm(Ts * np.block([[A, B, WIND], [np.zeros((2, 4))]]))
    Ad, Bd, Ed, C = whole[:2, :2], whole[:2, 2], whole[:2, 3], np.array([[1.0, 0.0]])
    P = solve_discrete_are(Ad.T, C.T, np.diag([1e-3, 1.0]), np.array([[1e-3]]))
    L = (P @ C.T / (C @ P @ C.T + 1e-3))[:, 0]
    x = L * y[0]
    for k in range(len(estimate)):
        if k:
            x = Ad @ x + Bd * u[k - 1] + Ed * wind[k - 1]
            x = x + L * (y[k] - x[0])
        assert np.allclose(estimate[k], x, atol=1e-9), k
    assert np.array_equal(sampled, estimate)
    assert np.allclose(wanted, np.clip(-estimate @ lqr.gain[0], -0.8, 0.8), atol=1e-12)
    assert (np.abs(u) == 0.8).sum() > 10
    assert np.abs(estimate[0] - state[0]).max() > 0.4
    assert np.abs(estimate[100:] - state[100 : len(estimate)]).max() < 1e-6


def test_the_order_in_which_blocks_are_listed_does_not_matter() -> None:
    plant = cart()
    blocks: list[Block] = [Observer.for_plant(plant, sample_time=0.1), LQR.for_plant(plant, sample_time=0.1)]
    with simulate(plant, blocks, t_end=3.0) as one, simulate(plant, blocks[::-1], t_end=3.0) as other:
        assert np.array_equal(one.state, other.state)


def grid(measured: Sequence[str]) -> Plant:
    """The power network of which only some states are measured; a load steps in the first area."""
    full = power_network(scenario=1)
    C = np.array([[float(name == output) for name in full.state_names] for output in measured])
    system = ct.ss(
        full.system.A, full.system.B, C, np.zeros((len(measured), full.system.ninputs)), states=list(full.state_names),
        inputs=list(full.system.input_labels), outputs=list(measured), name="grid",
    )  # fmt: skip
    return Plant(
        system,
        [Agent(a.name, a.states, a.inputs, a.disturbances) for a in full.agents],
        disturbances=dict.fromkeys(full.disturbance_names, 0.0) | {full.disturbance_names[0]: Steps((5.0,), (0.05,))},
        initial_state={"dtheta_1": 0.02, "dtheta_3": -0.01},
    )


def test_from_angles_alone_distributed_mpc_takes_the_power_network_where_it_does_with_all_states() -> None:
    names = grid(["dtheta_1"]).state_names
    seen, hidden = grid(names), grid([name for name in names if name.startswith("dtheta")])
    options = ADMMOptions(iterations=500, tolerance=1e-7)
    with simulate(seen, DistributedMPC.for_plant(seen, horizon=5, admm=options), t_end=40.0) as run:
        wanted = run.state[-1]
    observer = Observer.for_plant(hidden, sample_time=1.0, measurement_noise=1e-6)
    blocks: list[Block] = [DistributedMPC.for_plant(hidden, horizon=5, admm=options), observer]
    with simulate(hidden, blocks, t_end=40.0) as run:
        errors = np.abs(run.controllers["observer"].output - run.state[:-1]).max(axis=1)
        assert (run.controllers["mpc"].status <= 1).all()
        assert errors[0] > 0.005 and errors[20:].max() < 1e-6
        assert np.allclose(run.state[-1], wanted, atol=1e-3)
