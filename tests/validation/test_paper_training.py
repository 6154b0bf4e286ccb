"""Trainings: what they leave, that they go on where they were interrupted, and that one may be lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.controllers.learning_block import LearnerState
from dmpcrl_ctrl.cosim.scheduler import Row
from dmpcrl_ctrl.errors import CampaignError, SimulationError
from dmpcrl_ctrl.validation import paper_training
from dmpcrl_ctrl.validation.paper_runs import run_work
from dmpcrl_ctrl.validation.paper_work import done, parameter_names, results
from dmpcrl_ctrl.validation.training import Observer, Snapshot, Training
from tests.validation.small_work import TRAIN


def test_a_training_leaves_its_curves_and_the_parameters_at_the_published_samples(tmp_path: Path) -> None:
    assert not done(TRAIN, tmp_path)
    assert run_work(TRAIN, tmp_path) == TRAIN.name
    assert done(TRAIN, tmp_path)
    found = results(TRAIN.name, tmp_path)
    assert found["state"].shape == (12, 6)
    assert found["input"].shape == (12, 3)
    assert {"at/0", "at/10", "at/12"} == {name for name in found if name.startswith("at/")}
    assert len(found["at/0"]) == len(parameter_names("chain"))
    assert found["state"][0] == pytest.approx([0.0, 0.15] * 3)
    # an update every second sample moves the parameters, the first number of which is V0 of agent 1
    assert parameter_names("chain")[0] == "agent_1 V0 0"
    assert not np.array_equal(found["at/10"], found["at/0"])


def test_an_interrupted_training_ends_as_one_that_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_training, "_CHECKPOINT_EVERY", 5)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_work(TRAIN, whole)
    real = paper_training.save_snapshot

    class Interrupted(Exception):
        pass

    def save(path: Path, snapshot: Snapshot, fingerprint: str) -> None:
        real(path, snapshot, fingerprint)
        raise Interrupted

    monkeypatch.setattr(paper_training, "save_snapshot", save)
    with pytest.raises(Interrupted):
        run_work(TRAIN, cut)
    assert not done(TRAIN, cut)
    monkeypatch.setattr(paper_training, "save_snapshot", real)
    run_work(TRAIN, cut)
    mine, theirs = results(TRAIN.name, cut), results(TRAIN.name, whole)
    assert set(mine) == set(theirs)
    for name, values in mine.items():
        assert np.array_equal(values, theirs[name], equal_nan=True), name


def test_of_a_training_that_runs_away_the_last_checkpoint_is_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = paper_training.train

    def train(*loop: Any, observe: Observer, **options: Any) -> Training:
        def watched(sample: int, row: Row, state: LearnerState) -> None:
            observe(sample, row, state)
            if sample == 8:
                raise SimulationError("t = 9 s: chain: state 'x1_2' of agent_2 is inf")

        return real(*loop, observe=watched, **options)

    monkeypatch.setattr(paper_training, "train", train)
    with pytest.raises(SimulationError, match="x1_2"):
        run_work(TRAIN, tmp_path)  # there is no checkpoint yet
    monkeypatch.setattr(paper_training, "_CHECKPOINT_EVERY", 5)
    run_work(TRAIN, tmp_path)
    found = results(TRAIN.name, tmp_path)
    assert np.isfinite(found["cost"]).sum() == 5
    assert {name for name in found if name.startswith("at/")} == {"at/0"}
    power = replace(TRAIN, name="tried", example="power", controller="try central")
    (tmp_path / f"{TRAIN.name}.npz").rename(tmp_path / "power-central-0.npz")
    # what was there at the start is not taken for what was learned
    for controller in ("try central", "deploy central"):
        with pytest.raises(CampaignError, match="its state ran away"):
            run_work(replace(power, controller=controller), tmp_path)
