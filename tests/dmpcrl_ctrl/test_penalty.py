"""The automatic penalty follows the curvature, in the units of the states, and stays finite where there is none."""

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.value import agent_data


def pair(scale: float = 1.0, price: float = 1.0) -> MPCProblem:
    """Two coupled integrators; `scale` is the unit of agent 0's state, `price` a factor of all costs."""
    s = scale
    first = LocalModel([[1.0]], [[s]], [[price / s**2]], [[price]])
    second = LocalModel([[1.0]], [[1.0]], [[price]], [[price]], A_ij={0: [[0.5 / s]]})
    return MPCProblem((first, second), 5, 0.9)


def test_weights_scale_with_the_costs_and_against_the_square_of_the_unit() -> None:
    plain = DistributedEvaluator(pair()).weights
    assert np.allclose(DistributedEvaluator(pair(price=100.0)).weights, 100.0 * plain, rtol=1e-6)
    assert np.allclose(DistributedEvaluator(pair(scale=1e3)).weights, plain / 1e6, rtol=1e-6)


def test_weights_fall_with_the_discount_and_with_the_reach_of_the_owner() -> None:
    """x(k) is the sum of k inputs, so that the curvature of the owner's cost in x(k) alone is written out."""
    weights = DistributedEvaluator(pair()).weights
    discount = 0.9 ** np.arange(5.0)
    # the owner's Hessian in its inputs: sum_k 2 gamma^k (x(k)^2 + u(k)^2), x(N) without cost
    sums = np.tril(np.ones((5, 5)))
    hessian = 2.0 * np.diag(discount) + 2.0 * sums[:4].T @ np.diag(0.9 ** np.arange(1.0, 5.0)) @ sums[:4]
    reach = np.diag(sums[:4] @ np.linalg.inv(hessian) @ sums[:4].T)
    alone = 1.0 / reach / 0.9 ** np.arange(1.0, 5.0)
    expected = 0.9 ** np.arange(1.0, 5.0) * np.sqrt(alone)
    assert np.allclose(weights / weights[-1], expected / expected[-1], rtol=1e-6)


def test_a_stage_out_of_reach_is_heavier_but_not_without_end() -> None:
    """The input moves the shared component only from the second stage on."""
    owner = LocalModel([[1.0, 1.0], [0.0, 1.0]], [[0.0], [1.0]], np.eye(2), [[1.0]])
    follower = LocalModel([[0.9]], [[1.0]], [[1.0]], [[1.0]], A_ij={0: [[0.5, 0.0]]})
    weights = DistributedEvaluator(MPCProblem((owner, follower), 4)).weights
    assert weights[0] == pytest.approx(100.0 * weights[1:].min())


def test_scale_does_not_change_the_number_of_iterations() -> None:
    counts = []
    for scale in (1.0, 5e3):
        problem = pair(scale)
        evaluator = DistributedEvaluator(problem, ADMMOptions(iterations=3000, tolerance=1e-9))
        data = agent_data(problem, [[scale], [-1.0]])
        evaluation = evaluator.evaluate(data)
        assert evaluation.value == pytest.approx(CentralEvaluator(problem).evaluate(data).value, rel=1e-7)
        counts.append(evaluation.iterations)
    assert max(counts) < 60


@pytest.mark.parametrize(
    "owner",
    [
        LocalModel([[0.5]], np.zeros((1, 0)), [[1.0]], np.zeros((0, 0))),
        LocalModel([[0.5]], [[0.0]], [[0.0]], [[0.0]], u_min=[-1.0], u_max=[1.0]),
        LocalModel([[0.5]], [[1.0]], [[0.0]], [[0.0]], u_min=[-1.0], u_max=[1.0]),
    ],
    ids=["no input", "an input without effect or cost", "no cost at all"],
)
def test_an_owner_without_curvature_has_finite_weights_and_converges(owner: LocalModel) -> None:
    follower = LocalModel([[0.9]], [[1.0]], [[1.0]], [[1.0]], A_ij={0: [[0.5]]})
    problem = MPCProblem((owner, follower), 5)
    evaluator = DistributedEvaluator(problem, ADMMOptions(iterations=3000, tolerance=1e-8))
    assert np.isfinite(evaluator.weights).all() and (evaluator.weights > 0.0).all()
    data = agent_data(problem, [[1.0], [2.0]])
    evaluation = evaluator.evaluate(data)
    assert evaluation.status is Status.OPTIMAL
    assert evaluation.value == pytest.approx(CentralEvaluator(problem).evaluate(data).value, rel=1e-6)
