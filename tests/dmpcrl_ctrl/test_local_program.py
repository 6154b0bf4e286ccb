"""What agents solve in between is as good as their whole programs, or it is not used."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.reduced import Point, Reduced
from dmpcrl_ctrl.reduction import States
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.value import agent_data

Data = tuple[AgentData, ...]


@pytest.mark.parametrize("far", [1e3, 1e14, 1e20])
def test_a_bound_far_away_hides_no_other(far: float) -> None:
    def agent(j: int) -> LocalModel:
        bounds: dict[str, Any] = {"C": [[1.0]], "upper": [far], "u_min": [-0.1], "u_max": [0.1]}
        return LocalModel([[0.9]], [[1.0]], [[1.0]], [[0.1]], A_ij={j: [[0.3]]}, **bounds)

    problem = MPCProblem((agent(1), agent(0)), 4)
    data = agent_data(problem, [np.array([1.0]), np.array([-2.0])])
    found = DistributedEvaluator(problem, ADMMOptions(iterations=500, tolerance=1e-9)).evaluate(data)
    assert found.status is Status.OPTIMAL
    assert found.value == pytest.approx(8.919152, abs=1e-6)  # of the program without that bound, by hand: DAQP


def test_an_agent_that_was_misled_solves_its_whole_program(
    problem: MPCProblem, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reduced solver that answers wrongly costs time and nothing else."""
    options = ADMMOptions(iterations=300, tolerance=1e-9)
    expected = DistributedEvaluator(problem, options).evaluate(data)
    real = Reduced.at

    def wrong(self: Reduced, linear: Array, states: States) -> Point | None:
        point = real(self, linear, states)
        if point is None:
            return None
        return replace(point, shared=point.shared + 1.0, watched=point.watched + 1.0)

    monkeypatch.setattr(Reduced, "at", wrong)
    evaluator = DistributedEvaluator(problem, options)
    found = evaluator.evaluate(data)
    assert found.status is Status.OPTIMAL
    assert found.value == pytest.approx(expected.value, rel=1e-7)
    assert any(kept.reduction is None for p in evaluator._programs[False] for kept in p.met.values())
