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


def free_dual(N: int, n: int, m: int, p: int = 0, **given: Any) -> Duals:
    zero: dict[str, Any] = {name: np.zeros((N, p)) for name in ("lower", "upper", "slack")}
    zero |= {name: np.zeros((N, m)) for name in ("u_min", "u_max", "du_min", "du_max")}
    return Duals(**{**zero, "dynamics": np.zeros((N, n)), "terminal": np.zeros(n), **given})


def one_stage(model: LocalModel, s: list[float], u: list[float], **duals: Any) -> tuple[float, float]:
    """The bracket of V over a single stage, from these inputs and multipliers."""
    problem = MPCProblem((model,), 1)
    plan = Plan(np.zeros((2, model.n)), np.array([u]), np.zeros((1, len(model.lower))))
    dual = free_dual(1, model.n, model.m, len(model.lower), **duals)
    points = agent_points(problem, agent_data(problem, [s]), [plan], [dual])
    found = bracket(points, coupling_components(problem), False)
    return float(found.lower.sum()), float(found.upper.sum())


@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("where", ["Q", "P", "G"])
def test_a_quadratic_form_that_cancels(where: str, size: float) -> None:
    """(s_1 - s_2)^2 as Q or P of rank one, or as a cost on a combination of states, with s_1 next to s_2."""
    form = np.array([[1.0, -1.0], [-1.0, 1.0]])
    weights: dict[str, Any] = {"Q": np.zeros((2, 2))}
    weights |= {"G": [[1.0, -1.0]]} if where == "G" else {where: 3.0 * form}
    q = 1 if where == "G" else 3
    model = LocalModel(np.eye(2), np.zeros((2, 1)), R=ONE, u_min=[0.0], u_max=[0.0], **weights)
    for a in np.random.default_rng(2).uniform(1.0, 2.0, 10):
        s = [float(size * a + 1e-3 * a), float(size * a)]
        value = q * (Fraction(s[0]) - Fraction(s[1])) ** 2
        lower, upper = one_stage(model, s, [0.0])
        assert Fraction(lower) <= value <= Fraction(upper)


def test_a_linear_cost_that_cancels_between_inputs() -> None:
    """f'u with u pinned: 1e8 u_1 - 1e8 u_2 is some rounding."""
    for a, b in np.random.default_rng(3).uniform(1.0, 2.0, (10, 2)):
        f, u = [float(a) * 1e8, float(b)], [float(b), -float(a) * 1e8]
        model = LocalModel(NONE, np.zeros((1, 2)), NONE, np.zeros((2, 2)), f=[0.0, *f], u_min=u, u_max=u)
        value = sum(Fraction(x) * Fraction(y) for x, y in zip(f, u, strict=True))
        lower, upper = one_stage(model, [0.0], u)
        assert Fraction(lower) <= value <= Fraction(upper)


@pytest.mark.parametrize("size", [1e5, 1e8])
def test_an_offset_beside_a_large_limit(size: float) -> None:
    for a, s in np.random.default_rng(4).uniform(1.0, 2.0, (20, 2)):
        upper, offset = float(size * a), float(-size * a + 1.0 / 3.0)
        model = LocalModel(ONE, NONE, NONE, ONE, C=ONE, upper=[upper], x_ub=[offset], slack_weight=[1e3],
                           u_min=[0.0], u_max=[0.0])  # fmt: skip
        over = Fraction(float(s)) - Fraction(upper) - Fraction(offset)
        low, high = one_stage(model, [float(s)], [0.0], upper=np.array([[1e3]]))
        assert Fraction(low) <= max(over, Fraction(0)) * 1000 <= Fraction(high)


@pytest.mark.parametrize("size", [1e2, 1e8])
def test_a_rate_limit_met_to_rounding(size: float) -> None:
    """|u - ubar|^2 with u at the end of |u - before| <= du: exactly, not as floats."""
    for before, du, far in np.random.default_rng(5).uniform(1.0, 2.0, (40, 3)):
        before, du = float(size * before), float(du)
        target = before + du + float(far) * size * 1e-8
        least = max(Fraction(target) - Fraction(before) - Fraction(du), Fraction(0))
        model = LocalModel(NONE, NONE, NONE, ONE, u_setpoint=[target], du_max=[du])
        problem = MPCProblem((model,), 1)
        data = agent_data(problem, [[0.0]], previous_inputs=[[before]])
        plan = Plan(np.zeros((2, 1)), np.array([[target]]), np.zeros((1, 0)))
        dual = free_dual(1, 1, 1, du_max=np.array([[2.0 * float(least)]]))
        found = bracket(agent_points(problem, data, [plan], [dual]), coupling_components(problem), False)
        assert Fraction(float(found.lower.sum())) <= least**2 <= Fraction(float(found.upper.sum()))


def test_a_hub_that_adds_up_the_prices_of_many() -> None:
    """2000 agents pay 1 + a for the hub's state, exactly; in the sum of their prices that is lost beside another."""
    count, spread = 400, 1e12
    prices = np.random.default_rng(6).uniform(1.0, 2.0, count) * np.where(np.arange(count) % 2, spread, -spread)
    hub = LocalModel(NONE, ONE, NONE, NONE, u_min=[-1.0], u_max=[1.0])
    leaves = [
        LocalModel(NONE, np.zeros((1, 1)), NONE, ONE, A_ij={0: ONE}, f=[float(price), 0.0], u_min=[0.0], u_max=[0.0])
        for price in prices
    ]
    # x_leaf(2) = u_hub(0), and leaf i pays prices[i] x_leaf(2)
    problem = MPCProblem((hub, *leaves), 3)
    slope = sum((Fraction(float(price)) for price in prices), Fraction(0))
    sizes = [(model.n, model.m) for model in problem.models]
    plans = [Plan(np.zeros((4, n)), np.zeros((3, m)), np.zeros((3, 0)), {0: np.zeros((4, 1))} if i else {})
             for i, (n, m) in enumerate(sizes)]  # fmt: skip
    points = agent_points(
        problem, agent_data(problem, [[0.0]] * (count + 1)), plans, [free_dual(3, 1, 1)] * (count + 1)
    )
    found = bracket(points, coupling_components(problem), False)
    assert Fraction(float(found.lower.sum())) <= -abs(slope)


def test_a_weight_that_is_not_semidefinite_beyond_rounding_is_refused() -> None:
    """Over a box of 1e6 an eigenvalue of -1e-9 lowers the value by 1e3 below any bound of ours."""
    with pytest.raises(ModelError, match="least eigenvalue is -9e-10"):
        LocalModel(np.eye(2), np.ones((2, 1)), np.diag([1.0, -9e-10]), ONE)
    root = np.random.default_rng(0).normal(size=(4, 2))
    assert LocalModel(np.eye(4), np.ones((4, 1)), root @ root.T, ONE).Q.shape == (4, 4)
