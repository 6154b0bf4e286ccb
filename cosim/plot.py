"""The picture of a run: signals that differ only in a number share a panel, states first, then inputs and disturbances.

Drawn on a `Figure` of its own, without pyplot: it needs no screen, and changes nobody's settings.
"""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.log import Run
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.status import Status

# Distinguishable without full colour vision (Okabe and Ito), darkest first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
DASHES = ("-", (0, (6, 1.5)), (0, (3, 1)), (0, (5, 1, 1, 1)))
LIMIT, FAILED, QUIET = "#B22222", "#D55E00", "#6b6b6b"
# More panels than this are too small to read: signals then share one by their unit.
MOST_PANELS = 9
_MOST_LABELS = 8


@dataclass(frozen=True)
class Panel:
    """Signals of one kind that share axes.

    Parameters
    ----------
    kind
        "state", "output", "input", "disturbance" or "setpoint".
    title
        What they have in common.
    unit
        Theirs, or "" where they differ or have none.
    columns, labels
        Their columns in the run's array, and what tells them apart.
    """

    kind: str
    title: str
    unit: str
    columns: tuple[int, ...]
    labels: tuple[str, ...]


class RunFigure(Figure):
    """A figure that a notebook shows by itself."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def plot_run(run: Run, signals: Iterable[str] | None = None) -> RunFigure:
    """Draw a run.

    Parameters
    ----------
    run
        With at least one sample.
    signals
        Names to draw; None: states (outputs where there are none), inputs and disturbances.

    Raises
    ------
    LogError
        A signal that does not exist.
    """
    panels = panels_of(run, None if signals is None else tuple(signals))
    columns = 1 if len(panels) <= 3 else 2
    rows = -(-len(panels) // columns)
    figure = RunFigure(figsize=(6.4 * columns if columns > 1 else 8.4, 1.0 + 2.15 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    # Down the columns, so that what is read first stands on the left.
    axes = list(grid.T.ravel())
    failed = _failed_spans(run)
    for ax, panel in zip(axes, panels, strict=False):
        _draw(ax, run, panel, failed)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for ax in [axes[min(rows * (c + 1), len(panels)) - 1] for c in range(columns)]:
        ax.set_xlabel("time [s]", color=QUIET, fontsize=9)
        ax.tick_params(labelbottom=True)
    figure.suptitle(str(run.attributes.get("title", "")), x=0.01, ha="left", fontsize=11, fontweight="bold")
    note = "thin: set point    dashed: limit" + ("    shaded: solve failed" if failed else "")
    figure.supxlabel(note, x=0.99, ha="right", fontsize=8, color=QUIET)
    return figure


def panels_of(run: Run, signals: Sequence[str] | None = None) -> list[Panel]:
    """Which signals share axes: those with a common stem, or with a common unit where the stems are too many."""
    kinds = ("state", "output", "input", "disturbance", "setpoint")
    if signals is None:
        first = "state" if run.state_names else "output"
        chosen = {kind: list(range(len(run.names[kind]))) for kind in (first, "input", "disturbance")}
    else:
        chosen = {kind: [] for kind in kinds}
        for name in signals:
            kind = next((kind for kind in kinds if name in run.names[kind]), None)
            if kind is None:
                raise LogError(unknown(name, dict.fromkeys(n for kind in kinds for n in run.names[kind]), "signal"))
            chosen[kind].append(run.names[kind].index(name))
    panels = [panel for kind, columns in chosen.items() for panel in _grouped(run, kind, columns, by_unit=False)]
    if len(panels) > MOST_PANELS:
        panels = [panel for kind, columns in chosen.items() for panel in _grouped(run, kind, columns, by_unit=True)]
    return panels


def _grouped(run: Run, kind: str, columns: list[int], by_unit: bool) -> list[Panel]:
    groups: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for column in columns:
        name = run.names[kind][column]
        stem, label = _split(name, several=len(run.plants) > 1)
        unit = run.units[name]
        key = (f"{kind}s", unit) if by_unit else (stem, unit)
        groups.setdefault(key, []).append((column, name if by_unit else label))
    return [
        Panel(kind, title, unit if unit != "1" else "", tuple(c for c, _ in members), tuple(n for _, n in members))
        for (title, unit), members in groups.items()
    ]


def _split(name: str, several: bool) -> tuple[str, str]:
    """Stem of a signal's name, and what tells it from others of that stem: "north.dtheta_1" -> "dtheta", "north 1"."""
    plant, _, own = name.partition(".") if several else ("", "", name)
    match = re.fullmatch(r"(?:(.+?)[_\[](\d+)\]?|(.*\D)(\d+))(_ref)?", own)
    stem, number = ((match[1] or match[3]) + (match[5] or ""), match[2] or match[4]) if match else (own, "")
    return stem, f"{plant} {number}".strip() or own


