"""Closed-loop traces inside a page: which runs, which signals, at how many points, so that the page stays small.

A signal with more samples than a screen has points keeps the smallest and the largest of every few neighbours, so that
no peak is lost. Runs of one seed come together, for a comparison on the same noise; the telling ones first.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.plot import panels_of
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.campaign import RunResult
from dmpcrl_ctrl.validation.record_fields import members

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import Run

# Characters of all traces together, points of a signal, and signals of a run.
BUDGET, POINTS, MOST_SIGNALS = 2_800_000, 400, 24


@dataclass(frozen=True)
class Curve:
    """One signal.

    Attributes
    ----------
    name, label
        Its own, and what tells it from the others of its panel.
    low, high
        Limits, infinite where there is none.
    rows, values
        Numbers of the samples that are kept, and the values there.
    """

    name: str
    label: str
    low: float
    high: float
    rows: NDArray[np.intp]
    values: Array


@dataclass(frozen=True)
class PanelTraces:
    """Signals that share axes; `held` where a value stays until the next sample."""

    title: str
    unit: str
    held: bool
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Trace:
    """One run, as far as it is drawn.

    Attributes
    ----------
    time
        (K + 1,): seconds.
    panels
        In the order of reading.
    failed
        Intervals in seconds in which an input came from a solve that failed.
    left_out
        Signals that are in the log only.
    """

    time: Array
    panels: tuple[PanelTraces, ...]
    failed: tuple[tuple[float, float], ...] = ()
    left_out: int = 0

    @property
    def thinned(self) -> bool:
        """Whether there are signals of which only the extremes are kept."""
        return any(len(curve.rows) < len(self.time) - 1 for panel in self.panels for curve in panel.curves)


def trace_of(run: "Run") -> Trace:
    """The signals of a run, limited states first where they are too many."""
    limited = [name for name, own in zip(run.state_names, run.state_limits, strict=True) if np.isfinite(own).any()]
    first = run.state_names or run.output_names
    names = list(dict.fromkeys([*limited, *first, *run.input_names, *run.disturbance_names]))
    limits = dict(zip(run.state_names, run.state_limits, strict=True))
    limits |= dict(zip(run.input_names, run.input_limits, strict=True))
    panels = []
    for panel in panels_of(run, None if len(names) <= MOST_SIGNALS else names[:MOST_SIGNALS]):
        curves = []
        for column, label in zip(panel.columns, panel.labels, strict=True):
            name = run.names[panel.kind][column]
            values = np.asarray(getattr(run, panel.kind)[:, column], dtype=float)
            rows = extremes(values)
            low, high = limits.get(name, (-np.inf, np.inf))
            curves.append(Curve(name, label, float(low), float(high), rows, values[rows]))
        panels.append(PanelTraces(panel.title, panel.unit, panel.kind not in ("state", "output"), tuple(curves)))
    return Trace(run.time, tuple(panels), failed_spans(run), max(0, len(names) - MOST_SIGNALS))


def extremes(values: Array, points: int = POINTS) -> NDArray[np.intp]:
    """Numbers of the samples to draw: all, or first, last, smallest and largest of every few neighbours."""
    count = len(values)
    if count <= points:
        return np.arange(count)
    width = -(-count // (points // 2 - 1))
    padded = np.append(values, np.full(-count % width, np.nan)).reshape(-1, width)
    start = width * np.arange(len(padded))
    lowest = start + np.argmin(np.where(np.isnan(padded), np.inf, padded), axis=1)
    highest = start + np.argmax(np.where(np.isnan(padded), -np.inf, padded), axis=1)
    return np.unique(np.concatenate([[0, count - 1], lowest, highest]))


def failed_spans(run: "Run") -> tuple[tuple[float, float], ...]:
    """Intervals in which an input came from a solve that failed, neighbours joined."""
    failed = np.zeros(run.samples, dtype=bool)
    for trace in run.controllers.values():
        status = members(trace, "status", Status)
        if status is not None:
            failed |= np.isin(status, [own for own in Status if not own.ok and own is not Status.IDLE])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], failed, [False]]).astype(int)))
    return tuple((float(run.time[a]), float(run.time[b])) for a, b in edges.reshape(-1, 2))


class Embedded:
    """Traces as they will stand in a page: those that were offered until the budget was used up.

    Parameters
    ----------
    budget
        Characters of JSON.

    Attributes
    ----------
    place
        Name of a run -> number of its trace.
    offered
        How many runs might have had one.
    thinned, left_out
        Whether any signal is thinned; most signals that a run has in its log only.
    first
        The trace that was offered first.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.place: dict[str, int] = {}
        self.offered, self.left_out, self.thinned = 0, 0, False
        self.first: Trace | None = None
        self._budget, self._used, self._full = budget, 0, False
        self._times, self._layouts = _Table(), _Table()
        self._traces: list[dict[str, Any]] = []

    def offer(self, result: RunResult, run: "Run") -> None:
        """Keep the run's trace if there is room."""
        self.offered += 1
        if self._full or not run.samples:
            return
        trace = trace_of(run)
        packed = _packed(trace, self._times, self._layouts)
        self._used += len(json.dumps(packed))
        if self.place and self._used + self._times.size + self._layouts.size > self._budget:
            self._full = True
            return
        self.place[result.name] = len(self._traces)
        self._traces.append(packed)
        self.first = self.first or trace
        self.thinned, self.left_out = self.thinned or trace.thinned, max(self.left_out, trace.left_out)

    @property
    def content(self) -> dict[str, Any]:
        """For JSON: times, layouts (what the panels of a run hold), traces."""
        return {"times": self._times.rows, "layouts": self._layouts.rows, "traces": self._traces}


