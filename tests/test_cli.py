"""The command as a person meets it: what it prints, what it leaves, how it ends; mostly in processes of its own."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest
from typer.testing import CliRunner

from dmpcrl_ctrl.cli import app

ROOT = Path(__file__).resolve().parent.parent
TEXT = """\
title = "Two seconds"

[plant]
kind = "power_network"
scenario = 1

[controller]
kind = "distributed_mpc"
horizon = 5

[controller.admm]
iterations = 20

[simulation]
t_end = 2.0
"""


def command(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    full = [sys.executable, "-m", "dmpcrl_ctrl", *(str(word) for word in words)]
    return subprocess.run(full, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def refused(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same inside this process, which has loaded everything: for commands that end before they do anything."""
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(app, [str(word) for word in words])
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with one experiment in it."""
    (tmp_path / "two.toml").write_text(TEXT, encoding="utf-8")
    return tmp_path


def assert_one_line(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("dmpcrl-ctrl: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_run_prints_a_table_and_leaves_three_files(place: Path) -> None:
    done = command("run", "two.toml", "--out", "out", "--seed", "4", "--set", "plant.scenario=2", cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no bar where nobody watches
    for word in ("Two seconds", "total cost", "eta", "phi", "solve time", "ADMM primal residual", "status"):
        assert word in done.stdout
    assert done.stdout.splitlines()[-3:] == ["out/run.h5", "out/summary.json", "out/report.html"]
    numbers = json.loads((place / "out" / "summary.json").read_text(encoding="utf-8"))
    assert numbers["seed"] == 4
    assert len(numbers["agent_cost"]) == 5  # scenario 2 has five areas
    assert f"{numbers['indices']['eta']:.12g}" in done.stdout
    page = (place / "out" / "report.html").read_text(encoding="utf-8")
    assert "dmpcrl-ctrl run two.toml --out runs/again --set plant.scenario=2 --seed 4" in page


def test_an_existing_run_is_not_written_over(place: Path) -> None:
    assert command("run", "two.toml", "--out", "out", cwd=place).returncode == 0
    before = {path.name: path.read_bytes() for path in (place / "out").iterdir()}
    assert_one_line(refused("run", "two.toml", "--out", "out", cwd=place), 2, "out already holds a run", "--overwrite")
    assert {path.name: path.read_bytes() for path in (place / "out").iterdir()} == before
    assert command("run", "two.toml", "--out", "out", "--overwrite", cwd=place).returncode == 0


def test_bad_input_is_one_line_and_status_2(place: Path) -> None:
    (place / "bad.toml").write_text(TEXT.replace("horizon", "horizn"), encoding="utf-8")
    done = command("run", "bad.toml", "--out", "out", cwd=place)
    assert_one_line(done, 2, "bad.toml:9: unknown key controller.horizn; did you mean horizon?")
    assert_one_line(refused("run", "none.toml", "--out", "out", cwd=place), 2, "none.toml cannot be read")
    done = refused("run", "two.toml", "--out", "out", "--set", "plant.kind=chain", cwd=place)
    assert_one_line(done, 2, "needs quotes")
    # Right in form, wrong for the plant: the learning paper has no limit for area 5.
    sets = ("--set", "plant.scenario=2", "--set", 'plant.input_limits="learning"')
    assert_one_line(refused("run", "two.toml", "--out", "out", *sets, cwd=place), 2, "area 5")
    # Right by itself, wrong in a loop: two that are called the same.
    name = ("--set", 'controller.name="power_network"')
    assert_one_line(refused("run", "two.toml", "--out", "out", *name, cwd=place), 2, "called 'power_network'")
    assert not (place / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line_and_status_1(place: Path) -> None:
    done = command("run", "two.toml", "--out", "two.toml/out", cwd=place)
    assert_one_line(done, 1, "two.toml/out cannot be written")


def test_verify_recomputes_a_log_and_names_what_was_altered(place: Path) -> None:
    assert command("run", "two.toml", "--out", "out", cwd=place).returncode == 0
    for target in ("out", "out/run.h5"):
        done = command("verify", target, cwd=place)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert "mpc: residuals" in done.stdout and done.stdout.splitlines()[-1].endswith(" passed")
        assert "failed" not in done.stdout
    with h5py.File(place / "out" / "run.h5", "r+") as file:
        file["cost/stage"][1, 2] += 1e-6
    done = command("verify", "out", cwd=place)
    assert (done.returncode, done.stderr) == (1, "")
    assert "stage costs fails on\nt = 1 s, area_3: claimed " in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" passed, 2 failed")


def test_verify_of_nothing_is_one_line_and_status_2(place: Path) -> None:
    assert_one_line(refused("verify", "none.h5", cwd=place), 2, "none.h5", "cannot be read")
    assert_one_line(refused("verify", "two.toml", cwd=place), 2, "is no HDF5 file")
    assert_one_line(refused("watch", "none.h5", "--once", cwd=place), 2, "none.h5: there is no such log", "--wait")
    assert_one_line(refused("verify", "no_such_module:block", cwd=place), 2, "no_such_module")


def test_verify_checks_a_controller_by_the_laws(place: Path) -> None:
    text = (
        "from dmpcrl_ctrl.controllers import CentralizedMPC\n"
        "from dmpcrl_ctrl.model import LocalModel\n"
        "from dmpcrl_ctrl.problem import MPCProblem\n"
        "model = LocalModel([[0.9]], [[1.0]], [[1.0]], [[1.0]])\n"
        "mpc = CentralizedMPC(MPCProblem((model,), 2), 1.0)\n"
    )
    (place / "mine.py").write_text(text, encoding="utf-8")
    done = command("verify", "mine:mpc", "--examples", "2", "--seed", "3", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0].strip() == "mine:mpc" and " passed" in done.stdout.splitlines()[-1]


def test_fmu_writes_a_part_of_an_experiment(place: Path) -> None:
    done = command("fmu", "two.toml", "--part", "plant", "--out", "plant.fmu", cwd=place)
    assert (done.returncode, done.stdout, done.stderr) == (0, "plant.fmu\n", "")
    assert (place / "plant.fmu").stat().st_size > 1000
    again = command("fmu", "two.toml", "--part", "plant", "--out", "plant.fmu", cwd=place)
    assert_one_line(again, 2, "plant.fmu exists")


def test_list_shows_what_is_at_hand(place: Path) -> None:
    done = command("list", cwd=place)
    assert done.returncode == 0, done.stderr
    for word in (
        "Plants",
        "quadruple_tank",
        "Controllers",
        "distributed_mpc",
        "Experiments",
        "two.toml",
        "Two seconds",
    ):
        assert word in done.stdout
    assert "hycon2_scenario1.toml" in command("list", ROOT, cwd=place).stdout


def test_a_campaign_ends_with_its_verdict_in_the_exit_status(place: Path) -> None:
    campaign = TEXT.split("[plant]", maxsplit=1)[0] + 'runs = 1\ncriteria = ["max violations < 0", "failed runs = 0"]\n'
    campaign += '[plant]\nkind = "chain"\n[controller]\nkind = "lqr"\n[simulation]\nt_end = 2.0\n'
    (place / "campaign.toml").write_text(campaign, encoding="utf-8")
    done = command("campaign", "campaign.toml", "--out", "out", "--workers", "1", cwd=place)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert "FAIL  lqr: max violations < 0 (measured " in done.stdout
    assert "PASS  lqr: failed runs = 0 (measured 0)" in done.stdout
    files = done.stdout.splitlines()[-5:]
    assert files == [f"out/{name}" for name in ("campaign.json", "table.json", "table.csv", "junit.xml", "report.html")]
    assert all((place / file).is_file() for file in files)
    (place / "campaign.toml").write_text(campaign.replace("failed runs", "faild runs"), encoding="utf-8")
    assert_one_line(
        refused("campaign", "campaign.toml", "--out", "out", cwd=place), 2, "campaign.toml:4", "failed runs"
    )
    (place / "campaign.toml").write_text(campaign, encoding="utf-8")
    options = ("--out", "out", "--dask", "tcp://127.0.0.1:1")
    assert_one_line(refused("campaign", "campaign.toml", *options, "--mpi", cwd=place), 2, "take one of them")


def test_version_and_usage(place: Path) -> None:
    from dmpcrl_ctrl import __version__

    assert command("--version", cwd=place).stdout == f"dmpcrl-ctrl {__version__}\n"
    assert command("run", "two.toml", cwd=place).returncode == 2  # without --out
    assert "run" in command(cwd=place).stdout + command(cwd=place).stderr


def test_a_person_who_watches_sees_a_bar(place: Path) -> None:
    watching, screen = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    full = [sys.executable, "-m", "dmpcrl_ctrl", "run", "two.toml", "--out", "out"]
    with subprocess.Popen(full, cwd=place, env=environment, stdout=subprocess.DEVNULL, stderr=screen) as process:
        os.close(screen)
        shown = b""
        while chunk := _read(watching):
            shown += chunk
        assert process.wait() == 0
    os.close(watching)
    assert b"Two seconds" in shown
    assert b"%" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side has gone
        return b""


# A shell that starts a job in the background lets it ignore Ctrl-C, and what it starts inherits that.
HEARS_SIGNALS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from dmpcrl_ctrl.cli import main
main()
"""


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_stopped_run_says_so_keeps_its_log_and_leaves_no_numbers(
    place: Path, number: signal.Signals, status: int, word: str
) -> None:
    from dmpcrl_ctrl.cosim import open_log

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    full = [sys.executable, "-c", HEARS_SIGNALS, "run", "two.toml", "--out", "out", "--set", "simulation.t_end=1e6"]
    with subprocess.Popen(full, cwd=place, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not (place / "out" / "run.h5").exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(1.0)
        process.send_signal(number)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == status
    assert errors.startswith(f"dmpcrl-ctrl: {word}")
    assert errors.count("\n") == 1
    assert not (place / "out" / "summary.json").exists()
    run = open_log(place / "out" / "run.h5")
    assert run.samples >= 1
    assert not run.complete
