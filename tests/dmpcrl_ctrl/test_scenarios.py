"""Scenario problems: what they are made of, written out sample by sample, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.scenarios import Noise, Scenarios, joined
from dmpcrl_ctrl.value import agent_data
from tests.dmpcrl_ctrl.conftest import HORIZON, everything, everything_data
from tests.references import central_reference
from tests.scenario_cases import draw, some_scenarios


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("input_cost", ["each", "once"])
def test_its_value_is_the_sum_over_samples_that_share_one_input(shared: bool, input_cost: str) -> None:
    """At fixed inputs the samples do not know each other: each is a problem of its own, whose plan is a roll-out."""
    scenarios = some_scenarios(3, shared, input_cost)
    draws, data = draw(np.random.default_rng(1), 3), everything_data(2)
    found = CentralEvaluator(scenarios.problem()).evaluate(scenarios.data(data, draws))
    assert found.status.ok
    inputs = [plan.u for plan in found.plans]
    total = 0.0
    for s in range(3):
        problem = scenarios.problems[0 if shared else s]
        x = [np.vstack([d.state, np.zeros((HORIZON, len(d.state)))]) for d in data]
        for k in range(HORIZON):
            for i, model in enumerate(problem.models):
                noise = scenarios.noise.effects[i] @ draws[s, scenarios.noise.index[i]]
                x[i][k + 1] = model.A @ x[i][k] + model.B @ inputs[i][k] + model.b + noise
                x[i][k + 1] += model.E @ data[i].disturbance[k]
                x[i][k + 1] += sum(block @ x[j][k] for j, block in model.A_ij.items())
        for i, (plan, model) in enumerate(zip(found.plans, problem.models, strict=True)):
            assert np.allclose(plan.x[:, s * model.n : (s + 1) * model.n], x[i], atol=1e-8)
        total += _cost(problem, data, x, inputs, input_cost == "each" or s == 0)
    assert found.value == pytest.approx(total, rel=1e-8)


def _cost(problem: MPCProblem, data: Any, x: Any, u: Any, inputs: bool) -> float:
    """Written out from the formula; slacks are what leaves the bounds."""
    total = 0.0
    for i, (model, d) in enumerate(zip(problem.models, data, strict=True)):
        total += model.V0
        for k in range(HORIZON + 1):
            w, dx = problem.discount**k, x[i][k] - d.x_setpoint[k]
            total += w * dx @ (model.Q if k < HORIZON else model.P) @ dx
            if k == HORIZON:
                continue
            total += model.f[: model.n] @ x[i][k]
            mixed = model.G @ x[i][k] + sum(block @ x[j][k] for j, block in model.G_ij.items())
            total += w * mixed @ model.Q_c @ mixed
            bounded = model.C @ x[i][k + 1] + sum(block @ x[j][k + 1] for j, block in model.C_ij.items())
            over = np.maximum(bounded - model.upper - model.x_ub, model.lower + model.x_lb - bounded)
            sigma = np.where(model.soft, np.maximum(over, 0.0), 0.0)
            total += w * (np.where(model.soft, model.slack_weight, 0.0) @ sigma + sigma**2 @ model.slack_quadratic)
            if inputs:
                du = u[i][k] - d.u_setpoint[k]
                total += w * du @ model.R @ du + model.f[model.n :] @ u[i][k]
    return float(total)


def test_the_network_as_one_agent_has_the_network_s_value() -> None:
    problem, data = everything(), everything_data(3)
    whole = MPCProblem((joined(problem),), problem.horizon, problem.discount)
    names = ("state", "disturbance", "x_setpoint", "u_setpoint", "previous_input")
    together = {name: np.concatenate([getattr(d, name) for d in data], axis=-1) for name in names}
    one = central_reference(whole, (replace(data[0], **together),))
    many = central_reference(problem, data)
    assert one.value == pytest.approx(many.value, rel=1e-7)
    assert np.allclose(one.u[0], np.hstack(many.u), atol=1e-5)


def line(samples: int) -> Scenarios:
    """Two unstable agents, the second fed by the first, with models that differ."""
    rng = np.random.default_rng(4)

    def agents() -> MPCProblem:
        bounds: dict[str, Any] = {
            "C": [[1.0]],
            "lower": [0.0],
            "upper": [1.0],
            "slack_weight": [20.0],
            "u_min": [-1.0],
            "u_max": [1.0],
        }
        first = LocalModel([[1.0 + 0.1 * rng.normal()]], [[0.5]], [[1.0]], [[0.3]], **bounds)
        other: dict[str, Any] = {"A_ij": {0: [[0.3 * rng.normal()]]}, **bounds}
        return MPCProblem((first, LocalModel([[1.1]], [[0.4]], [[1.0]], [[0.3]], **other)), 4, 0.95)

    noise = Noise((np.eye(1),) * 2, (np.array([0]), np.array([1])), lambda rng, size: rng.uniform(-0.1, 0.0, (size, 2)))
    return Scenarios(tuple(agents() for _ in range(samples)), noise, samples, "once")


def test_agents_find_what_one_controller_finds() -> None:
    scenarios = line(4)
    problem, rng = scenarios.problem(), np.random.default_rng(0)
    agents = DistributedEvaluator(problem, ADMMOptions(iterations=400, tolerance=1e-11))
    central = CentralEvaluator(problem)
    for _ in range(4):
        known = agent_data(scenarios.problems[0], [rng.uniform(0.0, 0.5, 1) for _ in range(2)])
        data = scenarios.data(known, scenarios.noise.draw(rng, 4))
        mine, theirs = agents.evaluate(data), central.evaluate(data)
        assert mine.value == pytest.approx(theirs.value, rel=1e-7)
        assert np.allclose(np.concatenate(mine.action), np.concatenate(theirs.action), atol=1e-7)


def test_noise_may_change_along_the_horizon() -> None:
    scenarios = some_scenarios(2, shared=True)
    held = draw(np.random.default_rng(0), 2)
    same = scenarios.data(everything_data(0), np.repeat(held[:, None], HORIZON, axis=1))
    for one, other in zip(scenarios.data(everything_data(0), held), same, strict=True):
        assert np.array_equal(one.disturbance, other.disturbance)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 0}, "samples must be a whole number of at least 1, got 0"),
        ({"samples": True}, "samples must be a whole number"),
        ({"samples": 3}, "3 samples need one problem or 3, got 2"),
        ({"input_cost": "half"}, "input_cost must be 'each' or 'once', got 'half'"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        replace(some_scenarios(2, shared=False), **change)


def test_samples_that_differ_in_more_than_their_states_are_refused() -> None:
    base = some_scenarios(2, shared=False)
    first = base.problems[1].models[0]
    others = {
        "zero: R differs": replace(first, R=2.0 * first.R),
        "zero: the linear cost of the inputs differs": replace(first, f=np.array([0.0, 0.0, 1.0])),
        "zero: its model has other sizes": replace(first, E=np.zeros((2, 2))),
    }
    for message, model in others.items():
        other = replace(base.problems[1], models=(model, *base.problems[1].models[1:]))
        with pytest.raises(ModelError, match=f"sample 1: {message}"):
            replace(base, problems=(base.problems[0], other))
    with pytest.raises(ModelError, match="sample 1: all samples have the horizon"):
        replace(base, problems=(base.problems[0], replace(base.problems[1], discount=0.5)))


def test_noise_that_does_not_fit_is_refused() -> None:
    base = some_scenarios(2, shared=True)
    with pytest.raises(ModelError, match="noise is described for 2 agents, the problem has 3"):
        replace(base, noise=replace(base.noise, effects=base.noise.effects[:2]))
    with pytest.raises(ModelError, match=r"zero: effect of the noise has shape \(1, 2\), expected \(2, 2\)"):
        replace(base, noise=replace(base.noise, effects=(np.ones((1, 2)), *base.noise.effects[1:])))
    for bad, message in (
        (np.zeros((3, 4)), "noise has shape"),
        (np.zeros((2, 3)), "a draw of noise has 3 numbers, the agents read 4"),
        (np.full((2, 4), np.nan), "holds a number that is not finite"),
    ):
        with pytest.raises(ModelError, match=message):
            base.data(everything_data(0), bad)
