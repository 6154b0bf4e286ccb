"""Sections: no type is guessed at, every kind builds what it names."""

import pytest
from pydantic import ValidationError

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import DistributedMPC
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
    Section,
    Simulation,
    nearest,
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


@pytest.mark.parametrize("kind", [*PLANTS, *CONTROLLERS, Admm, Simulation])
def test_every_section_is_strict_and_closed(kind: type[Section]) -> None:
    assert kind.model_config["strict"]
    assert kind.model_config["extra"] == "forbid"
    assert kind.model_config["allow_inf_nan"] is False
    with pytest.raises(ValidationError, match="unknown key"):
        kind.model_validate({"no_such_key": 1})


def test_the_nearest_word() -> None:
    assert nearest("horizn", ["horizon", "hold"]) == "horizon"
    assert nearest("zzz", ["horizon", "hold"]) is None
