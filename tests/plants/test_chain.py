"""The paper's chain: its matrices, its continuous realisation, the models of its agents."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.errors import ModelError, PlantError
from dmpcrl_ctrl.plants.chain import chain, chain_model, continuous_realisation
from dmpcrl_ctrl.plants.zoh import zoh


def stepped(x: np.ndarray, a: np.ndarray, e: np.ndarray) -> np.ndarray:
    """The difference equation of the paper, agent by agent."""
    s, after = x.reshape(3, 2), np.empty((3, 2))
    for i, others in enumerate([(1,), (0, 2), (1,)]):
        after[i] = [0.9 * s[i, 0] + 0.35 * s[i, 1] + 0.0813 * a[i] + e[i], 1.1 * s[i, 1] + 0.2 * a[i]]
        for j in others:
            after[i, 1] += -0.1 * s[j, 1]
    return after.ravel()


def test_discrete_continuous_and_written_out_agree() -> None:
    """40 steps from random states, inputs and noise: relative 1e-12."""
    discrete, continuous = chain(), chain(continuous=True)
    assert discrete.sample_time == 1 and continuous.sample_time is None
    rng = np.random.default_rng(0)
    x = y = z = discrete.initial_state
    for _ in range(40):
        a, e = rng.uniform(-1, 1, 3), rng.uniform(-0.1, 0.0, 3)
        x, y, z = discrete.advance(x, 1, a, e), continuous.advance(y, 1, a, e), stepped(z, a, e)
        np.testing.assert_allclose(x, z, atol=1e-12 * max(1.0, np.abs(z).max()))
        np.testing.assert_allclose(y, z, atol=1e-12 * max(1.0, np.abs(z).max()))


def test_the_continuous_chain_couples_the_ends_but_its_graph_stays_a_chain() -> None:
    plant = chain(continuous=True)
    assert np.abs(plant.system.A[:2, 4:]).max() > 1e-4
    assert [agent.neighbours for agent in plant.agents] == [("agent_2",), ("agent_1", "agent_3"), ("agent_2",)]


def test_the_models_are_those_of_the_difference_equation_either_way() -> None:
    for mine, other in zip(
        chain().local_models(1.0).models, chain(continuous=True).local_models(1.0).models, strict=True
    ):
        np.testing.assert_array_equal(mine.A, [[0.9, 0.35], [0.0, 1.1]])
        np.testing.assert_array_equal(mine.B, [[0.0813], [0.2]])
        np.testing.assert_array_equal(mine.E, [[1.0], [0.0]])
        for name in ("A", "B", "E", "Q", "R", "slack_weight"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))
        assert mine.A_ij.keys() == other.A_ij.keys()
    with pytest.raises(ModelError, match="a sample time of its own, 1 s; got 0.5 s: give sample_time=1"):
        chain(continuous=True).local_models(0.5)


def test_the_agents_start_from_an_inexact_model_without_coupling() -> None:
    start, true = chain_model(), chain_model(true=True)
    np.testing.assert_array_equal(start[1].A, [[1.0, 0.25], [0.0, 1.0]])
    np.testing.assert_array_equal(start[1].B, [[0.0312], [0.25]])
    np.testing.assert_array_equal(true[1].A_ij[2], [[0.0, 0.0], [0.0, -0.1]])
    for models in (start, true):
        assert [model.neighbours for model in models] == [(1,), (0, 2), (1,)]
        assert models[1].coupled_columns(0) == (0, 1)
        for model in models:
            assert model.d == 0
            np.testing.assert_array_equal(model.Q, 0.5 * np.eye(2))
            np.testing.assert_array_equal(model.R, [[0.25]])
            np.testing.assert_array_equal(model.lower, [0.0, -1.0])
            np.testing.assert_array_equal(model.upper, [1.0, 1.0])
            np.testing.assert_array_equal(model.slack_weight, [60.0, 60.0])
            assert (model.u_min[0], model.u_max[0]) == (-1.0, 1.0)


def test_the_noise_pushes_down_alone_or_together_and_nobody_is_told() -> None:
    seed = np.random.SeedSequence(0)
    plant = chain()
    bound = plant.bind(1, seed)
    draws = np.array([bound.values(k) for k in range(50)])
    assert (draws <= 0.0).all() and (draws >= -0.1).all() and len(np.unique(draws)) == 150
    assert plant.measured_names == () and not bound.measured(3).any()
    together = chain(noise="common")
    assert together.disturbance_names == ("e",)
    shock = together.advance(np.zeros(6), 1, np.zeros(3), np.array([-0.1]))
    np.testing.assert_array_equal(shock, [-0.1, 0.0] * 3)
    assert not chain(noise=False).bind(1, seed).values(3).any()


def test_the_cost_is_the_papers() -> None:
    x, a = np.array([-0.5, 0.2, 0.3, 1.5, 2.0, 0.0]), np.array([1.0, 0.0, -0.5])
    cost = chain().stage_cost(x, a, np.zeros(9))
    by_hand = [0.5 * (0.29 + 0.5 + 120 * 0.5), 0.5 * (2.34 + 120 * 0.5), 0.5 * (4.0 + 0.125 + 120 * 1.0)]
    np.testing.assert_allclose(cost, by_hand)


def test_a_realisation_gives_its_samples_back() -> None:
    Ad, Bd = np.array([[0.5, 0.3], [-0.2, 0.9]]), np.array([[1.0], [0.5]])
    again = zoh(*continuous_realisation(Ad, Bd, 0.1), 0.1)
    np.testing.assert_allclose(again[0], Ad, atol=1e-14)
    np.testing.assert_allclose(again[1], Bd, atol=1e-14)


@pytest.mark.parametrize("pole", [0.0, -0.5])
def test_a_pole_that_no_real_system_has_is_refused(pole: float) -> None:
    with pytest.raises(PlantError, match="negative real axis"):
        continuous_realisation(np.diag([0.5, pole]), np.ones((2, 1)), 1.0)


@pytest.mark.parametrize("arguments", [{"model": "exact"}, {"noise": "shared"}])
def test_unknown_options_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(PlantError, match="model is 'true' or 'initial', noise True, False or 'common'"):
        chain(**arguments)
