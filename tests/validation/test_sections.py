"""Sections: no type is guessed at, every kind builds what it names."""

import tomllib
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from dmpcrl_ctrl.admm import MOST_DIRECTIONS, ADMMOptions
from dmpcrl_ctrl.controllers import DistributedMPC, ScenarioMPC
from dmpcrl_ctrl.validation.sections import (
    CONTROLLERS,
    PLANTS,
    Admm,
    AnyPlant,
    Chain,
    DistributedMpc,
    PowerNetwork,
    QuadrupleTank,
    RandomPowerNetwork,
    ScenarioMpc,
    Section,
    Simulation,
)


@pytest.mark.parametrize(
    ("section", "name", "states"),
    [
        (PowerNetwork(kind="power_network", scenario=2), "power_network", 20),
        (PowerNetwork(kind="power_network", input_limits="learning", load_noise=0.1), "power_network", 16),
        (RandomPowerNetwork(kind="random_power_network", areas=3, topology="path"), None, 12),
        (Chain(kind="chain", continuous=True), "chain", 6),
        (Chain(kind="chain", noise="common", model="initial"), "chain", 6),
        (QuadrupleTank(kind="quadruple_tank", phase="nonminimum"), "quadruple_tank", 4),
    ],
)
def test_a_plant_section_builds_its_plant(section: AnyPlant, name: str | None, states: int) -> None:
    plant = section.build()
    assert len(plant.state_names) == states
    assert name is None or plant.name == name


def test_what_is_left_out_is_left_to_the_controller() -> None:
    given = DistributedMpc(kind="distributed_mpc", horizon=5)
    assert not {"solver", "soft", "slack_weight", "kind"} & given.options().keys()
    assert DistributedMpc(kind="distributed_mpc", horizon=5, soft=False).options()["soft"] is False


def test_the_settings_of_admm_reach_the_controller() -> None:
    plant = PowerNetwork(kind="power_network").build()
    admm = Admm(iterations=7, penalty=3.0, relaxation=1.5, warm_start=False)
    block = DistributedMpc(kind="distributed_mpc", horizon=3, delay=0.25, name="agents", admm=admm).build(plant)
    assert isinstance(block, DistributedMPC)
    assert block.admm == ADMMOptions(iterations=7, penalty=3.0, relaxation=1.5, warm_start=False)
    assert block.name == "agents"
    assert block.delay == 0.25


def test_input_limits_can_be_named_one_by_one() -> None:
    limits: dict[str, float | list[float]] = {"dPref_2": 0.1, "dPref_3": [-0.2, 0.4]}
    plant = PowerNetwork(kind="power_network", input_limits=limits).build()
    assert plant.input_limits.tolist() == [[-0.5, 0.5], [-0.1, 0.1], [-0.2, 0.4], [-0.55, 0.55]]


@pytest.mark.parametrize(
    ("kind", "state", "control"),
    [
        ('{kind="power_network", ', "domega_2", "dPref_2"),
        ('{kind="random_power_network", areas=3, ', "domega_2", "dPref_2"),
        ('{kind="chain", ', "x1_2", "u_2"),
        ('{kind="chain", continuous=true, ', "x1_2", "u_2"),
        ('{kind="quadruple_tank", ', "h2", "v2"),
    ],
)
def test_every_plant_takes_what_is_named_by_signal(kind: str, state: str, control: str) -> None:
    keys = f"initial_state={{{state}=0.5}}, Q={{{state}=7.0}}, R={{{control}=3}}, rate_limits={{{control}=0.25}}"
    table = tomllib.loads(f"plant = {kind}{keys}, violation_weight={{{state}=2.5}}}}")["plant"]
    section = next(one for one in PLANTS if get_args(one.model_fields["kind"].annotation) == (table["kind"],))
    plant = section.model_validate(table).build()
    k, j = plant.state_names.index(state), plant.input_names.index(control)
    assert plant.initial_state.tolist() == [0.5 if name == state else 0.0 for name in plant.state_names]
    x, u = np.zeros(len(plant.state_names)), np.zeros(len(plant.input_names))
    nothing = np.zeros(len(x) + len(u))
    x[k], u[j] = 0.5, 2.0
    costs = [plant.stage_cost(x, u, nothing).sum(), plant.stage_cost(x, 0.0 * u, nothing).sum()]
    outside = plant.violation(x)[k]
    assert costs[1] == pytest.approx(7.0 * 0.25 + 2.5 * outside)
    assert costs[0] - costs[1] == pytest.approx(3.0 * 4.0)
    model = plant.local_models(1.0, hold="network").models[0]
    assert model.du_max.tolist() == [0.25 if name == control else np.inf for name in plant.input_names]


def test_one_price_for_all_violations() -> None:
    plant = Chain(kind="chain", violation_weight=5.0).build()
    cheap = Chain(kind="chain", violation_weight=0.0).build()
    x, zero = np.full(6, 2.0), np.zeros(9)
    price = plant.stage_cost(x, np.zeros(3), zero).sum() - cheap.stage_cost(x, np.zeros(3), zero).sum()
    assert price == pytest.approx(5.0 * 6)


def test_as_many_directions_may_be_asked_for_as_there_may_be() -> None:
    assert Admm(acceleration=MOST_DIRECTIONS).acceleration == MOST_DIRECTIONS
    with pytest.raises(ValidationError, match=f"less than or equal to {MOST_DIRECTIONS}"):
        Admm(acceleration=MOST_DIRECTIONS + 1)


def test_averaging_rounds_reach_the_controller() -> None:
    plant = PowerNetwork(kind="power_network").build()
    block = DistributedMpc(kind="distributed_mpc", horizon=3, averaging_rounds=170).build(plant)
    assert isinstance(block, DistributedMPC) and block.averaging_rounds == 170
    kind: dict[str, Any] = {"kind": "distributed_mpc", "averaging": "metropolis", "acceleration": "chebyshev"}
    block = DistributedMpc(**kind, horizon=3, certify=False).build(plant)
    assert isinstance(block, DistributedMPC) and not block.certify
    assert (block.averaging, block.acceleration) == ("metropolis", "chebyshev")


def test_a_scenario_controller_draws_what_the_plant_does_not_measure() -> None:
    plant = PowerNetwork(kind="power_network", load_noise=0.1).build()
    section = ScenarioMpc(kind="scenario_mpc", horizon=3, samples=7, seed=4, hold="network", terminal="cost")
    block = section.build(plant)
    assert isinstance(block, ScenarioMPC)
    assert (block.scenarios.samples, block.seed, block.redraw, block.distributed) == (7, 4, True, False)
    draws = block.draws(0, 0)
    assert draws.shape == (7, 4) and draws.min() >= -0.1 and draws.max() <= 0.1 and draws.any()
    agents = ScenarioMpc(kind="scenario_mpc", horizon=2, samples=2, distributed=True, admm=Admm(iterations=9))
    made = agents.build(plant)
    assert isinstance(made, ScenarioMPC) and made.distributed and made.admm.iterations == 9


@pytest.mark.parametrize("kind", [*PLANTS, *CONTROLLERS, Admm, Simulation])
def test_every_section_is_strict_and_closed(kind: type[Section]) -> None:
    assert kind.model_config["strict"]
    assert kind.model_config["extra"] == "forbid"
    assert kind.model_config["allow_inf_nan"] is False
    with pytest.raises(ValidationError, match="unknown key"):
        kind.model_validate({"no_such_key": 1})
