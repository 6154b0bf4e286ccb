"""How many iterations does a gradient take? ADMM schemes compared at random states of the paper's two examples.

Everything is measured against the central solution: the error of an evaluation is the largest error of any entry of an
agent's gradient, relative to the largest entry that this agent's gradient has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.consensus import largest
from dmpcrl_ctrl.controllers import CentralizedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.plants import Plant, chain, chain_model, power_network
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.value import Evaluation, agent_data

Action = tuple[Array, ...]

# of the published scheme
CHAIN_PENALTY, POWER_PENALTY = 0.5, 50.0


@dataclass(frozen=True, eq=False)
class Case:
    """One evaluation of V, or of Q where an action is given, and the gradient that the central solution gives."""

    data: tuple[AgentData, ...]
    action: Action | None
    gradient: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Example:
    """A problem, what its agents know at some states, and the penalty that the paper uses for it."""

    problem: MPCProblem
    data: tuple[tuple[AgentData, ...], ...]
    penalty: float

    def schemes(self) -> dict[str, ADMMOptions]:
        """From the published scheme to the default, each with one thing more; the sharing is this package's in all."""
        return {
            "published": ADMMOptions(penalty=self.penalty),
            "over-relaxed": ADMMOptions(penalty=self.penalty, relaxation=1.6),
            "weighted": ADMMOptions(acceleration=0, balance_at=()),
            "balanced": ADMMOptions(acceleration=0),
            "accelerated": ADMMOptions(),
        }


def chain_example(count: int, seed: int, true_model: bool = False) -> Example:
    """Example 1: states drawn over x1 in [0, 1] and x2 in [-0.5, 0.5]."""
    rng = np.random.default_rng(seed)
    problem = MPCProblem(chain_model(true_model), horizon=10, discount=0.9)
    states = [[rng.uniform([0.0, -0.5], [1.0, 0.5]) for _ in problem.models] for _ in range(count)]
    return Example(problem, tuple(agent_data(problem, state) for state in states), CHAIN_PENALTY)


def power_example(count: int, seed: int) -> Example:
    """Example 2: samples of closed loops of 100 s under load steps and noise, often with active soft bounds."""
    return _sampled(*_power(), count, seed)


def benchmark_example(count: int, seed: int) -> Example:
    """The Hycon2 benchmark, horizon 15 with a terminal equality: samples of the closed loop of scenario 1."""
    plant = power_network(1)
    return _sampled(plant, CentralizedMPC.for_plant(plant, horizon=15, terminal="equality"), count, seed)


def power_loop(seed: int) -> Example:
    """As :func:`power_example`, but every sample of one closed loop, in order."""
    plant, mpc = _power()
    return Example(mpc.problem, tuple(_loop(plant, mpc, seed)), POWER_PENALTY)


def chain_loop(seed: int) -> Example:
    """Example 1 in a closed loop of 100 samples under noise, with the true model."""
    plant = chain()
    mpc = CentralizedMPC.for_plant(plant, horizon=10, discount=0.9)
    return Example(mpc.problem, tuple(_loop(plant, mpc, seed)), CHAIN_PENALTY)


def _power() -> tuple[Plant, CentralizedMPC]:
    plant = power_network(1, input_limits="learning", load_noise=0.1, violation_weight=500.0)
    return plant, CentralizedMPC.for_plant(plant, horizon=5, discount=0.9)


def _loop(plant: Plant, mpc: CentralizedMPC, seed: int) -> list[tuple[AgentData, ...]]:
    """What the agents know at each sample of a closed loop under the central controller."""
    seen = simulate(plant, mpc, t_end=100.0, seed=seed).controllers[mpc.name].input
    return [mpc.signals.data(mpc.problem, row, np.zeros(len(plant.input_names))) for row in np.asarray(seen)]


