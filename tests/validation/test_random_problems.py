"""What a feature does to a random problem, and that a blueprint determines every number."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.random_problems import FEATURES, Blueprint, random_problem

SIZES, ARCS = ((2, 1), (3, 2), (1, 0)), ((0, 1), (1, 0), (1, 2))


def bounded(model: LocalModel, soft: bool) -> bool:
    finite = np.isfinite(model.lower) | np.isfinite(model.upper)
    return bool((finite & (model.soft == soft)).any())


SHOWS: dict[str, Callable[[LocalModel, AgentData], bool]] = {
    "coupled_bounds": lambda model, data: bool(model.C_ij),
    "coupling_cost": lambda model, data: bool(model.G_ij),
    "declared": lambda model, data: bool(model.declared),
    "disturbances": lambda model, data: model.d > 0 and bool(np.ptp(data.disturbance, axis=0).all()),
    "hard_bounds": lambda model, data: bounded(model, soft=False),
    "input_bounds": lambda model, data: bool(np.isfinite([model.u_min, model.u_max]).any()),
    "linear_cost": lambda model, data: bool(model.f.any()) and model.V0 != 0.0,
    "merely_convex": lambda model, data: np.linalg.matrix_rank(model.Q) < model.n,
    "offsets": lambda model, data: bool(model.b.any()),
    "rate_limits": lambda model, data: bool(np.isfinite(model.du_max).any()),
    "scales": lambda model, data: model.n > 1 and np.ptp(np.log10(np.diag(model.Q))) > 1.5,
    "set_points": lambda model, data: bool(data.x_setpoint.any()),
    "soft_bounds": lambda model, data: bounded(model, soft=True),
    "terminal_cost": lambda model, data: bool(model.P.any()),
    "terminal_equality": lambda model, data: model.terminal_equality,
    "unstable": lambda model, data: bool(np.abs(np.linalg.eigvals(model.A)).max() > 1.0),
}


def cases(*features: str) -> list[tuple[MPCProblem, tuple[AgentData, ...]]]:
    return [random_problem(Blueprint(SIZES, ARCS, 3, frozenset(features), seed)) for seed in range(20)]


@pytest.mark.parametrize("feature", sorted(SHOWS))
def test_a_feature_shows_where_it_is_asked_for_and_nowhere_else(feature: str) -> None:
    shown = [
        any(SHOWS[feature](model, d) for problem, data in some for model, d in zip(problem.models, data, strict=True))
        for some in (cases(feature), cases())
    ]
    assert shown == [True, False]


def test_the_features_that_no_model_shows() -> None:
    assert set(FEATURES) - set(SHOWS) == {"discount", "quadratic_slack"}
    assert {problem.discount for problem, _ in cases("discount")} == {0.9}
    assert {problem.discount for problem, _ in cases()} == {1.0}
    priced = [model for problem, _ in cases("soft_bounds", "quadratic_slack") for model in problem.models]
    assert any(model.slack_quadratic.any() for model in priced)
    assert not any(model.slack_quadratic[~model.soft].any() for model in priced)


def test_every_arc_couples_and_nothing_else_does() -> None:
    for problem, _ in cases(*FEATURES):
        for i, model in enumerate(problem.models):
            assert [(j, i) for j in model.neighbours] == sorted(arc for arc in ARCS if arc[1] == i)
            assert all(model.coupled_columns(j) for j in model.neighbours)


def test_sizes_are_those_of_the_blueprint() -> None:
    problem, data = random_problem(Blueprint(SIZES, ARCS, 5, frozenset(FEATURES), 7))
    assert tuple((model.n, model.m) for model in problem.models) == SIZES
    for model, d in zip(problem.models, data, strict=True):
        shapes = (d.state.shape, d.disturbance.shape, d.x_setpoint.shape, d.u_setpoint.shape, d.previous_input.shape)
        assert shapes == ((model.n,), (5, model.d), (6, model.n), (5, model.m), (model.m,))


def test_a_blueprint_determines_every_number() -> None:
    blueprint = Blueprint(SIZES, ARCS, 3, frozenset(FEATURES), 11)
    (first, data), (second, again) = random_problem(blueprint), random_problem(blueprint)
    for one, other in zip(first.models, second.models, strict=True):
        for field in fields(one):
            assert repr(getattr(one, field.name)) == repr(getattr(other, field.name))
    assert all(np.array_equal(a.x_setpoint, b.x_setpoint) for a, b in zip(data, again, strict=True))
    assert not np.array_equal(data[0].state, random_problem(Blueprint(SIZES, ARCS, 3, seed=12))[1][0].state)
