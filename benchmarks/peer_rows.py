"""The rows that hold this package against its peer, dmpcrl, which runs in a process and an environment of its own."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.measure import Ratio, in_turn
from benchmarks.peer import PeerError, PeerProcess
from benchmarks.peer_accuracy import Errors, Trajectory, trajectory
from benchmarks.peer_environment import interpreter
from benchmarks.row import Row, least, unknown
from benchmarks.training import LEARNING, learner, published_learner, seconds_per_step
from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import LearningMPC
from dmpcrl_ctrl.validation.paper_baselines import power_scenario

_TOLERANCES = (1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
_PAIRS, _PEER_STEPS, _SAMPLES = 5, 2, 100
# the costs of scenario MPC have to agree to so many digits
_DIGITS = 4
_LOADS = np.array([0.15, -0.15, 0.12, 0.28])


def start_peer() -> PeerProcess:
    """The peer's process, in its own environment."""
    return PeerProcess([interpreter(), "-m", "benchmarks.peer_process"])


def with_peer(name: str, limit: float, measure: Callable[[PeerProcess, str, float], Row]) -> Row:
    """What is measured beside the peer; a row without a number where the peer is not to be had."""
    try:
        with start_peer() as peer:
            return measure(peer, name, limit)
    except PeerError as error:
        return unknown(name, f">= {limit:g}", str(error))


def published_step(example: str, peer: PeerProcess, name: str, limit: float) -> Row:
    """A training step as published, 50 iterations for V and for Q and 100 rounds of averaging.

    Of the few agents here ours makes the rounds by one product with their matrix, which is the same numbers.
    """
    apart = trajectory(example).require_same(peer)
    found = _steps_in_turn(example, peer, published_learner(example))
    times = f"peer {found.one:.2f} s, ours {1e3 * found.other:.1f} ms"
    return least(name, limit, found, f"{times}; as one program V and its gradient agree to {apart}")


def quickest_step(example: str, peer: PeerProcess, name: str, limit: float) -> Row:
    """The peer's step as published, against the quickest of ours that is at least as exact."""
    path = trajectory(example)
    path.require_same(peer)
    theirs = path.theirs(peer.ask("solve", example=example, **path.question())["found"])
    fit = _as_exact(path, theirs)
    if not fit:
        raise PeerError(f"none of ours is as exact as the peer, with errors of {theirs}")
    took = {way: seconds_per_step(example, block, steps=20) for way, (block, _) in fit.items()}
    way = min(took, key=took.__getitem__)
    block, ours = fit[way]
    found = _steps_in_turn(example, peer, block)
    times = f"peer {found.one:.2f} s, ours {1e3 * found.other:.2f} ms ({way})"
    return least(name, limit, found, f"{times}; errors of values and gradients: peer {theirs}, ours {ours}")


def scenario_step(peer: PeerProcess, name: str, limit: float) -> Row:
    """Scenario MPC of 100 samples: all of them in one program for IPOPT, against ours."""
    block = power_scenario(_SAMPLES)
    state = 0.03 * np.random.default_rng(1).standard_normal(16)
    measured = np.concatenate([state, _LOADS, np.ravel([[0.0, 0.0, load, load] for load in _LOADS]), _LOADS])
    # each pair has noise of its own, the same for both
    draws = [block.draws(0, tick) for tick in range(_PAIRS + 1)]
    costs: dict[str, list[float]] = {"peer": [], "ours": []}

    def theirs() -> float:
        noise = draws[len(costs["peer"])].tolist()
        answer = peer.ask("scenario", draws=noise, state=state.tolist(), loads=_LOADS.tolist())
        costs["peer"].append(answer["V"])
        return float(answer["seconds"])

    def ours() -> float:
        noise = draws[len(costs["ours"])]
        start = time.perf_counter()
        solved = block.solve(measured, noise)
        took = time.perf_counter() - start
        costs["ours"].append(solved.value)
        return took

    found = in_turn(theirs, ours, _PAIRS)
    apart = float(np.abs(np.array(costs["peer"]) / costs["ours"] - 1.0).max())
    if not apart <= 10.0**-_DIGITS:
        raise PeerError(f"the two problems differ: their costs by {apart:.1e} of themselves")
    times = f"peer {found.one:.2f} s, ours {1e3 * found.other:.1f} ms"
    return least(name, limit, found, f"{times}; costs agree to {apart:.1e} of themselves")


def _as_exact(path: Trajectory, theirs: Errors) -> dict[str, tuple[LearningMPC, Errors]]:
    """Ways of ours whose errors are at most the peer's, with their errors."""
    ways = {"central": LEARNING[path.example](variant="published", distributed=False)}
    for tolerance in _TOLERANCES:
        admm = ADMMOptions(iterations=200, tolerance=tolerance)
        ways[f"distributed, tolerance {tolerance:g}"] = learner(path.example, admm)
    errors = {way: path.ours(block) for way, block in ways.items()}
    return {way: (block, errors[way]) for way, block in ways.items() if errors[way].within(theirs)}


def _steps_in_turn(example: str, peer: PeerProcess, block: LearningMPC) -> Ratio:
    def theirs() -> float:
        return float(peer.ask("train", example=example, steps=_PEER_STEPS)["seconds"])

    return in_turn(theirs, lambda: seconds_per_step(example, block), _PAIRS)


def _row(name: str, limit: float, measure: Callable[[PeerProcess, str, float], Row]) -> Callable[[], Row]:
    return partial(with_peer, f"{name}: peer / ours", limit, measure)


PEER_ROWS: dict[str, Callable[[], Row]] = {
    "peer-chain": _row("training step of chain as published", 800.0, partial(published_step, "chain")),
    "peer-power": _row("training step of power as published", 1000.0, partial(published_step, "power")),
    "peer-chain-any": _row("training step of chain, as exact, any means", 1500.0, partial(quickest_step, "chain")),
    "peer-power-any": _row("training step of power, as exact, any means", 3000.0, partial(quickest_step, "power")),
    "peer-scenario": _row("scenario MPC, 4 areas, 100 samples", 100.0, scenario_step),
}
