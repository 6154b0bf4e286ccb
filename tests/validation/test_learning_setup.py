"""Learning from an experiment file is that of blocks written in Python; a learner that stands still is plain MPC."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC, LearningMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import ExperimentError, LearningError, ModelError
from dmpcrl_ctrl.exploration import Exploration
from dmpcrl_ctrl.parameter_file import save_parameters
from dmpcrl_ctrl.qlearning import flat
from dmpcrl_ctrl.schedule import Geometric
from dmpcrl_ctrl.validation.experiment import Override, load_experiment
from dmpcrl_ctrl.validation.learning_setup import frozen_of, learning_of
from dmpcrl_ctrl.validation.paper import chain_learning, chain_plant, power_learning, power_plant
from dmpcrl_ctrl.validation.sections import Experiment
from dmpcrl_ctrl.validation.training import train

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def experiment(example: str, *settings: str) -> Experiment:
    return load_experiment(EXAMPLES / f"{example}_learning.toml", [Override.read(text) for text in settings])


def together(theta: Sequence[Any]) -> np.ndarray:
    return np.concatenate([flat(own) for own in theta])


def still(learning: LearningMPC) -> LearningMPC:
    """Neither steps nor exploration."""
    learning.step_size, learning.exploration = Geometric(0.0), Exploration(Geometric(0.0))
    return learning


@pytest.mark.parametrize("central", [True, False])
@pytest.mark.parametrize("example", ["chain", "power"])
def test_the_examples_learn_what_the_papers_blocks_do(example: str, central: bool) -> None:
    loaded = experiment(example)
    mine = learning_of(loaded, loaded.plant.build(), central=central)
    theirs = (chain_learning if example == "chain" else power_learning)(distributed=not central)
    for one, other in zip(mine.theta, theirs.theta, strict=True):
        assert list(one) == list(other)  # so that files of parameters serve both
        assert all(np.array_equal(one[name], other[name]) for name in one)
    mine.update_every = theirs.update_every = 5
    steps, episodes = (30, 1) if example == "chain" else (12, 2)
    found = train(loaded.plant.build(), mine, steps=steps, episodes=episodes, seed=3)
    expected = train(
        chain_plant() if example == "chain" else power_plant(), theirs, steps=steps, episodes=episodes, seed=3
    )
    assert found.state.updates == expected.state.updates > 3
    assert np.abs(together(found.theta) - together(mine.theta)).max() > 1e-7
    assert np.abs(together(found.theta) - together(expected.theta)).max() <= 1e-9
    assert np.allclose(found.cost, expected.cost, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("central", [True, False])
@pytest.mark.parametrize("example", ["chain", "power"])
def test_a_frozen_learner_is_the_plain_controller_to_the_last_bit(example: str, central: bool) -> None:
    loaded = experiment(example)
    plant = loaded.plant.build()
    learning = still(cast(LearningMPC, learning_of(loaded, plant, central=central)))
    learning.update_every = 1000
    state = [np.asarray(simulate(plant, b, t_end=15.0, seed=2).state) for b in (learning, learning.controller())]
    assert np.array_equal(state[0], state[1])
    # with updates of no length Q is solved too, in the same workspaces
    learning.update_every = 2
    again = np.asarray(simulate(plant, learning, t_end=15.0, seed=2).state)
    assert np.array_equal(again, state[0]) if central else np.abs(again - state[0]).max() < 1e-12


def test_nothing_moves_where_no_gradient_is_trusted() -> None:
    loaded = experiment("chain", "learning.trust=1e-300")
    learning = learning_of(loaded, loaded.plant.build(), central=True)
    found = train(loaded.plant.build(), learning, steps=12)
    assert (found.state.skipped, found.state.transitions, found.state.updates) == (11, 0, 0)
    assert np.array_equal(together(found.theta), together(learning.theta))


def test_a_frozen_controller_stands_at_its_file_or_at_its_start(tmp_path: Path) -> None:
    loaded = experiment("power")
    plant = loaded.plant.build()
    learning = learning_of(loaded, plant)
    assert isinstance(learning.mpc, DistributedMPC)
    assert isinstance(learning_of(loaded, plant, central=True).mpc, CentralizedMPC)
    start = frozen_of(loaded, plant).problem.models[0]
    assert start.Q.diagonal().tolist() == [500.0, 0.1, 0.1, 10.0]
    theta = [{**own, "x_ub": own["x_ub"] - 0.01, "b": own["b"] + 1.0} for own in learning.theta]
    save_parameters(tmp_path / "p.json", learning.mpc.problem.names, theta)
    deployed = frozen_of(experiment("power", f'controller.parameters="{tmp_path / "p.json"}"'), plant)
    for model, before in zip(deployed.problem.models, frozen_of(loaded, plant).problem.models, strict=True):
        assert np.allclose(model.x_ub, before.x_ub - 0.01)
        assert np.allclose(model.b, before.b + 0.1)  # in units of a tenth
    assert deployed.name == "mpc"
    with pytest.raises(LearningError, match="holds parameters of area_1"):
        frozen_of(experiment("chain", f'controller.parameters="{tmp_path / "p.json"}"'), chain_plant())


def test_couplings_that_are_learned_are_shared_whole() -> None:
    loaded = experiment("chain")
    learning = learning_of(loaded, loaded.plant.build())
    assert [dict(model.declared) for model in learning.mpc.problem.models] == [
        {1: (0, 1)},
        {0: (0, 1), 2: (0, 1)},
        {1: (0, 1)},
    ]
    without = learning_of(experiment("chain", 'learning.parameters=["V0", "b"]'), loaded.plant.build(), central=True)
    assert all(not model.declared for model in without.mpc.problem.models)


def test_the_other_settings_reach_the_block() -> None:
    sets = (
        'learning.method="gradient"',
        'learning.trust="none"',
        "learning.perturbed_target=true",
        "learning.replay={capacity = 300, batch = 150, newest = 100}",
        "learning.exploration={probability = {start = 0.5, factor = 0.8}, strength = 0.04}",
        "learning.step_size=7e-7",
        "learning.update_every=100",
    )
    learning = learning_of(experiment("power", *sets), power_plant(), central=True)
    assert isinstance(learning, LearningMPC)
    assert (learning.method, learning.trust, learning.perturbed_target) == ("gradient", None, True)
    assert (learning.replay.capacity, learning.replay.batch, learning.replay.newest) == (300, 150, 100)
    assert (learning.exploration.strength, learning.exploration.probability(1)) == (0.04, 0.4)
    assert (learning.step_size(0), learning.update_every) == (7e-7, 100)
    assert learning.sets["P_ij"](np.array(-1.0)) == 1e-3
    assert np.linalg.eigvalsh(learning.sets["R"](-np.eye(2))).tolist() == pytest.approx([1e-3, 1e-3])


def test_other_parts_can_be_named() -> None:
    sets = ('learning.parameters=["Q/factor", "R", "A"]', "learning.scale={A = 0.5}")
    learning = learning_of(experiment("chain", *sets), chain_plant())
    assert list(learning.theta[0]) == ["Q/factor", "R", "A"]
    model = learning.mpc.problem.models[0]
    assert np.allclose(learning.theta[0]["A"], model.A / 0.5)
    assert np.allclose(learning.theta[0]["Q/factor"] @ learning.theta[0]["Q/factor"].T, model.Q)
    assert np.allclose(learning.models_at(learning.theta).models[0].A, model.A)


@pytest.mark.parametrize(
    ("example", "setting", "message"),
    [
        ("chain", "learning.start.agent_4.V0=1.0", "learning.start: agent 'agent_4' does not exist; did you mean"),
        ("chain", "learning.start.all.x_up=[1.0, 0.0]", "learning.start.all: parameter 'x_up' does not exist"),
        ("chain", "learning.start.all.x_ub=[1.0]", "learning.start.all: x_ub has shape (2,), got (1,)"),
        ("chain", "learning.start.all.A=[[1.0], [1.0, 2.0]]", "learning.start.all: A has shape (2, 2), got (0,)"),
        ("chain", "learning.sets.Qx={semidefinite = 0.0}", "learning.sets: parameter 'Qx' does not exist"),
        ("chain", 'learning.parameters=["ties"]', "is no area of a power network"),
        ("power", 'learning.parameters=["ties", "A_ij", "b"]', '"ties" and "A_ij" move the same entries'),
        ("power", 'learning.parameters=["ties", "A", "b"]', "both move A[0, 0]"),
        ("chain", 'learning.start="nothing.json"', "there is no file nothing.json"),
    ],
)
def test_what_the_network_does_not_have_is_named(example: str, setting: str, message: str) -> None:
    loaded = experiment(example, setting)
    with pytest.raises((ExperimentError, ModelError, LearningError, ValueError)) as fault:
        learning_of(loaded, loaded.plant.build())
    assert message in str(fault.value)


def test_an_experiment_that_does_not_learn_is_named() -> None:
    with pytest.raises(ExperimentError, match=r"has no section \[learning\]"):
        learning_of(load_experiment(EXAMPLES / "chain.toml"), chain_plant())
