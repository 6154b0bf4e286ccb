"""The command that trains: what it writes, that training pays, that it can be interrupted, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dmpcrl_ctrl.cli import app
from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.parameter_file import load_parameters
from dmpcrl_ctrl.validation.experiment import Override, load_experiment
from dmpcrl_ctrl.validation.learning_setup import learning_of
from dmpcrl_ctrl.validation.paper import chain_learning
from dmpcrl_ctrl.validation.train_experiment import TrainingOrder, prepare_training, run_training

ROOT = Path(__file__).resolve().parents[2]
CHAIN, POWER = ROOT / "examples" / "chain_learning.toml", ROOT / "examples" / "power_learning.toml"
QUICK = ["--steps", "12", "--central", "--evaluations", "1", "--set", "learning.evaluation.steps=5"]


def order(path: Path = CHAIN, **keys: Any) -> TrainingOrder:
    given = [Override(tuple(key.split("__")), value) for key, value in keys.items()]
    return TrainingOrder(load_experiment(path, given), central=True)


def command(*words: str | Path) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_training_pays_and_goes_on_from_its_file(tmp_path: Path) -> None:
    tried: dict[str, Any] = {"learning__evaluation__episodes": 2, "learning__evaluation__steps": 40}
    first = order(learning__steps=200, **tried)
    before, learned = run_training(prepare_training(first, tmp_path / "first"))
    assert learned.mean < 0.7 * before.mean
    start = tmp_path / "first" / "parameters.json"
    second = replace(order(learning__steps=2, **tried), start=start)
    again, _ = run_training(prepare_training(second, tmp_path / "second"))
    assert again.mean == pytest.approx(learned.mean, rel=1e-9)
    numbers = json.loads((tmp_path / "first" / "training.json").read_text())
    assert (numbers["transitions"], numbers["updates"]) == (199, 39)
    assert len(numbers["cost"]) == len(numbers["td_error"]) == 100
    assert numbers["evaluation"][1]["mean"] == learned.mean
    assert (tmp_path / "first" / "training.svg").read_text().startswith("<svg")


def test_the_command_writes_parameters_that_run(tmp_path: Path) -> None:
    found = command("train", CHAIN, "--out", tmp_path / "t", *QUICK, "--seed", "3")
    assert found.exit_code == 0, found.output
    assert "learned" in found.output
    file = tmp_path / "t" / "parameters.json"
    paper = chain_learning()
    theta = load_parameters(file, paper.mpc.problem.names, paper.theta)
    assert any(np.abs(mine["A"] - start["A"]).max() > 0.0 for mine, start in zip(theta, paper.theta, strict=True))
    found = command("run", CHAIN, "--out", tmp_path / "r", "--parameters", file, "--set", "simulation.t_end=2.0")
    assert found.exit_code == 0, found.output
    with open_log(tmp_path / "r" / "run.h5") as run:
        assert str(file) in run.attributes["experiment"]
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert f"--parameters {file}" in page


def test_what_runs_is_the_learned_controller(tmp_path: Path) -> None:
    command("train", CHAIN, "--out", tmp_path / "t", *QUICK)
    file = tmp_path / "t" / "parameters.json"
    found = command("run", CHAIN, "--out", tmp_path / "r", "--parameters", file, "--set", "simulation.t_end=3.0")
    assert found.exit_code == 0, found.output
    experiment = load_experiment(CHAIN)
    learning = learning_of(experiment, experiment.plant.build(), start=file)
    with open_log(tmp_path / "r" / "run.h5") as run:
        measured, sent = np.asarray(run.controllers["mpc"].input)[2], np.asarray(run.controllers["mpc"].output)[2]
        expected = learning.controller().evaluate(measured[:6]).action
    assert np.allclose(sent, np.concatenate(expected), atol=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "nothing.toml"], "nothing.toml cannot be read"),
        (["train", ROOT / "examples" / "chain.toml"], "has no section [learning]"),
        (["train", CHAIN, "--steps", "0"], "learning.steps must be greater than or equal to 1, got 0"),
        (["train", CHAIN, "--from", "nothing.json"], "there is no file nothing.json"),
        (["train", CHAIN, "--resume"], "there is no checkpoint"),
        (["run", CHAIN, "--parameters", "nothing.json"], "there is no file nothing.json"),
        (["run", CHAIN, "--parameters", CHAIN], "is no file of parameters"),
        (["run", ROOT / "examples" / "chain.toml", "--parameters", "p.json"], "needs a section [learning]"),
    ],
)
def test_a_wrong_order_is_one_line_and_writes_nothing(words: list[Any], message: str, tmp_path: Path) -> None:
    found = command(*words, "--out", tmp_path / "t")
    assert found.exit_code == 2
    assert message in found.output
    assert len(found.output.strip().splitlines()) == 1
    assert not (tmp_path / "t").exists()


def test_parameters_of_another_network_and_a_folder_in_use_are_refused(tmp_path: Path) -> None:
    quick = order(learning__steps=2, learning__evaluation__episodes=0)
    run_training(prepare_training(quick, tmp_path / "chain"))
    other = replace(order(POWER), start=tmp_path / "chain" / "parameters.json")
    with pytest.raises(LearningError, match="holds parameters of agent_1, agent_2, agent_3; this network has area_1"):
        prepare_training(other, tmp_path / "power")
    found = command("train", CHAIN, "--out", tmp_path / "chain")
    assert "holds a training already (checkpoint.json, parameters.json" in found.output
    with pytest.raises(LearningError, match=r"checkpoint\.json is of another training"):
        prepare_training(order(learning__steps=3), tmp_path / "chain", resume=True)
    prepare_training(quick, tmp_path / "chain", overwrite=True)


def test_an_interrupted_training_resumes_where_it_was(tmp_path: Path) -> None:
    """Terminated after the second checkpoint; what is learned in the end is what one run learns, to the last bit."""
    quick = replace(order(learning__steps=24, learning__evaluation__episodes=0), checkpoint_every=6)
    run_training(prepare_training(quick, tmp_path / "whole"))
    calls = []

    def enough(fraction: float) -> None:
        calls.append(fraction)
        if fraction > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_training(prepare_training(quick, tmp_path / "cut"), enough)
    assert not (tmp_path / "cut" / "parameters.json").exists()
    prepared = prepare_training(quick, tmp_path / "cut", resume=True)
    assert prepared.snapshot is not None
    assert np.isfinite(prepared.snapshot.training.cost).sum() in (6, 12, 18)
    run_training(prepared)
    for name in ("parameters.json", "training.json"):
        assert (tmp_path / "cut" / name).read_text() == (tmp_path / "whole" / name).read_text()


def test_a_terminated_command_says_how_to_go_on(tmp_path: Path) -> None:
    words = ["train", str(CHAIN), "--out", str(tmp_path / "t"), "--central", "--episodes", "500", "--steps", "5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "dmpcrl_ctrl", *words], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 100.0
        while not (tmp_path / "t" / "checkpoint.json").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=100)
    assert process.returncode == 143
    assert told.strip().endswith("checkpoint.json holds what came before: --resume")
    assert len(told.strip().splitlines()) == 1


def test_a_policy_gradient_is_trained_from_a_file(tmp_path: Path) -> None:
    text = CHAIN.read_text(encoding="utf-8")
    assert text.count("replay = ") == 1
    lines = [line for line in text.splitlines() if not line.startswith("replay = ")]
    file = tmp_path / "policy.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    sets = ('learning.method="policy_gradient"', "learning.ridge=1e-2", "learning.step_size=0.03")
    words = [word for setting in sets for word in ("--set", setting)]
    words += QUICK
    found = command("train", file, "--out", tmp_path / "t", *words)
    assert found.exit_code == 0, found.output
    assert json.loads((tmp_path / "t" / "training.json").read_text())["updates"] == 1
