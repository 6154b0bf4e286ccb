"""What the logs of a campaign tell, against the logs themselves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.validation.campaign import Campaign
from dmpcrl_ctrl.validation.campaign_logs import (
    MOST_ROWS,
    Group,
    Recorded,
    groups_of,
    read_logs,
    together,
    window_means,
)


def test_groups_stand_in_the_order_of_the_jobs(campaign: Campaign) -> None:
    assert [group.label for group in groups_of(campaign)] == ["weak", "agents", "learning", "broken"]
    assert Group("noisy", "weak").label == "noisy: weak"


def test_numbers_of_a_group_are_those_of_its_logs(campaign: Campaign) -> None:
    found, unreadable = read_logs(campaign.results)
    assert unreadable == {}
    times, last = [], []
    for result in campaign.of("agents"):
        assert result.log is not None
        with open_log(result.log) as run:
            (trace,) = run.controllers.values()
            times += trace["solve_time"].tolist()
            last += [row[np.isfinite(row)][-1] for row in trace["admm/primal_residual"]]
    own = found[Group("", "agents")]
    assert own.solve_time.tolist() == times
    assert own.sample_time == 1.0
    assert [row[np.isfinite(row)][-1] for row in own.primal] == last
    assert own.residual.size == len(times)
    assert own.td_error.size == 0
    assert found[Group("", "weak")].solve_time.size == 0
    assert np.isnan(found[Group("", "weak")].sample_time)


def test_a_controller_that_learns_has_curves(campaign: Campaign) -> None:
    own = read_logs(campaign.of("learning"))[0][Group("", "learning")]
    assert own.td_error.shape == own.learning_cost.shape == (2, 12)
    for result, row in zip(campaign.of("learning"), own.learning_cost, strict=True):
        assert row.sum() == pytest.approx(result.cost, rel=1e-12)


def test_a_log_that_cannot_be_read_costs_no_other(campaign: Campaign, tmp_path: Path) -> None:
    no_log = tmp_path / "none.h5"
    no_log.write_bytes(b"half a log")
    lost, bad, good = campaign.of("agents")[0], *campaign.of("weak")
    results = [replace(lost, log=tmp_path / "lost.h5"), replace(bad, log=no_log), good, replace(good, log=None)]
    visited = []
    found, unreadable = read_logs(results, lambda result, run: visited.append((result.name, run.samples)))
    assert visited == [(good.name, 12)]
    assert list(unreadable) == [lost.name, bad.name]
    assert "no HDF5 file" in unreadable[bad.name]
    assert found[Group("", "agents")].solve_time.size == 0


def test_tables_of_different_length_are_padded() -> None:
    short, long = Recorded(primal=np.ones((2, 3))), Recorded(primal=np.full((1, 5), 2.0), sample_time=0.5)
    both = together([short, long, Recorded()])
    assert both.primal.shape == (3, 5)
    assert np.isnan(both.primal[:2, 3:]).all()
    assert both.sample_time == 0.5
    assert together([]).primal.size == 0


def test_windows_have_the_mean_of_what_is_there() -> None:
    values = np.arange(80.0)
    values[0] = np.nan
    assert window_means(values)[0, :2].tolist() == [1.0, 2.5]
    assert window_means(np.array([np.nan, 3.0]))[0].tolist()[1] == 3.0
    assert window_means(np.zeros(0)).size == 0
    assert MOST_ROWS >= 50
