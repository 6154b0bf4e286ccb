"""The numbers of a campaign by controller: spread of the cost, violations, and what differs from a reference, in pairs.

The controllers of one seed met the same noise. What is uncertain is therefore the mean of the differences, which varies
far less from seed to seed than the costs themselves:

    mean(d) +- t_{n-1}(0.975) s(d) / sqrt(n),     d = cost - cost of the reference, by seed
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.validation.campaign import Campaign, RunResult

_CONFIDENCE = 0.95
# of the cost: two ways of solving one problem differ by this much and no less
_SAME = 1e-9


@dataclass(frozen=True)
class Difference:
    """Cost less that of the reference, over the seeds that both finished; equal where they differ by rounding alone.

    Attributes
    ----------
    reference, pairs
        Which controller, and how many pairs.
    mean, low, high
        Mean, and its 95 % interval (NaN of a single pair).
    better
        Pairs in which the cost is below that of the reference.
    """

    reference: str
    pairs: int
    mean: float
    low: float
    high: float
    better: int


@dataclass(frozen=True)
class Line:
    """One controller in one scenario; NaN where no run of it finished.

    Attributes
    ----------
    controller, scenario
        Which.
    runs, failed
        How many finished, and how many did not.
    mean, deviation, median, lower_quartile, upper_quartile
        Of the cost of a run; the standard deviation is that of a sample (NaN of a single run).
    violations, violations_median, violations_max
        Instants of a run with a state outside its limits: mean, median, most.
    clean
        Runs without any.
    difference
        To the reference, where there is one.
    """

    controller: str
    scenario: str
    runs: int
    failed: int
    mean: float
    deviation: float
    median: float
    lower_quartile: float
    upper_quartile: float
    violations: float
    violations_median: float
    violations_max: int
    clean: int
    difference: Difference | None = None


def table(campaign: Campaign, reference: str | None = None) -> tuple[Line, ...]:
    """One line a scenario and controller, in the order of the jobs.

    Parameters
    ----------
    campaign
        From :func:`~dmpcrl_ctrl.validation.campaign.run_campaign`.
    reference
        Controller that the others are compared with, seed by seed; None: no comparison.

    Raises
    ------
    CampaignError
        There is no controller of that name.
    """
    groups = dict.fromkeys((result.scenario, result.controller) for result in campaign.results)
    if reference is not None and reference not in (names := list(dict.fromkeys(c for _, c in groups))):
        raise CampaignError(f"there is no controller {reference!r} to compare with; there are {', '.join(names)}")
    lines = []
    for scenario, controller in groups:
        results = campaign.of(controller, scenario)
        other = None
        if reference not in (None, controller):
            other = difference(results, campaign.of(str(reference), scenario))
        lines.append(line(results, other))
    return tuple(lines)


def line(results: Iterable[RunResult], difference: Difference | None = None) -> Line:
    """The numbers of one controller's runs."""
    runs = tuple(results)
    cost = np.array([run.cost for run in runs if run.ok])
    outside = np.array([run.violated_samples for run in runs if run.ok])
    lower, median, upper = (np.percentile(cost, [25, 50, 75]) if cost.size else np.full(3, np.nan)).tolist()
    return Line(
        runs[0].controller,
        runs[0].scenario,
        cost.size,
        len(runs) - cost.size,
        _mean(cost),
        _deviation(cost),
        median,
        lower,
        upper,
        _mean(outside),
        float(np.median(outside)) if outside.size else float("nan"),
        int(outside.max(initial=0)),
        int((outside == 0).sum()),
        difference,
    )


def cost_apart(mine: float, theirs: float) -> float:
    """How much more the first costs; nothing where rounding alone makes them differ."""
    return 0.0 if math.isclose(mine, theirs, rel_tol=_SAME) else mine - theirs


def difference(results: Iterable[RunResult], reference: Iterable[RunResult]) -> Difference | None:
    """Paired by seed; None where the two have no seed in common."""
    others = {run.index: run for run in reference if run.ok}
    if not others:
        return None
    pairs = [(run.cost, others[run.index].cost) for run in results if run.ok and run.index in others]
    if not pairs:
        return None
    apart = np.array([cost_apart(mine, theirs) for mine, theirs in pairs])
    half = float(stats.t.ppf(0.5 + _CONFIDENCE / 2.0, max(len(apart) - 1, 1))) * _deviation(apart) / len(apart) ** 0.5
    mean, name = _mean(apart), next(iter(others.values())).controller
    return Difference(name, len(apart), mean, mean - half, mean + half, int((apart < 0.0).sum()))


def as_text(lines: Iterable[Line]) -> str:
    """A table for the terminal."""
    rows = [("controller", "runs", "cost", "median [quartiles]", "violations", "clean", "against reference")]
    for own in lines:
        name = f"{own.scenario}: {own.controller}" if own.scenario else own.controller
        rows.append(
            (
                name,
                f"{own.runs}" + (f", {own.failed} failed" if own.failed else ""),
                f"{own.mean:.4g} ± {own.deviation:.3g}",
                f"{own.median:.4g} [{own.lower_quartile:.4g}, {own.upper_quartile:.4g}]",
                f"{own.violations:.3g} a run, at most {own.violations_max}",
                f"{own.clean}",
                "" if own.difference is None else _against(own.difference),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _against(apart: Difference) -> str:
    if apart.low == apart.high == 0.0:
        return f"the same as {apart.reference}, {apart.pairs} pairs"
    return f"{apart.mean:+.4g} [{apart.low:+.4g}, {apart.high:+.4g}] to {apart.reference}, {apart.pairs} pairs"


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def _deviation(values: Array) -> float:
    return float(values.std(ddof=1)) if values.size > 1 else float("nan")