def in_order_of_interest(results: Sequence[RunResult]) -> list[RunResult]:
    """Whole seeds: first those with most violations, then worst, best and median cost of each controller, then all."""
    ranked: list[RunResult] = []
    lots: dict[tuple[str, str], list[RunResult]] = {}
    for result in results:
        lots.setdefault((result.scenario, result.controller), []).append(result)
    for lot in lots.values():
        costs = sorted((run for run in lot if np.isfinite(run.cost)), key=lambda run: run.cost)
        worst = max(lot, key=lambda run: (run.violated_samples, np.nan_to_num(run.cost)))
        ranked += [worst, *(costs[k] for k in (-1, 0, len(costs) // 2) if costs)]
    ranked.sort(key=lambda run: -run.violated_samples)  # stable
    rest = sorted(results, key=lambda run: -run.violated_samples)
    seeds = dict.fromkeys((run.scenario, run.index) for run in [*ranked, *rest])
    of_seed: dict[tuple[str, int], list[RunResult]] = {}
    for run in sorted(results, key=lambda run: -run.violated_samples):
        of_seed.setdefault((run.scenario, run.index), []).append(run)
    return [run for seed in seeds for run in of_seed[seed]]


class _Table:
    """Rows that are kept once, whoever refers to them."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.size = 0
        self._number: dict[str, int] = {}

    def number(self, row: Any) -> int:
        """Where the row stands; it is added where it is new."""
        key = json.dumps(row)
        if key not in self._number:
            self._number[key] = len(self.rows)
            self.rows.append(row)
            self.size += len(key)
        return self._number[key]


def _packed(trace: Trace, times: _Table, layouts: _Table) -> dict[str, Any]:
    curves = [curve for panel in trace.panels for curve in panel.curves]
    layout = [
        {
            "title": panel.title,
            "unit": panel.unit,
            "held": panel.held,
            "signals": [
                {"name": own.name, "label": own.label, "low": _finite(own.low), "high": _finite(own.high)}
                for own in panel.curves
            ],
        }
        for panel in trace.panels
    ]
    row: dict[str, Any] = {
        "time": times.number(_time(trace.time)),
        "layout": layouts.number(layout),
        "values": [_text(own.values, "<f4") for own in curves],
    }
    if trace.thinned:
        row["rows"] = [_text(own.rows, "<u4") for own in curves]
    if trace.failed:
        row["failed"] = trace.failed
    return row


def _time(time: Array) -> dict[str, Any]:
    """Start, step and count where the samples lie at equal distances."""
    step = float(time[-1] - time[0]) / (len(time) - 1)
    if np.allclose(time, time[0] + step * np.arange(len(time)), rtol=0.0, atol=1e-6 * step):
        return {"start": float(time[0]), "step": step, "count": len(time)}
    return {"each": _text(time, "<f8")}


def _text(values: NDArray[Any], kind: str) -> str:
    with np.errstate(over="ignore"):
        return base64.b64encode(values.astype(kind).tobytes()).decode("ascii")


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
