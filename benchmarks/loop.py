"""A closed loop step by step, with a log or without, timed from its first step to its last.

It is the loop of `simulate` without what a run does once: checks, the layout of the log, reading it again.
"""

import time
from collections.abc import Callable
from pathlib import Path

from dmpcrl_ctrl.controllers import Block
from dmpcrl_ctrl.cosim.log_writer import LogWriter
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.recorder import Recorder
from dmpcrl_ctrl.cosim.scheduler import Scheduler
from dmpcrl_ctrl.cosim.schema import layout_of
from dmpcrl_ctrl.cosim.wiring import wire
from dmpcrl_ctrl.plants import Plant


def looped(
    plant: Plant,
    block: Block,
    steps: int,
    log: Path | None = None,
    seed: int = 0,
    at: Callable[[int], object] | None = None,
) -> float:
    """Seconds of so many samples of one block.

    Parameters
    ----------
    plant, block
        The loop; something happens at the samples of the block, and perhaps in between.
    steps
        Samples.
    log
        HDF5 file to write; None: nothing is logged.
    seed
        Of noise and block.
    at
        Called after every sample with the number of those done.
    """
    who = Participants.of(plant, block, steps * float(block.sample_time))
    wiring = wire(who)
    scheduler = Scheduler(who, wiring, seed)
    recorder = None
    if log is not None:
        layout = layout_of(who, seed, wiring=wiring)
        recorder = Recorder(LogWriter(log, layout, overwrite=True), layout, who.blocks)
    state, done = scheduler.start(), 0
    start = time.perf_counter()
    while True:
        state, row = scheduler.instant(state)
        end = state.tick == scheduler.end
        if recorder is not None and row is not None:
            recorder.put(row, last=end)
        if end:
            break
        state = scheduler.advance(state, scheduler.next_instant(state))
        done += 1
        if at is not None:
            at(done)
    if recorder is not None:
        recorder.close()
    return time.perf_counter() - start
