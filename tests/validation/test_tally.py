"""Counted as it runs, an episode costs what its log says."""

import numpy as np

from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.validation.metrics import summarise
from dmpcrl_ctrl.validation.paper import chain_mpc, chain_plant, power_mpc, power_plant
from dmpcrl_ctrl.validation.tally import tally, violates


def test_an_episode_costs_what_its_log_says() -> None:
    for plant, block in (
        (chain_plant(evaluation=True), chain_mpc(distributed=False)),
        (power_plant(), power_mpc(distributed=False)),
    ):
        found = tally(plant, block, 25.0, 3)
        with simulate(plant, block, t_end=25.0, seed=3) as run:
            expected = summarise(run, plant)
        assert abs(found.cost - expected.total_cost) <= 1e-12 * expected.total_cost
        assert found.violated == expected.violated_samples


def test_a_state_on_its_limit_is_inside_and_one_without_limits_always() -> None:
    limits = np.array([[-1.0, 1.0], [-np.inf, np.inf]])
    assert not violates(np.array([1.0, 1e9]), limits)
    assert violates(np.array([1.001, 0.0]), limits)
    assert violates(np.array([-1.001, 0.0]), limits)
