"""A summary in words: the rows of the table that ends a run, and the sentences that open a report."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dmpcrl_ctrl.status import Applied, Status
from dmpcrl_ctrl.validation.agreement import Agreement
from dmpcrl_ctrl.validation.campaign_heading import Judgement
from dmpcrl_ctrl.validation.metrics import ControllerSummary, Spread, Summary


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes
    ----------
    label, value
        What it is, and its number with its unit.
    remark
        What a reader may want to know beside it; may be empty.
    """

    label: str
    value: str
    remark: str = ""


@dataclass(frozen=True)
class Finding:
    """One sentence on how the run went; `tone` says whether it is what one hopes for."""

    text: str
    tone: Literal["good", "bad", "plain"]


def number(value: float) -> str:
    """Up to six significant digits."""
    return f"{value:.6g}"


def counted(count: int, what: str) -> str:
    """So many of something: "1 run", "2 runs"."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def seconds(value: float) -> str:
    """A duration in the unit that suits it."""
    if value < 1e-3:
        return f"{value * 1e6:.3g} µs"
    if value < 1.0:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.4g} s"


def percent(share: float) -> str:
    """A share of one, in percent."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def table(summary: Summary) -> list[Row]:
    """The numbers of a run, most wanted first."""
    rows = [
        Row("total cost", number(summary.total_cost), f"{summary.samples} samples"),
        Row("mean cost", number(summary.mean_cost), "a sample"),
    ]
    rows += [Row(name, f"{value:.12g}", "index of the plant") for name, value in summary.indices.items()]
    if summary.limited_states:
        worst = max(summary.violations.items(), key=lambda item: item[1].worst, default=None)
        remark = (
            f"worst: {worst[0]} by {number(worst[1].worst)}" if worst else f"{summary.limited_states} limited states"
        )
        rows.append(Row("instants with a violation", str(summary.violated_samples), remark))
    if summary.saturated:
        most = ", ".join(f"{name} {count}" for name, count in summary.saturated.items())
        rows.append(Row("samples at an input limit", str(max(summary.saturated.values())), most))
    for name, controller in summary.controllers.items():
        prefix = f"{name}: " if len(summary.controllers) > 1 else ""
        rows += [Row(prefix + row.label, row.value, row.remark) for row in _controller_rows(controller)]
    return rows


def judgement_line(judgement: Judgement) -> str:
    """PASS or FAIL, of whom, the criterion, and what was measured."""
    who = ": ".join(filter(None, [judgement.scenario, judgement.controller]))
    unit = judgement.unit
    if math.isnan(judgement.measured):
        found = "not measured"
    elif unit == "s":
        found = f"measured {seconds(judgement.measured)}"
    else:
        found = f"measured {number(judgement.measured)}" + (f" {unit}" if unit else "")
    return f"{'PASS' if judgement.passed else 'FAIL'}  {who}: {judgement.criterion} ({found})"


def _controller_rows(controller: ControllerSummary) -> list[Row]:
    rows = []
    if controller.solve_time:
        time = controller.solve_time
        share = f"largest: {percent(time.max / controller.sample_time)} of the sample time"
        rows.append(Row("solve time", _spread(time, seconds), share))
    if controller.iterations and controller.iterations.max > 0:
        rows.append(Row("ADMM iterations", _spread(controller.iterations, number)))
    if controller.primal_residual:
        rows.append(
            Row("ADMM primal residual", _spread(controller.primal_residual, _short), "after the last iteration")
        )
    if controller.dual_residual:
        rows.append(Row("ADMM dual residual", _spread(controller.dual_residual, _short), "after the last iteration"))
    if controller.central_difference:
        rows.append(
            Row("difference to central", _spread(controller.central_difference, _short), "largest |u − u central|")
        )
    if controller.agreement and controller.agreement.doubtful_samples:
        share = f"{controller.agreement.doubtful_samples} of {controller.samples}"
        rows.append(Row("not converged", share, _how_far_apart(controller.agreement)))
    if controller.residual:
        rows.append(Row("certificates", f"KKT residual up to {_short(controller.residual.max)}", _proved(controller)))
    for name, count in controller.statuses.items():
        rows.append(Row(f"status {name}", str(count), Status[name.upper()].message))
    for name, count in controller.culprits.items():
        rows.append(Row(f"blamed {name}", str(count), "samples at which the failure was its own"))
    for name, count in controller.applied.items():
        if name != Applied.FRESH.name.lower():
            rows.append(Row(f"applied {name}", str(count), Applied[name.upper()].message))
    return rows


