"""Inputs that the agents apply in the benchmark's closed loops, against a solver and an assembly of another make.

`compare_central` shares its assembly with the agents; this does not: CVXPY states the problem stage by stage.
"""

from typing import Literal

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import DistributedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.plants import power_network
from tests.references import central_reference

CONVERGED = ADMMOptions(iterations=3000, tolerance=1e-9)


@pytest.mark.parametrize("scenario", [1, 2])
def test_applied_inputs_are_those_of_an_independent_solver(scenario: Literal[1, 2]) -> None:
    plant = power_network(scenario)
    mpc = DistributedMPC.for_plant(plant, horizon=15, terminal="equality", admm=CONVERGED)
    run = simulate(plant, mpc, t_end=46.0)
    trace = run.controllers["mpc"]
    for k in (5, 7, 15, 20, 31, 40, 41, 45):
        data = mpc.signals.data(mpc.problem, trace.input[k], np.zeros(len(mpc.outputs)))
        theirs = mpc.signals.joined(central_reference(mpc.problem, data).action)
        assert np.abs(trace.output[k] - theirs).max() < 1e-6, k
