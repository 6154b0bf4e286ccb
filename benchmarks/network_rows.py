"""Rows about networks of many areas: a thousand in the loop, memory as it grows, two cores."""

import tempfile
import time
import tracemalloc
import warnings
from functools import partial
from pathlib import Path

import networkx as nx
import numpy as np

from benchmarks.apart import apart, peak, resident
from benchmarks.measure import Ratio, in_turn, slope, timed
from benchmarks.networks import integrators, sides
from benchmarks.row import Row, least
from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.averaging import AveragingWarning
from dmpcrl_ctrl.controllers import DistributedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.plants.random_network import random_power_network
from dmpcrl_ctrl.status import Applied
from dmpcrl_ctrl.validation.campaign import jobs_of, run_campaign
from dmpcrl_ctrl.value import agent_data

_SIZES = (4, 16, 64, 256, 1024, 4096)
_HORIZON = 5


def thousand_areas(areas: int = 1000, seconds: int = 100) -> Row:
    """A grid of power areas in a loop with its log, from the plant's making to the closed file, in its own process.

    The controller certifies nothing: what a certificate would add to a sample is in the note.
    """
    took, memory, parts = apart(grid_loop, areas, seconds)
    reached = bool(took <= 300.0 and memory <= 4096.0)
    name = f"{areas} areas, {seconds} s closed loop with logging, minutes"
    return Row(name, "<= 5, < 4 GB", took / 60.0, None, reached, f"{memory / 1024.0:.2g} GB; {parts}")


def grid_loop(areas: int, seconds: int) -> tuple[float, float, str]:
    """Seconds, most megabytes, and where the time went."""
    start, worked = time.perf_counter(), time.process_time()
    marks: list[float] = []
    plant = grid(areas)
    mpc = quick_mpc(plant)
    made = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "run.h5"
        with simulate(
            plant, mpc, t_end=seconds, log=log, progress=lambda done: marks.append(time.perf_counter())
        ) as run:
            end, work = time.perf_counter(), time.process_time() - worked
            state, setpoint = run.state[-1], np.split(run.setpoint[-1], [run.state.shape[1]])
            controller = run.controllers[mpc.name]
            if not (controller.applied_kind == Applied.FRESH).all():
                raise RuntimeError("a sample of the large network has no solution of its own: its time says nothing")
            solving = float(controller.solve_time[1:].mean())
    most = peak()
    found = mpc.evaluate(state, setpoint=(setpoint[0], setpoint[1]))
    certified = timed(lambda: found.certificate)() if found.status.ok else float("nan")
    return (
        end - start,
        most,
        f"plant and controller {made - start:.0f} s, until the first sample is logged {marks[0] - made:.0f} s, "
        f"then {(marks[-1] - marks[0]) / seconds:.2f} s a sample, {solving:.2f} s of it the evaluation, closing and "
        f"opening the log {end - marks[-1]:.0f} s; {work:.0f} s of the processor; a certificate would add "
        f"{certified:.1f} s a sample",
    )


def iteration_memory(shape: str, sizes: tuple[int, ...] = _SIZES) -> Row:
    """An evaluator and one iteration of ADMM over networks of 4 to 4,096 areas, by their number."""
    found = [apart(memory_of_an_iteration, shape, size) for size in sizes]
    steep = slope(list(sizes), [traced for traced, _ in found])
    note = ", ".join(f"{n}: {traced:.3g} MB" for n, (traced, _) in zip(sizes, found, strict=True))
    note += f"; resident {found[-1][1]:.3g} MB more at {sizes[-1]}"
    reached = bool(steep <= 1.05)
    return Row(
        f"memory of an evaluator and an iteration, {shape}: log-log slope", "<= 1.05", steep, None, reached, note
    )


def memory_of_an_iteration(shape: str, size: int) -> tuple[float, float]:
    """Most megabytes that Python and NumPy ask for, and by how many the process has grown."""
    problem = integrators(nx.cycle_graph(size) if shape == "ring" else nx.grid_2d_graph(*sides(size)))
    data, before = agent_data(problem, [np.array([0.1, -0.2])] * size), resident()
    with warnings.catch_warnings():
        # nothing is averaged here
        warnings.simplefilter("ignore", AveragingWarning)
        tracemalloc.start()
        evaluator = DistributedEvaluator(problem, rounds=1)
    next(evaluator.iterates(data))
    traced = tracemalloc.get_traced_memory()[1] / 1024.0**2
    tracemalloc.stop()
    return traced, resident() - before


def two_cores(areas: int = 64, seconds: int = 30, pairs: int = 2) -> Row:
    """Two closed loops of a network on one worker process, against two: that is how campaigns use cores."""
    found = one_and_two_workers(areas, seconds, 2, pairs)
    note = (
        f"two runs of {seconds} s in {found.one:.1f} s and {found.other:.1f} s, start of the processes included; "
        "one evaluation runs on one core"
    )
    name = f"2 cores / 1 core, {areas} areas, runs of a campaign"
    return Row(name, ">= 1.6", found.median, (found.low, found.high), bool(found.median >= 1.6), note)


def two_workers(areas: int = 16, seconds: int = 40, runs: int = 8, pairs: int = 2) -> Row:
    """A campaign of several runs on one worker process, against two: what `--workers` brings."""
    found = one_and_two_workers(areas, seconds, runs, pairs)
    note = f"{runs} runs in {found.one:.1f} s and {found.other:.1f} s, start of the processes included"
    return least(f"2 workers / 1 worker, campaign of {runs} runs, {areas} areas", 1.7, found, note)


def one_and_two_workers(areas: int, seconds: int, runs: int, pairs: int) -> Ratio:
    """So many runs of a grid of areas on one worker process and on two, in turn."""
    jobs = jobs_of(partial(grid, areas), {"mpc": quick_mpc}, t_end=seconds, seeds=runs)

    def campaign(workers: int) -> None:
        failed = run_campaign(jobs, workers=workers).failed
        if failed:
            raise RuntimeError(failed[0].error)

    return in_turn(timed(lambda: campaign(1)), timed(lambda: campaign(2)), pairs)


def grid(areas: int) -> Plant:
    """A nearly square grid of power areas."""
    return random_power_network(areas, "grid")


def quick_mpc(plant: Plant) -> DistributedMPC:
    """A distributed MPC for a network of power areas, without certificates."""
    return DistributedMPC.for_plant(plant, _HORIZON, admm=ADMMOptions(iterations=50), certify=False)
