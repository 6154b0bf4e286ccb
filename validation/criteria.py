"""Criteria of a campaign, written as a person would say them: "max violations = 0", "mean cost <= 280".

    criterion   = statistic quantity relation number [unit]  |  count relation number ["%"]
    statistic   = max | min | mean | median | total | p1 ... p99          over runs, or over samples of all runs
    relation    = <= | < | = | > | >=

Quantities of a run are taken over the finished runs of one controller, those of a sample over all samples of these
runs, from their logs. What the runs do not have (a regulator has no residual) is no number, and no criterion on it is
met.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.campaign import RunResult
from dmpcrl_ctrl.validation.campaign_heading import Judgement
from dmpcrl_ctrl.validation.campaign_table import cost_apart
from dmpcrl_ctrl.validation.certified import largest_residuals
from dmpcrl_ctrl.validation.record_fields import last_numbers, numbers
from dmpcrl_ctrl.validation.section import nearest
from dmpcrl_ctrl.validation.toml_text import shorten

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.trace import ControllerTrace

Runs = Sequence[RunResult]

STATISTICS: Mapping[str, Callable[[Array], float]] = {
    "max": lambda values: float(values.max()),
    "min": lambda values: float(values.min()),
    "mean": lambda values: float(values.mean()),
    "median": lambda values: float(np.median(values)),
    "total": lambda values: float(values.sum()),
}
RELATIONS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
}
# one number a run
OF_A_RUN: Mapping[str, Callable[[RunResult], float]] = {
    "cost": lambda run: run.cost,
    "violations": lambda run: float(run.violated_samples),
    "failed solves": lambda run: float(sum(n for name, n in run.statuses.items() if not Status[name.upper()].ok)),
}
# one number a sample of a controller, from its log
OF_A_SAMPLE: Mapping[str, "Callable[[ControllerTrace], Array | None]"] = {
    "solve time": lambda trace: numbers(trace, "solve_time"),
    "iterations": lambda trace: numbers(trace, "iterations"),
    "residual": largest_residuals,
    "primal residual": lambda trace: last_numbers(trace, "admm/primal_residual"),
    "dual residual": lambda trace: last_numbers(trace, "admm/dual_residual"),
}
# one number a pair of runs on the same noise
DIFFERENCE = "difference"
QUANTITIES = (*OF_A_RUN, DIFFERENCE, *OF_A_SAMPLE)
# how many runs, with no statistic
COUNTS: Mapping[str, Callable[[RunResult], bool]] = {
    "failed runs": lambda run: not run.ok,
    "clean runs": lambda run: run.ok and run.violated_samples == 0,
}
_UNITS: Mapping[str, Mapping[str, float]] = {
    "solve time": {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6},
    **{count: {"": 1.0, "%": 1.0} for count in COUNTS},
}
_EXAMPLE = 'such as "max violations = 0" or "failed runs = 0"'
_PERCENTILE = re.compile(r"p([1-9][0-9]?)")


@dataclass(frozen=True)
class Criterion:
    """One criterion.

    Attributes
    ----------
    text
        As it was written.
    statistic, quantity
        Of `STATISTICS` (or a percentile) and `QUANTITIES`; a count has no statistic.
    relation, bound
        Of `RELATIONS`; in seconds where the quantity is a time.
    share
        A count in percent of all runs.
    """

    text: str
    statistic: str
    quantity: str
    relation: str
    bound: float
    share: bool = False

    @classmethod
    def read(cls, text: str) -> "Criterion":
        """Read a criterion.

        Raises
        ------
        CampaignError
            Names the word that is not known and the nearest one that is.
        """
        match = re.fullmatch(r"\s*([^<>=]*?)\s*(<=|>=|<|>|=)\s*([^<>=\s]*?)\s*([%a-zµ]*)\s*", text)
        if match is None:
            raise CampaignError(f"criterion {shorten(text)}: write statistic quantity <= number, {_EXAMPLE}")
        words, relation, number, unit = match.groups()
        statistic, quantity = _words(" ".join(words.split()), text)
        try:
            bound = float(number)
        except ValueError:
            bound = math.nan
        if not math.isfinite(bound):
            raise CampaignError(f"criterion {shorten(text)}: after {relation} comes a number, got {number or 'none'}")
        units = _UNITS.get(quantity, {"": 1.0})
        if unit not in units:
            known = ", ".join(filter(None, units)) or "none"
            raise CampaignError(f"criterion {shorten(text)}: {quantity} has no unit {unit!r}; known: {known}")
        return cls(text, statistic, quantity, relation, bound * units[unit], unit == "%")

    @property
    def unit(self) -> str:
        """Of the bound: "s", "%" or nothing."""
        return "%" if self.share else "s" if self.quantity == "solve time" else ""

    @property
    def needs_reference(self) -> bool:
        """Whether it compares with the reference controller."""
        return self.quantity == DIFFERENCE

    def judge(self, runs: Runs, reference: Runs = ()) -> Judgement:
        """Hold the criterion against the runs of one controller in one scenario.

        Parameters
        ----------
        runs
            At least one.
        reference
            Those of the reference controller on the same noise.
        """
        measured = self.measure(runs, reference)
        passed = RELATIONS[self.relation](measured, self.bound)
        first = runs[0]
        return Judgement(self.text, first.scenario, first.controller, measured, self.bound, passed, self.unit)

    def measure(self, runs: Runs, reference: Runs = ()) -> float:
        """The number that the bound is for, as for :meth:`judge`; NaN where the runs have none."""
        if self.quantity in COUNTS:
            count = sum(COUNTS[self.quantity](run) for run in runs)
            return 100.0 * count / len(runs) if self.share else float(count)
        finished = [run for run in runs if run.ok]
        if self.needs_reference:
            others = {run.index: run.cost for run in reference if run.ok}
            values = np.array([cost_apart(run.cost, others[run.index]) for run in finished if run.index in others])
        elif self.quantity in OF_A_RUN:
            values = np.array([OF_A_RUN[self.quantity](run) for run in finished])
        else:
            values = _of_samples(OF_A_SAMPLE[self.quantity], finished)
        return _statistic(self.statistic)(values) if values.size else math.nan


def _words(words: str, text: str) -> tuple[str, str]:
    """Statistic and quantity; no statistic of a count."""
    if words in COUNTS:
        return "", words
    first, _, rest = words.partition(" ")
    known = [*STATISTICS, "p95"]
    if rest in COUNTS:
        raise CampaignError(f"criterion {shorten(text)}: {rest} is a count and has no statistic; write {rest} = 0")
    if words in QUANTITIES:
        raise CampaignError(f"criterion {shorten(text)}: {words} needs one of {', '.join(known)} (p1 to p99) before it")
    if first not in STATISTICS and not _PERCENTILE.fullmatch(first):
        near = nearest(words, COUNTS) or nearest(first, known)
        hint = f"did you mean {near}?" if near else f"known: {', '.join([*known, *COUNTS])} (p1 to p99)"
        raise CampaignError(f"criterion {shorten(text)}: unknown statistic {first!r}; {hint}")
    if rest not in QUANTITIES:
        near = nearest(rest, QUANTITIES)
        hint = f"did you mean {near}? " if near else ""
        raise CampaignError(
            f"criterion {shorten(text)}: unknown quantity {rest!r}; {hint}known: {', '.join([*QUANTITIES, *COUNTS])}"
        )
    return first, rest


def _statistic(name: str) -> Callable[[Array], float]:
    match = _PERCENTILE.fullmatch(name)
    if match is None:
        return STATISTICS[name]
    rank = int(match[1])
    return lambda values: float(np.percentile(values, rank))


def _of_samples(taken: "Callable[[ControllerTrace], Array | None]", runs: Runs) -> Array:
    """(samples,) of all controllers of all runs, where the number was taken."""
    found = []
    for run in runs:
        if run.log is None:
            continue
        with open_log(run.log) as log:
            for trace in log.controllers.values():
                values = taken(trace)
                if values is not None:
                    found.append(values[trace.due])
    values = np.concatenate(found) if found else np.zeros(0)
    return values[~np.isnan(values)]
