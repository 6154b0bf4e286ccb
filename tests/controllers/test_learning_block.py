"""What learning blocks have in common: options that are refused, sets, deployment, what a record holds."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.controllers import CentralizedMPC, LearningMPC, PolicyLearning
from dmpcrl_ctrl.controllers.learning_block import LearningBlock
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.exploration import Exploration
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.schedule import Geometric

MODEL = LocalModel([[0.9]], [[1.0]], [[1.0]], [[0.5]], u_min=[-1.0], u_max=[1.0])
PROBLEM = MPCProblem((MODEL, MODEL), 3, 0.9)
ALWAYS = Exploration(Geometric(1.0), 0.5)


def made() -> list[Parametrization]:
    return [Parametrization(MODEL, [Free("b"), Free("A")]) for _ in range(2)]


def block(kind: str, **options: Any) -> LearningBlock:
    mpc = CentralizedMPC(PROBLEM, 1.0, delay=options.pop("delay", 0.0))
    given = options.pop("parametrizations", made())
    if kind == "value":
        return LearningMPC(mpc, given, **options)
    return PolicyLearning(mpc, given, exploration=ALWAYS, **options)


@pytest.mark.parametrize("kind", ["value", "policy"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update_every": 1.5}, "update_every must be a whole number of at least 1, got 1.5"),
        ({"trust": 0.0}, "trust must be a positive residual or None, got 0.0"),
        ({"step_size": -1.0}, "at least 0, got -1.0"),
        ({"delay": 0.2}, "delay"),
        ({"parametrizations": made()[:1]}, "2 agents need as many parametrizations, got 1"),
    ],
)
def test_options_out_of_range_are_named(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(LearningError, match=message):
        block(kind, **dict(options))


@pytest.mark.parametrize("kind", ["value", "policy"])
def test_what_was_learned_is_deployed(kind: str) -> None:
    learning = block(kind)
    moved = [{**own, "b": np.array([0.3])} for own in learning.theta]
    models = learning.controller(moved).problem.models
    assert [model.b.tolist() for model in models] == [[0.3], [0.3]]
    assert [model.b.tolist() for model in learning.controller().problem.models] == [[0.0], [0.0]]


@pytest.mark.parametrize("kind", ["value", "policy"])
def test_a_record_holds_the_fields(kind: str) -> None:
    learning: Any = block(kind)
    _, _, record = learning.step(learning.init(0), 0, np.zeros(len(learning.inputs)), np.zeros(2), np.zeros(2))
    shapes = {field.name: field.shape for field in learning.fields}
    assert set(record) <= set(shapes)
    assert {"td_error", "exploring", "updates", "skipped", "theta/agent 0/A"} <= set(record)
    assert all(np.shape(record[name]) == shapes[name] for name in ("td_error", "exploring", "theta/agent 1/A"))