def _draw(ax: Axes, run: Run, panel: Panel, failed: list[tuple[float, float]]) -> None:
    """One panel: set points below, signals above, limits where they are near."""
    for place, column in enumerate(panel.columns):
        colour, dash = COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]
        target = _setpoint(run, panel.kind, column)
        if target is not None:
            _held(ax, run.time, target, color=colour, linewidth=0.9, alpha=0.5)
        _signal(ax, run, panel.kind, column, color=colour, linestyle=dash, linewidth=1.4, label=panel.labels[place])
    if panel.kind in ("state", "input"):
        limits = run.state_limits if panel.kind == "state" else run.input_limits
        _limits(ax, limits[list(panel.columns)])
    if panel.kind == "input":
        for start, end in failed:
            ax.axvspan(start, end, color=FAILED, alpha=0.12, linewidth=0)
    ax.set_title(f"{panel.title} [{panel.unit}]" if panel.unit else panel.title, loc="left", fontsize=9.5)
    if 1 < len(panel.columns) <= _MOST_LABELS:
        ax.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(panel.columns), frameon=False, fontsize=8,
            handlelength=1.3, columnspacing=1.0, borderaxespad=0.1, handletextpad=0.4,
        )  # fmt: skip
    ax.set_xlim(run.time[0], run.time[-1])
    ax.grid(color="#e6e6e6", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#9a9a9a")
    ax.tick_params(colors="#404040", labelsize=8)


def _signal(ax: Axes, run: Run, kind: str, column: int, **style: Any) -> None:
    if kind == "state" and run.dense is not None:
        ax.plot(run.dense[0], run.dense[1][:, column], **style)
    elif kind in ("state", "output"):
        ax.plot(run.time, getattr(run, kind)[:, column], **style)
    else:
        _held(ax, run.time, getattr(run, kind)[:, column], **style)


def _held(ax: Axes, time: Array, values: Array, **style: Any) -> None:
    """K values, each held from one of K + 1 times to the next."""
    ax.step(time, np.append(values, values[-1:]), where="post", **style)


def _setpoint(run: Run, kind: str, column: int) -> Array | None:
    """(K,) of a state or input, where it has one other than zero."""
    name = {"state": run.state_names, "input": run.input_names}.get(kind, ())
    if not name or f"{name[column]}_ref" not in run.setpoint_names:
        return None
    values = run.setpoint[:, run.setpoint_names.index(f"{name[column]}_ref")]
    return values if np.any(values) else None


def _limits(ax: Axes, limits: Array) -> None:
    """Dashed lines at the limits that are no further from the signals than these spread.

    One line in red where all signals of the panel share a limit, else a line in the colour of each.
    """
    low, high = ax.get_ylim()
    for side in limits.T:
        shared = bool((side == side[0]).all())
        for place, value in enumerate(side[:1] if shared else side):
            if np.isfinite(value) and low - (high - low) <= value <= high + (high - low):
                colour = LIMIT if shared else COLOURS[place % len(COLOURS)]
                ax.axhline(value, color=colour, linewidth=0.9, linestyle=(0, (5, 3)), zorder=1.5)


def _failed_spans(run: Run) -> list[tuple[float, float]]:
    """Intervals in which an input came from a solve that failed."""
    failed = np.zeros(run.samples, dtype=bool)
    for trace in run.controllers.values():
        told = "status" in trace.fields and trace["status"].ndim == 1
        if told and trace.flags("status").get(Status.IDLE) == Status.IDLE.name.lower():  # ours, not another's
            failed |= np.isin(trace["status"], [s for s in Status if not s.ok and s is not Status.IDLE])
    spans = []
    for bad, samples in groupby(range(run.samples), key=lambda k: bool(failed[k])):
        numbers = list(samples)
        if bad:
            spans.append((float(run.time[numbers[0]]), float(run.time[numbers[-1] + 1])))
    return spans
