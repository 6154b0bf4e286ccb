"""A call in a process of its own, so that what it takes of memory is its own; and how much that is."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Answer = TypeVar("Answer")

_STATUS, _PAGES = Path("/proc/self/status"), Path("/proc/self/statm")


def apart(call: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
    """What a function that can be imported by its name returns in a new Python process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *args, **kwargs).result()


def peak() -> float:
    """Most megabytes that this process has held so far.

    `getrusage` is asked only where there is no /proc: on Linux it counts what the parent held before the process began.
    """
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024.0
    kilo = 1.0 if sys.platform == "darwin" else 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo / 1024.0**2


def resident() -> float:
    """Megabytes that this process holds; where there is no /proc the most that it has held."""
    if not _PAGES.exists():
        return peak()
    return int(_PAGES.read_text(encoding="ascii").split()[1]) * resource.getpagesize() / 1024.0**2
