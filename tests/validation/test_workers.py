"""Calls on worker processes: every call is answered once, whoever dies meanwhile."""

import os
import signal
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.validation.workers import DIED, in_words, on_executor, on_processes


def squared(x: int) -> int:
    return x * x


def threads_of(name: str) -> str:
    return os.environ.get(name, "")


def mortal(task: tuple[str, int]) -> int:
    """A negative number kills its process always, zero the first time."""
    marker, number = task
    if number < 0 or (number == 0 and not Path(marker).exists()):
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_every_call_is_answered() -> None:
    assert dict(on_processes(squared, range(7), 2)) == {k: k * k for k in range(7)}
    with ThreadPoolExecutor(3) as pool:
        assert dict(on_executor(squared, range(7), pool)) == {k: k * k for k in range(7)}
        assert pool.submit(squared, 2).result() == 4  # still open
    assert list(on_processes(squared, [], 2)) == []


def test_workers_use_one_thread_and_the_parent_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = dict(on_processes(threads_of, ["MKL_NUM_THREADS", "OMP_NUM_THREADS"], 1))
    assert found == {"MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "3"}
    assert "MKL_NUM_THREADS" not in os.environ


def test_only_who_kills_its_process_twice_has_no_answer(tmp_path: Path) -> None:
    marker = str(tmp_path / "marker")
    tasks = [(marker, k) for k in (1, 0, -1, 2, 3, 4)]
    found = {task[1]: answer for task, answer in on_processes(mortal, tasks, 2)}
    assert found == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, -1: DIED}


def test_errors_in_words() -> None:
    assert in_words(PlantError("this\n and that")) == "this and that"
    assert in_words(KeyError("x")) == "KeyError: 'x'"
    assert dict(on_processes(int, ["3", "x"], 1)) == {
        "3": 3,
        "x": "ValueError: invalid literal for int() with base 10: 'x'",
    }


def test_an_interruption_ends_the_workers_too(tmp_path: Path) -> None:
    """The caller gives up after the first answer while a worker sleeps for a minute; nothing is left behind."""
    script = tmp_path / "script.py"
    script.write_text(
        "import time\n"
        "from dmpcrl_ctrl.validation.workers import on_processes\n"
        "if __name__ == '__main__':\n"
        "    for task, answer in on_processes(time.sleep, [0.0, 60.0], 2):\n"
        "        raise SystemExit(3)\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 3, done.stderr


class Breaking(ThreadPoolExecutor):
    """An executor that loses a worker at each call of a negative number, and the first of zero."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(self.lose, fn, *args)

    def lose(self, fn: Any, task: tuple[str, int]) -> Any:
        marker, number = task
        if number < 0 or (number == 0 and not Path(marker).exists()):
            Path(marker).touch()
            raise BrokenExecutor("lost")
        return fn(task)


def test_a_lost_call_on_another_executor_is_tried_once_more(tmp_path: Path) -> None:
    tasks = [(str(tmp_path / "marker"), k) for k in (1, 0, -1, 2)]
    with Breaking(1) as pool:
        found = {task[1]: answer for task, answer in on_executor(mortal, tasks, pool)}
    assert found == {0: 0, 1: 1, 2: 2, -1: DIED}


def test_an_executor_that_is_closed_answers_for_every_call() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    found = dict(on_executor(squared, [1, 2], pool))
    assert set(found) == {1, 2}
    assert all(str(answer).startswith("its executor takes no more calls: RuntimeError") for answer in found.values())


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Its output stays open for as long as one of them lives."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, time\n"
        "from dmpcrl_ctrl.validation.workers import on_processes\n"
        "if __name__ == '__main__':\n"
        "    for task, answer in on_processes(time.sleep, [0.0, 60.0], 2):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
