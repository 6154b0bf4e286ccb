"""One call from plants and controllers to a logged run."""

import time as wall_time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from numbers import Integral
from os import PathLike
from pathlib import Path

from dmpcrl_ctrl.controllers.block import Block
from dmpcrl_ctrl.cosim.clock import Seconds
from dmpcrl_ctrl.cosim.log import Run, open_log
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.cosim.log_writer import LogWriter
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.recorder import Recorder
from dmpcrl_ctrl.cosim.scheduler import LoopState, Scheduler
from dmpcrl_ctrl.cosim.schema import layout_of
from dmpcrl_ctrl.cosim.wiring import Connections, wire
from dmpcrl_ctrl.errors import SimulationError
from dmpcrl_ctrl.plants.plant import Plant

Progress = Callable[[float], None]

_SECONDS_BETWEEN_REPORTS = 0.1


def simulate(
    plants: Plant | Sequence[Plant],
    controllers: Block | Sequence[Block] = (),
    *,
    t_end: Seconds,
    seed: int = 0,
    log: str | PathLike[str] | None = None,
    overwrite: bool = False,
    dense: int | None = None,
    progress: Progress | None = None,
    connections: Connections | None = None,
    initial_input: Mapping[str, float] | None = None,
    experiment: str = "",
) -> Run:
    """Run a closed loop from time 0 to `t_end`.

    What happens at one instant, and in which order, stands at the top of `scheduler.py`; who is connected with whom, at
    the top of `wiring.py`. The log has a row at t = 0, wherever a controller samples, and at the end.

    Parameters
    ----------
    plants, controllers
        One, or several; continuous and discrete ones and any mixture of sample times. No controller: an open loop.
    t_end
        Seconds; need not be a multiple of any sample time.
    seed
        Of all noise and all blocks. Equal seeds give equal runs.
    log
        HDF5 file to write; None: the same file in memory.
    overwrite
        Replace an existing log.
    dense
        Keep the states at that many equidistant points of every interval between two rows.
    progress
        Called with the finished fraction, from 0 to 1, a few times a second.
    connections
        Where names do not say enough; see :func:`wire`.
    initial_input
        Control input -> value in effect until its controller's first output; others zero.
    experiment
        TOML text to keep in the log; its `title` becomes the log's.

    Returns
    -------
    Run
        Open, with lazy arrays.

    Raises
    ------
    ClockError, WiringError, LogError
        Before anything runs, and before any file is touched that is not to be overwritten.
    SimulationError
        A step failed: names time, plant or block, and reason. The log holds the rows before it.
    """
    seed = _whole(seed, "seed must be a whole number of at least 0", 0)
    if dense is not None:
        dense = _whole(dense, "dense must be a number of points of at least 1", 1)
    who = Participants.of(plants, controllers, t_end)
    wiring = wire(who, connections)
    scheduler = Scheduler(who, wiring, seed)
    layout = layout_of(who, seed, experiment, dense is not None, wiring)
    start = scheduler.start(initial_input)
    writer = LogWriter(None if log is None else Path(log), layout, overwrite)
    recorder = Recorder(writer, layout, who.blocks)
    try:
        _loop(scheduler, start, recorder, dense, progress)
    finally:  # an error or an interruption leaves a log of what came before it
        recorder.close()
    return Run(LogReader(writer.file)) if log is None else open_log(log)


def _whole(given: object, expected: str, least: int) -> int:
    """A whole number of any integer type."""
    if isinstance(given, bool) or not isinstance(given, Integral) or int(given) < least:
        raise SimulationError(f"{expected}, got {given!r}")
    return int(given)


def _loop(
    scheduler: Scheduler, state: LoopState, recorder: Recorder, dense: int | None, progress: Progress | None
) -> None:
    """Instant by instant to the end."""
    report = _Reporter(progress, scheduler.end)
    row_tick = 0
    while True:
        state, row = scheduler.instant(state)
        if row is not None:
            recorder.put(row, last=state.tick == scheduler.end)
            row_tick = state.tick
            report(state.tick)
        if state.tick == scheduler.end:
            break
        until = scheduler.next_instant(state)
        if dense is not None:
            _put_dense(scheduler, state, until, row_tick, dense, recorder)
        state = scheduler.advance(state, until)
    if dense is not None and row is not None:
        recorder.put_dense(row.time, row.state)


def _put_dense(
    scheduler: Scheduler, state: LoopState, until: int, row_tick: int, points: int, recorder: Recorder
) -> None:
    """Those of the equidistant points between two rows that lie before the next instant.

    Each is reached from the instant before it with the exact flow; nothing is interpolated.
    """
    clock, gap = scheduler.clock, scheduler.next_row(state.tick) - row_tick
    for j in range(points):
        tick = row_tick + Fraction(j * gap, points)
        if state.tick <= tick < until:
            since = (tick - state.tick) / clock.base
            recorder.put_dense(float(tick / clock.base), scheduler.between(state, since))


class _Reporter:
    """Calls `progress` now and then, and in any case at the end."""

    def __init__(self, progress: Progress | None, end: int) -> None:
        self._progress, self._end = progress, end
        self._next = wall_time.monotonic()

    def __call__(self, tick: int) -> None:
        if self._progress is None:
            return
        now = wall_time.monotonic()
        if now >= self._next or tick == self._end:
            self._progress(tick / self._end)
            self._next = now + _SECONDS_BETWEEN_REPORTS
