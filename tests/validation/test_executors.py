"""Executors of others: the same table wherever a campaign runs, a dead worker costs nothing, and errors of one line."""

import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.plants import chain
from dmpcrl_ctrl.validation.campaign import Campaign, jobs_of, run_campaign
from dmpcrl_ctrl.validation.campaign_folder import as_csv
from dmpcrl_ctrl.validation.campaign_table import table
from dmpcrl_ctrl.validation.executors import dask_executor, mpi_executor
from dmpcrl_ctrl.validation.workers import DIED, on_executor
from tests.validation.jobs import LAWS
from tests.validation.test_workers import mortal

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = """\
title = "On two ranks"
runs = 2
criteria = ["failed runs = 0"]

[plant]
kind = "chain"

[controllers.lqr]
kind = "lqr"

[simulation]
t_end = 4.0
"""
# a connection that a killed worker leaves behind is closed by nobody, and Dask asks asyncio for what it will lose
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a local cluster of two processes, which gives a task up when its worker dies for the first time."""
    import dask
    from distributed import LocalCluster

    options = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.worker.daemon": True,
        "distributed.nanny.environ.PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    silent = {"silence_logs": logging.CRITICAL, "dashboard_address": None}
    with dask.config.set(options), LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **silent) as found:
        yield found.scheduler_address


def tables(campaign: Campaign) -> tuple[str, str]:
    """Everything but the seconds that it took, to the last digit."""
    return as_csv(table(campaign, "lqr")), repr([(r.name, r.cost, r.violations, r.statuses) for r in campaign.results])


def the_same_everywhere(cluster: str, seeds: int, t_end: float) -> None:
    jobs = jobs_of(chain, {"lqr": LQR.for_plant, **LAWS}, t_end=t_end, seeds=seeds)
    with ThreadPoolExecutor(2) as pool:
        expected = tables(run_campaign(jobs, executor=pool))
    assert tables(run_campaign(jobs, workers=2)) == expected
    with dask_executor(cluster, timeout=60.0) as executor:
        assert tables(run_campaign(jobs, executor=executor)) == expected


def test_threads_processes_and_a_dask_cluster_give_the_same_table(cluster: str) -> None:
    the_same_everywhere(cluster, 7, 5.0)


@pytest.mark.long
def test_two_hundred_runs_give_the_same_table_everywhere(cluster: str) -> None:
    the_same_everywhere(cluster, 67, 30.0)


def test_on_dask_only_who_kills_its_worker_twice_has_no_answer(cluster: str, tmp_path: Path) -> None:
    tasks = [(str(tmp_path / "marker"), k) for k in (1, 0, -1, 2)]
    with dask_executor(cluster, timeout=60.0) as executor:
        found = {task[1]: answer for task, answer in on_executor(mortal, tasks, executor)}
    assert found == {0: 0, 1: 1, 2: 2, -1: DIED}


def test_the_ranks_of_an_mpi_job_give_the_same_table(tmp_path: Path) -> None:
    mpiexec = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert mpiexec is not None
    (tmp_path / "two.toml").write_text(CAMPAIGN, encoding="utf-8")
    command = [sys.executable, "-m", "mpi4py.futures", "-m", "dmpcrl_ctrl", "campaign", str(tmp_path / "two.toml")]
    launched = [mpiexec, "--allow-run-as-root", "--oversubscribe", "-n", "2", *command]
    done = subprocess.run(
        [*launched, "--out", str(tmp_path / "ranks"), "--mpi"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    from dmpcrl_ctrl.validation.campaign_file import load_campaign
    from dmpcrl_ctrl.validation.campaign_runner import execute_campaign, prepare_campaign

    with ThreadPoolExecutor(1) as pool:
        execute_campaign(prepare_campaign(load_campaign(tmp_path / "two.toml"), tmp_path / "threads"), executor=pool)
    assert (tmp_path / "ranks" / "table.csv").read_bytes() == (tmp_path / "threads" / "table.csv").read_bytes()


def test_an_address_at_which_nobody_answers_is_told_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()  # accepts, and never says a word
        silent = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        for address, message in [
            ("tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1"),
            (silent, f"no Dask scheduler answers at {silent}"),
            ("nonsense://x", "unknown address scheme 'nonsense'"),
            ("localhost", "missing port number"),
            (" ", "needs the address of a scheduler"),
        ]:
            with pytest.raises(CampaignError, match=message) as caught, dask_executor(address, timeout=1.0):
                pass
            assert "\n" not in str(caught.value)


def test_outside_an_mpi_job_the_error_shows_how_to_start_one() -> None:
    with pytest.raises(CampaignError, match="start it by mpiexec -n 3 python -m mpi4py.futures"), mpi_executor():
        pass


@pytest.mark.parametrize(
    ("package", "context", "message"),
    [
        ("distributed", partial(dask_executor, "tcp://127.0.0.1:1"), r"package distributed .*dmpcrl-ctrl\[dask\]"),
        ("mpi4py.futures", mpi_executor, r"package mpi4py .*dmpcrl-ctrl\[mpi\]"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, context: Callable[[], AbstractContextManager[Any]], message: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CampaignError, match=message), context():
        pass
