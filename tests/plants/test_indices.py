"""Performance indices against sums written out."""

import math

import numpy as np

from dmpcrl_ctrl.plants.indices import mean_deviation_cost, mean_tie_exchange
from dmpcrl_ctrl.plants.trajectory import Trajectory

RNG = np.random.default_rng(0)
Q, R = np.diag([2.0, 3.0]) + 0.5, np.array([[4.0]])


def loop(samples: int) -> Trajectory:
    return Trajectory(
        time=np.cumsum(RNG.uniform(0.5, 1.5, samples + 1)),
        state=RNG.normal(size=(samples + 1, 2)),
        input=RNG.normal(size=(samples, 1)),
        disturbance=np.zeros((samples, 0)),
        setpoint=RNG.normal(size=(samples, 3)),
        state_names=("x", "y"),
        input_names=("u",),
    )


def test_the_cost_counts_every_sample_but_the_last_state() -> None:
    run = loop(7)
    total = 0.0
    for k in range(7):
        x, u = run.state[k] - run.setpoint[k, :2], run.input[k] - run.setpoint[k, 2:]
        total += float(x @ Q @ x + u @ R @ u)
    assert math.isclose(mean_deviation_cost(Q, R)(run), total / 7)


def test_the_exchange_counts_each_tie_over_each_sample() -> None:
    run = loop(7)
    flows = np.array([[2.0, -2.0], [0.0, 1.0]])
    total = 0.0
    for k in range(7):
        power = abs(2.0 * (run.state[k, 0] - run.state[k, 1])) + abs(run.state[k, 1])
        total += power * (run.time[k + 1] - run.time[k])
    assert math.isclose(mean_tie_exchange(flows)(run), total / 7)


def test_no_sample_has_no_mean() -> None:
    assert math.isnan(mean_deviation_cost(Q, R)(loop(0)))
    assert math.isnan(mean_tie_exchange(np.zeros((0, 2)))(loop(0)))
