"""Slopes of values that are known in closed form, and kinks that are told from slopes."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.errors import EvaluationError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.finite_differences import Slope, active_constraints, compare, slopes
from dmpcrl_ctrl.value import agent_data
from tests.dmpcrl_ctrl.conftest import everything, everything_data


def scalar(**options: Any) -> MPCProblem:
    """x(1) = 2 x + u with the cost 3 x^2 + u^2 + 4 x(1)^2: with u free V = (3 + 16/5) s^2, u = -8/5 s."""
    return MPCProblem((LocalModel([[2.0]], [[1.0]], [[3.0]], [[1.0]], P=[[4.0]], **options),), 1)


def by_name(problem: MPCProblem, state: float, action: float | None = None) -> dict[object, float]:
    """Slope by parameter, with the sign of its direction taken out."""
    given = None if action is None else [np.array([action])]
    found = slopes(problem, agent_data(problem, [np.array([state])]), given)
    return {one.direction.parameter: one.slope / float(one.direction.tangent.sum()) for one in found}


def test_slopes_of_a_value_in_closed_form() -> None:
    s = 0.7
    u, x = -1.6 * s, 0.4 * s
    expected = {
        "A": 8.0 * x * s, "B": 8.0 * x * u, "b": 8.0 * x, "Q": s * s, "R": u * u, "P": x * x, "V0": 1.0,
        "state": 2.0 * 6.2 * s, "x_setpoint": -6.0 * s - 8.0 * x, "u_setpoint": -2.0 * u,
        "previous_input": 0.0,
    }  # fmt: skip
    found = by_name(scalar(), s)
    for name, slope in expected.items():
        assert found[name] == pytest.approx(slope, rel=1e-9, abs=1e-9), name


def test_the_slope_of_q_by_the_action() -> None:
    s, a = 0.7, 0.3
    assert by_name(scalar(), s, a)["action"] == pytest.approx(2.0 * a + 8.0 * (2.0 * s + a), rel=1e-9)


def test_prices_and_weights_on_the_edge_have_one_sided_slopes() -> None:
    soft = scalar(C=[[1.0]], upper=[0.1], slack_weight=[0.5], u_min=[-1.0], u_max=[1.0])
    s = 1.0
    u, sigma = -1.0, 0.9
    found = by_name(soft, s)
    assert found["slack_weight"] == pytest.approx(sigma, rel=1e-9)
    assert found["slack_quadratic"] == pytest.approx(sigma**2, rel=1e-8)  # from a price of zero upwards
    assert [found["upper"], found["x_ub"]] == pytest.approx([-0.5, -0.5], rel=1e-9)
    assert found["u_min"] == pytest.approx(2.0 * u + 8.0 * (2.0 * s + u) + 0.5, rel=1e-9)
    flat = MPCProblem((LocalModel([[2.0]], [[1.0]], [[0.0]], [[1.0]], P=[[4.0]]),), 1)
    assert by_name(flat, s)["Q"] == pytest.approx(s * s, rel=1e-9)


def test_a_kink_is_told_from_a_slope() -> None:
    """At s = 0.5 the free input would be -0.8, exactly its bound; Q at x(1) = 0.1 sits on a soft bound."""
    weakly = by_name(scalar(u_min=[-0.8], u_max=[0.8]), 0.5)
    assert np.isnan(weakly["u_min"]) and np.isnan(weakly["state"]) and np.isnan(weakly["B"])
    assert weakly["V0"] == pytest.approx(1.0)
    on_bound = by_name(scalar(C=[[1.0]], upper=[0.1], slack_weight=[5.0]), 0.5, -0.9)
    assert np.isnan(on_bound["action"]) and np.isnan(on_bound["upper"])
    aside = by_name(scalar(C=[[1.0]], upper=[0.1], slack_weight=[5.0]), 0.5, -0.899)
    assert aside["upper"] == pytest.approx(-5.0)


def test_bounds_that_pinch_have_no_slope() -> None:
    pinched = by_name(scalar(u_min=[0.3], u_max=[0.3]), 0.5)
    assert np.isnan(pinched["u_min"]) and np.isnan(pinched["u_max"])


def test_the_gradient_of_a_network_with_every_feature() -> None:
    problem, data = everything(), everything_data(3)
    reference = slopes(problem, data, seed=5)
    found = compare(reference, CentralEvaluator(problem).evaluate(data).gradient, problem.names)
    assert found.error < 1e-9
    assert found.compared >= 0.9 * len(reference) and found.compared + found.kinks == len(reference)


def test_a_wrong_entry_is_found_and_named() -> None:
    problem = scalar()
    data = agent_data(problem, [np.array([0.7])])
    reference, gradient = slopes(problem, data), dict(CentralEvaluator(problem).evaluate(data).gradient[0])
    found = compare(reference, [gradient | {"B": gradient["B"] + 0.01}], ["me"])
    assert found.where == "me: B" and found.error == pytest.approx(0.01 / reference[0].largest, rel=1e-6)
    assert abs(found.found - found.expected) == pytest.approx(0.01, rel=1e-6)
    unknown = compare(reference, [gradient | {"B": np.full((1, 1), np.nan)}], ["me"])
    assert unknown.error == np.inf


def test_kinks_are_counted_and_not_compared() -> None:
    reference = slopes(scalar(), agent_data(scalar(), [np.array([0.7])]), parameters=("A", "B"))
    assert [one.direction.parameter for one in reference] == ["A", "B"]
    kinked = [Slope(reference[0].direction, float("nan"), 1.0), reference[1]]
    found = compare(kinked, [{"A": np.full((1, 1), 1e9), "B": np.full((1, 1), np.nan)}], ["me"])
    assert (found.compared, found.kinks) == (1, 1)


def test_active_constraints_are_those_with_a_multiplier() -> None:
    problem = scalar(u_min=[-1.0], u_max=[1.0])
    flags = [
        active_constraints(CentralEvaluator(problem).evaluate(agent_data(problem, [np.array([s])]))) for s in (0.1, 1.0)
    ]
    assert [int(one.sum()) for one in flags] == [0, 1]


def test_a_problem_without_a_solution_has_no_slopes() -> None:
    stuck = scalar(C=[[1.0]], upper=[0.0], u_min=[-1.0], u_max=[1.0])
    with pytest.raises(EvaluationError, match="no slopes where the central problem fails: no plan satisfies"):
        slopes(stuck, agent_data(stuck, [np.array([5.0])]))
