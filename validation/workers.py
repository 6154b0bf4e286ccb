"""Many independent calls on worker processes, where a process that dies costs no call but its own.

A worker that is killed (out of memory, say) breaks the whole `ProcessPoolExecutor`: every call that it has is lost. So
the pool never holds more calls than it has workers, and after a break

    the calls that it held      are tried once more, each alone in a pool of its own: whoever kills it is known then
    the calls that still wait   go on in a new pool
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from typing import TypeVar

from dmpcrl_ctrl.errors import DmpcrlError
from dmpcrl_ctrl.messages import one_line
from dmpcrl_ctrl.threads import VARIABLES

Task = TypeVar("Task")
Answer = TypeVar("Answer")

DIED = "its worker process died twice (killed, or out of memory)"


def on_processes(
    call: Callable[[Task], Answer], tasks: Iterable[Task], workers: int | None = None
) -> Generator[tuple[Task, Answer | str], None, None]:
    """Call every task on a pool of new Python processes whose linear algebra uses one thread each.

    Parameters
    ----------
    call, tasks
        A function that can be imported by its name, and what to call it with; both are pickled.
    workers
        Processes; as many as there are processors where None.

    Yields
    ------
    tuple
        A task and its answer, in the order in which they finish; in place of an answer that there is not, one line why.

    Notes
    -----
    A script that starts processes needs `if __name__ == "__main__":` around what it does, because each imports it.
    """
    number = workers or os.cpu_count() or 1
    waiting, suspects = deque(tasks), deque[Task]()
    while waiting:
        yield from _until_a_break(call, waiting, suspects, number)
        while suspects:
            alone, again = deque([suspects.popleft()]), deque[Task]()
            yield from _until_a_break(call, alone, again, 1)
            for task in again:
                yield task, DIED


def on_executor(
    call: Callable[[Task], Answer], tasks: Iterable[Task], executor: Executor
) -> Generator[tuple[Task, Answer | str], None, None]:
    """The same on an executor of somebody else's, which gets all tasks at once and is not shut down.

    Tasks whose worker died are tried once more at the end, each alone: so a task that kills its worker costs no other.
    """
    suspects: list[Task] = []
    for task, answer in _once_on(executor, call, tasks):
        if isinstance(answer, _Died):
            suspects.append(task)
        else:
            yield task, answer
    for task in suspects:
        for _, answer in _once_on(executor, call, [task]):
            yield task, DIED if isinstance(answer, _Died) else answer


class _Died:
    """In place of an answer: the worker died, or the executor gave the call up."""


def _once_on(
    executor: Executor, call: Callable[[Task], Answer], tasks: Iterable[Task]
) -> Generator[tuple[Task, Answer | str | _Died], None, None]:
    flying: dict[Future[Answer], Task] = {}
    refused: list[tuple[Task, str]] = []
    try:
        for task in tasks:
            try:
                flying[executor.submit(call, task)] = task
            except RuntimeError as broken:  # or shut down: BrokenExecutor is one
                refused.append((task, f"its executor takes no more calls: {in_words(broken)}"))
        yield from refused
        for future in as_completed(flying):
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                yield flying[future], future.result()
            else:
                yield flying[future], _Died() if _is_death(error) else in_words(error)
    finally:
        for future in flying:
            future.cancel()


def _is_death(error: BaseException) -> bool:
    """Whether an error tells of the worker and not of the call; Dask's class is known by its name."""
    return isinstance(error, BrokenExecutor | CancelledError) or type(error).__name__ == "KilledWorker"


def _until_a_break(
    call: Callable[[Task], Answer], waiting: deque[Task], suspects: deque[Task], workers: int
) -> Generator[tuple[Task, Answer | str], None, None]:
    """Answers from one pool. At a break it ends: what the pool held is moved to `suspects`."""
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _as_a_worker)
    flying: dict[Future[Answer], Task] = {}
    ended = False
    try:
        while (waiting or flying) and not suspects:
            while waiting and len(flying) < workers:
                with _one_thread():  # a process starts where a call is submitted
                    flying[pool.submit(call, waiting[0])] = waiting[0]
                waiting.popleft()
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                task, error = flying.pop(future), future.exception()
                if isinstance(error, BrokenProcessPool):
                    suspects.append(task)
                else:
                    yield task, future.result() if error is None else in_words(error)
        ended = True
    except BrokenProcessPool:  # of `submit`
        ended = True
    finally:
        suspects.extend(flying.values())
        if not ended:
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def in_words(error: BaseException) -> str:
    """One line: what the error says, and of which kind it is where it is none of this package."""
    kind = "" if isinstance(error, DmpcrlError) else f"{type(error).__name__}: "
    return one_line(f"{kind}{error}")


def _as_a_worker() -> None:
    """End without a traceback by Ctrl-C, which reaches the whole group of processes, and with a parent that is killed.

    Else workers would wait for calls for ever, and a run under way would write where its successor does.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that start meanwhile find the number of threads in their environment; a value that is set stays."""
    added = [name for name in VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
