"""Pictures of a run as inline SVG: one idea each, readable in print and by a screen reader, the same bytes every time.

Signals that differ only in a number at the end (dtheta_1, dtheta_2 ...) share a panel, one line an agent.
"""

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.status import Status

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import ControllerTrace, Run

# Okabe and Ito: told apart by colour-blind eyes; the dashes tell them apart in a grey print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 1.5)),
    (0, (3, 1)),
    (0, (5, 1, 1, 1)),
    (0, (1.5, 1)),
    "-",
    (0, (6, 1.5)),
    (0, (3, 1)),
)
WIDTH = 9.0
STYLE = {
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": "#8a8a8a",
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "dmpcrl-ctrl",
}


@dataclass(frozen=True)
class Picture:
    """An SVG element with its heading and a sentence on what it shows."""

    key: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class Panel:
    """Signals that are drawn on one pair of axes: their common stem and their columns."""

    stem: str
    columns: tuple[int, ...]
    labels: tuple[str, ...]


def panels(names: Sequence[str]) -> list[Panel]:
    """Group signals by their names without the number at the end: a panel for each stem, in order of appearance."""
    groups: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        groups.setdefault(re.sub(r"_?\d+$", "", name) or name, []).append(column)
    result = []
    for stem, columns in groups.items():
        label = stem if len(columns) > 1 else names[columns[0]]
        result.append(Panel(label, tuple(columns), tuple(names[c] for c in columns)))
    return result


def pictures(run: "Run") -> list[Picture]:
    """Every picture that the run has data for, in the order of reading."""
    with mpl.rc_context(STYLE):
        drawn = [states(run), inputs(run), disturbances(run), cost(run)]
        for trace in run.controllers.values():
            drawn += [residuals(trace), agreement(run, trace), solve_times(trace)]
        return [picture for picture in drawn if picture is not None]


def states(run: "Run") -> Picture:
    """States over time with their limits and set points."""
    groups = panels(run.state_names)
    figure, axes = _stack(len(groups))
    dense = run.dense
    time, values = (run.time, run.state) if dense is None else dense
    setpoint = np.asarray(run.setpoint)[:, : len(run.state_names)]
    for ax, panel in zip(axes, groups, strict=True):
        for place, column in enumerate(panel.columns):
            style = _line(place)
            if np.isfinite(setpoint[:, column]).all() and np.ptp(setpoint[:, column]) + abs(setpoint[0, column]) > 0.0:
                _held(ax, run.time, setpoint[:, column], color=style["color"], linewidth=0.9, alpha=0.45)
            ax.plot(time, values[:, column], label=panel.labels[place], **style)
        _limits(ax, np.asarray(run.state_limits)[list(panel.columns)])
        _finish(ax, panel, [run.units.get(name, "") for name in panel.labels])
    axes[-1].set_xlabel("time [s]")
    caption = "Thin: set points; dashed red: limits."
    if dense is not None:
        caption += " Drawn with the exact values between the samples."
    return _picture(figure, "states", "States", caption)


def inputs(run: "Run") -> Picture:
    """Inputs as the plant took them, with their limits; the samples with a failed solve are shaded."""
    groups = panels(run.input_names)
    figure, axes = _stack(len(groups))
    setpoint = np.asarray(run.setpoint)[:, len(run.state_names) :]
    failed = _failed(run)
    for ax, panel in zip(axes, groups, strict=True):
        for place, column in enumerate(panel.columns):
            style = _line(place)
            if np.isfinite(setpoint[:, column]).all() and np.ptp(setpoint[:, column]) > 0.0:
                _held(ax, run.time, setpoint[:, column], color=style["color"], linewidth=0.9, alpha=0.45)
            _held(ax, run.time, np.asarray(run.input)[:, column], label=panel.labels[place], **style)
        _limits(ax, np.asarray(run.input_limits)[list(panel.columns)])
        for start, end in failed:
            ax.axvspan(start, end, color="#D55E00", alpha=0.10, linewidth=0)
        _finish(ax, panel, [run.units.get(name, "") for name in panel.labels])
    axes[-1].set_xlabel("time [s]")
    caption = "Held between samples, as the plant took them (saturated). Thin: set points; dashed red: limits."
    if failed:
        caption += " Shaded: the solve failed and a substitute was applied."
    return _picture(figure, "inputs", "Inputs", caption)


