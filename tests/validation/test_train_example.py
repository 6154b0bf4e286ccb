"""The command that trains: what it writes, that training pays, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dmpcrl_ctrl.cli import app
from dmpcrl_ctrl.errors import ExperimentError, LearningError
from dmpcrl_ctrl.parameter_file import load_parameters
from dmpcrl_ctrl.validation.paper import chain_learning
from dmpcrl_ctrl.validation.train_example import TrainingOrder, train_example

QUICK = ["--steps", "20", "--central", "--evaluations", "1"]


def test_training_pays_and_goes_on_from_its_file(tmp_path: Path) -> None:
    before, learned = train_example(TrainingOrder("chain", steps=300, central=True, evaluations=3), tmp_path / "first")
    assert learned.mean < 0.5 * before.mean
    start = tmp_path / "first" / "parameters.json"
    again, _ = train_example(
        TrainingOrder("chain", steps=2, central=True, start=start, evaluations=3), tmp_path / "second"
    )
    assert again.mean == pytest.approx(learned.mean, rel=1e-9)
    numbers = json.loads((tmp_path / "first" / "training.json").read_text())
    assert numbers["transitions"] == 299
    assert numbers["updates"] == 149
    assert len(numbers["cost"]) == len(numbers["td_error"]) == 100
    assert numbers["evaluation"][1]["mean"] == learned.mean
    assert (tmp_path / "first" / "training.svg").read_text().startswith("<svg")


def test_the_command_writes_parameters_that_load(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["train", "chain", "--out", str(tmp_path / "t"), *QUICK])
    assert found.exit_code == 0, found.output
    assert "learned" in found.output
    learning = chain_learning()
    theta = load_parameters(tmp_path / "t" / "parameters.json", learning.mpc.problem.names, learning.theta)
    assert any(np.abs(mine["A"] - start["A"]).max() > 0.0 for mine, start in zip(theta, learning.theta, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chian"], "train knows the examples chain and power, got 'chian'"),
        (["chain", "--variant", "code"], "variant is one of default, published, text, got 'code'"),
        (["chain", "--steps", "0"], "steps must be at least 1, got 0"),
        (["chain", "--from", "nothing.json"], "there is no file nothing.json"),
    ],
)
def test_a_wrong_order_is_one_line_and_writes_nothing(arguments: list[str], message: str, tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["train", *arguments, "--out", str(tmp_path / "t")])
    assert found.exit_code == 2
    assert message in found.output
    assert len(found.output.strip().splitlines()) == 1
    assert not (tmp_path / "t").exists()


def test_parameters_of_the_other_example_are_refused(tmp_path: Path) -> None:
    train_example(TrainingOrder("chain", steps=2, central=True, evaluations=0), tmp_path / "chain")
    order = TrainingOrder("power", steps=2, episodes=1, start=tmp_path / "chain" / "parameters.json")
    with pytest.raises(LearningError, match="holds parameters of agent_1, agent_2, agent_3; this network has area_1"):
        train_example(order, tmp_path / "power")
    with pytest.raises(ExperimentError, match="holds a training already"):
        train_example(TrainingOrder("chain", steps=2, central=True), tmp_path / "chain")
