"""Pieces of work: what they leave, that they go on where they were interrupted, and who meets which noise."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.controllers.learning import LearningState
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.scheduler import Row
from dmpcrl_ctrl.errors import CampaignError, LogError, SimulationError
from dmpcrl_ctrl.validation import paper_runs
from dmpcrl_ctrl.validation.paper import chain_mpc, chain_plant, power_plant
from dmpcrl_ctrl.validation.paper_runs import Extent, Work, done, parameter_names, results, run_work
from dmpcrl_ctrl.validation.training import Observer, Snapshot, Training

SMALL = Extent(
    chain_samples=12,
    agents_samples=10,
    power_episodes=1,
    chain_evaluations=2,
    power_evaluations=1,
    states=2,
    episode=30,
)
TRAIN = Work("chain-central-0", "chain", "train central", "published", 0, SMALL)


def test_a_share_is_a_share_of_everything_and_at_least_one() -> None:
    assert Extent.share(1.0) == Extent()
    assert Extent.share(0.1) == Extent(2000, 1000, 10, 1, 10, 2, 100)
    assert Extent.share(1e-6) == Extent(1, 1, 1, 1, 1, 1, 100)
    for wrong in (0.0, 1.5, float("nan")):
        with pytest.raises(CampaignError, match=r"share must lie in \(0, 1\]"):
            Extent.share(wrong)


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
    monkeypatch.setattr(paper_runs, "_CHECKPOINT_EVERY", 5)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_work(TRAIN, whole)
    real = paper_runs.save_snapshot

    class Interrupted(Exception):
        pass

    def save(path: Path, snapshot: Snapshot, fingerprint: str) -> None:
        real(path, snapshot, fingerprint)
        raise Interrupted

    monkeypatch.setattr(paper_runs, "save_snapshot", save)
    with pytest.raises(Interrupted):
        run_work(TRAIN, cut)
    assert not done(TRAIN, cut)
    monkeypatch.setattr(paper_runs, "save_snapshot", real)
    run_work(TRAIN, cut)
    mine, theirs = results(TRAIN.name, cut), results(TRAIN.name, whole)
    assert set(mine) == set(theirs)
    for name, values in mine.items():
        assert np.array_equal(values, theirs[name], equal_nan=True), name


def test_of_a_training_that_runs_away_the_last_checkpoint_is_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = paper_runs.train

    def train(*loop: Any, observe: Observer, **options: Any) -> Training:
        def watched(sample: int, row: Row, state: LearningState) -> None:
            observe(sample, row, state)
            if sample == 8:
                raise SimulationError("t = 9 s: chain: state 'x1_2' of agent_2 is inf")

        return real(*loop, observe=watched, **options)

    monkeypatch.setattr(paper_runs, "train", train)
    with pytest.raises(SimulationError, match="x1_2"):
        run_work(TRAIN, tmp_path)  # there is no checkpoint yet
    monkeypatch.setattr(paper_runs, "_CHECKPOINT_EVERY", 5)
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


def test_a_policy_is_tried_out_on_the_noise_that_all_controllers_meet(tmp_path: Path) -> None:
    """Before it has learned it costs what the plain controller does in the plain loop."""
    run_work(TRAIN, tmp_path)
    tried = replace(TRAIN, name="tried", controller="try central")
    run_work(tried, tmp_path)
    found = results("tried", tmp_path)
    assert found["samples"].tolist() == [0, 10, 12]
    assert found["cost"].shape == found["violations"].shape == (3, 2)
    plain = chain_mpc(distributed=False, variant="published", certify=False)
    plant = chain_plant(evaluation=True, variant="published")
    # the loop is chaotic: later than in some forty samples the least difference of two solves shows
    with simulate(plant, plain, t_end=30.0, seed=paper_runs.EVALUATION_SEED + 1) as run:
        assert np.asarray(run.cost).sum() == pytest.approx(found["cost"][0, 1], rel=1e-6)


def test_multipliers_of_both_models_and_penalties(tmp_path: Path) -> None:
    run_work(Work("duals", "chain", "duals", "published", 0, SMALL), tmp_path)
    found = results("duals", tmp_path)
    assert len(found) == 4
    assert all(distances.shape == (2, 100) for distances in found.values())
    assert all((distances[:, -1] < distances[:, 0]).all() for distances in found.values())


def test_the_plant_of_an_evaluation_has_the_published_noise() -> None:
    assert paper_runs.plant_of("chain", "published", evaluation=True).disturbance_names == ("e",)
    assert paper_runs.plant_of("chain", "published").disturbance_names == ("e_1", "e_2", "e_3")
    assert paper_runs.plant_of("power", "published").state_names == power_plant().state_names


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "duals.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(LogError, match=r"duals\.npz cannot be read"):
        results("duals", tmp_path)
