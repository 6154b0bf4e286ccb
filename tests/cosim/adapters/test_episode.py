"""Episodes begin by a seed, and end where they were told to or where the plant does."""

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.cosim.adapters.episode import Episodes, checked_seed
from dmpcrl_ctrl.errors import PlantError, SimulationError
from dmpcrl_ctrl.plants import Plant, chain


def test_an_episode_is_over_after_its_steps() -> None:
    episodes = Episodes(chain(), steps=2)
    begun = episodes.begin(3)
    assert begun.sample is episodes.sample and begun.cost.tolist() == [0.0] * 3
    assert [episodes.follow(np.zeros(3)).truncated for _ in range(2)] == [False, True]
    with pytest.raises(SimulationError, match=r"no episode is running: call reset\(\)"):
        episodes.follow(np.zeros(3))
    assert np.array_equal(episodes.begin(3).sample.state, begun.sample.state)


def test_what_cannot_begin_leaves_the_episode_as_it_was() -> None:
    episodes, other, zero = Episodes(chain()), Episodes(chain()), np.zeros(3)
    episodes.begin(3)
    other.begin(3)
    for seed, options in ((4, {"initial_state": [np.nan] * 6}), (-1, {}), (4, {"initial_stat": [0.0] * 6})):
        with pytest.raises((SimulationError, PlantError)):
            episodes.begin(seed, options)
    assert np.array_equal(episodes.follow(zero).sample.state, other.follow(zero).sample.state)
    assert np.array_equal(episodes.follow(zero).sample.state, other.follow(zero).sample.state)


def test_a_cost_that_is_no_number_ends_an_episode_that_may_fail() -> None:
    system = ct.ss([[1e100]], [[1.0]], [[1.0]], 0, 1.0, states=["x"], inputs=["u"], outputs=["x"])
    plant = Plant(system, name="steep", initial_state=[1e60])
    ends, goes_on = Episodes(plant, failure_cost=7.0), Episodes(plant)
    for episodes in (ends, goes_on):
        episodes.begin(0)
        assert np.isfinite(episodes.follow([0.0]).cost).all()
    found = ends.follow([0.0])
    assert found.terminated and found.cost.tolist() == [7.0] and found.reason == "t = 1 s: steep: stage cost is inf"
    assert goes_on.follow([0.0]).cost.tolist() == [np.inf]


def test_what_is_told_is_the_callers_own() -> None:
    episodes = Episodes(chain())
    episodes.begin(0)
    found = episodes.follow(np.full(3, 0.5))
    info = found.info(episodes.plant)
    for key in ("applied", "cost", "violation"):
        info[key] += 1.0
    assert found.applied.tolist() == [0.5] * 3
    assert set(info) == {"time", "applied", "cost", "violation"}


def test_seeds_are_whole_numbers() -> None:
    assert checked_seed(np.int64(3)) == 3
    for seed in (-1, True, 1.0, "1", None):
        with pytest.raises(SimulationError, match="seed must be a whole number of at least 0"):
            checked_seed(seed)
