"""A run's folder: complete or not there, never written over by accident."""

import json
from pathlib import Path

import pytest

from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.errors import ExperimentError, LogError, SimulationError
from dmpcrl_ctrl.validation import runner
from dmpcrl_ctrl.validation.experiment import parse_experiment
from dmpcrl_ctrl.validation.runner import command_line, execute, prepare, write_whole
from dmpcrl_ctrl.validation.sections import Experiment
from tests.validation.conftest import EXPERIMENT, ShortRun


@pytest.fixture
def experiment() -> Experiment:
    return parse_experiment(EXPERIMENT.replace("t_end = 8.0", "t_end = 2.0"), "short.toml")


def test_a_run_leaves_three_files(short_run: ShortRun) -> None:
    assert sorted(path.name for path in short_run.folder.iterdir()) == ["report.html", "run.h5", "summary.json"]
    numbers = json.loads((short_run.folder / "summary.json").read_text(encoding="utf-8"))
    assert numbers["plant"] == "power_network"
    assert numbers["seed"] == 3
    assert numbers["total_cost"] == short_run.summary.total_cost
    assert numbers["indices"]["eta"] == short_run.summary.indices["eta"]
    assert numbers["controllers"]["mpc"]["statuses"] == short_run.summary.controllers["mpc"].statuses


def test_the_log_holds_the_whole_experiment(short_run: ShortRun) -> None:
    text = open_log(short_run.folder / "run.h5").attributes["experiment"]
    assert parse_experiment(text, "log") == parse_experiment(EXPERIMENT, "short.toml")
    assert "discount = 1.0" in text  # a default


def test_the_same_experiment_gives_the_same_numbers(tmp_path: Path, experiment: Experiment) -> None:
    outcomes = [execute(prepare(experiment, tmp_path / name)) for name in ("one", "two")]
    assert outcomes[0].summary.total_cost == pytest.approx(outcomes[1].summary.total_cost, rel=1e-9)


def test_an_existing_run_is_refused_and_left_as_it_was(short_run: ShortRun, experiment: Experiment) -> None:
    before = {path.name: path.read_bytes() for path in short_run.folder.iterdir()}
    with pytest.raises(ExperimentError, match=r"already holds a run \(run\.h5, summary\.json, report\.html\)"):
        prepare(experiment, short_run.folder)
    assert {path.name: path.read_bytes() for path in short_run.folder.iterdir()} == before


@pytest.mark.parametrize("name", ["run.h5", "summary.json", "report.html"])
def test_any_file_of_a_run_is_enough_to_refuse(tmp_path: Path, experiment: Experiment, name: str) -> None:
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(ExperimentError, match="already holds a run"):
        prepare(experiment, tmp_path)


def test_a_folder_with_other_things_in_it_is_used_and_kept(tmp_path: Path, experiment: Experiment) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    execute(prepare(experiment, tmp_path))
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_overwrite_replaces_the_run(tmp_path: Path, experiment: Experiment) -> None:
    first = execute(prepare(experiment, tmp_path))
    longer = parse_experiment(EXPERIMENT.replace("t_end = 8.0", "t_end = 3.0"), "short.toml")
    second = execute(prepare(longer, tmp_path, overwrite=True))
    assert first.log == second.log
    assert open_log(second.log).time[-1] == 3.0


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, experiment: Experiment) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(ExperimentError, match="out is a file"):
        prepare(experiment, tmp_path / "out")
    with pytest.raises(LogError, match="cannot be written"):
        execute(prepare(experiment, tmp_path / "out" / "deeper"))


def test_a_run_that_fails_leaves_no_numbers(
    tmp_path: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(prepare(experiment, tmp_path))

    def broken(*given: object, **options: object) -> None:
        raise SimulationError("stopped at t = 1 s")

    monkeypatch.setattr("dmpcrl_ctrl.cosim.simulate", broken)
    with pytest.raises(SimulationError):
        execute(prepare(experiment, tmp_path, overwrite=True))
    assert not (tmp_path / "summary.json").exists()
    assert not (tmp_path / "report.html").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "numbers"
    write_whole(target, "first")

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runner.os, "fsync", full)
    with pytest.raises(LogError, match=r"numbers cannot be written: No space left"):
        write_whole(target, "second")
    assert target.read_text(encoding="utf-8") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["numbers"]


def test_the_command_line_can_be_pasted() -> None:
    line = command_line("my run.toml", ['plant.kind="chain"'], 3)
    assert line == """dmpcrl-ctrl run 'my run.toml' --out runs/again --set 'plant.kind="chain"' --seed 3"""
