"""Traces inside a page: what is drawn is in the log, no peak is lost, and the page stays small."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.cosim import open_log, simulate
from dmpcrl_ctrl.cosim.log import Run
from dmpcrl_ctrl.plants import chain
from dmpcrl_ctrl.validation.campaign import Campaign, RunResult
from dmpcrl_ctrl.validation.campaign_traces import Embedded, extremes, failed_spans, in_order_of_interest, trace_of
from tests.validation.conftest import ShortRun


def result(name: str, index: int, cost: float, outside: int = 0) -> RunResult:
    return RunResult(f"{name}-{index}", name, "", index, index, cost, 10, outside)


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("long") / "long.h5"
    plant = chain()
    with simulate(plant, LQR.for_plant(plant), t_end=1500.0, seed=1, log=path):
        pass
    return open_log(path)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=300), st.integers(6, 60))
def test_extremes_keep_ends_and_peaks_and_no_more_points_than_allowed(values: list[float], points: int) -> None:
    array = np.array(values)
    rows = extremes(array, points)
    assert len(rows) <= max(points, 2)
    assert (np.diff(rows) > 0).all()
    assert (rows[0], rows[-1]) == (0, len(values) - 1)
    if np.isfinite(array).any():
        assert np.nanmax(array[rows]) == np.nanmax(array)
        assert np.nanmin(array[rows]) == np.nanmin(array)
    if len(values) <= points:
        assert len(rows) == len(values)


def test_a_short_run_is_there_to_the_last_sample(short_run: ShortRun) -> None:
    trace = trace_of(short_run.run)
    assert not trace.thinned
    curves = {curve.name: curve for panel in trace.panels for curve in panel.curves}
    assert set(curves) >= {*short_run.run.state_names, *short_run.run.input_names}
    for name, curve in curves.items():
        assert np.array_equal(curve.values, short_run.run[name])
    limits = dict(zip(short_run.run.state_names, short_run.run.state_limits.tolist(), strict=True))
    assert [curves["dtheta_1"].low, curves["dtheta_1"].high] == limits["dtheta_1"]


def test_what_is_embedded_decodes_to_the_log(long_run: Run) -> None:
    embedded = Embedded()
    embedded.offer(result("weak", 0, 1.0), long_run)
    content = json.loads(json.dumps(embedded.content))
    (trace,), (layout,), (time,) = content["traces"], content["layouts"], content["times"]
    assert time == {"start": 0.0, "step": 1.0, "count": 1501}
    names = [signal["name"] for panel in layout for signal in panel["signals"]]
    assert embedded.thinned
    for name, values, rows in zip(names, trace["values"], trace["rows"], strict=True):
        numbers = np.frombuffer(base64.b64decode(rows), "<u4")
        kept = np.frombuffer(base64.b64decode(values), "<f4")
        assert np.array_equal(kept, long_run[name][numbers].astype(np.float32))


def test_instants_at_unequal_distances_are_kept_one_by_one(campaign: Campaign) -> None:
    with open_log(str(campaign.results[0].log)) as run:
        run.time  # noqa: B018  read before it is replaced
        run.__dict__["time"] = run.time**2
        embedded = Embedded()
        embedded.offer(campaign.results[0], run)
        (time,) = embedded.content["times"]
        assert np.array_equal(np.frombuffer(base64.b64decode(time["each"]), "<f8"), run.time)


def test_traces_end_where_the_budget_does(long_run: Run) -> None:
    one = Embedded()
    one.offer(result("weak", 0, 1.0), long_run)
    size = len(json.dumps(one.content))
    embedded = Embedded(budget=5 * size)
    for index in range(200):
        embedded.offer(result("weak", index, 1.0), long_run)
    assert 5 <= len(embedded.place) < 200
    assert embedded.offered == 200
    assert len(json.dumps(embedded.content)) <= 5.1 * size
    assert Embedded(budget=1).place == {}
    tiny = Embedded(budget=1)
    tiny.offer(result("weak", 0, 1.0), long_run)
    assert len(tiny.place) == 1  # one run is always there


def test_runs_with_violations_come_first_and_seeds_stay_together() -> None:
    runs = [result("a", k, float(k)) for k in range(9)] + [result("b", k, 9.0 - k) for k in range(9)]
    runs[13] = replace(runs[13], violated_samples=7)
    runs[2] = replace(runs[2], violated_samples=1, cost=float("nan"))
    order = [run.name for run in in_order_of_interest(runs)]
    assert order[:4] == ["b-4", "a-4", "a-2", "b-2"]
    assert sorted(order) == sorted(run.name for run in runs)
    assert all(mine.split("-")[1] == other.split("-")[1] for mine, other in zip(order[::2], order[1::2], strict=True))
    assert {"a-8", "a-0"} <= set(order[:12])


def test_too_many_signals_leave_the_limited_ones(short_run: ShortRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmpcrl_ctrl.validation.campaign_traces.MOST_SIGNALS", 4)
    trace = trace_of(short_run.run)
    assert [curve.name for panel in trace.panels for curve in panel.curves] == [f"dtheta_{k}" for k in (1, 2, 3, 4)]
    assert trace.left_out >= 16


def test_failed_solves_become_intervals(campaign: Campaign, tmp_path: Path) -> None:
    with open_log(str(campaign.of("agents")[0].log)) as run:
        assert failed_spans(run) == ()
        (trace,) = run.controllers.values()
        status = trace["status"].copy()
        status[[2, 3, 7]] = 3

        class Told:
            fields, flags = trace.fields, trace.flags

            def __getitem__(self, field: str) -> np.ndarray:
                return status if field == "status" else trace[field]

        run.controllers = {"agents": Told()}  # type: ignore[dict-item]
        assert failed_spans(run) == ((2.0, 4.0), (7.0, 8.0))
