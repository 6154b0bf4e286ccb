"""MPC data of agents: limits, prices, terminal weights, and what a local model cannot hold."""

from typing import Any

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants.local_models import MPCOptions
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant

A = np.array([[0.9, 0.1, 0.0], [0.0, 1.1, 0.2], [0.0, 0.3, 1.0]])
AGENTS = [Agent("one", ("x", "y"), ("u",)), Agent("two", ("z",), ("v",))]


def plant(**options: Any) -> Plant:
    B = [[0.0, 0.0, 0.5], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    system = ct.ss(
        options.pop("A", A), B, np.eye(3), np.zeros((3, 3)), 1.0,
        states=["x", "y", "z"], inputs=["u", "v", "w"], outputs=["x", "y", "z"], name="pair",
    )  # fmt: skip
    given: dict[str, Any] = {
        "agents": AGENTS,
        "disturbances": {"w": 0.25},
        "state_limits": {"x": (-1.0, 2.0), "z": (-np.inf, 3.0)},
        "input_limits": {"u": (-5.0, 5.0)},
        "rate_limits": {"v": 0.5},
        "Q": {"x": 1.0, "y": 2.0, "z": 3.0},
        "R": {"u": 4.0, "v": 5.0},
        "setpoints": {"z": 0.5},
        "setpoint_gain": [[2.0], [0.0], [0.0], [0.0], [1.0]],
    }
    return Plant(system, **given | options)


def models(p: Plant, **options: Any) -> tuple[LocalModel, ...]:
    return p.local_models(1.0, **options).models


def test_every_field_is_the_plants() -> None:
    local = plant().local_models(1.0)
    one, two = local.models
    np.testing.assert_array_equal(one.A, A[:2, :2])
    np.testing.assert_array_equal(one.A_ij[1], A[:2, 2:])
    np.testing.assert_array_equal(two.A_ij[0], A[2:, :2])
    np.testing.assert_array_equal(one.B, [[0.0], [1.0]])
    np.testing.assert_array_equal(one.E, [[0.5], [0.0]])
    np.testing.assert_array_equal(one.Q, np.diag([1.0, 2.0]))
    np.testing.assert_array_equal(two.R, [[5.0]])
    np.testing.assert_array_equal(one.C, [[1.0, 0.0]])
    assert (one.lower[0], one.upper[0], two.lower[0], two.upper[0]) == (-1.0, 2.0, -np.inf, 3.0)
    assert (one.u_min[0], one.u_max[0], two.u_max[0]) == (-5.0, 5.0, np.inf)
    assert (one.du_max[0], two.du_max[0]) == (np.inf, 0.5)
    assert not one.soft.any() and not one.terminal_equality and not one.P.any() and not one.b.any()
    np.testing.assert_array_equal(one.x_setpoint, [0.5, 0.0])
    np.testing.assert_array_equal(two.x_setpoint, [0.5])
    np.testing.assert_array_equal(two.u_setpoint, [0.25])
    assert local.names == ("one", "two")
    assert [i.tolist() for i in local.state_index + local.input_index] == [[0, 1], [2], [0], [1]]
    assert [i.tolist() for i in local.disturbance_index] == [[0], []]
    assert (local.state_names, local.input_names, local.disturbance_names) == (("x", "y", "z"), ("u", "v"), ("w",))


def test_the_stage_cost_at_the_end() -> None:
    for model in models(plant(), terminal="stage"):
        np.testing.assert_array_equal(model.P, model.Q)


def test_the_network_is_one_agent() -> None:
    (model,) = models(plant(), hold="network", terminal="equality")
    np.testing.assert_array_equal(model.A, A)
    assert model.neighbours == () and model.terminal_equality
    assert plant().local_models(1.0, hold="network").names == ("pair",)


def test_limits_are_soft_where_they_have_a_price() -> None:
    one, two = models(plant(violation_weight={"x": 7.0}))
    assert (one.slack_weight[0], two.slack_weight[0]) == (7.0, np.inf)
    one, two = models(plant(violation_weight={"x": 7.0}), soft=False)
    assert (one.slack_weight[0], two.slack_weight[0]) == (np.inf, np.inf)
    one, two = models(plant(), slack_weight=20.0, slack_quadratic={"z": 3.0})
    assert (one.slack_weight[0], two.slack_weight[0], two.slack_quadratic[0]) == (20.0, 20.0, 3.0)
    one, two = models(plant(), slack_quadratic={"z": 3.0})
    assert (one.slack_weight[0], two.slack_weight[0]) == (np.inf, 0.0)
    with pytest.raises(ModelError, match="soft limits of 'z' have no price"):
        models(plant(violation_weight={"x": 7.0}), soft=True)


def cost_to_go(model: LocalModel, x: np.ndarray, discount: float, P: np.ndarray) -> float:
    """min over u of the stage cost plus the discounted P of the next state, by the normal equations."""
    H = model.R + discount * model.B.T @ P @ model.B
    u = -np.linalg.solve(H, discount * model.B.T @ P @ model.A @ x)
    after = model.A @ x + model.B @ u
    return float(x @ model.Q @ x + u @ model.R @ u + discount * after @ P @ after)


@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_the_terminal_weight_satisfies_bellman(discount: float) -> None:
    for model in models(plant(), terminal="cost", discount=discount):
        for x in np.random.default_rng(0).normal(size=(5, model.n)):
            assert cost_to_go(model, x, discount, model.P) == pytest.approx(x @ model.P @ x, rel=1e-9)


def test_an_agent_without_inputs_has_a_lyapunov_weight() -> None:
    lone = [Agent("one", ("x",), ()), Agent("two", ("y", "z"), ("u", "v"))]
    model = models(plant(agents=lone), terminal="cost")[0]
    np.testing.assert_allclose(model.P, 1.0 / (1.0 - 0.9**2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"A": np.diag([1.2, 1.0, 1.0])}, "one: terminal='cost' .*use terminal='none'"),
        ({"A": np.diag([1.0, 1.0, 1.0])}, "one: terminal='cost' .*use terminal='none'"),
        (
            {"A": np.diag([1.2, 0.5, 1.0]), "agents": [Agent("x", ("x",)), Agent("yz", ("y", "z"), ("u", "v"))]},
            "x: term",
        ),
    ],
)
def test_what_cannot_be_stabilised_has_no_terminal_cost(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        models(plant(**changes), terminal="cost")


@pytest.mark.parametrize("name", ["Q", "R"])
def test_weights_between_agents_need_the_network(name: str) -> None:
    size = 3 if name == "Q" else 2
    W = np.eye(size) + 0.1
    with pytest.raises(
        ModelError, match=rf"{name} couples \w+ of one and two; local models have their own weights only"
    ):
        models(plant(), **{name: W})
    np.testing.assert_array_equal(getattr(models(plant(), hold="network", **{name: W})[0], name), W)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terminal": "Cost"}, "terminal must be 'none', 'stage', 'cost' or 'equality', got 'Cost'"),
        ({"discount": 0.0}, r"discount must lie in \(0, 1\], got 0.0"),
        ({"hold": "zone"}, "pair: hold must be 'area' or 'network', got 'zone'"),
        ({"slack_wait": 1.0}, "pair: MPC option 'slack_wait' does not exist; did you mean 'slack_weight'"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        models(plant(), **options)


def test_a_discrete_plant_has_one_sample_time() -> None:
    with pytest.raises(ModelError, match=r"pair: the model has a sample time of its own, 1 s; got 0\.5 s"):
        plant().local_models(0.5)


def test_the_options_stand_alone() -> None:
    assert MPCOptions().terminal == "none"
