"""The experiments in examples/, run as `dmpcrl-ctrl run` runs them; published numbers where there are any."""

import json
from pathlib import Path
from typing import Any

import pytest

from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.validation.experiment import Override, load_experiment
from dmpcrl_ctrl.validation.runner import execute, prepare

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# a campaign is no experiment; tests/validation/test_campaign_file.py reads the one that is here
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.toml") if not path.stem.endswith("_campaign"))


def run(name: str, folder: Path, *sets: str) -> dict[str, Any]:
    """Numbers of a run of an example, read back from the file that it wrote."""
    experiment = load_experiment(EXAMPLES / f"{name}.toml", [Override.read(text) for text in sets])
    execute(prepare(experiment, folder))
    numbers: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return numbers


@pytest.mark.parametrize("name", NAMES)
def test_every_example_starts(name: str, tmp_path: Path) -> None:
    sample_time = load_experiment(EXAMPLES / f"{name}.toml").controller.sample_time
    numbers = run(name, tmp_path, f"simulation.t_end={3 * sample_time}")
    assert numbers["samples"] == 3
    (controller,) = numbers["controllers"].values()
    assert controller["applied"] == {"fresh": 3}
    assert (tmp_path / "report.html").stat().st_size > 20_000


def test_the_benchmarks_controller_gives_the_published_indices(tmp_path: Path) -> None:
    """Riverso and Ferrari-Trecate, arXiv:1207.2000: centralised MPC, scenario 1."""
    numbers = run("hycon2_scenario1_centralized", tmp_path)
    assert numbers["samples"] == 100
    assert numbers["indices"]["eta"] == pytest.approx(0.0248777962619, rel=1e-6)
    assert numbers["indices"]["phi"] == pytest.approx(0.0029550923098, rel=1e-6)
    assert numbers["violated_samples"] == 0
    # The stage cost that the loop adds up is the same sum that eta takes from the trajectory.
    assert numbers["mean_cost"] == pytest.approx(numbers["indices"]["eta"], rel=1e-12)


def test_scenario_2_runs_by_one_set(tmp_path: Path) -> None:
    sets = ("plant.scenario=2", "simulation.t_end=25.0")
    numbers = run("hycon2_scenario1_centralized", tmp_path, *sets)
    assert list(numbers["agent_cost"]) == [f"area_{k}" for k in (1, 2, 3, 4, 5)]
    log = open_log(tmp_path / "run.h5")
    assert log["dPL_1"][[4, 5, 19, 20]].tolist() == [0.0, 0.10, 0.10, -0.22]


def test_an_impossible_terminal_equality_is_told_and_survived(tmp_path: Path) -> None:
    """From t = 15 s the load of area 2 is beyond its input: no plan can end at the set point."""
    numbers = run("hycon2_tight_limits_centralized", tmp_path, "simulation.t_end=35.0")
    controller = numbers["controllers"]["mpc"]
    assert controller["first_failure"] == 15.0
    assert controller["statuses"] == {"optimal": 15, "primal_infeasible": 20}
    assert controller["applied"] == {"fresh": 15, "shifted_plan": 14, "held": 6}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "20 of 35 solves failed (primal infeasible 20×), first at t = 15 s" in page


def test_a_regulator_and_an_observer_can_stand_in_an_experiment(tmp_path: Path) -> None:
    sets = ('controller={kind="lqr"}', "observer={measurement_noise=0.1}", "simulation.t_end=8.0")
    numbers = run("hycon2_scenario1", tmp_path, *sets)
    assert set(numbers["controllers"]) == {"lqr", "observer"}
    assert numbers["controllers"]["lqr"]["statuses"] == {"optimal": 8}
    assert numbers["controllers"]["lqr"]["solve_time"] is None
    assert numbers["total_cost"] < 3.0
