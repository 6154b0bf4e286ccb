"""Whole closed loops of the Hycon2 power network, against the published indices and against the central controller."""

from typing import Literal

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.status import Applied, Status

CONVERGED = ADMMOptions(iterations=3000, tolerance=1e-9)
ETA, PHI = 0.0248777962619, 0.0029550923098  # Riverso and Ferrari-Trecate, centralised MPC, scenario 1


@pytest.mark.parametrize("solver", ["piqp", "daqp", "proxqp"])
def test_the_benchmarks_own_controller_gives_the_published_indices(solver: str) -> None:
    plant = power_network(1)
    mpc = CentralizedMPC.for_plant(plant, horizon=15, hold="network", terminal="equality", solver=solver)
    run = simulate(plant, mpc, t_end=100.0)
    trajectory = run.trajectory(plant)
    assert plant.indices["eta"](trajectory) == pytest.approx(ETA, rel=1e-8)
    assert plant.indices["phi"](trajectory) == pytest.approx(PHI, rel=1e-8)


def test_the_terminal_equality_shows_in_the_indices() -> None:
    """A comparison that could not tell the two apart would prove nothing."""
    plant = power_network(1)
    mpc = CentralizedMPC.for_plant(plant, horizon=15, hold="network")
    trajectory = simulate(plant, mpc, t_end=100.0).trajectory(plant)
    assert plant.indices["eta"](trajectory) != pytest.approx(ETA, rel=1e-7)


@pytest.mark.parametrize("scenario", [1, 2])
@pytest.mark.parametrize("terminal", ["none", "equality"])
def test_distributed_inputs_are_the_central_ones_at_every_step(scenario: Literal[1, 2], terminal: str) -> None:
    plant = power_network(scenario)
    mpc = DistributedMPC.for_plant(plant, horizon=15, terminal=terminal, admm=CONVERGED, compare_central=True)
    trace = simulate(plant, mpc, t_end=100.0).controllers["mpc"]
    assert (trace.status == Status.OPTIMAL).all()
    assert trace.central_difference.shape == (100,)
    assert trace.central_difference.max() < 1e-6


def test_the_closed_loops_of_both_are_the_same() -> None:
    """Not only step by step from the same states: the central loop runs by itself."""
    plant = power_network(1)
    runs = [
        simulate(plant, mpc, t_end=60.0)
        for mpc in (
            DistributedMPC.for_plant(plant, horizon=15, admm=CONVERGED),
            CentralizedMPC.for_plant(plant, horizon=15),
        )
    ]
    assert np.abs(runs[0].input - runs[1].input).max() < 1e-6


def test_scenario_3_runs_without_area_4() -> None:
    plant = power_network(3)
    mpc = DistributedMPC.for_plant(plant, horizon=15, admm=CONVERGED, compare_central=True)
    trace = simulate(plant, mpc, t_end=60.0).controllers["mpc"]
    assert trace.output.shape[1] == 4 and trace.central_difference.max() < 1e-6


def test_fifty_iterations_are_nearly_there() -> None:
    plant = power_network(1)
    mpc = DistributedMPC.for_plant(plant, horizon=15, compare_central=True)
    trace = simulate(plant, mpc, t_end=100.0).controllers["mpc"]
    assert (trace.status == Status.MAX_ITERATIONS).all()
    assert 0.0 < trace.central_difference.max() < 1e-8


def test_limits_too_tight_for_the_terminal_equality_are_survived_by_the_central_controller() -> None:
    """From t = 15 area 2 cannot reach its set point: the load of -0.15 is beyond its input limit of 0.1."""
    plant = power_network(1, input_limits="learning")
    mpc = CentralizedMPC.for_plant(plant, horizon=15, terminal="equality")
    trace = simulate(plant, mpc, t_end=45.0).controllers["mpc"]
    assert (trace.status[:15] == Status.OPTIMAL).all()
    assert (trace.status[15:] == Status.PRIMAL_INFEASIBLE).all()
    assert (trace.applied_kind[15:29] == Applied.SHIFTED_PLAN).all()
    assert (trace.applied_kind[29:] == Applied.HELD).all()
    assert np.isfinite(trace.output).all()


def test_the_agents_find_the_contradiction_although_each_of_them_has_a_plan() -> None:
    """Copies are free, so every area by itself can reach its set point; area 2 (number 1) is the one at odds."""
    plant = power_network(1, input_limits="learning")
    mpc = DistributedMPC.for_plant(plant, horizon=15, terminal="equality", admm=CONVERGED)
    trace = simulate(plant, mpc, t_end=18.0).controllers["mpc"]
    assert (trace.status[:15] == Status.OPTIMAL).all()
    assert (trace.status[15:] == Status.CONSENSUS_STALLED).all()
    assert (trace.culprit[15:] == 1).all() and mpc.problem.names[1] == plant.agents[1].name
    assert (trace.iterations[15:] < CONVERGED.iterations).all()
    assert (trace.applied_kind[15:] == Applied.SHIFTED_PLAN).all()


@pytest.mark.parametrize("solver", ["piqp", "daqp"])
def test_the_second_backend_gives_the_same_loop(solver: str) -> None:
    plant = power_network(1)
    runs = [
        simulate(plant, DistributedMPC.for_plant(plant, horizon=15, admm=CONVERGED, solver=name), t_end=25.0)
        for name in ("proxqp", solver)
    ]
    assert np.abs(runs[0].input - runs[1].input).max() < 1e-7
