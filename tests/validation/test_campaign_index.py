"""The fingerprint of a job: the same wherever it is taken, another where the job would do something else."""

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dmpcrl_ctrl.controllers import LQR, CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.plants import chain
from dmpcrl_ctrl.validation.campaign import Job, RunResult, jobs_of
from dmpcrl_ctrl.validation.campaign_index import INDEX, JOURNAL, CampaignIndex, fingerprint, runs_in
from dmpcrl_ctrl.validation.runner import write_whole

JOB = Job("mpc", 0, 5, 10.0, partial(chain, noise="common"), partial(CentralizedMPC.for_plant, horizon=5))


def test_another_process_finds_the_same() -> None:
    code = "from tests.validation.test_campaign_index import JOB, fingerprint; print(fingerprint(JOB))"
    root = Path(__file__).resolve().parent.parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fingerprint(JOB)


def test_what_changes_a_run_changes_it() -> None:
    others = [
        replace(JOB, seed=6),
        replace(JOB, t_end=11.0),
        replace(JOB, plant=chain),
        replace(JOB, plant=partial(chain, noise=False)),
        replace(JOB, block=partial(CentralizedMPC.for_plant, horizon=6)),
        replace(JOB, block=partial(DistributedMPC.for_plant, horizon=5)),
        replace(JOB, block=LQR.for_plant),
        replace(JOB, block=partial(CentralizedMPC.for_plant, horizon=5, Q=np.eye(6))),
        replace(JOB, block=partial(CentralizedMPC.for_plant, horizon=5, Q=2 * np.eye(6))),
        replace(JOB, experiment="title = 'x'"),
    ]
    found = [fingerprint(job) for job in [JOB, *others]]
    assert len(set(found)) == len(found)


def test_an_object_is_told_by_what_it_says_of_itself_not_by_where_it_lies() -> None:
    class Thing:
        pass

    one, two = (replace(JOB, block=partial(LQR.for_plant, offset=Thing())) for _ in range(2))
    assert fingerprint(one) == fingerprint(two)


@pytest.mark.parametrize("text", ["", "[1]", '{"format": "something"}', '{"format": "dmpcrl_ctrl campaign 1"}'])
def test_a_file_that_is_no_index_is_named(tmp_path: Path, text: str) -> None:
    write_whole(tmp_path / INDEX, text)
    with pytest.raises(CampaignError, match=r"campaign\.json (cannot be read|is no index of a campaign)"):
        CampaignIndex.of(tmp_path, jobs_of(chain, {"lqr": LQR.for_plant}, t_end=1.0, seeds=1), False)


def test_a_run_is_kept_at_once_though_the_index_is_written_seldom(tmp_path: Path) -> None:
    """What a killed process leaves: an old index, a journal, and in it a line that was cut off."""
    jobs = jobs_of(chain, {"lqr": LQR.for_plant}, t_end=1.0, seeds=3)
    index = CampaignIndex.of(tmp_path, jobs, False)
    for job in jobs[:2]:
        (tmp_path / f"{job.name}.h5").write_bytes(b"a log")
        index.keep(job, RunResult(job.name, job.controller, job.scenario, job.index, job.seed, 1.5))
    with (tmp_path / JOURNAL).open("a") as journal:
        journal.write('{"lqr-0002": {"fingerpr')
    again = CampaignIndex.of(tmp_path, jobs, False)
    assert {name: kept["cost"] for name, kept in again.finished(job.name for job in jobs).items()} == {
        "lqr-0000": 1.5,
        "lqr-0001": 1.5,
    }
    assert sorted(runs_in(tmp_path)) == ["lqr-0000", "lqr-0001"]
    again.save()
    assert not (tmp_path / JOURNAL).exists()
    assert sorted(runs_in(tmp_path)) == ["lqr-0000", "lqr-0001"]


def test_a_look_at_a_folder_makes_nothing(tmp_path: Path) -> None:
    CampaignIndex.of(tmp_path / "new", jobs_of(chain, {"lqr": LQR.for_plant}, t_end=1.0, seeds=1), False, make=False)
    assert not (tmp_path / "new").exists()
