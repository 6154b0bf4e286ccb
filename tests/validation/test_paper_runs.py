"""What is run: policies on the noise that all meet, and distances of multipliers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.validation.learners import COMPARED
from dmpcrl_ctrl.validation.paper import chain_mpc, chain_plant
from dmpcrl_ctrl.validation.paper_runs import EVALUATION_SEED, run_work
from dmpcrl_ctrl.validation.paper_work import Work, results
from tests.validation.small_work import SMALL, TRAIN


def test_a_policy_is_tried_out_on_the_noise_that_all_controllers_meet(tmp_path: Path) -> None:
    """Before it has learned it costs what the plain controller does in the plain loop."""
    run_work(TRAIN, tmp_path)
    tried = replace(TRAIN, name="tried", controller="try central")
    run_work(tried, tmp_path)
    found = results("tried", tmp_path)
    assert found["samples"].tolist() == [0, 10, 12]
    assert found["cost"].shape == found["violations"].shape == (3, 2)
    plain = chain_mpc(distributed=False, variant="published", certify=False)
    plant = chain_plant(evaluation=True, variant="published")
    # the loop is chaotic: later than in some forty samples the least difference of two solves shows
    with simulate(plant, plain, t_end=30.0, seed=EVALUATION_SEED + 1) as run:
        assert np.asarray(run.cost).sum() == pytest.approx(found["cost"][0, 1], rel=1e-6)


def test_multipliers_of_both_models_and_penalties(tmp_path: Path) -> None:
    run_work(Work("duals", "chain", "duals", "published", 0, SMALL), tmp_path)
    found = results("duals", tmp_path)
    assert len(found) == 4
    assert all(distances.shape == (2, 100) for distances in found.values())
    assert all((distances[:, -1] < distances[:, 0]).all() for distances in found.values())


def test_every_learner_is_tried_out_as_it_learns(tmp_path: Path) -> None:
    small = replace(SMALL, learner_samples=12)
    for name in COMPARED:
        work = Work(f"learner {name}-0", "chain", f"learn {name}", "published", 0, small)
        run_work(work, tmp_path)
        found = results(work.name, tmp_path)
        assert found["samples"].tolist() == [12]
        assert found["cost"].shape == (1, 2)
        assert int(found["skipped"]) >= 0