def disturbances(run: "Run") -> Picture | None:
    """What acted on the plant from outside."""
    if not run.disturbance_names:
        return None
    groups = panels(run.disturbance_names)
    figure, axes = _stack(len(groups), 1.5)
    for ax, panel in zip(axes, groups, strict=True):
        for place, column in enumerate(panel.columns):
            _held(ax, run.time, np.asarray(run.disturbance)[:, column], label=panel.labels[place], **_line(place))
        _finish(ax, panel, [run.units.get(name, "") for name in panel.labels])
    axes[-1].set_xlabel("time [s]")
    return _picture(figure, "disturbances", "Disturbances", "Sampled when a controller was due.")


def cost(run: "Run") -> Picture:
    """Stage cost over time, and where it comes from."""
    figure, (ax,) = _stack(1, 1.7)
    stage = np.asarray(run.cost, dtype=float)
    total = stage.sum(axis=1)
    ax.fill_between(run.time, np.append(total, total[-1:]), step="post", color=COLOURS[0], alpha=0.25, linewidth=0)
    _held(ax, run.time, total, color=COLOURS[0])
    ax.set_title("stage cost of all agents")
    ax.set_xlabel("time [s]")
    ax.set_xlim(run.time[0], run.time[-1])
    return _picture(figure, "cost", "Cost", "The area, in samples, is the total cost.")


def residuals(trace: "ControllerTrace") -> Picture | None:
    """ADMM residuals by iteration: the median over the samples, and the band that holds 90 % of them."""
    if "admm/primal_residual" not in trace.fields:
        return None
    figure, axes = _columns(2, 2.6)
    for ax, name, colour in zip(axes, ("primal", "dual"), COLOURS, strict=False):
        table = np.asarray(trace[f"admm/{name}_residual"], dtype=float)[_due(trace)]
        table = table[:, np.isfinite(table).any(axis=0)]
        if not table.size:
            continue
        floor = max(np.nanmin(np.where(table > 0, table, np.nan)), 1e-16) if (table > 0).any() else 1e-16
        low, middle, high = np.nanpercentile(np.maximum(table, floor), [5, 50, 95], axis=0)
        worst = np.nanmax(np.maximum(table, floor), axis=0)
        iteration = np.arange(1, table.shape[1] + 1)
        ax.fill_between(iteration, low, high, color=colour, alpha=0.22, linewidth=0, label="90 % of the samples")
        ax.semilogy(iteration, middle, color=colour, label="median")
        ax.semilogy(iteration, worst, color=colour, linewidth=0.9, linestyle=":", label="worst")
        ax.set_title(f"{name} residual")
        ax.set_xlabel("ADMM iteration")
        ax.legend(loc="upper right")
    caption = "How far the agents' copies are from the agreed states (primal) and how much these still move (dual)."
    return _picture(figure, f"residuals-{trace.name}", "Agreement of the agents", caption)


def agreement(run: "Run", trace: "ControllerTrace") -> Picture | None:
    """Largest difference of the inputs to the central solution of the same problem, over time."""
    if "central_difference" not in trace.fields:
        return None
    figure, (ax,) = _stack(1, 1.7)
    difference = np.asarray(trace["central_difference"], dtype=float)
    due = _due(trace) & (difference > 0.0)
    ax.semilogy(run.time[:-1][due], difference[due], color=COLOURS[0], marker=".", markersize=3, linewidth=0.8)
    ax.set_title("largest |u − u central|")
    ax.set_xlabel("time [s]")
    ax.set_xlim(run.time[0], run.time[-1])
    caption = "Against one quadratic program of the same agents' problems, solved for the same measurement."
    return _picture(figure, f"central-{trace.name}", "Difference to the central solution", caption)


