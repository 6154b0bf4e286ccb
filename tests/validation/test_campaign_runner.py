"""A campaign in its folder: what it writes, when it refuses, and that it goes on where it was killed."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.validation.campaign_file import load_campaign
from dmpcrl_ctrl.validation.campaign_folder import open_campaign
from dmpcrl_ctrl.validation.campaign_index import JOURNAL
from dmpcrl_ctrl.validation.campaign_runner import (
    CampaignOutcome,
    campaign_command,
    execute_campaign,
    prepare_campaign,
)
from tests.interrupts import interruptible

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN = """\
title = "Two laws"
runs = 2
reference = "lqr"
criteria = ["failed runs = 0"]

[plant]
kind = "chain"

[controllers.lqr]
kind = "lqr"

[controllers.slow]
kind = "lqr"
hold = "area"

[simulation]
t_end = 4.0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(CAMPAIGN, encoding="utf-8")
    return path


def run(file: Path, folder: Path, runs: int | None = None, **options: Any) -> CampaignOutcome:
    with ThreadPoolExecutor(2) as pool:
        return execute_campaign(prepare_campaign(load_campaign(file), folder, runs, **options), executor=pool)


def changed(file: Path, old: str, new: str) -> Path:
    assert old in CAMPAIGN
    file.write_text(CAMPAIGN.replace(old, new), encoding="utf-8")
    return file


def test_a_folder_holds_logs_numbers_and_verdict(file: Path, tmp_path: Path) -> None:
    outcome = run(file, tmp_path / "out")
    assert outcome.passed
    assert [path.name for path in outcome.files] == [
        "campaign.json",
        "table.json",
        "table.csv",
        "junit.xml",
        "report.html",
    ]
    assert all(path.is_file() for path in outcome.files)
    assert len(list((tmp_path / "out").glob("*.h5"))) == 4
    assert not (tmp_path / "out" / JOURNAL).exists()
    campaign, heading = open_campaign(tmp_path / "out")
    assert campaign.results == outcome.campaign.results
    assert heading == outcome.heading
    assert (heading.title, heading.reference, heading.runs, heading.text) == ("Two laws", "lqr", 2, CAMPAIGN)
    assert [(own.controller, own.passed) for own in heading.judgements] == [("lqr", True), ("slow", True)]


def test_a_criterion_that_is_missed_fails_the_campaign(file: Path, tmp_path: Path) -> None:
    outcome = run(changed(file, "failed runs = 0", "max cost < 0"), tmp_path / "out")
    assert not outcome.passed
    assert len(outcome.heading.missed) == 2
    assert 'failures="2"' in (tmp_path / "out" / "junit.xml").read_text()


def test_a_campaign_may_grow_and_be_judged_otherwise(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(file, folder)
    assert run(file, folder).campaign.repeated == 0
    assert run(file, folder, 3).campaign.repeated == 2
    assert run(changed(file, "failed runs = 0", "max cost < 0"), folder).campaign.repeated == 0
    more = changed(file, "[simulation]", '[controllers.third]\nkind = "lqr"\nname = "third"\n\n[simulation]')
    assert run(more, folder).campaign.repeated == 2


def test_another_campaign_is_never_written_over_unless_told(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(file, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for old, new, message in [
        ("[controllers.slow]", "[controllers.other]", "out holds another campaign, with runs of slow: give another"),
        ("t_end = 4.0", "t_end = 5.0", r"lqr-0000\.h5 belongs to another job"),
    ]:
        with pytest.raises(CampaignError, match=message):
            run(changed(file, old, new), folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert run(file, folder, overwrite=True).campaign.repeated == 4


def test_a_folder_of_something_else_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(b"a run")
    with pytest.raises(CampaignError, match=r"holds run\.h5, but no campaign"):
        prepare_campaign(load_campaign(file), tmp_path)
    with pytest.raises(CampaignError, match=r"two\.toml is a file"):
        prepare_campaign(load_campaign(file), file)
    assert prepare_campaign(load_campaign(file), tmp_path / "new").runs == 2
    assert not (tmp_path / "new").exists()  # nothing is touched yet


def test_numbers_and_verdict_of_before_are_gone_while_it_runs(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(file, folder)

    def look(fraction: float) -> None:
        assert not (folder / "junit.xml").exists() and not (folder / "table.json").exists()
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool, pytest.raises(KeyboardInterrupt):
        execute_campaign(prepare_campaign(load_campaign(file), folder, 3), executor=pool, progress=look)
    with pytest.raises(CampaignError, match="no finished campaign"):
        open_campaign(folder)


def test_the_command_runs_it_again() -> None:
    assert campaign_command("my file.toml", 5) == "dmpcrl-ctrl campaign 'my file.toml' --out runs/again --runs 5"


def test_a_campaign_that_is_stopped_goes_on_where_it_was(file: Path, tmp_path: Path) -> None:
    """The command is interrupted, started again, killed; then it ends with the table of one that never was."""
    folder, runs = tmp_path / "out", 6
    changed(file, "t_end = 4.0", "t_end = 20.0")
    status, output = stopped(file, folder, runs, signal.SIGINT, 2)
    assert status == 130, output
    assert "interrupted; " in output and "the same command goes on" in output
    first = finished(folder)
    status, output = stopped(file, folder, runs, signal.SIGKILL, len(first) + 2)
    assert status == -signal.SIGKILL, output
    kept = finished(folder)
    assert first < kept and len(kept) < 2 * runs
    written = {name: (folder / f"{name}.h5").stat().st_mtime_ns for name in kept}
    rest = run(file, folder, runs)
    assert rest.campaign.repeated == 2 * runs - len(kept)
    assert {name: (folder / f"{name}.h5").stat().st_mtime_ns for name in kept} == written
    run(file, tmp_path / "whole", runs)
    assert (folder / "table.csv").read_bytes() == (tmp_path / "whole" / "table.csv").read_bytes()


def stopped(file: Path, folder: Path, runs: int, how: signal.Signals, enough: int) -> tuple[int, str]:
    """Start the command and stop it when so many runs are finished; its output ends when its worker has gone too."""
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.h5") if path.stem in finished(folder)}
    options = ["--out", str(folder), "--runs", str(runs), "--workers", "1"]
    command = [sys.executable, "-m", "dmpcrl_ctrl", "campaign", str(file), *options]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "preexec_fn": interruptible}
    with subprocess.Popen(command, text=True, cwd=ROOT, **streams) as started:
        while started.poll() is None and len(finished(folder)) < enough:
            time.sleep(0.005)
        started.send_signal(how)
        output = started.communicate(timeout=120)[0]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    return started.returncode, output


def finished(folder: Path) -> set[str]:
    """Runs that the index or the journal beside it call finished."""
    found: dict[str, dict[str, Any]] = {}
    try:
        found |= json.loads((folder / "campaign.json").read_text())["runs"]
        for line in (folder / JOURNAL).read_text().splitlines(keepends=True):
            found |= json.loads(line) if line.endswith("\n") else {}
    except FileNotFoundError:
        pass
    return {name for name, kept in found.items() if kept["error"] == ""}
