"""What is measured: one function a row of docs/performance.md."""

import subprocess
import sys
import warnings
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice

import networkx as nx
import numpy as np

from benchmarks.gym_rows import gymnasium_step
from benchmarks.loop_rows import chain_in_full, log_and_certificate, memory, scheduler_share
from benchmarks.measure import in_turn, slope, timed
from benchmarks.network_rows import iteration_memory, thousand_areas, two_cores, two_workers
from benchmarks.networks import integrators, sides
from benchmarks.overhead_rows import local_overhead
from benchmarks.peer_rows import PEER_ROWS
from benchmarks.row import Row, most
from benchmarks.solver_rows import central_backend
from benchmarks.training import STEPS, learner, published_learner, seconds_per_step
from dmpcrl_ctrl.admm import ADMMOptions, sweeps
from dmpcrl_ctrl.averaging import AveragingWarning
from dmpcrl_ctrl.consensus import ADMMState, Agents, cold_state
from dmpcrl_ctrl.controllers import LearningMPC
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.problem import AgentData
from dmpcrl_ctrl.validation.paper import chain_mpc, power_learning, power_plant
from dmpcrl_ctrl.validation.paper_baselines import power_scenario
from dmpcrl_ctrl.validation.tally import tally
from dmpcrl_ctrl.value import agent_data

__all__ = ["ROWS", "Row"]


def local_solve() -> Row:
    """A local solve whose bounds stay active, against the product that it cannot do without."""
    evaluator, data = _chain()
    agents = evaluator._agents(data, None)
    sweep = list(islice(evaluator.iterates(data), 50))[-1]
    assert sweep.memory is not None
    shared = np.concatenate([held.shared for held in evaluator.held])
    linear = sweep.memory.y - evaluator.weights[shared] * sweep.memory.copies
    points = agents.solve(linear, 1.0).points
    own = [linear[part] for part in evaluator._neighbourhood.parts]
    follow = [np.ascontiguousarray(point.pattern.follow) for point in points if point is not None]

    def products() -> None:
        for matrix, part in zip(follow, own, strict=True):
            np.dot(matrix, part)

    found = in_turn(timed(lambda: agents.solve(linear, 1.0), 2000), timed(products, 2000))
    note = f"{1e6 * found.one / len(own):.1f} us, agents of the chain, followed together"
    return most("local solve / its matrix-vector product", 3.0, found, note)


def published_step(example: str) -> Row:
    """A training step as published: 50 iterations for V and for Q, 100 rounds of averaging."""
    return _training_step(
        example, published_learner(example), f"training step of {example} as published (50 + 100), ms"
    )


def own_step(example: str) -> Row:
    """A training step of the published recipe with the evaluator as it comes."""
    return _training_step(example, learner(example), f"training step of {example}, own iterations, ms")


def _training_step(example: str, block: LearningMPC, name: str) -> Row:
    took = [1e3 * seconds_per_step(example, block, seed) for seed in range(3)]
    return Row(name, "", float(np.median(took)), (min(took), max(took)), None, f"{STEPS} steps, 3 seeds, one core")


def growth(shape: str) -> Row:
    """One iteration of ADMM over networks of 4 to 4,096 areas, by their number."""
    sizes, took, iterations = [4, 16, 64, 256, 1024, 4096], [], 8
    for size in sizes:
        problem = integrators(nx.cycle_graph(size) if shape == "ring" else nx.grid_2d_graph(*sides(size)))
        with warnings.catch_warnings():
            # nothing is averaged here
            warnings.simplefilter("ignore", AveragingWarning)
            evaluator = DistributedEvaluator(problem, rounds=1)
        agents = evaluator._agents(agent_data(problem, [np.array([0.1, -0.2])] * size), None)
        start = cold_state(evaluator.held, evaluator.shared.size)
        seconds = timed(partial(_iterate, evaluator, agents, start, iterations))
        took.append(min(seconds() for _ in range(3)) / iterations)
    found = slope(sizes, took)
    note = ", ".join(f"{n}: {1e3 * t:.2g} ms" for n, t in zip(sizes, took, strict=True)) + "; no bound moves in them"
    return Row(f"growth of an iteration, {shape}: log-log slope", "<= 1.05", found, None, found <= 1.05, note)


def start_up() -> Row:
    """The command line's help against an import of numpy."""

    def run(*arguments: str) -> Callable[[], float]:
        return timed(lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True))

    found = in_turn(run("-m", "dmpcrl_ctrl", "--help"), run("-c", "import numpy"))
    return most("dmpcrl-ctrl --help / import numpy", 2.5, found, f"{found.one:.2f} s")


def policy_and_scenarios() -> Row:
    """The controller that learns, with the parameters it starts from, against scenario MPC of 79 samples."""
    plant, policy, scenario = (
        power_plant(variant="published"),
        power_learning(variant="published").controller(),
        power_scenario(79),
    )
    found = in_turn(timed(lambda: tally(plant, policy, 20.0, 0)), timed(lambda: tally(plant, scenario, 20.0, 0)), 5)
    return most(
        "controller that learns / scenario MPC of 79 samples",
        0.1,
        found,
        "whole loop of the power network, agents, before learning",
    )


def _iterate(evaluator: DistributedEvaluator, agents: Agents, start: ADMMState, iterations: int) -> None:
    found = sweeps(agents, evaluator.weights, evaluator._neighbourhood, start, evaluator.admm)
    deque(islice(found, iterations), maxlen=0)


def _chain() -> tuple[DistributedEvaluator, tuple[AgentData, ...]]:
    mpc = chain_mpc(variant="published")
    evaluator = DistributedEvaluator(mpc.problem, ADMMOptions(iterations=50, penalty=0.5))
    return evaluator, agent_data(mpc.problem, [np.array([0.2, 0.15])] * 3)


ROWS: dict[str, Callable[[], Row]] = {
    "local-solve": local_solve,
    "chain-published": lambda: published_step("chain"),
    "chain-own": lambda: own_step("chain"),
    "power-published": lambda: published_step("power"),
    "power-own": lambda: own_step("power"),
    "ring": lambda: growth("ring"),
    "grid": lambda: growth("grid"),
    "start-up": start_up,
    "scenarios": policy_and_scenarios,
    **PEER_ROWS,
    "iteration-memory-ring": lambda: iteration_memory("ring"),
    "iteration-memory-grid": lambda: iteration_memory("grid"),
    "thousand-areas": thousand_areas,
    "two-cores": two_cores,
    "two-workers": two_workers,
    "scheduler-share": scheduler_share,
    "log-certificate": log_and_certificate,
    "gymnasium-step": gymnasium_step,
    "chain-in-full": lambda: chain_in_full(distributed=True),
    "chain-in-full-central": lambda: chain_in_full(distributed=False),
    "memory": memory,
    "central-backend": central_backend,
    "local-overhead-chain": lambda: local_overhead("chain"),
    "local-overhead-power": lambda: local_overhead("power"),
}
