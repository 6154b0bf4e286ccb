"""The page of a campaign that a validation engineer hands on: what was asked, what came out, and each run to look at.

One file of HTML that needs nothing from elsewhere: pictures are drawn into it, traces are embedded as JSON, and a
script of our own draws the run that is chosen. Without scripts, and on paper, all is there but the choice.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.validation import campaign_figures as figures
from dmpcrl_ctrl.validation.campaign import Campaign
from dmpcrl_ctrl.validation.campaign_heading import CampaignHeading, Judgement
from dmpcrl_ctrl.validation.campaign_logs import Group, groups_of, read_logs
from dmpcrl_ctrl.validation.campaign_table import Difference, Line, table
from dmpcrl_ctrl.validation.campaign_traces import Embedded, in_order_of_interest
from dmpcrl_ctrl.validation.report import page
from dmpcrl_ctrl.validation.wording import Finding, counted, seconds

_HERE = Path(__file__).parent
_NONE = "–"
# More failed runs than this are folded away.
_MANY = 12


def render_campaign(campaign: Campaign, heading: CampaignHeading) -> str:
    """The page as HTML text; everything that comes from outside is escaped.

    Parameters
    ----------
    campaign
        From `run_campaign` or `open_campaign`; its logs are read where they are.
    heading
        Title, question, criteria and how to run it again.

    Returns
    -------
    str
        Some megabytes at most, however many runs there are.

    Raises
    ------
    CampaignError
        The controller that the others are to be compared with does not exist.
    """
    lines = table(campaign, heading.reference)
    groups = groups_of(campaign)
    traces = Embedded()
    recorded, unreadable = read_logs(in_order_of_interest(campaign.results), traces.offer)
    recorded = {group: recorded[group] for group in groups if group in recorded}
    folder = "" if campaign.folder is None else f"{campaign.folder}/"
    reasons = {name: why.replace(folder, "") for name, why in unreadable.items()}
    pictures = [
        figures.residuals(recorded),
        figures.certificates(recorded),
        figures.learning(recorded),
        figures.training(_trainings(heading.parameters, campaign.folder)),
        figures.solve_times(recorded),
    ]
    first = next(iter(traces.place), "")
    script = "\n" + (_HERE / "campaign.js").read_text(encoding="utf-8")
    return page(
        "campaign.html.j2",
        title=heading.title,
        question=heading.question,
        facts=_facts(campaign, heading, groups),
        verdict=verdict(campaign, heading.judgements),
        judgements=[_judged(own) for own in heading.judgements],
        findings=findings(campaign, lines),
        lines=[_cells(line) for line in lines],
        reference=heading.reference,
        boxes=figures.boxes(groups),
        still=None if traces.first is None else figures.still(traces.first, f"The run {first}"),
        first=first,
        pictures=[own for own in pictures if own is not None],
        notes=_notes(campaign, traces),
        failed=[(run.name, run.seed, run.error) for run in campaign.failed],
        many_failed=len(campaign.failed) > _MANY,
        unreadable=sorted(reasons.items()),
        runs=[_run(run, k, run.name in traces.place) for k, run in enumerate(campaign.results)],
        command=heading.command,
        text=heading.text,
        data=as_script_data(_data(campaign, groups, traces)),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        style=(_HERE / "campaign.css").read_text(encoding="utf-8"),
    )


def verdict(campaign: Campaign, judgements: tuple[Judgement, ...]) -> Finding:
    """The whole in one sentence: a campaign passes where every run finished and every criterion is met."""
    missed, failed = sum(not own.passed for own in judgements), len(campaign.failed)
    fell = counted(failed, "run") + " failed"
    if missed:
        also = f", and {fell}" if failed else ""
        return Finding(f"FAIL: {missed} of {_criteria(len(judgements))} missed{also}.", "bad")
    if failed:
        rest = ", though all criteria are met" if judgements else "; no criteria were set"
        return Finding(f"FAIL: {fell}{rest}.", "bad")
    if not judgements:
        return Finding("No criteria were set: this page reports and judges nothing.", "plain")
    return Finding(f"PASS: {_criteria(len(judgements))} met, and no run failed.", "good")


def findings(campaign: Campaign, lines: tuple[Line, ...]) -> list[Finding]:
    """What a reader wants to know beside the criteria, in sentences."""
    found = []
    total, failed = len(campaign.results), len(campaign.failed)
    if failed:
        found.append(Finding(f"{failed} of {total} runs failed; the numbers below are of the others.", "bad"))
    elif total:
        found.append(Finding("The run finished." if total == 1 else f"All {total} runs finished.", "good"))
    for line in lines:
        if line.difference is not None:
            found.append(Finding(_compared(_label(line), line.difference), "plain"))
    outside = [(line, line.runs - line.clean) for line in lines if line.clean < line.runs]
    if outside:
        counts = ", ".join(f"{_label(line)} in {count} of {line.runs}" for line, count in outside)
        found.append(Finding(f"A state left its limits in some runs: {counts}.", "bad"))
    elif any(line.runs for line in lines):
        found.append(Finding("No state left its limits in any run.", "good"))
    return found


def as_script_data(data: Any) -> str:
    """JSON that no text inside can end the script element of, nor open a comment in it."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def confidence(line: Line) -> tuple[float, float]:
    """95 % interval of the mean cost; NaN of a single run."""
    if line.runs < 2:
        return math.nan, math.nan
    half = float(stats.t.ppf(0.975, line.runs - 1)) * line.deviation / line.runs**0.5
    return line.mean - half, line.mean + half


