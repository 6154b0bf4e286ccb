"""Campaigns: one result a job whatever happens to the others, common noise, and a second start that repeats nothing."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.cosim import open_log, simulate
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.plants import Plant, chain
from dmpcrl_ctrl.validation.campaign import Campaign, Job, RunResult, jobs_of, run_campaign, run_job, seeds_of
from dmpcrl_ctrl.validation.campaign_table import table
from tests.validation.jobs import LAWS, PLANT, broken, clumsy, deadly, proportional


def threads(jobs: tuple[Job, ...], **options: Any) -> Campaign:
    with ThreadPoolExecutor(2) as pool:
        return run_campaign(jobs, executor=pool, **options)


def without_time(result: RunResult) -> RunResult:
    return replace(result, seconds=0.0, log=None, cost=result.cost if result.ok else 0.0)


def test_a_result_is_that_of_the_loop_run_alone() -> None:
    jobs = jobs_of(PLANT, LAWS, t_end=12.0, seeds=2, seed=4)
    campaign = threads(jobs)
    assert [result.name for result in campaign.results] == ["weak-0000", "strong-0000", "weak-0001", "strong-0001"]
    for job, result in zip(jobs, campaign.results, strict=True):
        run = simulate(chain(), job.block(chain()), t_end=12.0, seed=job.seed)
        outside = np.asarray(run.violations) > 1e-6
        assert result.cost == pytest.approx(float(np.asarray(run.cost).sum()), rel=1e-12)
        assert result.violated_samples == int(outside.any(axis=1).sum())
        assert result.violations == {
            name: int(column.sum()) for name, column in zip(run.state_names, outside.T, strict=True) if column.any()
        }


def test_controllers_of_one_seed_meet_the_same_noise(tmp_path: Path) -> None:
    threads(jobs_of(PLANT, LAWS, t_end=5.0, seeds=2), folder=tmp_path)
    noise = {path.stem: np.asarray(open_log(path).disturbance) for path in tmp_path.glob("*.h5")}
    assert len(noise) == 4
    for seed in ("0000", "0001"):
        assert np.array_equal(noise[f"weak-{seed}"], noise[f"strong-{seed}"])
    assert not np.array_equal(noise["weak-0000"], noise["weak-0001"])


def test_seeds_are_those_of_a_seed_sequence_and_stay_when_more_are_asked_for() -> None:
    expected = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(7).spawn(5)]
    assert list(seeds_of(7, 5)) == expected
    assert seeds_of(7, 3) == seeds_of(7, 5)[:3]
    with pytest.raises(CampaignError, match="at least one seed"):
        seeds_of(7, 0)


def test_processes_and_threads_give_the_same_table_whoever_fails_or_is_killed(tmp_path: Path) -> None:
    """Starting processes takes most of the time here, so that all that can happen to them stands in one test."""
    controllers = LAWS | {"broken": broken, "clumsy": clumsy}
    once = partial(deadly, marker=str(tmp_path / "once"))
    jobs = jobs_of(PLANT, controllers, t_end=10.0, seeds=2)
    mortal = jobs_of(PLANT, {"killed": once}, t_end=10.0, seeds=1)
    on_processes = run_campaign([*jobs, *mortal], workers=2, folder=tmp_path / "processes")
    assert (tmp_path / "once").exists()
    on_threads = threads((*jobs, *mortal), folder=tmp_path / "threads")
    assert [*map(without_time, on_threads.results)] == [*map(without_time, on_processes.results)]
    for campaign in (on_threads, on_processes):
        assert [run.error for run in campaign.of("broken")] == ["there is no such controller"] * 2
        assert [run.error for run in campaign.of("clumsy")] == ["ZeroDivisionError: by nothing"] * 2
        assert all(run.ok and np.isfinite(run.cost) for name in ("weak", "strong") for run in campaign.of(name))
        assert campaign.of("killed")[0].ok
        assert len(campaign.failed) == 4
        assert [line.failed for line in table(campaign, "weak")] == [0, 0, 2, 2, 0]


def test_a_second_start_repeats_nothing_and_a_longer_campaign_only_what_is_new(tmp_path: Path) -> None:
    first = threads(jobs_of(PLANT, LAWS, t_end=4.0, seeds=2), folder=tmp_path)
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")}
    again = threads(jobs_of(PLANT, LAWS, t_end=4.0, seeds=2), folder=tmp_path)
    assert again.repeated == 0
    assert again.results == first.results
    longer = threads(jobs_of(PLANT, LAWS, t_end=4.0, seeds=3), folder=tmp_path)
    assert longer.repeated == 2
    assert longer.results[:4] == first.results
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in written} == written


def test_an_interrupted_campaign_goes_on(tmp_path: Path) -> None:
    """Interrupted after two of four runs, as by Ctrl-C; one run was under way and left half a log."""
    jobs = jobs_of(PLANT, LAWS, t_end=4.0, seeds=2)

    def enough(fraction: float) -> None:
        if fraction >= 0.5:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        run_campaign(jobs, folder=tmp_path, executor=pool, progress=enough)
    (tmp_path / "strong-0001.h5").write_bytes(b"half a log")
    rest = threads(jobs, folder=tmp_path)
    assert rest.repeated == 2
    assert [*map(without_time, rest.results)] == [*map(without_time, threads(jobs).results)]
    assert not (tmp_path / "strong-0001.h5").read_bytes().startswith(b"half")


def test_a_failed_run_and_a_lost_log_are_run_again(tmp_path: Path) -> None:
    threads(jobs_of(PLANT, {"weak": LAWS["weak"], "broken": broken}, t_end=2.0, seeds=1), folder=tmp_path)
    (tmp_path / "weak-0000.h5").unlink()
    again = threads(jobs_of(PLANT, {"weak": LAWS["weak"], "broken": broken}, t_end=2.0, seeds=1), folder=tmp_path)
    assert again.repeated == 2


def test_other_jobs_in_the_folder_are_refused_and_overwritten_when_told(tmp_path: Path) -> None:
    threads(jobs_of(PLANT, LAWS, t_end=2.0, seeds=1), folder=tmp_path)
    other = jobs_of(PLANT, {"weak": partial(proportional, gain=0.3)}, t_end=2.0, seeds=1)
    with pytest.raises(CampaignError, match=r"weak-0000\.h5 belongs to another job"):
        threads(other, folder=tmp_path)
    assert threads(other, folder=tmp_path, overwrite=True).repeated == 1
    (tmp_path / "weak-0007.h5").write_bytes(b"mine")
    with pytest.raises(CampaignError, match=r"weak-0007\.h5 is not of this campaign"):
        threads((replace(other[0], index=7),), folder=tmp_path)


def test_names_and_functions_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    (job,) = jobs_of(PLANT, {"weak": LAWS["weak"]}, t_end=2.0, seeds=1)
    with pytest.raises(CampaignError, match="two jobs are called 'weak-0000'"):
        run_campaign([job, job])
    with pytest.raises(CampaignError, match=r"controller '\.\./up'"):
        replace(job, controller="../up")
    with pytest.raises(CampaignError, match="weak-0000 cannot be sent to a process"):
        run_campaign([replace(job, block=lambda plant: proportional(plant, 0.1))])
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CampaignError, match="file is a file"):
        run_campaign([job], folder=tmp_path / "file")


def test_scenarios_stand_side_by_side(tmp_path: Path) -> None:
    plants = {"quiet": partial(chain, noise=False), "noisy": partial(chain, noise="common")}
    campaign = threads(jobs_of(plants, LAWS, t_end=3.0, seeds=1), folder=tmp_path)
    assert (tmp_path / "quiet-weak-0000.h5").exists()
    assert campaign.of("weak", "quiet")[0].cost != campaign.of("weak", "noisy")[0].cost
    assert [line.scenario for line in table(campaign)] == ["quiet", "quiet", "noisy", "noisy"]


def test_progress_reaches_one() -> None:
    fractions: list[float] = []
    threads(jobs_of(PLANT, LAWS, t_end=2.0, seeds=2), progress=fractions.append)
    assert fractions == [0.25, 0.5, 0.75, 1.0]


def test_the_index_tells_who_failed(tmp_path: Path) -> None:
    threads(jobs_of(PLANT, {"broken": broken}, t_end=2.0, seeds=1), folder=tmp_path)
    runs = json.loads((tmp_path / "campaign.json").read_text())["runs"]
    assert runs["broken-0000"]["error"] == "there is no such controller"
    assert runs["broken-0000"]["cost"] is None


def test_a_job_run_here_raises_in_one_line() -> None:
    def nothing() -> Plant:
        raise ValueError("two\nlines")

    (job,) = jobs_of(nothing, LAWS | {"strong": broken}, t_end=2.0, seeds=1)[:1]
    with pytest.raises(CampaignError, match=r"^ValueError: two lines$"):
        run_job(job)
