"""What the log says of a predictive controller is what the controller had, did and knew."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.agent_models import ARRAYS, COUPLINGS, agent_models
from dmpcrl_ctrl.cosim.clock import Schedule
from dmpcrl_ctrl.cosim.layout import Layout
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.cosim.log_writer import LogWriter
from dmpcrl_ctrl.cosim.participants import TimedBlock
from dmpcrl_ctrl.cosim.problem_reader import LoggedProblem, read_problem
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.strategies import mpc_problems
from tests.examples import examples


class Holder:
    """A block that has a problem and nothing else."""

    sample_time = 1.0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def __init__(self, problem: MPCProblem) -> None:
        self.problem = problem

    def init(self, seed: int) -> None: ...

    def step(self, *given: Any) -> Any: ...


def written(problem: MPCProblem) -> LogReader:
    axes, variables, attributes = agent_models(TimedBlock(Holder(problem), "mpc", (), (), Schedule(1)))
    return LogReader(LogWriter(None, Layout(tuple(axes), tuple(variables), attributes)).file)


@settings(max_examples=examples(60))
@given(mpc_problems(max_agents=4))
def test_a_problem_is_read_back_bit_for_bit(case: tuple[MPCProblem, tuple[AgentData, ...]]) -> None:
    problem, _ = case
    found = read_problem(written(problem), "mpc")
    assert (found.horizon, found.discount, found.names) == (problem.horizon, problem.discount, problem.names)
    for mine, theirs in zip(found.models, problem.models, strict=True):
        for name in ARRAYS:
            assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name
        for name in COUPLINGS:
            kept = {j: block for j, block in getattr(theirs, name).items() if block.size}
            assert getattr(mine, name).keys() == kept.keys()
            assert all(np.array_equal(getattr(mine, name)[j], block) for j, block in kept.items())
        assert (mine.V0, mine.terminal_equality) == (theirs.V0, theirs.terminal_equality)
        assert mine.declared == {j: columns for j, columns in theirs.declared.items() if columns}


def test_more_than_nine_agents_keep_their_order() -> None:
    model = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]])
    problem = MPCProblem(tuple(model for _ in range(12)), 2)
    assert read_problem(written(problem), "mpc").names == problem.names


def test_what_is_no_problem_is_named() -> None:
    reader = written(MPCProblem((LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]]),), 2))
    with pytest.raises(LogError, match="controller/other/model: expected an MPC problem"):
        read_problem(reader, "other")
    reader._file["controller/mpc/model/agent 0/R"][...] = -1.0
    with pytest.raises(LogError, match="positive semidefinite"):
        read_problem(reader, "mpc")


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize("kind", [CentralizedMPC, DistributedMPC])
def test_the_same_problem_with_the_same_data_has_the_logged_solution(kind: Any, preview: bool) -> None:
    """Solved anew by the central evaluator, from nothing but the log."""
    plant = power_network(1)
    options = {"admm": ADMMOptions(iterations=3000, tolerance=1e-9)} if kind is DistributedMPC else {}
    run = simulate(plant, kind.for_plant(plant, 4, preview=preview, **options), t_end=6)
    logged = LoggedProblem.of(run._reader, run.controllers["mpc"])
    evaluator = CentralEvaluator(logged.problem)
    for k in (3, 5):
        found = evaluator.evaluate(logged.data(k))
        assert found.value == pytest.approx(run.controllers["mpc"].value[k], rel=1e-6, abs=1e-12)
        for mine, theirs in zip(found.plans, logged.plans(k), strict=True):
            assert np.allclose(mine.u, theirs.u, atol=1e-6)
            assert mine.neighbours.keys() == theirs.neighbours.keys()
            for j, copy in mine.neighbours.items():
                assert np.array_equal(np.isnan(copy), np.isnan(theirs.neighbours[j]))
        for own, other in zip(found.duals, logged.duals(k), strict=True):
            assert np.allclose(own.dynamics, other.dynamics, atol=1e-4)


def test_a_plan_of_another_width_is_refused() -> None:
    plant = power_network(1)
    run = simulate(plant, CentralizedMPC.for_plant(plant, 3), t_end=1)
    run._reader._file["controller/mpc/model"].attrs["horizon"] = 10**9
    with pytest.raises(LogError, match=r"plan/area_1: expected 1[0-9]* numbers a row, found"):
        LoggedProblem.of(run._reader, run.controllers["mpc"])