def _sampled(plant: Plant, mpc: CentralizedMPC, count: int, seed: int) -> Example:
    rng = np.random.default_rng(seed)
    loops = [data for part in range(-(-count // 50)) for data in _loop(plant, mpc, seed + part)]
    chosen = rng.choice(len(loops), count, replace=False)
    return Example(mpc.problem, tuple(loops[k] for k in chosen), POWER_PENALTY)


def policy_cases(example: Example) -> list[Case]:
    """V at every state that has a feasible plan."""
    central = CentralEvaluator(example.problem)
    found = ((data, central.evaluate(data)) for data in example.data)
    return [Case(data, None, gradient_vectors(truth)) for data, truth in found if truth.status.ok]


def action_cases(example: Example, seed: int, size: float = 0.05) -> list[Case]:
    """Q at the policy's action plus uniform noise of `size` times the range of the input, kept within its bounds.

    At the policy's own action the multipliers of Q need not be unique; there no two gradients could be compared.
    """
    rng, central = np.random.default_rng(seed), CentralEvaluator(example.problem)
    cases = []
    for data in example.data:
        policy = central.evaluate(data)
        if policy.status.ok:
            pairs = zip(policy.action, example.problem.models, strict=True)
            action = tuple(
                np.clip(a + size * (m.u_max - m.u_min) * rng.uniform(-1, 1, m.m), m.u_min, m.u_max) for a, m in pairs
            )
            truth = central.evaluate(data, action)
            if truth.status.ok:
                cases.append(Case(data, action, gradient_vectors(truth)))
    return cases


def gradient_vectors(evaluation: Evaluation) -> tuple[Array, ...]:
    """One vector an agent: its gradient by every parameter that depends on the solution and that it can know."""
    return tuple(
        np.concatenate([part for name, value in gradient.items() if name != "V0" for part in _entries(value)])
        for gradient in evaluation.gradient
    )


def _entries(value: Any) -> Iterator[Array]:
    blocks = value.values() if isinstance(value, Mapping) else [value]
    for block in blocks:
        entries = np.ravel(np.asarray(block, dtype=float))
        yield entries[np.isfinite(entries)]


def gradient_error(found: Sequence[Array], truth: Sequence[Array]) -> float:
    """Largest error of an entry relative to the agent's largest entry."""
    rounding = np.finfo(float).eps  # all that is left of a gradient at rest
    return max(
        largest(mine - theirs) / max(largest(theirs), rounding) for mine, theirs in zip(found, truth, strict=True)
    )


def convergence(
    problem: MPCProblem, cases: Sequence[Case], admm: ADMMOptions | None, iterations: int
) -> tuple[Array, Array]:
    """Errors of the gradient, and the residuals that come with them, after 1, 2, ... iterations from a cold start.

    Returns
    -------
    errors, residuals
        (cases, iterations) each; residuals of the optimality conditions, as `Evaluation.residual`.
    """
    evaluator = DistributedEvaluator(problem, admm)
    table = [
        [
            (gradient_error(gradient_vectors(found), case.gradient), found.residual)
            for found in islice(evaluator.iterates(case.data, case.action), iterations)
        ]
        for case in cases
    ]
    errors, residuals = np.moveaxis(np.array(table).reshape(-1, iterations, 2), 2, 0)
    return errors, residuals


def warm_convergence(
    problem: MPCProblem, cases: Sequence[Case], admm: ADMMOptions | None, iterations: int, kept: int
) -> Array:
    """(cases, iterations): the same along a closed loop, each sample but the first started from the one before.

    What the next sample starts from is the state after `kept` iterations, shifted by one stage.
    """
    evaluator = DistributedEvaluator(problem, admm)
    memory, errors = None, []
    for case in cases:
        found = list(islice(evaluator.iterates(case.data, case.action, memory), iterations))
        errors.append([gradient_error(gradient_vectors(e), case.gradient) for e in found])
        memory = evaluator.shifted(found[kept - 1].memory)
    return np.array(errors)


def iterations_to(errors: Array, tolerance: float) -> Array:
    """(cases,): iterations until an error stays below the tolerance; one more than there are where it does not."""
    above = errors > tolerance
    return np.where(above.any(axis=1), errors.shape[1] - np.argmax(above[:, ::-1], axis=1), 0) + 1
