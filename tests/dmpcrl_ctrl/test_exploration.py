"""Exploration is a linear cost on the first input, whichever way it is written."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.exploration import Exploration, explored
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.schedule import Geometric
from dmpcrl_ctrl.value import agent_data

MODEL = LocalModel(
    [[0.9, 0.2], [0.0, 1.1]],
    [[0.0, 0.3], [1.0, 0.1]],
    np.eye(2),
    [[2.0, 0.5], [0.5, 1.0]],
    P=np.eye(2),
    u_min=[-2.0] * 2,
    u_max=[2.0] * 2,
)


@pytest.mark.parametrize("size", [0.3, 30.0])
def test_the_moved_set_point_is_the_linear_cost(size: float) -> None:
    """Against the value over all first inputs on a grid, with q'u(0) added by hand; at a bound and inside."""
    problem, q = MPCProblem((MODEL,), 2), size * np.array([1.0, -0.7])
    (data,) = agent_data(problem, [[0.4, -0.3]], u_setpoints=[[0.2, 0.1]])
    moved, lacking = explored(data, MODEL, q)
    evaluator = CentralEvaluator(problem)
    found = evaluator.evaluate([moved])
    value = found.value + lacking
    q_value = evaluator.evaluate([data], found.action).value
    assert value == pytest.approx(q_value + float(q @ found.action[0]), rel=1e-9)
    for other in np.random.default_rng(0).uniform(-2.0, 2.0, (200, 2)):
        assert evaluator.evaluate([data], [other]).value + float(q @ other) >= value - 1e-9


def test_no_cost_changes_nothing_and_a_singular_weight_is_refused() -> None:
    (data,) = agent_data(MPCProblem((MODEL,), 2), [[0.4, -0.3]])
    assert explored(data, MODEL, np.zeros(2)) == (data, 0.0)
    with pytest.raises(LearningError, match="positive definite R"):
        explored(data, replace(MODEL, R=np.diag([1.0, 0.0])), np.ones(2))


def test_agents_toss_their_own_coins_and_draw_again_at_each_sample() -> None:
    exploration = Exploration(Geometric(0.5), 2.0)
    drawn = np.array([[float(q[0]) for q in exploration.costs([1, 1, 1], 0, 7, tick)] for tick in range(2000)])
    assert np.abs((drawn != 0.0).mean(axis=0) - 0.5).max() < 0.05
    assert abs(float(np.corrcoef(drawn[:, 0] != 0.0, drawn[:, 1] != 0.0)[0, 1])) < 0.08
    assert drawn[drawn != 0.0].std() == pytest.approx(2.0, rel=0.06)
    uniform = Exploration(Geometric(1.0), 2.0, "uniform")
    spread = np.array([uniform.costs([1], 0, 7, tick)[0][0] for tick in range(2000)])
    assert np.abs(spread).max() <= 2.0
    assert spread.std() == pytest.approx(2.0 / np.sqrt(3.0), rel=0.05)


def test_the_probability_falls_with_the_updates() -> None:
    exploration = Exploration(Geometric(1.0, 0.1))
    counts = [sum(q.any() for t in range(500) for q in exploration.costs([1], u, 0, t)) for u in (0, 1, 5)]
    assert counts[0] == 500
    assert 20 <= counts[1] <= 80
    assert counts[2] <= 2


@pytest.mark.parametrize(
    ("options", "message"), [({"strength": -1.0}, "at least 0, got -1.0"), ({"distribution": "cauchy"}, "got 'cauchy'")]
)
def test_options_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LearningError, match=message):
        Exploration(Geometric(0.5), **options)
