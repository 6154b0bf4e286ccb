"""The page of a campaign: complete, in the order of a reader's questions, and fine whatever the runs are like."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.plants import chain
from dmpcrl_ctrl.validation.campaign import Campaign, RunResult
from dmpcrl_ctrl.validation.campaign_heading import CampaignHeading, Judgement
from dmpcrl_ctrl.validation.campaign_report import as_script_data, confidence, findings, render_campaign, verdict
from dmpcrl_ctrl.validation.campaign_table import table
from tests.validation.html_page import Page

NAN = float("nan")
NASTY = 'A </script><script>alert(1)</script> & "title" <!--'
JUDGEMENTS = (
    Judgement("mean cost <= 280", "", "agents", 271.5, 280.0, True),
    Judgement("max violations = 0", "", "weak", NAN, 0.0, False),
)
HEADING = CampaignHeading(
    "Four controllers",
    "Which one is it to be?",
    "weak",
    runs=2,
    seed=5,
    judgements=JUDGEMENTS,
    command="dmpcrl-ctrl campaign four.toml --out runs/four",
    text='title = "Four controllers"\n',
)


def data_of(source: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', source, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def bare(*results: RunResult) -> Campaign:
    return Campaign(results, len(results))


def made_up(name: str, index: int, cost: float = 1.0, **fields: Any) -> RunResult:
    return RunResult(f"{name}-{index:04d}", name, "", index, index, cost, 10, **fields)


@pytest.fixture(scope="module")
def source(campaign: Campaign) -> str:
    return render_campaign(campaign, HEADING)


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_the_page_needs_nothing_from_anywhere(source: str, page: Page) -> None:
    assert page.open == []
    assert not {"link", "iframe", "object", "embed", "img"} & set(page.tags)
    assert all(reference.startswith("#") for reference in page.references)
    assert "@import" not in source
    assert not re.search(r"url\((?!#)", source)


def test_no_script_runs_but_the_one_of_the_page(source: str) -> None:
    allowed = re.search(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-([^']+)'", source)
    assert allowed is not None
    (script,) = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == allowed[1]


def test_identifiers_are_unique_and_links_lead_somewhere(page: Page) -> None:
    assert len(page.identifiers) == len(set(page.identifiers))
    assert {reference[1:] for reference in page.references} <= set(page.identifiers)


def test_sections_stand_in_the_order_of_the_questions(page: Page) -> None:
    wanted = ["verdict", "numbers", "spread", "traces", "residuals", "certificates", "learning", "solve-times", "again"]
    assert [name for name in page.identifiers if name in wanted] == wanted


def test_the_page_says_what_the_campaign_says(campaign: Campaign, page: Page) -> None:
    words = " ".join(page.text.split())
    assert "FAIL: 1 of 2 criteria missed, and 2 runs failed." in words
    assert "✓ PASS" in words and "271.5" in words and "no number" in words
    assert "2 of 8 runs failed" in words
    assert words.count("there is no such controller") >= 2
    for line in table(campaign, "weak"):
        assert line.controller in words
        if line.runs:
            assert f"{line.mean:.5g}" in words
            assert f"{line.clean} of {line.runs}" in words
    (agents,) = [line for line in table(campaign, "weak") if line.controller == "agents"]
    assert agents.difference is not None
    assert f"{agents.difference.mean:+.4g}".replace("-", "−") in words
    assert HEADING.command in words and HEADING.text.strip() in words


def test_traces_of_all_runs_are_there_and_the_first_has_the_most_violations(campaign: Campaign, source: str) -> None:
    data = data_of(source)
    assert [run["name"] for run in data["runs"]] == [run.name for run in campaign.results]
    assert [run["trace"] is None for run in data["runs"]] == [run.log is None for run in campaign.results]
    assert campaign.results[data["first"]].violated_samples == max(run.violated_samples for run in campaign.results)
    names = [signal["name"] for panel in data["layouts"][0] for signal in panel["signals"]]
    assert {"x1_1", "u_3"} <= set(names)
    assert [[data["runs"][run]["name"] for run in runs] for runs in data["dots"]][3] == []


def test_text_of_a_user_is_not_markup(campaign: Campaign) -> None:
    heading = replace(HEADING, title=NASTY, question=NASTY, text=NASTY, command=NASTY)
    failed = replace(campaign.failed[0], error=NASTY)
    results = [campaign.results[0], failed, made_up(NASTY, 7)]
    source = render_campaign(replace(campaign, results=tuple(results)), heading)
    assert "<script>alert" not in source
    assert source.count("</script>") == 2
    assert data_of(source)["runs"][-1]["name"].startswith(NASTY)
    assert Page(source).open == []


def test_data_of_a_script_cannot_end_it() -> None:
    text = as_script_data({"name": NASTY})
    assert not {"<", ">", "&"} & set(text)
    assert json.loads(text) == {"name": NASTY}


@pytest.mark.parametrize(
    ("campaign_of", "says"),
    [
        (bare(made_up("a", 0)), "kept no logs"),
        (bare(made_up("a", 0, NAN), made_up("a", 1, NAN)), "All 2 runs finished."),
        (bare(made_up("a", 0, NAN, error="why not")), "why not"),
        (
            bare(made_up("a", 0, 3.0), made_up("b", 0, 5.0, violated_samples=2)),
            "left its limits in some runs: b in 1 of 1",
        ),
        (bare(), "0 runs"),
    ],
    ids=["one run", "no cost", "nothing finished", "single pairs", "nothing"],
)
def test_campaigns_of_every_kind_have_a_page(campaign_of: Campaign, says: str) -> None:
    source = render_campaign(campaign_of, CampaignHeading("Little", reference=None))
    page = Page(source)
    assert page.open == []
    assert says in " ".join(page.text.split())
    assert "nan" not in re.sub(r"<(style|script|svg).*?</\1>", "", source, flags=re.DOTALL).lower().split()
    assert data_of(source)["first"] is None


def test_logs_that_cannot_be_read_are_named_without_their_folder(campaign: Campaign, tmp_path: Path) -> None:
    (tmp_path / "bad.h5").write_bytes(b"nothing")
    results = (
        replace(campaign.results[0], log=tmp_path / "bad.h5"),
        replace(campaign.results[1], log=tmp_path / "no.h5"),
    )
    source = render_campaign(Campaign(results, 0, tmp_path), HEADING)
    words = " ".join(Page(source).text.split())
    assert "weak-0000: bad.h5: is no HDF5 file" in words
    assert "agents-0000: no.h5: cannot be read" in words
    assert str(tmp_path) not in source


def test_a_reference_that_does_not_exist_is_an_error(campaign: Campaign) -> None:
    with pytest.raises(CampaignError, match="no controller 'other'"):
        render_campaign(campaign, replace(HEADING, reference="other"))


def test_what_is_compared_in_pairs_is_put_with_care() -> None:
    def said(*apart: float) -> str:
        runs = [made_up(name, k, 5.0 + own * (name == "b")) for k, own in enumerate(apart) for name in ("a", "b")]
        return findings(bare(*runs), table(bare(*runs), "a"))[1].text

    assert said(-2.0) == "b differs by −2 from a on the same noise; one pair proves nothing."
    assert said(1e-15, -1e-15, 2e-15) == "b costs the same as a on the same noise (3 pairs)."
    assert said(-2.0, 3.0).startswith("b shows no difference to a on the same noise (mean +0.5 a run, 2 pairs)")
    assert said(2.0, 2.1, 1.9).startswith(
        "b costs 2 more a run than a on the same noise (95 % interval +1.752 to +2.248"
    )


def test_the_verdict_is_that_of_criteria_and_runs() -> None:
    good, bad = bare(made_up("a", 0)), bare(made_up("a", 0), made_up("a", 1, NAN, error="why"))
    said = [
        (verdict(one, own).tone, verdict(one, own).text)
        for one in (good, bad)
        for own in ((), JUDGEMENTS[:1], JUDGEMENTS)
    ]
    assert said == [
        ("plain", "No criteria were set: this page reports and judges nothing."),
        ("good", "PASS: 1 criterion met, and no run failed."),
        ("bad", "FAIL: 1 of 2 criteria missed."),
        ("bad", "FAIL: 1 run failed; no criteria were set."),
        ("bad", "FAIL: 1 run failed, though all criteria are met."),
        ("bad", "FAIL: 1 of 2 criteria missed, and 1 run failed."),
    ]


def test_the_interval_is_that_of_the_mean() -> None:
    costs = np.array([1.0, 2.0, 4.0, 8.0])
    (line,) = table(bare(*(made_up("a", k, cost) for k, cost in enumerate(costs))))
    half = 3.182446305 * costs.std(ddof=1) / 2.0  # from a printed table of Student's t
    assert confidence(line) == pytest.approx((costs.mean() - half, costs.mean() + half), rel=1e-8)


def test_learning_curves_are_found_beside_the_parameters(campaign: Campaign, tmp_path: Path) -> None:
    curves = {"cost": [5.0, 3.0], "td_error": [1.0, 0.5], "transitions": 200}
    (tmp_path / "training.json").write_text(json.dumps(curves))
    heading = replace(HEADING, parameters={"learning": "parameters.json", "agents": "elsewhere/parameters.json"})
    few = replace(campaign, results=campaign.results[:1], folder=tmp_path)
    assert 'id="training"' in render_campaign(few, heading)
    (tmp_path / "training.json").write_text("half of i")
    assert 'id="training"' not in render_campaign(few, heading)


def test_two_hundred_runs_of_four_controllers_stay_below_five_megabytes(tmp_path: Path) -> None:
    """Logs of the first seeds alone: with them the traces have used up their share, and more logs would add none."""
    plant = chain()
    log = tmp_path / "long.h5"
    with simulate(plant, LQR.for_plant(plant), t_end=800.0, seed=1, log=log):
        pass
    rng = np.random.default_rng(0)
    results = [
        replace(made_up(name, index, float(rng.lognormal(3.0, 1.0))), log=log if index < 18 else None)
        for index in range(200)
        for name in ("first", "second", "third", "fourth")
    ]
    source = render_campaign(Campaign(tuple(results), 0, tmp_path), replace(HEADING, reference="first"))
    shown = sum(run["trace"] is not None for run in data_of(source)["runs"])
    assert 30 < shown < 72
    assert f"{shown} of 72 runs can be looked at here" in source
    assert "Long signals are thinned" in source
    assert len(source.encode()) <= 5_000_000
