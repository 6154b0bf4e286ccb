"""Rows about closed loops of a few agents: what is not solving, what is logged, what is kept in memory."""

import math
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.apart import apart, resident
from benchmarks.loop import looped
from benchmarks.measure import Ratio, in_turn
from benchmarks.row import Row
from benchmarks.training import PLANTS, published_learner
from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import LQR, DistributedMPC, LearningMPC
from dmpcrl_ctrl.controllers.mpc import MPCState
from dmpcrl_ctrl.cosim.scheduler import Row as LogRow
from dmpcrl_ctrl.plants import Plant, chain, power_network
from dmpcrl_ctrl.validation.paper import chain_learning, chain_plant
from dmpcrl_ctrl.validation.training import train

_MINUTES = 5.0
_SHARE = 0.2
_WHOLE_CHAIN, _WARM_UP, _SOME = 20_000, 100, 500
_MILLION, _MANY, _FIRST = 1_000_000, 100_000, 10_000


class ClockedMPC(DistributedMPC):
    """A distributed MPC that adds up the seconds that its steps, and the evaluations in them, have taken."""

    stepped = evaluated = 0.0

    def step(
        self, state: MPCState, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[MPCState, Array, dict[str, Any]]:
        """The step, timed."""
        start = time.perf_counter()
        found = super().step(state, tick, measurement, applied, cost)
        self.stepped += time.perf_counter() - start
        self.evaluated += found[2]["solve_time"]
        return found


def scheduler_share(steps: int = 100, runs: int = 5) -> Row:
    """What is left of a step of the four areas, as in examples/hycon2_scenario1.toml, without its controller."""
    shares, solving, took = [], [], []
    plant = power_network(1)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs):
            mpc = ClockedMPC.for_plant(plant, 15, terminal="equality", admm=ADMMOptions(iterations=50))
            seconds = looped(plant, mpc, steps, Path(folder) / "run.h5")
            shares.append(1.0 - mpc.stepped / seconds)
            solving.append(mpc.evaluated / seconds)
            took.append(1e3 * seconds / steps)
    low, share, high = np.percentile(shares, [25.0, 50.0, 75.0])
    note = (
        f"a step of {np.median(took):.1f} ms, {np.median(solving):.0%} of it the evaluation; what is left to the block "
        "is certificate and record"
    )
    return _small("scheduler + plant + log, share of a step of four areas", share, (low, high), note)


def log_and_certificate(steps: int = 40, pairs: int = 5) -> Row:
    """What log and certificate add to a training step of the power network as published, as a share of the whole.

    The certificate is made as often as can be afforded by what one at every step, and none, are measured to add.
    """
    plant = PLANTS["power"](variant="published")
    bare = partial(looped, plant, published_learner("power"), steps)

    with tempfile.TemporaryDirectory() as folder:

        def beside_bare(certify: int) -> Ratio:
            block = published_learner("power", certify=certify)
            return in_turn(partial(looped, plant, block, steps, Path(folder) / "run.h5"), bare, pairs)

        logged, proved = beside_bare(0), beside_bare(1)
        # of one certificate in n steps log and certificate add l + c / n to a bare step, which may be s / (1 - s)
        log_adds = max(logged.median - 1.0, 0.0)
        room, proof_adds = 0.9 * _SHARE / (1.0 - _SHARE) - log_adds, proved.median - 1.0 - log_adds
        interval = max(1, math.ceil(proof_adds / room)) if room > 0.0 else steps
        found = beside_bare(interval)
    spread = 1.0 - 1.0 / found.low, 1.0 - 1.0 / found.high
    note = (
        f"a certificate every {interval} steps (`certify = {interval}`); one at every step is "
        f"{1.0 - 1.0 / proved.median:.0%}, the log alone {1.0 - 1.0 / logged.median:.0%}; "
        f"{1e3 * found.other / steps:.1f} ms a step without both; a training itself writes neither"
    )
    return _small("log + certificate, share of a training step of power", 1.0 - 1.0 / found.median, spread, note)


def chain_in_full(*, distributed: bool, warm_up: int = _WARM_UP, steps: int = _SOME) -> Row:
    """Example 1 with all its samples, from the time of some of them."""
    seconds = training_seconds(chain_learning(distributed=distributed, variant="published"), warm_up, steps)
    minutes = seconds / steps * _WHOLE_CHAIN / 60.0
    who = "agents" if distributed else "central learner"
    note = f"{1e3 * seconds / steps:.1f} ms a sample over {steps} after {warm_up}, times {_WHOLE_CHAIN}"
    reached = bool(minutes <= _MINUTES)
    return Row(f"example 1 in full, {who}, minutes", f"<= {_MINUTES:g}", minutes, None, reached, note)


def memory(steps: int = _MANY, first: int = _FIRST) -> Row:
    """What a logged loop of an LQR and the chain holds after many steps, beyond what it held after the first ones."""
    before, after, seconds = apart(memory_of_a_loop, first, steps)
    grown = (after - before) * _MILLION / (steps - first)
    note = (
        f"{before:.1f} MB after {first} steps, {after:.1f} MB after {steps}, the rest in proportion; LQR and chain, "
        f"{seconds:.0f} s"
    )
    name = "memory growth over a million steps of a logged loop, MB"
    return Row(name, "<= 50", grown, None, bool(grown <= 50.0), note)


def memory_of_a_loop(first: int, steps: int) -> tuple[float, float, float]:
    """Resident megabytes after the first steps and after all, and seconds."""
    plant, held = chain(noise=True), {}

    def look(done: int) -> None:
        if done in (first, steps):
            held[done] = resident()

    with tempfile.TemporaryDirectory() as folder:
        seconds = looped(plant, LQR.for_plant(plant), steps, Path(folder) / "run.h5", at=look)
    return held[first], held[steps], seconds


def training_seconds(learning: LearningMPC, warm_up: int, steps: int) -> float:
    """Seconds of so many samples of a training of example 1 after those that warm it up."""
    plant: Plant = chain_plant(variant="published")
    times: list[float] = []

    def look(sample: int, row: LogRow, state: object) -> None:
        times.append(time.perf_counter())

    train(plant, learning, steps=warm_up + steps, observe=look)
    return times[-1] - times[warm_up - 1]


def _small(name: str, share: float, spread: tuple[float, float], note: str) -> Row:
    return Row(name, f"<= {_SHARE:g}", float(share), (float(spread[0]), float(spread[1])), bool(share <= _SHARE), note)
