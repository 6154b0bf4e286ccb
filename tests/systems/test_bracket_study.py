"""10,000 evaluations after 1, 5, 20 and 100 iterations: the optimal value lies in the bracket, every time.

The optimal value is that of the central program, solved to rounding on its active rows. Its costs are summed by code
that the bracket uses as well: what rounding does to them is for the rational cases of `test_rounding.py`.
"""

from collections.abc import Callable

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.controllers import DistributedMPC
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.plants.chain import chain_model
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.random_problems import FEATURES, Blueprint, random_problem
from dmpcrl_ctrl.value import agent_data

Array = np.ndarray
Data = tuple[AgentData, ...]
ITERATIONS = (1, 5, 20, 100)
# a plant at rest costs nothing; solvers then return some 1e-57 for the optimum, which is zero
NOTHING = 1e-40


class Study:
    """Brackets of one problem after so many iterations, against its central solution."""

    def __init__(self, problem: MPCProblem) -> None:
        self.problem, self.central = problem, CentralEvaluator(problem)
        self.agents = [DistributedEvaluator(problem, ADMMOptions(iterations=n)) for n in ITERATIONS]

    def gaps(self, data: Data, rng: np.random.Generator) -> tuple[Array, Array]:
        """(2, 4): relative width for V and Q by number of iterations, and whether the optimum lies within."""
        best = self.central.evaluate(data)
        action = [a + 0.1 * rng.normal(size=a.shape) for a in best.action]
        width, within = np.full((2, len(ITERATIONS)), np.nan), np.ones((2, len(ITERATIONS)), dtype=bool)
        for q, given in enumerate((None, action)):
            truth = self.central.evaluate(data, given)
            if not truth.status.ok:
                continue  # the action leaves no feasible plan
            for k, evaluator in enumerate(self.agents):
                found = evaluator.evaluate(data, given)
                if found.status.ok:
                    lower, upper = found.certificate.value_bounds
                    within[q, k] = lower <= truth.value + NOTHING and truth.value - NOTHING <= upper
                    width[q, k] = (upper - lower) / (abs(truth.value) or 1.0)
        return width, within


def power_data(problem: MPCProblem, rng: np.random.Generator) -> Data:
    states = [rng.uniform(-0.1, 0.1, model.n) for model in problem.models]
    return agent_data(problem, states, [rng.uniform(-0.1, 0.1, model.d) for model in problem.models])


def chain_data(problem: MPCProblem, rng: np.random.Generator) -> Data:
    return agent_data(problem, [np.array([rng.uniform(-0.1, 1.0), rng.uniform(-0.8, 0.8)]) for _ in problem.models])


def power() -> MPCProblem:
    return DistributedMPC.for_plant(power_network(1), horizon=5, discount=0.9, soft=True, slack_weight=500.0).problem


def networks(count: int, seed: int) -> tuple[list[Array], list[Array], Array]:
    """Widths and verdicts over random networks of all features, and whether hard bounds are among them."""
    rng = np.random.default_rng(seed)
    widths, verdicts, hard = [], [], []
    for _ in range(count):
        agents = int(rng.integers(1, 5))
        sizes = tuple((int(rng.integers(1, 4)), int(rng.integers(0, 3))) for _ in range(agents))
        tree = [(int(rng.integers(i)), i) for i in range(1, agents)]
        arcs = tuple(arc if rng.random() < 0.5 else arc[::-1] for arc in tree)
        features = frozenset(rng.choice(FEATURES, size=int(rng.integers(0, 8)), replace=False).tolist())
        problem, data = random_problem(
            Blueprint(sizes, arcs, int(rng.integers(1, 6)), features, int(rng.integers(2**32)))
        )
        width, within = Study(problem).gaps(data, rng)
        widths.append(width)
        verdicts.append(within)
        hard.append(any(not model.soft.all() or model.terminal_equality for model in problem.models))
    return widths, verdicts, np.array(hard)


def example(
    problem: MPCProblem, data: Callable[[MPCProblem, np.random.Generator], Data], count: int
) -> tuple[Array, Array]:
    """(count, 2, 4) each: widths of an example of the paper, and whether the optimum lies within."""
    study, rng = Study(problem), np.random.default_rng(0)
    found = [study.gaps(data(problem, rng), rng) for _ in range(count)]
    return np.array([width for width, _ in found]), np.array([within for _, within in found])


@pytest.mark.parametrize("share", [10, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["power", "chain"])
def test_both_examples(name: str, share: int) -> None:
    """250 states each: 2 x 4 evaluations a state, always finite, always right."""
    given = (power(), power_data) if name == "power" else (MPCProblem(chain_model(), 10, 0.9), chain_data)
    widths, within = example(*given, 250 // share)
    assert within.all()
    assert np.isfinite(widths).all()  # none failed


@pytest.mark.parametrize("name", ["power", "chain"])
def test_the_median_width_after_fifty_iterations(name: str) -> None:
    problem, data = (power(), power_data) if name == "power" else (MPCProblem(chain_model(), 10, 0.9), chain_data)
    evaluator, rng = DistributedEvaluator(problem, ADMMOptions(iterations=50)), np.random.default_rng(1)
    found = [evaluator.evaluate(data(problem, rng)) for _ in range(20)]
    assert np.median([f.certificate.gap / abs(f.value) for f in found]) < 1e-6


@pytest.mark.parametrize("share", [10, pytest.param(1, marks=pytest.mark.long)])
def test_random_networks(share: int) -> None:
    """750 networks; the upper side is infinite only where hard bounds or terminal equalities are."""
    widths, verdicts, hard = networks(750 // share, share)
    assert all(within.all() for within in verdicts)
    # a problem whose action leaves no plan, or that has none, says nothing; few are like that
    assert np.mean(~np.isnan(widths)) > 0.85
    soft = [width for width, is_hard in zip(widths, hard, strict=True) if not is_hard]
    assert soft
    assert not any(np.isinf(width).any() for width in soft)
