"""A fixed number of iterations is no agreement: what the report says of agents that are still apart."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from dmpcrl_ctrl.cosim import Run, open_log
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.agreement import WORST_SHARE, agreement_of
from dmpcrl_ctrl.validation.experiment import Override, load_experiment
from dmpcrl_ctrl.validation.runner import execute, prepare
from dmpcrl_ctrl.validation.wording import findings, table
from tests.validation.conftest import ShortRun
from tests.validation.test_metrics import Trace, hand_made

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def outcome(folder: Path, *sets: str) -> tuple[Any, Run, Plant]:
    texts = ("simulation.t_end=8.0", "simulation.dense=0", *sets)
    experiment = load_experiment(EXAMPLES / "hycon2_scenario1.toml", [Override.read(text) for text in texts])
    prepared = prepare(experiment, folder)
    done = execute(prepared)
    return done, open_log(done.log), prepared.plant


def test_two_iterations_are_told_as_not_converged(tmp_path: Path) -> None:
    done, run, _ = outcome(tmp_path, "controller.admm.iterations=2")
    found = done.summary.controllers["mpc"].agreement
    trace = run.controllers["mpc"]
    # The angles are what the areas share; both shares by hand.
    angles = np.abs([run[f"dtheta_{k}"] for k in (1, 2, 3, 4)]).max()
    assert found.apart == pytest.approx(trace["admm/primal_residual"][:, 1].max() / angles)
    assert found.from_central == pytest.approx(trace["central_difference"].max() / 1.0)  # narrowest: |dPref_1| <= 0.5
    assert found.apart > WORST_SHARE
    assert 0 < found.doubtful_samples <= 8
    first = findings(done.summary)[0]
    assert first.tone == "bad" and "not converged: at" in first.text
    assert not any("solved its problem at all" in finding.text for finding in findings(done.summary))
    assert [row.value for row in table(done.summary) if row.label == "not converged"] == [
        f"{found.doubtful_samples} of 8"
    ]
    assert "not converged: at" in done.page.read_text(encoding="utf-8")


def test_enough_iterations_are_good(short_run: ShortRun) -> None:
    found = short_run.summary.controllers["mpc"].agreement
    assert found is not None and found.doubtful_samples == 0
    assert found.apart is not None and found.apart < 1e-3
    assert findings(short_run.summary)[0].tone == "good"


def test_without_the_plant_only_the_central_solution_tells(short_run: ShortRun) -> None:
    alone = agreement_of(short_run.run.controllers["mpc"], short_run.run)
    assert alone is not None and alone.apart is None and alone.from_central is not None


def test_one_agent_has_nobody_to_agree_with(tmp_path: Path) -> None:
    done, run, plant = outcome(tmp_path, 'plant={kind="random_power_network", areas=1}')
    found = agreement_of(run.controllers["mpc"], run, plant)
    assert found is None or (found.apart is None and found.doubtful_samples == 0)
    assert findings(done.summary)[0].tone == "good"


def test_a_failed_solve_is_not_told_twice_and_a_difference_is_held_against_the_range() -> None:
    trace = Trace(
        {
            "status": np.array([Status.MAX_ITERATIONS, Status.MAX_ITERATIONS, Status.SOLVER_FAILED, Status.OPTIMAL]),
            "central_difference": np.array([0.041, 0.039, 9.0, np.nan]),
        }
    )
    run = hand_made(controllers={"mpc": trace})  # u within [-2, 2]
    found = agreement_of(cast(Any, trace), run)
    assert found is not None and found.doubtful_samples == 1
    assert found.from_central == pytest.approx(9.0 / 4.0)


def test_a_regulator_makes_no_claim() -> None:
    trace = Trace({"status": np.zeros(4, dtype=int)})
    assert agreement_of(cast(Any, trace), hand_made(controllers={"mpc": trace})) is None
