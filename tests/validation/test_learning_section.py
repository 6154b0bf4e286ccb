"""The section [learning]: what is wrong is told in one line, with its place, before anything is built."""

from pathlib import Path

import pytest

from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.validation.experiment import Override, experiment_text, load_experiment, parse_experiment

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("name", ["chain_learning.toml", "power_learning.toml"])
def test_the_text_with_every_default_is_the_same_experiment(name: str) -> None:
    experiment = load_experiment(EXAMPLES / name)
    assert experiment.learning is not None
    assert parse_experiment(experiment_text(experiment), "log") == experiment


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('learning.parameters=["Qx"]', "learning.parameters.0 must be 'V0', "),
        ('learning.parameters=["b", "b"]', "learning parameters: b stands twice"),
        ("learning.scale={Q = 2.0}", "learning scale: Q is no field that is learned"),
        ("learning.step_size=-1.0", "learning.step_size must be greater than or equal to 0"),
        ("learning.step_size={start = 1.0, factor = 2.0}", "learning.step_size.factor must be less than or equal to 1"),
        ("learning.replay={capacity = 5, batch = 6}", "learning.replay must have newest <= batch <= capacity"),
        ("learning.sets={b = {}}", "learning.sets.b must have one key of semidefinite, at_least, within"),
        ("learning.sets={b = {within = [1.0, 0.0]}}", "learning.sets.b within: the lower number comes first"),
        ("learning.exploration.strenght=1.0", "unknown key learning.exploration.strenght; did you mean strength?"),
        ('learning.method="policy_gradient"', 'method = "policy_gradient" has no replay and no perturbed_target'),
        ('learning.trust="no"', "learning.trust must be a valid number or 'none'"),
        ("learning.steps=0", "learning.steps must be greater than or equal to 1"),
        ('learning.evaluation.plant={nosie = "common"}', "learning.evaluation.plant: unknown key; did you mean noise?"),
        ("controller.delay=0.5", "learning needs a controller without delay"),
        ('controller={kind = "lqr"}', "learning needs a predictive controller, got lqr"),
    ],
)
def test_what_is_wrong_is_named(setting: str, message: str) -> None:
    with pytest.raises(ExperimentError) as fault:
        load_experiment(EXAMPLES / "chain_learning.toml", [Override.read(setting)])
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)
    assert "got a table" not in str(fault.value)


@pytest.mark.parametrize("setting", ["learning.exploration.probability=0.0", "learning.exploration.strength=0.0"])
def test_a_policy_gradient_that_tries_nothing_is_refused(setting: str) -> None:
    sets = [Override.read(given) for given in ('learning.method="policy_gradient"', setting)]
    with pytest.raises(ExperimentError, match="policy_gradient. learns from exploration: give one"):
        load_experiment(EXAMPLES / "chain_learning.toml", sets)


def test_parameters_need_a_section_that_says_what_they_are() -> None:
    with pytest.raises(ExperimentError, match=r"--set controller\.parameters: controller\.parameters needs a section"):
        load_experiment(EXAMPLES / "chain.toml", [Override.read('controller.parameters="p.json"')])


def test_ties_need_a_model_of_each_area() -> None:
    sets = [Override.read('controller.kind="centralized_mpc"'), Override.read('controller.hold="network"')]
    text = (EXAMPLES / "power_learning.toml").read_text(encoding="utf-8")
    start, end = text.index("[controller.admm]"), text.index("[learning]")
    with pytest.raises(ExperimentError, match='learning.parameters: "ties" needs controller.hold = "area"'):
        parse_experiment(text[:start] + text[end:], "p.toml", sets)