def solve_times(trace: "ControllerTrace") -> Picture | None:
    """Distribution of the solve times against the sample time."""
    if "solve_time" not in trace.fields:
        return None
    values = np.asarray(trace["solve_time"], dtype=float)[_due(trace)]
    values = values[np.isfinite(values) & (values > 0.0)] * 1e3
    if not values.size:
        return None
    limit = float(trace.sample_time) * 1e3
    figure, (ax,) = _stack(1, 1.8)
    edges = np.geomspace(values.min() / 1.2, max(values.max() * 1.2, values.min() * 1.5), 40)
    ax.hist(values, bins=list(edges), color=COLOURS[0], alpha=0.8)
    ax.set_xscale("log")
    ax.axvline(limit, color="#B22222", linewidth=1.1, linestyle="--", label=f"sample time {limit:g} ms")
    ax.set_xlim(min(edges[0], limit) / 1.3, max(edges[-1], limit) * 1.3)
    ax.set_title("solve time")
    ax.set_xlabel("milliseconds")
    ax.set_ylabel("samples")
    ax.legend(loc="upper right")
    caption = "All agents' programs one after the other, on this machine."
    return _picture(figure, f"solve-time-{trace.name}", "Computation", caption)


def _due(trace: "ControllerTrace") -> np.ndarray[Any, np.dtype[np.bool_]]:
    if "status" in trace.fields:
        return np.asarray(trace["status"]) != Status.IDLE
    return np.ones(len(np.asarray(trace.output)), dtype=bool)


def _failed(run: "Run") -> list[tuple[float, float]]:
    """Intervals in seconds in which the input came from a failed solve of any controller."""
    spans: list[tuple[float, float]] = []
    for trace in run.controllers.values():
        if "status" not in trace.fields:
            continue
        bad = [not (Status(int(value)).ok or value == Status.IDLE) for value in np.asarray(trace["status"])]
        for k, failed in enumerate(bad):
            start, end = float(run.time[k]), float(run.time[k + 1])
            if failed and spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], end)
            elif failed:
                spans.append((start, end))
    return spans


def _line(place: int) -> dict[str, Any]:
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place % len(DASHES)]}


def _held(ax: Axes, time: Array, values: Array, **style: Any) -> None:
    """A signal that is constant from each sample to the next: K values on K + 1 times."""
    ax.step(time, np.append(values, values[-1:]), where="post", **style)


def _limits(ax: Axes, limits: Array) -> None:
    """Dashed lines at the limits, without letting far limits squeeze the traces."""
    ax.autoscale_view()
    low, high = ax.get_ylim()
    room = high - low
    for value in np.unique(limits[np.isfinite(limits)]):
        if low - room <= value <= high + room:
            ax.axhline(value, color="#B22222", linewidth=0.9, linestyle=(0, (5, 3)), zorder=1)


def _finish(ax: Axes, panel: Panel, units: Sequence[str]) -> None:
    unit = units[0] if units and len(set(units)) == 1 and units[0] not in ("", "1") else ""
    ax.set_title(f"{panel.stem} [{unit}]" if unit else panel.stem)
    if 1 < len(panel.labels) <= 12:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.margins(x=0)


def _stack(count: int, height: float = 1.6) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, 0.45 + height * count), layout="constrained")
    axes = figure.subplots(count, 1, sharex=True, squeeze=False)
    return figure, list(axes[:, 0])


def _columns(count: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)
    return figure, list(axes[0])


def _picture(figure: Figure, key: str, title: str, caption: str) -> Picture:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # Several drawings share a page: their identifiers must not meet.
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = re.sub(r"url\(#", f"url(#{key}-", svg)
    svg = re.sub(r'href="#', f'href="#{key}-', svg)
    head, body = svg.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    label = f'role="img" aria-labelledby="{key}-title {key}-desc"'
    words = f'<title id="{key}-title">{html.escape(title)}</title><desc id="{key}-desc">{html.escape(caption)}</desc>'
    return Picture(key, title, caption, f"{head} {label}>{words}{body}")
