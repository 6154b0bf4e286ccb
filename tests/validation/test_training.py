"""Training goes on from episode to episode and from training to training, and pays."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.controllers.observer import Observer
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.qlearning import flat
from dmpcrl_ctrl.validation.paper import chain_learning, chain_plant, power_learning, power_plant
from dmpcrl_ctrl.validation.training import Snapshot, train


def test_episodes_start_anew_and_learning_goes_on() -> None:
    learning, fractions = power_learning(distributed=False, update_every=10), list[float]()
    first = train(power_plant(), learning, steps=20, episodes=2, progress=fractions.append)
    assert first.cost.shape == first.td_error.shape == (2, 20)
    # the first sample of an episode has nothing to look back on
    assert np.isnan(first.td_error).sum(axis=1).tolist() == [1, 1]
    assert (first.state.transitions, first.state.updates) == (38, 3)
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)
    more = train(power_plant(), learning, steps=20, start=first.state, seed=1)
    assert (more.state.transitions, more.state.updates) == (57, 5)


def test_the_seed_decides() -> None:
    learning = chain_learning(distributed=False)
    thetas = []
    for seed in (0, 0, 1):
        found = train(chain_plant(), learning, steps=15, seed=seed)
        thetas.append(np.concatenate([flat(own) for own in found.theta]))
    assert np.allclose(thetas[0], thetas[1], rtol=1e-9, atol=1e-12)
    assert not np.allclose(thetas[0], thetas[2], rtol=1e-6)


@pytest.mark.long
def test_the_chain_learns_to_keep_its_bounds() -> None:
    """The published curve falls from 0.65 over the first thousand steps to 0.23 over the second; here in 600."""
    found = train(chain_plant(), chain_learning(distributed=False), steps=600)
    cost = found.cost[0].reshape(3, 200).mean(axis=1)
    assert cost[2] < 0.5 * cost[0]


def test_a_checkpoint_costs_one_transition_and_little_else() -> None:
    """The solvers start cold there, which may not show beyond their tolerance."""
    snapshots: list[Snapshot] = []
    options: dict[str, Any] = {"steps": 12, "seed": 2}
    cut = train(
        chain_plant(),
        chain_learning(distributed=False, update_every=100),
        checkpoint=snapshots.append,
        checkpoint_every=5,
        **options,
    )
    whole = train(chain_plant(), chain_learning(distributed=False, update_every=100), **options)
    assert [snapshot.loop is None for snapshot in snapshots] == [False, False, True]
    assert np.isnan(cut.td_error[0]).nonzero()[0].tolist() == [0, 5, 10]
    assert (whole.state.transitions, cut.state.transitions) == (11, 9)
    assert np.allclose(cut.cost, whole.cost, rtol=1e-6)
    with pytest.raises(LearningError, match="steps must be at least 1, got 0"):
        train(chain_plant(), chain_learning(distributed=False), steps=0)


def test_the_curves_are_those_of_the_logged_loop() -> None:
    learning = chain_learning(distributed=False)
    found = train(chain_plant(), learning, steps=15, seed=3)
    seed = int(np.random.SeedSequence(3).generate_state(1)[0])
    run = simulate(chain_plant(), learning, t_end=15.0, seed=seed)
    assert np.allclose(found.cost[0], np.asarray(run.cost).sum(axis=1), rtol=1e-12)
    seen = np.asarray(run.controllers["learning"]["td_error"]).mean(axis=1)
    assert np.allclose(found.td_error[0], seen, rtol=1e-12, equal_nan=True)
    assert found.violations[0] == (np.asarray(run.violations) > 1e-6).any(axis=1).sum()


def test_an_observer_may_be_in_the_loop() -> None:
    plant, learning = chain_plant(), chain_learning(distributed=False)
    observer = Observer.for_plant(plant, sample_time=1.0)
    snapshots: list[Snapshot] = []
    found = train(plant, learning, steps=6, others=[observer], checkpoint=snapshots.append, checkpoint_every=2)
    assert np.isfinite(found.cost).all()
    assert len(snapshots) == 1  # its state is not kept, so that there is none within an episode
