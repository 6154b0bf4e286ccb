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


def test_at_rest_large_inputs_that_cancel_do_not_look_like_an_error() -> None:
    """A load of 0.28 is met by an input of 0.28: the angles that are shared are nothing but rounding."""
    A = np.array([[1.0, 0.9, 0.3], [0.0, 0.8, 0.6], [0.0, 0.0, 0.5]])

    def agent(j: int) -> LocalModel:
        tie = np.array([[0.05, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 0.0]])
        own = A - tie @ np.ones((3, 3)) * np.array([1.0, 0.0, 0.0])
        held: dict[str, Any] = {
            "E": [[-0.3], [-0.6], [0.0]],
            "u_min": [-0.5],
            "u_max": [0.5],
            "terminal_equality": True,
        }
        return LocalModel(own, [[0.0], [0.0], [0.5]], np.diag([500.0, 0.01, 10.0]), [[10.0]], A_ij={j: tie}, **held)

    problem = MPCProblem((agent(1), agent(0)), 15)
    loads = (0.28, 0.12)
    data = tuple(
        replace(
            own,
            state=np.array([1e-9, 0.0, load]),
            disturbance=np.full((15, 1), load),
            x_setpoint=np.tile([0.0, 0.0, load], (16, 1)),
            u_setpoint=np.full((15, 1), load),
        )
        for own, load in zip(agent_data(problem, [np.zeros(3)] * 2), loads, strict=True)
    )
    evaluator = DistributedEvaluator(problem)
    memory = None
    for _ in range(5):
        found = evaluator.evaluate(data, memory=memory)
        memory = found.memory
        assert found.status.ok
        assert np.concatenate(found.action) == pytest.approx(loads, abs=1e-6)
    assert all(kept.reduction is not None for p in evaluator._programs[False] for kept in p.met.values())
