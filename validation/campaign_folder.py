"""What a campaign leaves in its folder beside the logs and the index: its numbers, for people and for programs.

`table.json` holds heading, table and judgements; with the index it is all that a report is made of, so that a folder
can be shown again without its campaign being run.
"""

import csv
import io
import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from dmpcrl_ctrl import __version__
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.validation.campaign import Campaign, results_in
from dmpcrl_ctrl.validation.campaign_heading import CampaignHeading, Judgement
from dmpcrl_ctrl.validation.campaign_table import Difference, Line, table
from dmpcrl_ctrl.validation.runner import write_whole

TABLE, SHEET = "table.json", "table.csv"
_FORMAT = "dmpcrl_ctrl campaign table 1"


def write_numbers(campaign: Campaign, heading: CampaignHeading, folder: Path) -> tuple[Path, Path]:
    """Write `table.json` and `table.csv`; returns their paths."""
    lines = table(campaign, heading.reference)
    content = {
        "format": _FORMAT,
        "dmpcrl_ctrl": __version__,
        **_plain(asdict(heading)),
        "table": [_plain(asdict(line)) for line in lines],
        "runs_failed": len(campaign.failed),
    }
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    paths = folder / TABLE, folder / SHEET
    for path, whole in zip(paths, (text, as_csv(lines)), strict=True):
        write_whole(path, whole)
    return paths


def open_campaign(folder: Path | str) -> tuple[Campaign, CampaignHeading]:
    """Campaign and heading of a folder, as they were when it was run.

    Raises
    ------
    CampaignError
        The folder holds no finished campaign.
    """
    path = Path(folder) / TABLE
    content = _read(path)
    try:
        given = {f.name: content[f.name] for f in fields(CampaignHeading)}
        judgements = tuple(Judgement(**_numbers(own, "measured", "bound")) for own in given.pop("judgements"))
        heading = CampaignHeading(**given, judgements=judgements)
        order = [(line["scenario"], line["controller"]) for line in content["table"]]
        # a campaign that is asked for fewer runs than before keeps the others in its index
        results = [run for run in results_in(folder) if run.index < heading.runs]
        results = [run for run in results if (run.scenario, run.controller) in order]
        results.sort(key=lambda run: (run.index, order.index((run.scenario, run.controller))))
    except (KeyError, TypeError, ValueError) as error:
        raise CampaignError(f"{path} does not belong to the campaign beside it: {error}") from error
    return Campaign(tuple(results), 0, Path(folder)), heading


def as_csv(lines: tuple[Line, ...]) -> str:
    """One row a line, with every number in full; a number that there is not is empty."""
    own = [f.name for f in fields(Line) if f.name != "difference"]
    other = [f.name for f in fields(Difference)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(own + [f"difference_{name}" for name in other])
    for line in lines:
        apart = [getattr(line.difference, name, None) for name in other]
        writer.writerow([_cell(value) for value in [*(getattr(line, name) for name in own), *apart]])
    return text.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else value


def _plain(value: Any) -> Any:
    """A tree for JSON, which has no word for nan."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value


def _numbers(table: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: math.nan if key in names and value is None else value for key, value in table.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CampaignError(f"{path.parent} holds no finished campaign: there is no {path.name}") from None
    except (OSError, ValueError) as error:
        raise CampaignError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CampaignError(f"{path} is no table of a campaign: it does not begin with format {_FORMAT!r}")
    return content
