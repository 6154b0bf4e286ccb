"""A run while it goes on, from the log that it writes: what a person who waits for it wants to know.

The log is read anew at every look, as anybody may who does not disturb the writer. What is asked of long arrays is
little: of parameters that are learned the first and the last row.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.log import NO_ROW, open_log
from dmpcrl_ctrl.cosim.unclosed import is_unclosed
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.metrics import Spread, beyond_limits, stage_costs
from dmpcrl_ctrl.validation.record_fields import last_numbers, members, numbers

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import Run
    from dmpcrl_ctrl.cosim.trace import ControllerTrace

# Between two looks the watcher rests for so many times as long as a look took.
_REST = 5.0


@dataclass(frozen=True)
class StateNow:
    """A state at the last row.

    Attributes
    ----------
    name, unit, value, lower, upper
        Limits are infinite where there is none.
    room
        Distance to the nearer limit, as a share of half the range between the two (of the limit, where there is one):
        1 in the middle, 0 at a limit, negative outside; infinite without limits.
    """

    name: str
    unit: str
    value: float
    lower: float
    upper: float
    room: float


@dataclass(frozen=True)
class ControllerNow:
    """A controller so far.

    Attributes
    ----------
    name, sample_time, samples
        Seconds; how often it was due.
    statuses
        Outcome of the solve -> at how many samples.
    solve_time, late
        Seconds; at how many samples the solve took longer than the sample time.
    primal_residual, dual_residual
        Of ADMM after the last iteration of the last sample; None where there is none, or nothing to tell.
    td_error
        At the last sample, mean of the agents' beliefs; None where nothing was learned from it.
    updates, skipped
        Of learning, and transitions not learned from; None of a block that does not learn.
    theta_moved
        Euclidean distance of all parameters from where they were at the first sample.
    """

    name: str
    sample_time: float
    samples: int
    statuses: Mapping[str, int]
    solve_time: Spread | None
    late: int
    primal_residual: float | None
    dual_residual: float | None
    td_error: float | None
    updates: int | None
    skipped: int | None
    theta_moved: float | None


@dataclass(frozen=True)
class Snapshot:
    """A run at its last complete row.

    Attributes
    ----------
    title, time, t_end, rows
        Of the log; seconds; K.
    share
        Of the run that is done, in [0, 1].
    complete
        Whether it got to its end.
    cost, mean_cost, total_cost
        Stage cost of all agents at the last sample; mean and sum over the samples. None before the first sample.
    violated_samples, worst
        Samples (and the last row) at which any state was outside its limits; (state, by how much, unit, time) at worst.
    states
        Those nearest to their limits, or outside; the first ones where none has a limit.
    limited
        How many states have a limit.
    controllers
        In the order of the log.
    """

    title: str
    time: float
    t_end: float
    rows: int
    share: float
    complete: bool
    cost: float | None
    mean_cost: float | None
    total_cost: float | None
    violated_samples: int
    worst: tuple[str, float, str, float] | None
    states: tuple[StateNow, ...]
    limited: int
    controllers: tuple[ControllerNow, ...]


@dataclass(frozen=True)
class Look:
    """One look at a log that may be growing.

    Attributes
    ----------
    snapshot
        None: there is no row yet.
    closed
        Whether the writer has closed the file.
    quiet
        Seconds since a row was new; zero at the first look.
    """

    snapshot: Snapshot | None
    closed: bool
    quiet: float

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.closed or (self.snapshot is not None and self.snapshot.complete)


def snapshot(run: "Run", most_states: int = 5) -> Snapshot:
    """What a log says of its run so far.

    Parameters
    ----------
    run
        From :func:`~dmpcrl_ctrl.cosim.open_log`, also of a log that is being written.
    most_states
        How many states are told of.
    """
    now, t_end = float(run.time[-1]), float(run.attributes.get("t_end", np.nan))
    _, costs = stage_costs(run)
    outside = beyond_limits(run)
    states = _states(run)
    limited = [state for state in states if np.isfinite(state.room)]
    return Snapshot(
        title=str(run.attributes.get("title", "")),
        time=now,
        t_end=t_end,
        rows=run.samples,
        share=min(1.0, now / t_end) if t_end > 0.0 else float(run.complete),
        complete=run.complete,
        cost=float(costs[-1]) if len(costs) else None,
        mean_cost=float(costs.mean()) if len(costs) else None,
        total_cost=float(costs.sum()) if len(costs) else None,
        violated_samples=int(outside.any(axis=1).sum()),
        worst=_worst(run, outside),
        states=tuple(sorted(limited or states, key=lambda state: state.room)[:most_states]),
        limited=len(limited),
        controllers=tuple(_controller(trace, run.samples) for trace in run.controllers.values()),
    )


def look(path: Path) -> tuple[Snapshot | None, bool]:
    """The snapshot of a log, None where it has no row yet, and whether its writer has closed it.

    Raises
    ------
    LogError
        The file cannot be read, is no log, or is damaged.
    """
    try:
        unclosed = _unclosed(path)  # asked first: what was closed before it is read is read to its end
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        with open_log(path) as run:
            return snapshot(run), not unclosed
    except LogError as error:
        if unclosed and NO_ROW in str(error):
            return None, False
        raise


def follow(
    path: Path,
    *,
    interval: float = 0.5,
    patience: float = 60.0,
    wait: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Look]:
    """Look at a log again and again, until its run is over.

    Parameters
    ----------
    path
        Of the log.
    interval
        Seconds between two looks, at least.
    patience
        Seconds without a new row after which the writer is given up.
    wait
        Wait, as long as it takes, for a file that does not exist yet.
    clock, sleep
        Seconds; to be replaced in tests.

    Raises
    ------
    LogError
        As :func:`look`; the writer seems to be gone.
    """
    while wait and not (path.exists() and path.stat().st_size):
        sleep(interval)
    since, rows, was_open = clock(), -1, False
    while True:
        start = clock()
        try:
            found, closed = look(path)
        except LogError:
            # while rows are being written, or the file is being closed, a part may not be there yet
            is_open = _is_open(path)
            if not (is_open or was_open) or start - since > patience:
                raise
            was_open = is_open
            sleep(interval)
            continue
        end, was_open = clock(), not closed
        if found is not None and found.rows > rows:
            since, rows = end, found.rows
        seen = Look(found, closed, end - since)
        yield seen
        if seen.over:
            return
        if seen.quiet > patience:
            raise LogError(
                f"{path}: no new row for {seen.quiet:.0f} s, and nobody has closed the file: its writer seems to be "
                "gone. What it wrote stays readable (open_log, dmpcrl-ctrl verify); start the run again with "
                "--overwrite, or watch on with a longer --patience"
            )
        sleep(max(interval, _REST * (end - start)))


def _is_open(path: Path) -> bool:
    try:
        return _unclosed(path)
    except OSError:
        return False


def _unclosed(path: Path) -> bool:
    with path.open("rb") as raw:
        return is_unclosed(raw.read(48))


def _states(run: "Run") -> list[StateNow]:
    found = []
    for name, value, (low, high) in zip(run.state_names, run.state[-1], run.state_limits, strict=True):
        nearer = min(value - low, high - value)
        if np.isfinite(low) and np.isfinite(high):
            scale = (high - low) / 2.0
        else:
            scale = max((abs(limit) for limit in (low, high) if np.isfinite(limit)), default=1.0)
        room = nearer / scale if scale > 0.0 else nearer
        found.append(StateNow(name, run.units[name], float(value), float(low), float(high), float(room)))
    return found


def _worst(run: "Run", outside: Array) -> tuple[str, float, str, float] | None:
    if not outside.any():
        return None
    k, state = np.unravel_index(int(outside.argmax()), outside.shape)
    name = run.state_names[state]
    return name, float(outside[k, state]), run.units[name], float(run.time[k])


def _controller(trace: "ControllerTrace", rows: int) -> ControllerNow:
    due = trace.due
    status, times = members(trace, "status", Status), numbers(trace, "solve_time")
    counted = Counter(status[due].tolist()) if status is not None else Counter[int]()
    updates, skipped = numbers(trace, "updates"), numbers(trace, "skipped")
    learns = updates is not None and skipped is not None and "td_error" in trace.fields and due.any()
    return ControllerNow(
        name=trace.name,
        sample_time=trace.sample_time,
        samples=int(due.sum()),
        statuses={Status(value).name.lower(): counted[value] for value in sorted(counted) if value >= 0},
        solve_time=None if times is None else Spread.of(times[due]),
        late=0 if times is None else int((times[due] > trace.sample_time).sum()),
        primal_residual=_last(last_numbers(trace, "admm/primal_residual"), due),
        dual_residual=_last(last_numbers(trace, "admm/dual_residual"), due),
        td_error=_mean(trace.row("td_error", rows - 1)) if learns else None,
        updates=int(updates[-1]) if learns and updates is not None and np.isfinite(updates[-1]) else None,
        skipped=int(skipped[-1]) if learns and skipped is not None and np.isfinite(skipped[-1]) else None,
        theta_moved=_moved(trace, rows) if learns else None,
    )


def _last(values: Array | None, due: NDArray[np.bool_]) -> float | None:
    if values is None or not due.any() or not np.isfinite(values[due][-1]):
        return None
    return float(values[due][-1])


def _mean(values: Array) -> float | None:
    return float(np.mean(values)) if values.size and np.isfinite(values).all() else None


def _moved(trace: "ControllerTrace", rows: int) -> float | None:
    fields = [field for field in trace.fields if field.startswith("theta/")]
    first = int(np.flatnonzero(trace.due)[0])
    steps = [np.ravel(trace.row(field, rows - 1) - trace.row(field, first)) for field in fields]
    return float(np.linalg.norm(np.concatenate(steps))) if steps else None
