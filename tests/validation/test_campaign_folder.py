"""The numbers of a campaign in its folder: complete, exact, and enough to show the campaign again."""

import csv
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.validation.campaign import Campaign, jobs_of, run_campaign
from dmpcrl_ctrl.validation.campaign_folder import open_campaign, write_numbers
from dmpcrl_ctrl.validation.campaign_heading import CampaignHeading, Judgement
from dmpcrl_ctrl.validation.campaign_table import table
from tests.validation.jobs import LAWS, PLANT, broken

HEADING = CampaignHeading(
    "Two laws",
    "Which is better?",
    "weak",
    runs=2,
    seed=3,
    judgements=(
        Judgement("mean cost <= 1", "", "strong", 2.0, 1.0, False),
        Judgement("p95 solve time <= 1 s", "", "strong", math.nan, 1.0, False, "s"),
    ),
    command="dmpcrl-ctrl campaign two.toml",
    text='title = "Two laws"\n',
    parameters={"strong": "strong.json"},
)


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    jobs = jobs_of(PLANT, LAWS | {"broken": broken}, t_end=3.0, seeds=2, seed=3)
    with ThreadPoolExecutor(2) as pool:
        return run_campaign(jobs, folder=tmp_path, executor=pool)


def test_a_folder_gives_back_its_campaign_and_its_heading(campaign: Campaign, tmp_path: Path) -> None:
    write_numbers(campaign, HEADING, tmp_path)
    again, heading = open_campaign(tmp_path)
    assert repr(heading) == repr(HEADING)  # nan is not nan
    assert repr(again.results) == repr(campaign.results)
    assert table(again, "weak")[:2] == table(campaign, "weak")[:2]


def test_logs_are_looked_for_in_the_folder_alone(campaign: Campaign, tmp_path: Path) -> None:
    write_numbers(campaign, HEADING, tmp_path)
    index = tmp_path / "campaign.json"
    index.write_text(index.read_text().replace('"strong-0000.h5"', '"../else/where.h5"'))
    logs = {run.name: run.log for run in open_campaign(tmp_path)[0].results}
    assert logs["strong-0000"] == tmp_path / "where.h5"


def test_runs_of_a_longer_campaign_are_left_out(campaign: Campaign, tmp_path: Path) -> None:
    shorter = Campaign(campaign.results[:3], 0, tmp_path)
    write_numbers(shorter, CampaignHeading("One run", runs=1), tmp_path)
    assert repr(open_campaign(tmp_path)[0].results) == repr(campaign.results[:3])


def test_the_numbers_stand_in_full_in_both_files(campaign: Campaign, tmp_path: Path) -> None:
    numbers, sheet = write_numbers(campaign, HEADING, tmp_path)
    lines = table(campaign, "weak")
    content = json.loads(numbers.read_text())
    assert [line["mean"] for line in content["table"]] == [lines[0].mean, lines[1].mean, None]
    assert content["runs_failed"] == 2
    rows = list(csv.DictReader(sheet.read_text().splitlines()))
    assert [row["controller"] for row in rows] == ["weak", "strong", "broken"]
    assert lines[1].difference is not None
    assert float(rows[1]["difference_mean"]) == lines[1].difference.mean
    assert (rows[0]["difference_mean"], rows[2]["mean"], rows[2]["failed"]) == ("", "", "2")


def test_a_folder_that_holds_no_finished_campaign_is_refused(campaign: Campaign, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"no finished campaign: there is no table\.json"):
        open_campaign(tmp_path)
    (tmp_path / "table.json").write_text("{}")
    with pytest.raises(CampaignError, match="is no table of a campaign"):
        open_campaign(tmp_path)
    (tmp_path / "table.json").write_text('{"format": "dmpcrl_ctrl campaign table 1", "judgements": [{}]}')
    with pytest.raises(CampaignError, match=r"table\.json does not belong to the campaign beside it"):
        open_campaign(tmp_path)
