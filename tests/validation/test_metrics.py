"""Numbers of a run: recomputed here from the log by other means."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from dmpcrl_ctrl.cosim.log import Run
from dmpcrl_ctrl.status import Applied, Status
from dmpcrl_ctrl.validation.metrics import ControllerSummary, Spread, Summary, summarise
from tests.validation.conftest import ShortRun


class Trace(dict[str, Any]):
    """A controller's trace made by hand."""

    name = "mpc"
    sample_time = 1.0
    output_names = ("u",)

    def flags(self, field: str) -> dict[int, str]:
        kinds: dict[str, type[Status] | type[Applied]] = {"status": Status, "applied_kind": Applied}
        return {int(member): member.name.lower() for member in kinds.get(field, ())}

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(self)

    @property
    def due(self) -> np.ndarray[Any, Any]:
        return self["status"] != Status.IDLE


def hand_made(**changes: Any) -> Run:
    """Four rows of two states and one input, three of them samples; the second state leaves its limits at two rows."""
    status = np.array([Status.OPTIMAL, Status.IDLE, Status.PRIMAL_INFEASIBLE, Status.MAX_ITERATIONS])
    residual = np.array([[1.0, 0.1, np.nan], [np.nan] * 3, [9.0, 8.0, 7.0], [1.0, 0.5, 0.25]])
    trace = Trace(
        {
            "status": status,
            "applied_kind": np.array([Applied.FRESH, Applied.FRESH, Applied.HELD, Applied.FRESH]),
            "culprit": np.array([-1, -1, 1, -1]),
            "solve_time": np.array([0.1, 99.0, 0.3, 0.2]),
            "admm/primal_residual": residual,
            "plan/left": np.zeros((4, 1)),
            "plan/right": np.zeros((4, 1)),
        }
    )
    run = SimpleNamespace(
        time=np.array([0.0, 1.0, 2.0, 3.0, 4.0]),
        violations=np.array([[0.0, 0.0], [0.0, 0.5], [0.0, 1e-9], [0.0, 1.0], [0.0, 0.0]]),
        plants=("pair",),
        agent_names=("left", "right"),
        state_limits=np.array([[-np.inf, np.inf], [-1.0, 1.0]]),
        state_names=("a", "b"),
        input=np.array([[0.5], [2.0], [-2.0], [1.0]]),
        input_limits=np.array([[-2.0, 2.0]]),
        input_names=("u",),
        cost=np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]),
        controllers={"mpc": trace},
    )
    for key, value in changes.items():
        setattr(run, key, value)
    return cast(Run, run)


@pytest.fixture
def summary() -> Summary:
    return summarise(hand_made())


def test_cost_is_summed_over_samples_and_agents(summary: Summary) -> None:
    assert summary.samples == 3  # the controller was idle at the second row
    assert summary.total_cost == 29.0
    assert summary.mean_cost == 29.0 / 3.0
    assert summary.agent_cost == {"left": 13.0, "right": 16.0}


def test_violations_count_instants_and_the_worst_and_spare_solver_tolerance(summary: Summary) -> None:
    assert summary.violated_samples == 1
    assert set(summary.violations) == {"b"}
    assert summary.violations["b"].samples == 1
    assert summary.violations["b"].worst == 1.0
    assert summary.limited_states == 1
    assert summary.saturated == {"u": 1}
    always = Trace({"status": np.array([Status.OPTIMAL] * 4)})
    found = summarise(hand_made(controllers={"mpc": always}))
    assert (found.violated_samples, found.violations["b"].samples, found.saturated) == (2, 2, {"u": 2})


def test_rows_at_which_a_controller_was_idle_do_not_count(summary: Summary) -> None:
    controller = summary.controllers["mpc"]
    assert controller.samples == 3
    assert controller.statuses == {"optimal": 1, "max_iterations": 1, "primal_infeasible": 1}
    assert controller.applied == {"fresh": 2, "held": 1}
    assert controller.culprits == {"right": 1}
    assert controller.first_failure == 2.0
    assert controller.solve_time is not None
    assert controller.solve_time.max == 0.3
    assert controller.solve_time.median == pytest.approx(0.2)


def test_the_last_residual_of_each_sample_counts(summary: Summary) -> None:
    residual = summary.controllers["mpc"].primal_residual
    assert residual is not None
    assert residual.max == 7.0  # the last that is finite: 0.1, 7, 0.25
    assert residual.median == 0.25
    assert summary.controllers["mpc"].dual_residual is None


def test_a_spread_of_nothing_is_none() -> None:
    assert Spread.of(np.array([])) is None
    assert Spread.of(np.array([np.nan, np.inf])) is None
    assert Spread.of(np.array([1.0, np.nan])) == Spread(1.0, 1.0, 1.0)


def test_json_has_no_word_for_infinity(summary: Summary) -> None:
    tree = replace(summary, total_cost=math.inf, indices={"eta": math.nan}).as_json()
    assert tree["total_cost"] is None
    assert tree["indices"] == {"eta": None}
    assert json.loads(json.dumps(tree, allow_nan=False))["violations"]["b"]["worst"] == 1.0


def test_the_numbers_of_a_real_run(short_run: ShortRun) -> None:
    run, plant, summary = short_run.run, short_run.plant, short_run.summary
    assert summary.samples == 8
    assert summary.t_end == 8.0
    stage = [
        plant.stage_cost(x, u, setpoint).sum()
        for x, u, setpoint in zip(run.state[:-1], run.input, run.setpoint, strict=True)
    ]
    assert summary.total_cost == pytest.approx(sum(stage), rel=1e-12)
    x = run.state[:-1] - run.setpoint[:, :16]
    u = run.input - run.setpoint[:, 16:]
    eta = (x**2 @ np.tile([500, 0.01, 0.01, 10], 4) + 10 * (u**2).sum(axis=1)).mean()
    assert summary.indices["eta"] == pytest.approx(eta, rel=1e-12)
    controller = summary.controllers["mpc"]
    assert controller.samples == 8
    assert sum(controller.statuses.values()) == 8
    assert controller.iterations is not None
    assert controller.iterations.max == 30
    assert controller.central_difference is not None
    assert 0.0 < controller.central_difference.max < 1e-3


def test_a_log_alone_gives_the_same_numbers_but_for_indices(short_run: ShortRun) -> None:
    alone = summarise(short_run.run)
    assert alone.indices == {}
    assert alone.total_cost == short_run.summary.total_cost
    assert alone.violations == short_run.summary.violations
    mine: ControllerSummary = alone.controllers["mpc"]
    assert mine.solve_time == short_run.summary.controllers["mpc"].solve_time
