"""Two masses on a stiff spring: fifty iterations are too few from a bad start, and must not carry it along."""

import control as ct
import numpy as np

from dmpcrl_ctrl.controllers import DistributedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.plants import Plant


def test_multipliers_do_not_grow_from_sample_to_sample() -> None:
    k, c = 50.0, 0.4
    A = [[0, 1, 0, 0], [-k, -c, k, c], [0, 0, 0, 1], [k, c, -k, -c]]
    names = ["p1", "v1", "p2", "v2"]
    B = [[0, 0], [1, 0], [0, 0], [0, 1]]
    system = ct.ss(A, B, np.eye(4), np.zeros((4, 2)), states=names, outputs=names, inputs=["F1", "F2"], name="masses")
    plant = Plant(system, input_limits={"F1": (-1, 1), "F2": (-1, 1)}, initial_state={"p1": 0.1})
    run = simulate(plant, DistributedMPC.for_plant(plant, horizon=20, sample_time=0.2), t_end=16.0)
    assert np.abs(run.input[-20:]).max() < 0.2
    assert np.abs(run.state).max() < 0.5
