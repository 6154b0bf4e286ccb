"""Experiments under many seeds are the runs of their files."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.validation.campaign import run_campaign, seeds_of
from dmpcrl_ctrl.validation.experiment import Override, load_experiment, parse_experiment
from dmpcrl_ctrl.validation.experiment_jobs import jobs_of_experiments
from dmpcrl_ctrl.validation.runner import execute, prepare

ROOT = Path(__file__).resolve().parents[2]


def test_a_job_is_the_run_of_its_file(tmp_path: Path) -> None:
    file, sets = ROOT / "examples" / "chain.toml", [Override.read("controller.compare_central=false")]
    experiments = {
        "agents": load_experiment(file, sets),
        "lqr": load_experiment(file, [Override.read('controller={kind = "lqr"}')]),
    }
    jobs = jobs_of_experiments(experiments, seeds=1, seed=3, t_end=4.0)
    assert [job.name for job in jobs] == ["agents-0000", "lqr-0000"]
    assert all(pickle.dumps(job) for job in jobs)
    with ThreadPoolExecutor(1) as pool:
        results = run_campaign(jobs, folder=tmp_path / "campaign", executor=pool).results
    (seed,) = seeds_of(3, 1)
    alone = load_experiment(file, [*sets, Override.read("simulation.t_end=4.0")], seed)
    outcome = execute(prepare(alone, tmp_path / "alone"))
    assert results[0].cost == pytest.approx(outcome.summary.total_cost, rel=1e-9)
    with open_log(tmp_path / "campaign" / "agents-0000.h5") as log:
        assert parse_experiment(log.attributes["experiment"], "log") == alone
    assert results[1].ok
