"""The study of convergence measures what it says."""

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.validation.convergence import (
    action_cases,
    chain_example,
    convergence,
    gradient_error,
    gradient_vectors,
    iterations_to,
    policy_cases,
    power_loop,
    warm_convergence,
)


def test_the_error_is_relative_to_each_agents_largest_entry() -> None:
    truth = (np.array([1.0, -10.0]), np.array([1e-3, 0.0]))
    assert gradient_error(truth, truth) == 0.0
    assert gradient_error((np.array([1.5, -10.0]), truth[1]), truth) == pytest.approx(0.05)
    assert gradient_error((truth[0], np.array([1e-3, 1e-4])), truth) == pytest.approx(0.1)
    assert gradient_error((np.zeros(2),), (np.zeros(2),)) == 0.0


def test_iterations_are_counted_until_the_error_stays_small() -> None:
    errors = np.array([[1.0, 1e-7, 1.0, 1e-7], [1e-7, 1e-8, 1e-9, 1e-9], [1.0, 1.0, 1.0, 1.0]])
    assert iterations_to(errors, 1e-6).tolist() == [4, 1, 5]


def test_schemes_are_told_apart_and_end_at_the_central_gradient() -> None:
    example = chain_example(2, 0, true_model=True)
    cases = policy_cases(example)
    final = {}
    for name, admm in example.schemes().items():
        errors, residuals = convergence(example.problem, cases, admm, 40)
        assert errors.shape == residuals.shape == (2, 40)
        final[name] = float(np.median(errors[:, -1]))
    assert final["accelerated"] < 1e-9 < min(final[name] for name in final if name != "accelerated")


def test_actions_lie_within_bounds_and_off_the_policy() -> None:
    example = chain_example(4, 0)
    central = CentralEvaluator(example.problem)
    for case in action_cases(example, 1):
        assert case.action is not None
        policy = central.evaluate(case.data).action
        for a, pi, model in zip(case.action, policy, example.problem.models, strict=True):
            assert (a >= model.u_min).all() and (a <= model.u_max).all() and np.abs(a - pi).max() <= 0.1 + 1e-12
        truth = central.evaluate(case.data, case.action)
        assert gradient_error(gradient_vectors(truth), case.gradient) == 0.0


def test_a_loop_is_taken_in_order_and_a_warm_start_pays() -> None:
    loop = power_loop(0)
    assert len(loop.data) == 100
    cases = policy_cases(loop)[:6]
    cold, _ = convergence(loop.problem, cases, None, 8)
    warm = warm_convergence(loop.problem, cases, None, 8, kept=8)
    assert warm.shape == (6, 8) and warm[0, -1] == pytest.approx(cold[0, -1])
    assert np.median(warm[1:, -1]) < np.median(cold[1:, -1])


def test_the_residual_is_that_of_the_optimality_conditions() -> None:
    example = chain_example(1, 3)
    _, residuals = convergence(example.problem, policy_cases(example), None, 6)
    sixth = DistributedEvaluator(example.problem, ADMMOptions(iterations=6)).evaluate(example.data[0])
    assert residuals[0, -1] == pytest.approx(sixth.certificate.residual, rel=1e-6)