def _compared(label: str, apart: Difference) -> str:
    if apart.pairs == 1:
        differs = f"{label} differs by {_signed(apart.mean)} from {apart.reference}"
        return f"{differs} on the same noise; one pair proves nothing."
    pairs = counted(apart.pairs, "pair")
    if apart.low == apart.high == 0.0:
        return f"{label} costs the same as {apart.reference} on the same noise ({pairs})."
    if not math.isfinite(apart.low) or apart.low <= 0.0 <= apart.high:
        mean = _signed(apart.mean)
        return f"{label} shows no difference to {apart.reference} on the same noise (mean {mean} a run, {pairs})."
    size = f"{abs(apart.mean):.4g} {'less' if apart.mean < 0.0 else 'more'} a run than {apart.reference}"
    interval = f"95 % interval {_signed(apart.low)} to {_signed(apart.high)}"
    return f"{label} costs {size} on the same noise ({interval}, {pairs})."


def _cells(line: Line) -> dict[str, Any]:
    apart = line.difference
    low, high = confidence(line)
    return {
        "label": _label(line),
        "runs": f"{line.runs}" + (f" of {line.runs + line.failed}" if line.failed else ""),
        "mean": _number(line.mean),
        "deviation": _number(line.deviation, 3),
        "interval": _interval(low, high),
        "median": _number(line.median),
        "quartiles": _interval(line.lower_quartile, line.upper_quartile),
        "violations": _number(line.violations, 3),
        "most": f"at most {line.violations_max}" if line.runs else "",
        "clean": f"{line.clean} of {line.runs}",
        "difference": None if apart is None else _signed(apart.mean),
        "difference_interval": "" if apart is None else _interval(apart.low, apart.high, "+"),
        "better": "" if apart is None else f"lower in {apart.better} of {apart.pairs}",
    }


def _judged(own: Judgement) -> dict[str, Any]:
    where = Group(own.scenario, own.controller).label
    return {
        "criterion": own.criterion,
        "where": where,
        "measured": _measure(own.measured, own.unit) if math.isfinite(own.measured) else "no number",
        "bound": _measure(own.bound, own.unit),
        "passed": own.passed,
    }


def _measure(value: float, unit: str) -> str:
    if unit == "s":
        return seconds(value)
    return _number(value, 6) + (f" {unit}" if unit else "")


def _facts(campaign: Campaign, heading: CampaignHeading, groups: Mapping[Group, Any]) -> str:
    scenarios = list(dict.fromkeys(group.scenario for group in groups if group.scenario))
    controllers = list(dict.fromkeys(group.controller for group in groups))
    seeds = len({run.index for run in campaign.results})
    parts = [counted(len(campaign.results), "run")]
    if scenarios:
        parts.append(f"{counted(len(scenarios), 'scenario')} ({', '.join(scenarios)})")
    parts.append(f"{counted(len(controllers), 'controller')} ({', '.join(controllers)})")
    parts.append(f"{counted(seeds, 'seed')} drawn from {heading.seed}")
    common = ". All controllers of a seed met the same noise." if len(controllers) > 1 else "."
    return " · ".join(parts) + common


