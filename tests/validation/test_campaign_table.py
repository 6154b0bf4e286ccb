"""The table of a campaign against numbers worked out by hand, and the interval against the textbook's."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.validation.campaign import Campaign, RunResult
from dmpcrl_ctrl.validation.campaign_table import as_text, difference, line, table
from dmpcrl_ctrl.validation.criteria import Criterion


def results(controller: str, costs: Sequence[float | None], outside: list[int] | None = None) -> tuple[RunResult, ...]:
    counts = outside or [0] * len(costs)
    return tuple(
        RunResult(f"{controller}-{i}", controller, "", i, i, error="lost")
        if cost is None
        else RunResult(f"{controller}-{i}", controller, "", i, i, cost, 10, counts[i])
        for i, cost in enumerate(costs)
    )


def test_numbers_of_one_controller() -> None:
    own = line(results("a", [1.0, 2.0, 3.0, 4.0, 10.0, None], [0, 0, 3, 1, 0, 9]))
    assert (own.runs, own.failed, own.mean, own.median) == (5, 1, 4.0, 3.0)
    assert (own.lower_quartile, own.upper_quartile) == (2.0, 4.0)
    assert own.deviation == pytest.approx(np.sqrt((9 + 4 + 1 + 0 + 36) / 4))
    assert (own.violations, own.violations_median, own.violations_max, own.clean) == (0.8, 0.0, 3, 3)


def test_differences_are_taken_in_pairs() -> None:
    mine, theirs = [11.0, 19.5, 33.0, 41.0, None], [10.0, 20.0, 30.0, None, 50.0]
    found = difference(results("a", mine), results("b", theirs))
    assert found is not None
    apart = np.array([1.0, -0.5, 3.0])
    low, high = stats.ttest_1samp(apart, 0.0).confidence_interval(0.95)
    assert (found.reference, found.pairs, found.better) == ("b", 3, 1)
    assert (found.mean, found.low, found.high) == pytest.approx((apart.mean(), low, high))
    assert difference(results("a", [1.0]), results("b", [None])) is None


def test_one_pair_has_no_interval_and_no_run_no_mean() -> None:
    found = difference(results("a", [1.0]), results("b", [2.0]))
    assert found is not None
    assert found.mean == -1.0
    assert np.isnan([found.low, found.high]).all()
    nobody = line(results("a", [None]))
    assert np.isnan([nobody.mean, nobody.median, nobody.violations]).all()
    assert (nobody.runs, nobody.clean) == (0, 0)


def test_the_table_names_its_reference() -> None:
    campaign = Campaign((*results("a", [1.0, 2.0]), *results("b", [3.0, 5.0])), 4)
    a, b = table(campaign, "a")
    assert a.difference is None
    assert b.difference is not None
    assert b.difference.mean == 2.5
    lines = as_text((a, b)).splitlines()
    assert [text.split()[0] for text in lines] == ["controller", "a", "b"]
    assert "+2.5" in lines[2]
    with pytest.raises(CampaignError, match="there is no controller 'c' to compare with; there are a, b"):
        table(campaign, "c")


def test_rounding_makes_no_difference() -> None:
    costs = [10.0, 20.0, 30.0]
    mine, theirs = results("a", [cost * (1.0 - 1e-14) for cost in costs]), results("b", costs)
    found = difference(mine, theirs)
    assert found is not None
    assert (found.mean, found.low, found.high, found.better) == (0.0, 0.0, 0.0, 0)
    assert as_text((line(mine, found),)).endswith("the same as b, 3 pairs")
    assert Criterion.read("max difference <= 0").judge(mine, theirs).passed
