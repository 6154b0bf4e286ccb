"""Words for numbers: the failures are told with their reason, the healthy case in one breath."""

from typing import Any

import pytest

from dmpcrl_ctrl.validation.agreement import Agreement
from dmpcrl_ctrl.validation.campaign_heading import Judgement
from dmpcrl_ctrl.validation.metrics import ControllerSummary, Spread, Summary, Violation
from dmpcrl_ctrl.validation.wording import findings, judgement_line, number, seconds, table


def controller(**changes: Any) -> ControllerSummary:
    values: dict[str, Any] = {
        "samples": 10,
        "sample_time": 1.0,
        "statuses": {"optimal": 10},
        "applied": {"fresh": 10},
        "culprits": {},
        "first_failure": None,
        "solve_time": Spread(0.01, 0.02, 0.05),
        "iterations": None,
        "primal_residual": None,
        "dual_residual": None,
        "central_difference": None,
    }
    return ControllerSummary(**{**values, **changes})


def summary(one: ControllerSummary, violations: dict[str, Violation] | None = None) -> Summary:
    violated = max((v.samples for v in (violations or {}).values()), default=0)
    return Summary(
        10.0, 10, 3.5, 0.35, {"a": 3.5}, violated, violations or {}, 2, {}, {"eta": 0.0248777962619}, {"mpc": one}
    )


def test_a_healthy_run() -> None:
    said = findings(summary(controller()))
    assert [finding.tone for finding in said] == ["good", "good", "good"]
    assert "solved its problem at all 10 samples" in said[0].text
    assert said[1].text == "The slowest solve took 50 ms, 5 % of the sample time."
    assert said[2].text == "No state left its limits."


def test_a_run_with_failures_says_why_when_whose_and_what_instead() -> None:
    broken = controller(
        statuses={"optimal": 7, "consensus_stalled": 3},
        applied={"fresh": 7, "shifted_plan": 2, "held": 1},
        culprits={"area_2": 3},
        first_failure=4.0,
    )
    said = findings(summary(broken, {"x": Violation(2, 0.25)}))
    assert said[0].tone == "bad"
    for words in (
        "3 of 10 solves failed",
        "consensus stalled 3×",
        "t = 4 s",
        "area_2 3×",
        "shifted by one stage (2×)",
        "(1×)",
    ):
        assert words in said[0].text
    assert said[-1].text == "A state was outside its limits at 2 of 11 instants; worst x, by 0.25."


def test_agents_that_are_still_apart_are_told_and_nothing_is_called_solved() -> None:
    apart = controller(
        statuses={"max_iterations": 10},
        central_difference=Spread(0.1, 0.2, 0.3),
        agreement=Agreement(doubtful_samples=4, apart=0.25, from_central=0.031),
    )
    said = findings(summary(apart))
    assert [finding.tone for finding in said[:2]] == ["bad", "bad"]
    assert said[0].text.startswith("The controller is not converged: at 4 of 10 samples")
    assert "copies of shared states apart by up to 25 % of the largest" in said[0].text
    assert "inputs up to 3.1 % of the smallest input range from the central ones" in said[0].text
    assert not any("solved" in finding.text for finding in said)
    rows = {row.label: row for row in table(summary(apart))}
    assert rows["not converged"].value == "4 of 10"
    calm = controller(agreement=Agreement(doubtful_samples=0, apart=1e-6, from_central=None))
    assert [finding.tone for finding in findings(summary(calm))] == ["good", "good", "good"]
    assert not any(row.label == "not converged" for row in table(summary(calm)))


def test_samples_without_an_outcome_are_not_called_solved_or_failed() -> None:
    said = findings(summary(controller(statuses={"optimal": 7})))
    assert (said[0].text, said[0].tone) == ("The controller told the outcome of 7 of 10 samples.", "plain")


def test_a_solve_that_takes_longer_than_a_sample_is_bad() -> None:
    said = findings(summary(controller(solve_time=Spread(0.5, 0.9, 1.2))))
    assert [finding.tone for finding in said if "slowest" in finding.text] == ["bad"]


def test_the_table_shows_indices_in_full_and_only_what_there_is() -> None:
    rows = {row.label: row for row in table(summary(controller()))}
    assert rows["eta"].value == "0.0248777962619"
    assert rows["solve time"].value == "10 ms · 20 ms · 50 ms"
    assert rows["status optimal"].remark == "solved to tolerance"
    assert not any("ADMM" in label or "central" in label for label in rows)


def test_a_spread_without_width_is_one_number() -> None:
    rows = {row.label: row.value for row in table(summary(controller(iterations=Spread(50, 50, 50))))}
    assert rows["ADMM iterations"] == "50"


@pytest.mark.parametrize(
    ("value", "text"), [(2e-5, "20 µs"), (0.0123, "12.3 ms"), (2.5, "2.5 s"), (0.999e-3, "999 µs")]
)
def test_durations_have_a_fitting_unit(value: float, text: str) -> None:
    assert seconds(value) == text


def test_numbers_are_short() -> None:
    assert number(1 / 3) == "0.333333"


def test_certificates_are_one_row() -> None:
    proved = controller(residual=Spread(1e-12, 1e-10, 2.5e-9), bracket_width=Spread(3e-13, 1e-12, 4e-11))
    [row] = [row for row in table(summary(proved)) if row.label == "certificates"]
    assert row.value == "KKT residual up to 2.50e-09"
    assert row.remark == "value known to a relative 3.00e-13 (median), 4.00e-11 (largest)"
    [row] = [row for row in table(summary(controller(residual=Spread(0.0, 0.0, 1.0), unbounded_samples=3))) if
             row.label == "certificates"]  # fmt: skip
    assert row.remark == "not bounded above at 3 samples"
    assert not [row for row in table(summary(controller())) if row.label == "certificates"]


@pytest.mark.parametrize(
    ("judgement", "text"),
    [
        (Judgement("mean cost <= 3", "", "mpc", 1 / 3, 3.0, True), "PASS  mpc: mean cost <= 3 (measured 0.333333)"),
        (
            Judgement("max solve time <= 1 s", "calm", "mpc", 2e-3, 1e-3, False, "s"),
            "FAIL  calm: mpc: max solve time <= 1 s (measured 2 ms)",
        ),
        (
            Judgement("clean runs >= 99 %", "", "mpc", 98.0, 99.0, False, "%"),
            "FAIL  mpc: clean runs >= 99 % (measured 98 %)",
        ),
        (
            Judgement("max residual < 1", "", "lqr", float("nan"), 1.0, False),
            "FAIL  lqr: max residual < 1 (not measured)",
        ),
    ],
)
def test_a_judgement_is_one_line(judgement: Judgement, text: str) -> None:
    assert judgement_line(judgement) == text
