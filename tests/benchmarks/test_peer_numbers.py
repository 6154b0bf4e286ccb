"""The peer's problems, stated anew from the papers, have the numbers of ours."""

import numpy as np
import pytest

from benchmarks.peer_numbers import EXAMPLES, network
from benchmarks.training import LEARNING
from dmpcrl_ctrl.validation.paper_baselines import power_scenario

LEARNABLE = ("A", "B", "E", "Q", "R", "x_lb", "x_ub")


@pytest.mark.parametrize("example", ["chain", "power"])
def test_models_and_parameters_are_ours(example: str) -> None:
    block, stated = LEARNING[example](variant="published"), EXAMPLES[example]()
    problem = block.models_at(block.theta)
    assert (stated.horizon, 0.9) == (problem.horizon, problem.discount)
    for share, model, theta in zip(stated.shares, problem.models, block.theta, strict=True):
        assert {name: value.tolist() for name, value in share.theta.items()} == {
            n: v.tolist() for n, v in theta.items()
        }
        numbers = {**share.model, **share.theta}
        for name in (name for name in LEARNABLE if model.d or name != "E"):
            np.testing.assert_allclose(numbers[name], getattr(model, name), atol=1e-14)
        assert set(share.neighbours) == set(model.A_ij)
        for j, block_j in model.A_ij.items():
            np.testing.assert_allclose(numbers[f"A_ij/{j}"], block_j, atol=1e-14)
        np.testing.assert_array_equal(np.eye(model.n)[list(share.bounded)], model.C)
        np.testing.assert_array_equal([share.low, share.high], [model.lower, model.upper])
        np.testing.assert_array_equal(model.slack_weight, share.price)
        np.testing.assert_array_equal([-model.u_min, model.u_max], share.input_bound)


def test_slopes_are_the_derivative_of_the_hold() -> None:
    block, stated, step = LEARNING["power"](variant="published"), EXAMPLES["power"](), 1e-5
    for share, made, theta in zip(stated.shares, block.parametrizations, block.theta, strict=True):
        for name, slopes in share.slopes.items():
            above, below = (made.model({**theta, name: theta[name] + sign * step}) for sign in (1.0, -1.0))
            for field in ("A", "B", "E"):
                difference = (getattr(above, field) - getattr(below, field)) / (2.0 * step)
                np.testing.assert_allclose(slopes[field], difference, atol=1e-7)


def test_the_network_of_the_scenarios_is_ours() -> None:
    (model,) = power_scenario(2).scenarios.problems[0].models
    for found, ours in zip(network(), (model.A, model.B, model.E), strict=True):
        np.testing.assert_allclose(found, ours, atol=1e-14)
    stated = EXAMPLES["power"]()
    np.testing.assert_array_equal(stated.Q, model.Q)
    np.testing.assert_array_equal(stated.R, model.R)


def test_the_plant_of_the_chain_is_the_true_one() -> None:
    stated = EXAMPLES["chain"]()
    np.testing.assert_array_equal(stated.A[:2, :4], [[0.9, 0.35, 0.0, 0.0], [0.0, 1.1, 0.0, -0.1]])
    np.testing.assert_array_equal(stated.A[:2, 4:], 0.0)
    np.testing.assert_array_equal(stated.B[:2, 0], [0.0813, 0.2])