def findings(summary: Summary) -> list[Finding]:
    """What a reader wants to know first, in sentences."""
    found = []
    for name, controller in summary.controllers.items():
        found += _controller_findings(name if len(summary.controllers) > 1 else "the controller", controller)
    if summary.limited_states and not summary.violated_samples:
        found.append(Finding("No state left its limits.", "good"))
    elif summary.violated_samples:
        name, worst = max(summary.violations.items(), key=lambda item: item[1].worst)
        found.append(
            Finding(
                f"A state was outside its limits at {summary.violated_samples} of {summary.samples + 1} instants; "
                f"worst {name}, by {number(worst.worst)}.",
                "bad",
            )
        )
    return found


def _controller_findings(who: str, controller: ControllerSummary) -> list[Finding]:
    found: list[Finding] = []
    failed = sum(count for name, count in controller.statuses.items() if not Status[name.upper()].ok)
    told = sum(controller.statuses.values())
    doubtful = controller.agreement.doubtful_samples if controller.agreement else 0
    if not controller.statuses:
        return found
    if controller.agreement and doubtful:
        text = f"not converged: at {doubtful} of {controller.samples} samples the agents had not agreed when their "
        text += f"iterations were done; {_how_far_apart(controller.agreement)}."
        found.append(Finding(f"{who.capitalize()} is {text}", "bad"))
    if told < controller.samples:
        found.append(
            Finding(f"{who.capitalize()} told the outcome of {told} of {controller.samples} samples.", "plain")
        )
    elif failed == 0 and not doubtful:
        found.append(Finding(f"{who.capitalize()} solved its problem at all {controller.samples} samples.", "good"))
    if failed:
        reasons = ", ".join(
            f"{name.replace('_', ' ')} {count}×"
            for name, count in controller.statuses.items()
            if not Status[name.upper()].ok
        )
        blamed = ", ".join(f"{name} {count}×" for name, count in controller.culprits.items())
        applied = " and ".join(
            f"{Applied[name.upper()].message} ({count}×)"
            for name, count in controller.applied.items()
            if name != "fresh"
        )
        first = number(controller.first_failure or 0.0)
        text = f"{failed} of {controller.samples} solves failed ({reasons}), first at t = {first} s"
        text += f"; to blame: {blamed}" if blamed else ""
        text += f"; applied instead: {applied}" if applied else ""
        found.append(Finding(text + ".", "bad"))
    if controller.central_difference:
        largest = controller.central_difference.max
        text = f"Its inputs differ from the central solution by at most {_short(largest)}."
        found.append(Finding(text, "bad" if doubtful else "plain"))
    if controller.solve_time:
        late = controller.solve_time.max > controller.sample_time
        share = percent(controller.solve_time.max / controller.sample_time)
        text = f"The slowest solve took {seconds(controller.solve_time.max)}, {share} of the sample time."
        found.append(Finding(text, "bad" if late else "good"))
    return found


def _proved(controller: ControllerSummary) -> str:
    """How closely the optimal value is known."""
    parts, width = [], controller.bracket_width
    if width:
        median, largest = _short(width.median), _short(width.max)
        parts.append(f"value known to a relative {median} (median), {largest} (largest)")
    if controller.unbounded_samples:
        parts.append(f"not bounded above at {controller.unbounded_samples} samples")
    return ", ".join(parts)


def _how_far_apart(agreement: Agreement) -> str:
    """The shares that are known, in words."""
    parts = []
    if agreement.apart is not None:
        parts.append(f"copies of shared states apart by up to {percent(agreement.apart)} of the largest of them")
    if agreement.from_central is not None:
        parts.append(
            f"inputs up to {percent(agreement.from_central)} of the smallest input range from the central ones"
        )
    return ", ".join(parts)


def _short(value: float) -> str:
    return f"{value:.2e}"


def _spread(spread: Spread, show: Callable[[float], str]) -> str:
    """Median, 95th percentile and largest; one number where they are the same."""
    if spread.median == spread.max:
        return show(spread.max)
    return f"{show(spread.median)} · {show(spread.p95)} · {show(spread.max)}"
