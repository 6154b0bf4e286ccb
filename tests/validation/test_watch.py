"""A run is watched while another process writes it; what is said of it is what its log holds afterwards."""

import os
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dmpcrl_ctrl.cli import app
from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.cosim import open_log, simulate
from dmpcrl_ctrl.errors import LogError, SimulationError
from dmpcrl_ctrl.plants import chain, quadruple_tank
from dmpcrl_ctrl.validation.metrics import summarise
from dmpcrl_ctrl.validation.watch import Look, Snapshot, follow, look, snapshot
from tests.interrupts import interruptible

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1"}
KILLED = "killed/run.h5"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Snapshot, list[Look]]:
    """A folder with run.h5, which another process wrote; the snapshot half-way; all looks.

    Half-way the file is copied, as it would be left behind by a writer that is killed there.
    """
    folder = tmp_path_factory.mktemp("watched")
    script = Path(__file__).with_name("watched.py")
    half, looks = None, []
    with subprocess.Popen([sys.executable, script, "run.h5", "go"], cwd=folder, env=ENVIRONMENT) as writer:
        try:
            for seen in follow(folder / "run.h5", interval=0.02, wait=True):
                looks.append(seen)
                # the writer waits at sample 6: the row before it is the last that is whole
                if half is None and seen.snapshot is not None and seen.snapshot.rows == 5:
                    half = seen.snapshot
                    (folder / KILLED).parent.mkdir()
                    shutil.copy(folder / "run.h5", folder / KILLED)
                    (folder / "go").touch()
            assert writer.wait() == 0 and half is not None
        finally:
            writer.kill()
    return folder, half, looks


def command(*words: str | Path) -> Any:
    return CliRunner().invoke(app, ["watch", *(str(word) for word in words)])


def test_a_run_is_followed_from_before_its_first_row_to_its_end(watched: tuple[Path, Snapshot, list[Look]]) -> None:
    folder, half, looks = watched
    last = looks[-1]
    with open_log(folder / "run.h5") as run:
        assert last.snapshot == snapshot(run) and last.over
        learning = run.controllers["learning"]
        low, high = run.state_limits.T
        outside = np.maximum(low - run.state, run.state - high).clip(min=0.0)
        for now, rows in ((half, 5), (snapshot(run), 12)):
            assert (now.rows, now.time, now.t_end, now.share, now.complete) == (rows, rows, 12.0, rows / 12, rows == 12)
            cost = run.cost[:rows].sum(axis=1)
            assert now.cost == cost[-1] and now.total_cost == pytest.approx(cost.sum(), rel=1e-14)
            assert now.mean_cost == pytest.approx(cost.mean(), rel=1e-14)
            assert now.violated_samples == (outside[: rows + 1] > 1e-6).any(axis=1).sum() > 0
            assert now.worst is not None and now.worst[1] == outside[: rows + 1].max()
            gate, ours = now.controllers
            assert (ours.name, ours.samples, gate.samples, gate.statuses) == ("learning", rows, rows, {})
            assert ours.statuses == {"max_iterations": rows}
            assert ours.primal_residual == learning["admm/primal_residual"][rows - 1, -1]
            assert ours.dual_residual == learning["admm/dual_residual"][rows - 1, -1]
            assert ours.td_error == pytest.approx(learning.td_error[rows - 1].mean(), rel=1e-12)
            assert (ours.updates, ours.skipped) == (learning.updates[rows - 1], learning.skipped[rows - 1])
            theta = [learning[name] for name in learning.fields if name.startswith("theta/")]
            moved = np.sqrt(sum(float(np.sum((values[rows - 1] - values[0]) ** 2)) for values in theta))
            assert ours.theta_moved == pytest.approx(moved, rel=1e-12) and moved > 0.0
            assert ours.solve_time is not None and ours.solve_time.max == learning.solve_time[:rows].max()
            nearest = np.minimum(run.state[rows] - low, high - run.state[rows]) / ((high - low) / 2.0)
            limited = np.isfinite(nearest)
            assert [state.room for state in now.states] == sorted(nearest[limited])[:5]