def _notes(campaign: Campaign, traces: Embedded) -> list[str]:
    """What is not in the page."""
    if not any(run.log for run in campaign.results):
        return ["The campaign kept no logs: there are no traces, residuals, certificates and solve times to show."]
    notes = []
    if traces.place and len(traces.place) < traces.offered:
        notes.append(
            f"{len(traces.place)} of {traces.offered} runs can be looked at here: those with most violations, and the "
            "best, median and worst of each controller, each with the others of its seed. All are in the logs."
        )
    if traces.thinned:
        notes.append(
            "Long signals are thinned for drawing: of every few neighbouring samples the smallest and the largest are "
            "kept, so that no peak is lost. All samples are in the logs."
        )
    if traces.left_out:
        notes.append(f"Of each run {traces.left_out} more signals are in its log; those with limits are shown first.")
    return notes


def _run(run: Any, place: int, shown: bool) -> dict[str, Any]:
    if not run.ok:
        outcome = "failed"
    else:
        outcome = "clean" if not run.violated_samples else f"{run.violated_samples} outside limits"
    statuses = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in run.statuses.items())
    return {
        "place": place,
        "name": run.name,
        "seed": run.seed,
        "cost": _number(run.cost),
        "outcome": outcome,
        "statuses": statuses,
        "log": "" if run.log is None else Path(run.log).name,
        "shown": shown,
    }


def _data(campaign: Campaign, groups: Mapping[Group, Any], traces: Embedded) -> dict[str, Any]:
    """What the script draws from; numbers of runs are their places in the campaign."""
    order = list(groups)
    runs = [
        {
            "name": run.name,
            "group": order.index(Group(run.scenario, run.controller)),
            "index": run.index,
            "seed": run.seed,
            "cost": float(f"{run.cost:.6g}") if math.isfinite(run.cost) else None,
            "outside": run.violated_samples,
            "error": run.error,
            "trace": traces.place.get(run.name),
        }
        for run in campaign.results
    ]
    number_of = {run.name: k for k, run in enumerate(campaign.results)}
    return {
        "groups": [{"label": group.label, "scenario": group.scenario} for group in order],
        "runs": runs,
        "dots": [[number_of[run.name] for run in figures.counted(results)] for results in groups.values()],
        "first": number_of.get(next(iter(traces.place), "")),
        **traces.content,
    }


def _trainings(parameters: Mapping[str, str], folder: Path | None) -> dict[str, tuple[Array, Array, int]]:
    """Learning curves that lie beside the parameters of a controller, as far as they can be read."""
    found = {}
    for controller, file in parameters.items():
        for start in [Path(), *([] if folder is None else [folder])]:
            try:
                content = json.loads((start / file).with_name("training.json").read_text(encoding="utf-8"))
                curves = [np.array(content[key], dtype=float) for key in ("cost", "td_error")]
                found[controller] = (curves[0], curves[1], int(content["transitions"]))
                break
            except (OSError, ValueError, KeyError, TypeError):
                continue
    return {name: own for name, own in found.items() if own[0].ndim == own[1].ndim == 1 and own[0].size}


def _label(line: Line) -> str:
    return Group(line.scenario, line.controller).label


def _criteria(count: int) -> str:
    return "1 criterion" if count == 1 else f"{count} criteria"


def _number(value: float, digits: int = 5, sign: str = "") -> str:
    return f"{value:{sign}.{digits}g}".replace("-", "−") if math.isfinite(value) else _NONE


def _signed(value: float) -> str:
    return _number(value, 4, "+")


def _interval(low: float, high: float, sign: str = "") -> str:
    return (
        f"[{_number(low, 4, sign)}, {_number(high, 4, sign)}]" if math.isfinite(low) and math.isfinite(high) else _NONE
    )
