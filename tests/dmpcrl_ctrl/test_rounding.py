"""Rounding cannot break the bracket: cases made to cancel, against optima in exact rational arithmetic."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.bracket import bracket
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import coupling_components
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.value import agent_data

ONE, NONE = [[1.0]], [[0.0]]


def bounds(
    model: LocalModel, N: int, s: float, u: list[float], upper: list[float], action: bool
) -> tuple[float, float]:
    problem = MPCProblem((model,), N)
    rows, inputs = (N, len(model.lower)), (N, model.m)
    zero: dict[str, Any] = {name: np.zeros(rows) for name in ("lower", "slack")}
    zero |= {name: np.zeros(inputs) for name in ("u_min", "u_max", "du_min", "du_max")}
    duals = Duals(dynamics=np.zeros((N, 1)), terminal=np.zeros(1), upper=np.reshape(upper, rows), **zero)
    plan = Plan(np.zeros((N + 1, 1)), np.reshape(u, inputs), np.zeros(rows))
    points = agent_points(problem, agent_data(problem, [[s]]), [plan], [duals])
    found = bracket(points, coupling_components(problem), action)
    return float(found.lower.sum()), float(found.upper.sum())


@pytest.mark.parametrize("seed", range(8))
def test_a_slope_that_is_zero_only_after_rounding(seed: int) -> None:
    """V = min of (f + w C) u over [0, 1e8], where f = -w C as floats: exactly it is some rounding."""
    rng = np.random.default_rng(seed)
    C, w, reach = float(rng.uniform(1, 2)), float(rng.uniform(1, 2)) * 1e8, 1e8
    f = -(w * C)
    exact = Fraction(f) + Fraction(w) * Fraction(C)
    model = LocalModel(
        NONE, ONE, NONE, NONE, f=[f, 0.0], C=[[C]], upper=[0.0], slack_weight=[w], u_min=[0.0], u_max=[reach]
    )
    value = min(Fraction(0), exact * Fraction(reach))
    lower, upper = bounds(model, 2, 0.0, [0.0, 0.0], [w, 0.0], False)
    assert Fraction(lower) <= value <= Fraction(upper)


@pytest.mark.parametrize("multiplier", [0.0, 1000.0])
@pytest.mark.parametrize("a", [7.3, 10.1])
def test_a_rounding_that_an_unstable_plant_blows_up(a: float, multiplier: float) -> None:
    """Q(s, u0) with u0 = -a s as floats: exactly a s + u0 is some rounding, which grows by a at every stage."""
    s, N = 1.0 / 3.0, 12
    u = -(a * s)
    first = Fraction(a) * Fraction(s) + Fraction(u)
    sign = 1.0 if first > 0 else -1.0
    model = LocalModel([[a]], ONE, NONE, NONE, C=[[sign]], upper=[0.0], slack_weight=[1e3], u_min=[0.0], u_max=[0.0])
    value = sum(max(Fraction(0), Fraction(sign) * first * Fraction(a) ** k) * 1000 for k in range(N))
    assert value > 0
    lower, upper = bounds(model, N, s, [u] + [0.0] * (N - 1), [multiplier] * N, True)
    assert Fraction(lower) <= value <= Fraction(upper)


@pytest.mark.parametrize("price", [{"P": [[1e8]]}, {"C": ONE, "upper": [0.0], "slack_weight": [1e6]}])
def test_a_state_that_cancels_beside_a_high_price(price: dict[str, Any]) -> None:
    """x(1) = a s + u with u = -a s as floats, a quadratic or a linear price on it; either sign of what is left."""
    for s in np.random.default_rng(1).uniform(1e7, 1e8, 20):
        a, s = 0.1, float(s)
        u = -(a * s)
        left = Fraction(a) * Fraction(s) + Fraction(u)
        model = LocalModel([[a]], ONE, NONE, NONE, u_min=[u], u_max=[u], **price)
        value = left**2 * Fraction(1e8) if "P" in price else max(left, Fraction(0)) * Fraction(1e6)
        lower, upper = bounds(model, 1, s, [u], [0.0] if "C" in price else [], False)
        assert Fraction(lower) <= value <= Fraction(upper)


def test_a_weight_that_is_not_semidefinite_beyond_rounding_is_refused() -> None:
    """Over a box of 1e6 an eigenvalue of -1e-9 lowers the value by 1e3 below any bound of ours."""
    with pytest.raises(ModelError, match="least eigenvalue is -9e-10"):
        LocalModel(np.eye(2), np.ones((2, 1)), np.diag([1.0, -9e-10]), ONE)
    root = np.random.default_rng(0).normal(size=(4, 2))
    assert LocalModel(np.eye(4), np.ones((4, 1)), root @ root.T, ONE).Q.shape == (4, 4)
