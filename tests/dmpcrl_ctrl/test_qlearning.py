"""The update of the agents is that of one central learner: a temporal difference, a mean, a step, a projection."""

import numpy as np
import pytest

from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free, SemidefiniteFactor
from dmpcrl_ctrl.projection import at_least
from dmpcrl_ctrl.qlearning import flat, gradient_by_theta, gradient_step, moved, shaped, temporal_difference

THETA = {"A": np.array([[1.0, 2.0], [3.0, 4.0]]), "V0": np.array(5.0), "b": np.array([6.0, 7.0])}


def test_shares_of_the_temporal_difference_add_up_to_it() -> None:
    cost, after, before = np.array([1.0, 2.0]), np.array([10.0, 20.0]), np.array([3.0, 4.0])
    assert temporal_difference(cost, 0.5, after, before).tolist() == [3.0, 8.0]
    assert temporal_difference(cost, 0.5, after, before).sum() == 3.0 + 0.5 * 30.0 - 7.0


def test_parameters_go_to_a_vector_and_back() -> None:
    assert flat(THETA).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    back = shaped(flat(THETA), THETA)
    assert list(back) == list(THETA)
    assert all(np.array_equal(back[name], THETA[name]) for name in THETA)
    assert flat({}).shape == (0,)


def test_a_step_goes_along_the_mean_of_the_products() -> None:
    gradients = np.arange(14.0).reshape(2, 7)
    # 2 (0, 1, ...) and 4 (7, 8, ...): mean 14, 17, 20, ...
    step = gradient_step(np.array([2.0, 4.0]), gradients, 0.1)
    assert step == pytest.approx(1.4 + 0.3 * np.arange(7.0))
    found = moved(THETA, step, {"b": at_least(9.0)})
    assert found["A"] == pytest.approx(np.array([[2.4, 3.7], [5.0, 6.3]]))
    assert found["V0"] == pytest.approx(7.6)
    assert found["b"] == pytest.approx([9.0, 10.2])


def test_gradients_go_through_each_agents_parametrization() -> None:
    model = LocalModel([[0.9]], [[1.0]], [[4.0]], [[1.0]])
    made = [Parametrization(model, [Free("b")]), Parametrization(model, [SemidefiniteFactor("Q"), Free("b")])]
    gradients = [{"b": np.array([2.0])}, {"b": np.array([3.0]), "Q": np.array([[5.0]])}]
    first, second = gradient_by_theta(made, [own.initial for own in made], gradients)
    # Q = l^2 at l = 2: dQ/dl = 4
    assert (first.tolist(), sorted(second.tolist())) == ([2.0], [3.0, 20.0])
