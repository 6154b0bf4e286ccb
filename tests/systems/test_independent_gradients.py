"""Values, policies, multipliers and gradients of both examples of the paper, against CVXPY and Clarabel.

Nothing of the package is in the reference: the problem is stated stage by stage, its multipliers are Clarabel's, and
the gradient is the exact slope of the Lagrangian written out in `tests/lagrangian.py` at Clarabel's point.
"""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.controllers import DistributedMPC
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.plan import Plan
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.plants.chain import chain_model
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.value import Evaluation, agent_data
from tests.lagrangian import lagrangian_of, slope
from tests.points import with_neighbours
from tests.references import Reference, central_reference

Array = np.ndarray
Case = tuple[MPCProblem, tuple[AgentData, ...], tuple[Array, ...] | None]
CONVERGED = ADMMOptions(iterations=2000, tolerance=1e-11)
TOLERANCE = 1e-7
FIELDS = ("A", "B", "b", "f", "Q", "R", "x_lb", "x_ub", "u_min", "u_max", "slack_weight")


def case(example: str, seed: int, of_q: bool) -> Case:
    """A random state of an example, and an action that is not the policy's."""
    rng = np.random.default_rng([seed, len(example)])
    if example == "chain":
        problem = MPCProblem(chain_model(), 10, 0.9)
        states = [np.array([rng.uniform(-0.1, 0.6), rng.uniform(-0.5, 0.5)]) for _ in problem.models]
        disturbances = None
    else:
        problem = DistributedMPC.for_plant(
            power_network(1), horizon=5, discount=0.9, soft=True, slack_weight=500.0
        ).problem
        states = [rng.uniform(-0.1, 0.1, 4) for _ in problem.models]
        disturbances = [rng.uniform(-0.1, 0.1, model.d) for model in problem.models]
    data = agent_data(problem, states, disturbances)
    actions = tuple(rng.uniform(0.8 * model.u_min, 0.8 * model.u_max) for model in problem.models)
    return problem, data, actions if of_q else None


def apart(mine: Any, theirs: Any, size: float) -> float:
    """Largest difference, relative to the largest number of its kind."""
    return float(np.abs(np.asarray(mine) - np.asarray(theirs)).max(initial=0.0)) / size


def differences(evaluation: Evaluation, reference: Reference, asked: Case) -> dict[str, float]:
    """Largest relative difference of value, action, multipliers and gradient."""
    problem, data, _ = asked
    worst = {"value": apart(evaluation.value, reference.value, abs(reference.value))}

    def note(what: str, error: float) -> None:
        worst[what] = max(worst.get(what, 0.0), error)

    for mine, theirs in zip(evaluation.action, reference.action, strict=True):
        note("action", apart(mine, theirs, 1.0))
    largest = max(float(np.abs(own.flat()).max()) for own in reference.duals)
    for found_duals, true_duals in zip(evaluation.duals, reference.duals, strict=True):
        note("duals", apart(found_duals.flat(), true_duals.flat(), largest))
    plans = with_neighbours(
        problem, [Plan(*parts) for parts in zip(reference.x, reference.u, reference.sigma, strict=True)]
    )
    rng = np.random.default_rng(0)
    for i, model in enumerate(problem.models):
        found = evaluation.gradient[i]
        size = max(float(np.abs(found[name]).max(initial=0.0)) for name in FIELDS)
        for name in FIELDS:
            step = rng.normal(size=getattr(model, name).shape) * np.isfinite(getattr(model, name))
            step = step + step.T if name in ("Q", "R") else step
            expected = slope(problem, i, name, step, data, plans, reference.duals)
            mine = np.sum(found[name] * step)
            note(name, apart(mine, expected, size * max(1.0, float(np.abs(step).sum()))))
        for j, block in model.A_ij.items():
            step = rng.normal(size=block.shape) * ~np.isnan(found["A_ij"][j])
            ends = [
                lagrangian_of(problem, i, {"A_ij": {**model.A_ij, j: block + h * step}}, data, plans, reference.duals)
                for h in (1.0, -1.0)
            ]
            derivative = np.sum(np.nan_to_num(found["A_ij"][j]) * step)
            expected = (ends[0] - ends[1]) / 2.0
            note("A_ij", apart(derivative, expected, size * max(1.0, float(np.abs(step).sum()))))
    return worst


@pytest.mark.parametrize("of_q", [False, True], ids=["V", "Q"])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("example", ["chain", "power"])
def test_central_and_distributed_are_those_of_another_solver(example: str, seed: int, of_q: bool) -> None:
    asked = case(example, seed, of_q)
    problem, data, action = asked
    reference = central_reference(problem, data, action)
    for evaluator in (CentralEvaluator(problem), DistributedEvaluator(problem, CONVERGED)):
        found = differences(evaluator.evaluate(data, action), reference, asked)
        assert {"value", "action", "duals", "A", "A_ij", "Q"} <= set(found)
        assert max(found.values()) <= TOLERANCE, found
