"""Gradients of V and Q by every parameter against differences of the value: the paper's examples, random networks.

What is compared is at least nine tenths of all directions; the others are kinks, found in the solutions on both sides
and not in the gradient. At a kink of Q the multipliers of V are the ones to use.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.controllers import CentralizedMPC
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.plants import chain_model, power_network
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.finite_differences import Comparison, compare, slopes
from dmpcrl_ctrl.validation.random_problems import FEATURES
from dmpcrl_ctrl.validation.strategies import mpc_problems
from dmpcrl_ctrl.value import agent_data

Array = np.ndarray
Data = tuple[AgentData, ...]
CONVERGED = ADMMOptions(iterations=20000, tolerance=1e-10)
TOLERANCE = 1e-6
# where plain ADMM takes many thousand iterations, and where an agent's own program leaves its multipliers open
HARD = {"terminal_equality", "merely_convex"}


@dataclass(frozen=True, eq=False)
class Example:
    """A problem, and random states and actions of it."""

    problem: MPCProblem
    low: Array
    high: Array
    inputs: float

    def cases(self, states: int, seed: int) -> Iterator[tuple[Data, tuple[Array, ...]]]:
        """Data and an action for Q."""
        rng = np.random.default_rng(seed)
        for _ in range(states):
            data = agent_data(self.problem, [rng.uniform(self.low, self.high) for _ in self.problem.models])
            yield data, tuple(rng.uniform(-self.inputs, self.inputs, model.m) for model in self.problem.models)


@cache
def example(name: str) -> Example:
    """The chain of the paper with its true model, or the power network with a horizon of 5 or 15."""
    if name == "chain":
        return Example(MPCProblem(chain_model(True), 10, 0.9), np.array([0.0, -0.5]), np.array([1.0, 0.5]), 1.0)
    plant = power_network(scenario=1, violation_weight=500.0)
    problem = CentralizedMPC.for_plant(plant, horizon=int(name.split()[1]), discount=0.9, hold="area").problem
    spread = np.array([0.1, 0.1, 0.2, 0.2])
    return Example(problem, -spread, spread, 0.3)


def compared(problem: MPCProblem, data: Data, action: Sequence[Array] | None, seed: int) -> list[Comparison]:
    """The central gradient and that of a converged distributed evaluation."""
    reference = slopes(problem, data, action, seed=seed)
    central = CentralEvaluator(problem).evaluate(data, action)
    agents = DistributedEvaluator(problem, CONVERGED).evaluate(data, action)
    assert agents.status is Status.OPTIMAL
    return [compare(reference, found.gradient, problem.names) for found in (central, agents)]


def kinked(found: Sequence[Comparison]) -> float:
    """Share of the directions that were left out because the value has a kink there."""
    return sum(one.kinks for one in found) / sum(one.compared + one.kinks for one in found)


def worst(found: Sequence[Comparison]) -> Comparison:
    return max(found, key=lambda one: one.error)


def study(name: str, states: int, seed: int) -> list[Comparison]:
    one, found = example(name), list[Comparison]()
    for k, (data, action) in enumerate(one.cases(states, seed)):
        found += compared(one.problem, data, None, k)
        found += compared(one.problem, data, action, k)
    return found


@pytest.mark.parametrize(("name", "states"), [("chain", 2), ("power 5", 1), ("power 15", 1)])
def test_gradients_of_the_papers_examples(name: str, states: int) -> None:
    found = study(name, states, seed=1)
    assert worst(found).error < TOLERANCE, worst(found)
    assert kinked(found) <= 0.1


@pytest.mark.long
@pytest.mark.parametrize("name", ["chain", "power 5", "power 15"])
def test_gradients_of_the_papers_examples_in_full(name: str) -> None:
    found = study(name, 20, seed=2)
    assert worst(found).error < TOLERANCE, worst(found)
    assert kinked(found) <= 0.1


def random_networks(examples: int) -> list[Comparison]:
    found = list[Comparison]()

    @given(mpc_problems(min_agents=2, max_agents=4, max_horizon=3, features=sorted(set(FEATURES) - HARD)))
    @settings(max_examples=examples, phases=[Phase.generate])
    def check(case: tuple[MPCProblem, Data]) -> None:
        problem, data = case
        found.extend(compared(problem, data, None, 0))
        policy = CentralEvaluator(problem).evaluate(data).action
        action = tuple(a + 0.1 * np.random.default_rng(0).normal(size=a.shape) for a in policy)
        if CentralEvaluator(problem).evaluate(data, action).status.ok:
            found.extend(compared(problem, data, action, 1))

    check()
    return found


def test_gradients_of_random_networks() -> None:
    found = random_networks(5)
    assert worst(found).error < TOLERANCE, worst(found)
    assert kinked(found) <= 0.1


@pytest.mark.long
def test_gradients_of_random_networks_in_full() -> None:
    found = random_networks(50)
    assert worst(found).error < TOLERANCE, worst(found)
    assert kinked(found) <= 0.1


def test_at_a_kink_of_q_the_multipliers_of_v_are_the_ones() -> None:
    """x(1) of the first agent lies exactly on its soft bound: to one side Q pays for a violation, to the other not."""
    problem = example("chain").problem
    data = agent_data(problem, [np.array([0.01, -0.15]), np.array([0.5, 0.0]), np.array([0.5, 0.0])])
    policy = CentralEvaluator(problem).evaluate(data)
    on_bound = [i for i, plan in enumerate(policy.plans) if abs(plan.x[1, 0]) < 1e-12]
    assert on_bound
    as_q = policy.at_policy()
    assert as_q.certificate.residual < 1e-9
    by_action = [one for one in slopes(problem, data, policy.action) if one.direction.parameter == "action"]
    assert {one.direction.agent for one in by_action if np.isnan(one.slope)} >= set(on_bound)
    # V has no kink there, and its gradient is what it should be
    assert compare(slopes(problem, data), policy.gradient, problem.names).error < TOLERANCE
