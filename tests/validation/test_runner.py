"""A run's folder: complete or not there, never written over by accident."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dmpcrl_ctrl.controllers import DistributedMPC, Signals
from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.errors import DmpcrlError, ExperimentError, LogError, SimulationError
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation import runner
from dmpcrl_ctrl.validation.experiment import Override, parse_experiment
from dmpcrl_ctrl.validation.runner import command_line, execute, facts, log_of, prepare, write_whole
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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("controller.delay=0.1234567890123", "delay"),
        ('controller.name="power_network"', "two plants or blocks are called 'power_network'"),
        ('controller={kind="lqr", name="observer"}', "two plants or blocks are called 'observer'"),
    ],
)
def test_a_loop_that_cannot_be_built_touches_nothing(tmp_path: Path, setting: str, message: str) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("run.h5", "summary.json", "report.html"):
        (old / name).write_text(name, encoding="utf-8")
    sets = [Override.read(setting), Override.read("observer.process_noise=1.0")]
    experiment = parse_experiment(EXPERIMENT, "short.toml", sets)
    for folder in (old, tmp_path / "new"):
        with pytest.raises(DmpcrlError, match=message):
            prepare(experiment, folder, overwrite=True)
    assert {path.name: path.read_text(encoding="utf-8") for path in old.iterdir()} == {
        name: name for name in ("run.h5", "summary.json", "report.html")
    }
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("areas", "kind", "words"),
    [
        (1, "distributed_mpc", "1 agent, 4 states, 1 inputs · distributed_mpc of 1 agent, horizon 5"),
        (3, "distributed_mpc", "3 agents, 12 states, 3 inputs · distributed_mpc of 3 agents, horizon 5"),
        (3, "centralized_mpc", "3 agents, 12 states, 3 inputs · centralized_mpc, horizon 5"),
    ],
)
def test_the_facts_count_the_agents_of_plant_and_controller(tmp_path: Path, areas: int, kind: str, words: str) -> None:
    text = f"""
    title = "facts"
    plant = {{ kind = "random_power_network", areas = {areas} }}
    controller = {{ kind = "{kind}", horizon = 5 }}
    simulation = {{ t_end = 2.0 }}
    """
    assert words in facts(prepare(parse_experiment(text, "e.toml"), tmp_path / "out"))


def test_the_whole_plant_as_one_agent_is_one_agent(tmp_path: Path, experiment: Experiment) -> None:
    prepared = prepare(experiment, tmp_path / "out")
    models = prepared.plant.local_models(1.0, hold="network")
    problem = MPCProblem(models.models, 5, 1.0, models.names)
    whole = DistributedMPC(problem, 1.0, Signals.of_plant(prepared.plant, models))
    assert "4 agents, 16 states, 4 inputs · distributed_mpc of 1 agent, " in facts(replace(prepared, blocks=(whole,)))


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


def test_the_log_of_a_file_or_a_folder(tmp_path: Path) -> None:
    assert log_of(tmp_path) == tmp_path / "run.h5"
    assert log_of(tmp_path / "other.h5") == tmp_path / "other.h5"
    (tmp_path / "campaign.json").touch()
    (tmp_path / "lqr-0000.h5").touch()
    with pytest.raises(LogError, match=r"holds a campaign, with a log for each run: .*lqr-0000\.h5"):
        log_of(tmp_path)