def test_a_writer_that_is_gone_is_given_up_and_its_rows_are_shown(watched: tuple[Path, Snapshot, list[Look]]) -> None:
    folder, half, _ = watched
    ticks, looks = count(step=20), list[Look]()

    def all_looks() -> None:
        looks.extend(follow(folder / KILLED, clock=lambda: float(next(ticks)), sleep=lambda seconds: None))

    with pytest.raises(LogError, match=r"run.h5: no new row for \d+ s, .* writer seems to be gone.*--patience"):
        all_looks()
    assert look(folder / KILLED) == (half, False)
    assert all(seen.snapshot == half for seen in looks)
    assert not any(seen.over for seen in looks) and [seen.quiet for seen in looks] == [0.0, 40.0, 80.0]
    once = command("--once", (folder / KILLED).parent)  # the folder of a run
    assert once.exit_code == 0 and once.stderr == ""
    assert "42 %  t = 5 of 12 s, 5 rows" in once.stdout and "TD error" in once.stdout and "running" in once.stdout
    gone = command(folder / KILLED, "--patience", "0")
    assert gone.exit_code == 2 and "its writer seems to be gone" in gone.stderr and gone.stderr.count("\n") == 1


def test_who_watches_may_go_away(watched: tuple[Path, Snapshot, list[Look]]) -> None:
    """Ctrl-C, and what is said where the output is piped."""
    full = [sys.executable, "-m", "dmpcrl_ctrl", "watch", KILLED]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": interruptible}
    with subprocess.Popen(full, cwd=watched[0], env=ENVIRONMENT, text=True, **pipes) as following:
        assert following.stdout is not None
        assert following.stdout.readline().startswith(" 42 %  t = 5 of 12 s, cost ")
        following.send_signal(signal.SIGINT)
        _, errors = following.communicate()
    assert following.returncode == 130 and errors == "dmpcrl-ctrl: interrupted; the run itself goes on\n"


def test_a_run_that_is_over_is_shown_whole(watched: tuple[Path, Snapshot, list[Look]]) -> None:
    done = command(watched[0])
    assert done.exit_code == 0 and done.stderr == ""
    assert done.stdout.startswith("100 %  t = 12 of 12 s, cost ") and "complete" in done.stdout


def test_a_finished_run_is_looked_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tanks.h5"
    run = simulate(quadruple_tank(), LQR.for_plant(quadruple_tank(), sample_time=5.0), t_end=50, log=path)
    looks = list(follow(path, sleep=lambda seconds: pytest.fail("there is nothing to wait for")))
    assert len(looks) == 1 and looks[0].closed and looks[0].snapshot is not None
    now, summary = looks[0].snapshot, summarise(run)
    assert (now.total_cost, now.violated_samples) == (summary.total_cost, summary.violated_samples)
    (lqr,) = now.controllers
    assert (lqr.statuses, lqr.solve_time, lqr.updates, lqr.td_error) == ({"optimal": 10}, None, None, None)


def test_room_is_a_share_of_the_range() -> None:
    run = simulate(chain(noise=False), LQR.for_plant(chain(noise=False)), t_end=3)
    (low, high), value = run.state_limits[0], run.state[-1, 0]
    state = next(state for state in snapshot(run, most_states=6).states if state.name == run.state_names[0])
    assert state.room == pytest.approx(min(value - low, high - value) / (0.5 * (high - low)), rel=1e-12)
    assert len(snapshot(run, most_states=2).states) == 2


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read: No such file"), (b"not a log", "is no HDF5 file")]
)
def test_what_is_no_log(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "run.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LogError, match=message):
        look(path)
    with pytest.raises(LogError, match=message):
        next(follow(path, sleep=lambda seconds: pytest.fail("there is nothing to wait for")))


def test_a_log_that_was_closed_early_ends_the_watch(tmp_path: Path) -> None:
    class Stops:
        name, sample_time, inputs, outputs = "stops", 1.0, ("x1_1",), ("u_1", "u_2", "u_3")

        def init(self, seed: int) -> None:
            pass

        def step(self, state: Any, tick: int, measurement: Any, applied: Any, cost: Any) -> Any:
            if tick == 3:
                raise ArithmeticError("enough")
            return state, np.zeros(3), {}

    path = tmp_path / "run.h5"
    with pytest.raises(SimulationError, match="enough"):
        simulate(chain(), Stops(), t_end=5, log=path)
    (seen,) = follow(path)
    assert seen.over and seen.closed and seen.snapshot is not None and not seen.snapshot.complete
    done = command(path)
    assert done.exit_code == 1 and "stopped before its end" in done.stdout
    assert done.stderr.endswith("run.h5: the run stopped before its end, its log is closed\n")
    for missing in ("nothing.h5", "nothing"):
        done = command(tmp_path / missing)
        assert done.exit_code == 2 and "there is no such log; --wait" in done.stderr and done.stderr.count("\n") == 1
