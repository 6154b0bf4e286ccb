"""Criteria: what is read from a line, what it is held against, and what is said of a line that is none."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmpcrl_ctrl.controllers import LQR, Block, DistributedMPC
from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.plants import Plant, chain
from dmpcrl_ctrl.validation.campaign import RunResult, jobs_of, run_campaign
from dmpcrl_ctrl.validation.criteria import COUNTS, OF_A_SAMPLE, QUANTITIES, RELATIONS, STATISTICS, Criterion


def run(index: int, cost: float, violated: int = 0, error: str = "", **more: object) -> RunResult:
    return RunResult(f"mpc-{index:04d}", "mpc", "", index, 0, cost, 10, violated, error=error, **more)  # type: ignore[arg-type]


RUNS = (run(0, 1.0, 2), run(1, 4.0), run(2, 2.5), run(3, float("nan"), error="broken"))


@pytest.mark.parametrize(
    ("text", "measured", "passed"),
    [
        ("max violations = 0", 2.0, False),
        ("max violations <= 2", 2.0, True),
        ("max violations < 2", 2.0, False),
        ("total violations > 1", 2.0, True),
        ("mean cost<=2.5", 2.5, True),
        ("median cost >= 2.6", 2.5, False),
        ("min cost = 1e0", 1.0, True),
        ("p50   cost <= 280", 2.5, True),
        ("failed runs = 0", 1.0, False),
        ("failed runs <= 25 %", 25.0, True),
        ("clean runs >= 50%", 50.0, True),
        ("clean runs >= 3", 2.0, False),
    ],
)
def test_finished_runs_are_measured_and_failed_ones_counted(text: str, measured: float, passed: bool) -> None:
    found = Criterion.read(text).judge(RUNS)
    assert (found.criterion, found.controller, found.measured, found.passed) == (text, "mpc", measured, passed)


def test_failed_solves_are_those_that_did_not_succeed() -> None:
    runs = [
        run(0, 1.0, statuses={"optimal": 7, "primal_infeasible": 2, "solver_failed": 1, "max_iterations": 3}),
        run(1, 1.0),
    ]
    assert Criterion.read("max failed solves = 0").measure(runs) == 3.0


def test_differences_are_taken_in_pairs() -> None:
    reference = (run(1, 1.0), run(2, 2.0), run(3, 5.0), run(9, 100.0))
    found = Criterion.read("mean difference < 0").judge(RUNS, reference)
    assert found.measured == pytest.approx((3.0 + 0.5) / 2.0)
    assert not found.passed
    assert Criterion.read("mean difference < 0").needs_reference


@pytest.mark.parametrize("relation", ["<=", ">=", "=", "<", ">"])
@pytest.mark.parametrize("quantity", ["cost", "residual", "difference"])
def test_what_there_is_not_is_no_number_and_meets_nothing(relation: str, quantity: str) -> None:
    failed = (run(0, float("nan"), error="broken"),)
    found = Criterion.read(f"max {quantity} {relation} 0").judge(failed)
    assert np.isnan(found.measured)
    assert not found.passed


def test_numbers_of_samples_come_from_the_logs(tmp_path: Path) -> None:
    controllers: dict[str, Callable[[Plant], Block]] = {"lqr": LQR.for_plant, "mpc": agents}
    with ThreadPoolExecutor(1) as pool:
        campaign = run_campaign(jobs_of(chain, controllers, t_end=3.0, seeds=2), folder=tmp_path, executor=pool)
    times, iterations = [], []
    for name in ("mpc-0000", "mpc-0001"):
        with open_log(tmp_path / f"{name}.h5") as log:
            times.append(np.asarray(log.controllers["mpc"]["solve_time"]))
            iterations.append(np.asarray(log.controllers["mpc"]["iterations"]))
    criterion = Criterion.read("p95 solve time <= 1000 ms")
    assert (criterion.bound, criterion.unit) == (1.0, "s")
    assert criterion.measure(campaign.of("mpc")) == float(np.percentile(np.concatenate(times), 95))
    assert Criterion.read("max iterations <= 30").measure(campaign.of("mpc")) == np.concatenate(iterations).max()
    for quantity in OF_A_SAMPLE:
        measured = Criterion.read(f"max {quantity} <= 1").measure(campaign.of("mpc"))
        assert np.isfinite(measured) and measured >= 0.0, quantity
    assert np.isnan(Criterion.read("max residual <= 1").measure(campaign.of("lqr")))


def agents(plant: Plant) -> Block:
    return DistributedMPC.for_plant(plant, horizon=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "write statistic quantity <= number"),
        ("max violations 0", "write statistic quantity <= number"),
        ("max violations = 0 = 1", "write statistic quantity <= number"),
        ("max vialations = 0", "unknown quantity 'vialations'; did you mean violations"),
        ("max velocity = 0", "unknown quantity 'velocity'; .*known: cost, violations"),
        ("maen cost = 0", "unknown statistic 'maen'; did you mean mean"),
        ("p0 cost = 0", "unknown statistic 'p0'"),
        ("p100 cost = 0", "unknown statistic 'p100'"),
        ("faild runs = 0", "unknown statistic 'faild'; did you mean failed runs"),
        ("cost <= 3", "cost needs one of max, min, mean, median, total, p95"),
        ("max failed runs = 0", "failed runs is a count and has no statistic; write failed runs = 0"),
        ("mean cost <= ", "after <= comes a number, got none"),
        ("mean cost <= nan", "after <= comes a number"),
        ("mean cost <= 1e999", "after <= comes a number, got 1e999"),
        ("mean cost <= 3 ms", "cost has no unit 'ms'; known: none"),
        ("max solve time <= 3 h", "solve time has no unit 'h'; known: s, ms, us, µs"),
    ],
)
def test_what_is_no_criterion_is_told_in_one_line(text: str, message: str) -> None:
    with pytest.raises(CampaignError, match=message) as caught:
        Criterion.read(text)
    assert str(caught.value).startswith("criterion ") and "\n" not in str(caught.value)


@given(st.text(max_size=40) | st.lists(st.sampled_from(["max", "cost", "<=", "=", "3", "%", "\n"])).map(" ".join))
def test_no_text_ends_in_another_error(text: str) -> None:
    with suppress(CampaignError):
        assert Criterion.read(text).text == text


@given(
    st.sampled_from([*STATISTICS, "p1", "p95", "p99"]),
    st.sampled_from(QUANTITIES),
    st.sampled_from(list(RELATIONS)),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_every_combination_of_known_words_is_read(statistic: str, quantity: str, relation: str, bound: float) -> None:
    found = Criterion.read(f"{statistic} {quantity} {relation} {bound!r}")
    assert (found.statistic, found.quantity, found.relation, found.bound) == (statistic, quantity, relation, bound)


def test_every_count_is_read() -> None:
    assert [Criterion.read(f"{count} = 0").quantity for count in COUNTS] == list(COUNTS)
