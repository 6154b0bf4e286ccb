"""What the logs of a campaign tell beyond costs and violations, by controller: one pass over them, few numbers kept.

A log is opened when it is its turn and closed again; one that cannot be read is named and costs no other.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim import open_log
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.validation.campaign import Campaign, RunResult
from dmpcrl_ctrl.validation.certified import bracket_widths, largest_residuals
from dmpcrl_ctrl.validation.metrics import stage_costs
from dmpcrl_ctrl.validation.record_fields import last_numbers, numbers

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import Run
    from dmpcrl_ctrl.cosim.trace import ControllerTrace

# Tables with a column an iteration are kept at so many samples of a run.
MOST_ROWS = 100
WINDOWS = 40
_NOTHING, _NO_TABLE = np.zeros(0), np.zeros((0, 0))


def _none() -> Array:
    return _NOTHING


def _no_table() -> Array:
    return _NO_TABLE


@dataclass(frozen=True)
class Group:
    """Runs of one controller in one scenario.

    Attributes
    ----------
    scenario, controller
        Which; the scenario may be empty.
    """

    scenario: str
    controller: str

    @property
    def label(self) -> str:
        """For a person."""
        return f"{self.scenario}: {self.controller}" if self.scenario else self.controller


@dataclass(frozen=True)
class Recorded:
    """What controllers wrote down, in one run or in several together; empty arrays where they wrote nothing.

    Attributes
    ----------
    sample_time
        Seconds: the shortest of the controllers that told their solve times; NaN where none did.
    solve_time
        (S,): seconds.
    primal, dual
        (R, T): ADMM residuals by iteration, NaN behind the last one; of at most `MOST_ROWS` samples of a run.
    residual, width
        (S,): of certificates, as in `certified.py`.
    td_error, learning_cost
        (L, W): means of |temporal difference| and stage cost over windows, a row for each run that learns.
    learning_samples
        Of the longest run that learns.
    """

    sample_time: float = float("nan")
    solve_time: Array = field(default_factory=_none)
    primal: Array = field(default_factory=_no_table)
    dual: Array = field(default_factory=_no_table)
    residual: Array = field(default_factory=_none)
    width: Array = field(default_factory=_none)
    td_error: Array = field(default_factory=_no_table)
    learning_cost: Array = field(default_factory=_no_table)
    learning_samples: int = 0


def groups_of(campaign: Campaign) -> dict[Group, tuple[RunResult, ...]]:
    """Results by scenario and controller, in the order of the table."""
    found: dict[Group, list[RunResult]] = {}
    for result in campaign.results:
        found.setdefault(Group(result.scenario, result.controller), []).append(result)
    return {group: tuple(results) for group, results in found.items()}


def read_logs(
    results: Iterable[RunResult], visit: Callable[[RunResult, "Run"], None] | None = None
) -> tuple[dict[Group, Recorded], dict[str, str]]:
    """Read every log once.

    Parameters
    ----------
    results
        In the order in which their logs are read.
    visit
        Called with each run while its log is open, failed runs included.

    Returns
    -------
    tuple
        What stands in the logs of the runs that finished, and name of a run -> why its log could not be read.
    """
    parts: dict[Group, list[Recorded]] = {}
    unreadable: dict[str, str] = {}
    for result in results:
        if result.log is None:
            continue
        own = parts.setdefault(Group(result.scenario, result.controller), [])
        try:
            with open_log(result.log) as run:
                if result.ok:
                    own.append(recorded(run))
                if visit is not None:
                    visit(result, run)
        except LogError as error:
            unreadable[result.name] = str(error)
    return {group: together(own) for group, own in parts.items()}, unreadable


def recorded(run: "Run") -> Recorded:
    """What the controllers of one run wrote down."""
    return together([_of_trace(trace, run) for trace in run.controllers.values()])


def together(parts: Sequence[Recorded]) -> Recorded:
    """Several as one."""
    if not parts:
        return Recorded()

    def joined(of: Callable[[Recorded], Array]) -> Array:
        return np.concatenate([of(part) for part in parts])

    def stacked(of: Callable[[Recorded], Array]) -> Array:
        tables = [of(part) for part in parts]
        width = max(table.shape[1] for table in tables)
        whole = [np.pad(t, ((0, 0), (0, width - t.shape[1])), constant_values=np.nan) for t in tables if t.shape[1]]
        return np.concatenate(whole) if whole else _NO_TABLE

    times = [part.sample_time for part in parts if np.isfinite(part.sample_time)]
    return Recorded(
        min(times, default=float("nan")),
        joined(lambda part: part.solve_time),
        stacked(lambda part: part.primal),
        stacked(lambda part: part.dual),
        joined(lambda part: part.residual),
        joined(lambda part: part.width),
        stacked(lambda part: part.td_error),
        stacked(lambda part: part.learning_cost),
        max(part.learning_samples for part in parts),
    )


def _of_trace(trace: "ControllerTrace", run: "Run") -> Recorded:
    solve_time = _due(trace, numbers(trace, "solve_time"))
    solve_time = solve_time[solve_time > 0.0]
    error = _temporal_differences(trace)
    return Recorded(
        trace.sample_time if solve_time.size else float("nan"),
        solve_time,
        _table(trace, "admm/primal_residual"),
        _table(trace, "admm/dual_residual"),
        _due(trace, largest_residuals(trace)),
        _due(trace, bracket_widths(trace)),
        window_means(error),
        window_means(stage_costs(run)[1] if error.size else _NOTHING),
        error.size,
    )


def window_means(values: Array) -> Array:
    """(1, W): means of the finite values in windows of equal length; (0, 0) of nothing."""
    count = min(WINDOWS, len(values))
    if not count:
        return _NO_TABLE
    parts = [part[np.isfinite(part)] for part in np.array_split(values, count)]
    return np.array([[part.mean() if part.size else np.nan for part in parts]])


def _temporal_differences(trace: "ControllerTrace") -> Array:
    """(S,): mean over the agents of their absolute values, NaN where there is none yet."""
    if "td_error" not in trace.fields or trace["td_error"].ndim not in (1, 2):
        return _NOTHING
    error = np.abs(trace["td_error"][trace.due].astype(float))
    return error if error.ndim == 1 else np.asarray(error.mean(axis=1)) if error.shape[1] else _NOTHING


def _due(trace: "ControllerTrace", values: Array | None) -> Array:
    """Where it was the controller's turn and there is a number; infinite ones stay."""
    if values is None:
        return _NOTHING
    mine = values[trace.due].astype(float)
    return np.asarray(mine[~np.isnan(mine)])


def _table(trace: "ControllerTrace", field: str) -> Array:
    if last_numbers(trace, field) is None:
        return _NO_TABLE
    table = trace[field][trace.due].astype(float)
    table = table[np.unique(np.linspace(0, len(table) - 1, MOST_ROWS).astype(int))] if len(table) else table
    table = np.where(np.isfinite(table), table, np.nan)
    there = ~np.isnan(table).all(axis=0)
    return table[:, : int(np.flatnonzero(there)[-1]) + 1] if there.any() else _NO_TABLE
