"""Pictures of a campaign: a dot for every run, whatever the runs are like, and no text of a user as a formula."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.validation import campaign_figures as figures
from dmpcrl_ctrl.validation.campaign import Campaign, RunResult
from dmpcrl_ctrl.validation.campaign_logs import Group, Recorded, groups_of, read_logs
from dmpcrl_ctrl.validation.campaign_traces import trace_of

NAN = float("nan")


def runs(*costs: float) -> tuple[RunResult, ...]:
    return tuple(RunResult(f"a-{k}", "a", "", k, k, cost, 5, k % 3) for k, cost in enumerate(costs))


def dots(svg: str, gid: str) -> int:
    found = next(element for element in ET.fromstring(svg).iter() if element.get("id") == gid)
    return sum(element.tag.endswith("}use") for element in found.iter())


@pytest.mark.parametrize("costs", [(1.0,), (1.0, 1.0), (3.0, 1.0, 2.0, 1e4), tuple(range(-60, 60))])
def test_every_run_is_a_dot(costs: tuple[float, ...]) -> None:
    svg = figures.boxes({Group("", "a"): runs(*costs)}).svg
    assert dots(svg, "boxes-cost-0") == dots(svg, "boxes-violations-0") == len(costs)


def test_runs_without_a_cost_have_no_dot() -> None:
    failed = RunResult("b-0", "b", "", 0, 0, error="why")
    lots = {Group("", "a"): runs(1.0, NAN, float("inf"), 2.0), Group("", "b"): (failed,)}
    svg = figures.boxes(lots).svg
    assert dots(svg, "boxes-cost-0") == 2
    assert "no run" in svg
    assert "boxes-cost-1" not in svg


def test_names_are_text_and_not_formulas() -> None:
    svg = figures.boxes({Group("", "$a_1$ <b> & " + 60 * "x"): runs(1.0, 2.0)}).svg
    assert "$a_1$ &lt;b&gt; &amp; x" in svg
    assert 40 * "x" not in svg


def test_a_picture_is_drawn_of_what_there_is(campaign: Campaign) -> None:
    recorded = read_logs(campaign.results)[0]
    titles = [
        getattr(draw(recorded), "title", None)
        for draw in (figures.residuals, figures.certificates, figures.learning, figures.solve_times)
    ]
    assert titles == ["Agreement of the agents", "Certificates", "Learning in the loop", "Computation"]
    assert set(groups_of(campaign)) > {group for group, own in recorded.items() if own.solve_time.size}
    nothing = {Group("", "weak"): Recorded()}
    assert figures.residuals(nothing) is figures.certificates(nothing) is None
    assert figures.learning(nothing) is figures.solve_times(nothing) is figures.training({}) is None


def test_solves_that_took_too_long_are_counted() -> None:
    slow = Recorded(sample_time=0.1, solve_time=np.array([0.05, 0.2, 0.3]))
    shown = figures.solve_times({Group("", "slow"): slow})
    assert shown is not None
    assert "2 of 3 solves took longer" in shown.caption
    assert "sample time 100 ms" in shown.svg


def test_brackets_without_an_end_are_counted() -> None:
    own = Recorded(residual=np.array([1e-9, 0.0]), width=np.array([np.inf, 1e-3]))
    shown = figures.certificates({Group("", "a"): own})
    assert shown is not None
    assert "At 1 solves" in shown.caption


def test_training_curves() -> None:
    shown = figures.training({"learned": (np.array([3.0, 2.0]), np.array([1.0, 0.0]), 200)})
    assert shown is not None
    assert "learned" in shown.svg


def test_the_still_run_has_its_panels(campaign: Campaign) -> None:
    with open_log(str(campaign.of("weak")[0].log)) as run:
        trace = trace_of(run)
    picture = figures.still(trace, "A run")
    assert all(f">{panel.title}" in picture.svg for panel in trace.panels)
    assert not re.search(r'id="(?!still-)', picture.svg)
