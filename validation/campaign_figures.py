"""The pictures of a campaign that stand still: spreads over the runs, agreement, certificates, learning, solve times.

Each run is a dot as well as part of a box, so that nothing hides behind a quartile. Controllers are told apart by their
rows or dashes, and by colours that differ without full colour vision.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.plot import COLOURS, DASHES, LIMIT
from dmpcrl_ctrl.validation.campaign import RunResult
from dmpcrl_ctrl.validation.campaign_logs import Group, Recorded
from dmpcrl_ctrl.validation.campaign_traces import PanelTraces, Trace
from dmpcrl_ctrl.validation.drawing import WIDTH, Axes, Figure, Picture, panel_row, to_picture
from dmpcrl_ctrl.validation.wording import seconds

ROUNDING = 1e-16
_LONGEST = 30


def boxes(groups: Mapping[Group, Sequence[RunResult]]) -> Picture:
    """Cost and violations of the runs that finished; dots in groups "boxes-cost-<row>", in the order of the runs."""
    figure, axes = panel_row(["cost of a run", "instants with a violation"], 0.9 + 0.42 * len(groups))
    shown = [counted(results) for results in groups.values()]
    for ax, key, of in (
        (axes[0], "cost", lambda run: run.cost),
        (axes[1], "violations", lambda run: run.violated_samples),
    ):
        values = [np.array([of(run) for run in runs], dtype=float) for runs in shown]
        for row, own in enumerate(values):
            _box(ax, row, own, f"{key}-{row}")
        every = np.concatenate([np.zeros(0), *values])
        if every.size and every.min() > 0.0 and every.max() > 50.0 * every.min():
            ax.set_xscale("log")
        elif key == "violations":
            ax.set_xlim(-0.04 * max(every.max(initial=0.0), 1.0), 1.05 * max(every.max(initial=0.0), 1.0))
        _rows(ax, [group.label for group in groups] if key == "cost" else [""] * len(groups))
    caption = (
        "Each dot is a run. Box: the middle half of the runs, with the median; lines reach to the furthest runs "
        "within one and a half boxes."
    )
    return to_picture(figure, "boxes", "Cost and violations", caption)


def counted(results: Sequence[RunResult]) -> list[RunResult]:
    """Runs that have a cost."""
    return [run for run in results if run.ok and np.isfinite(run.cost)]


def _box(ax: Axes, row: int, values: Array, gid: str) -> None:
    colour = COLOURS[row % len(COLOURS)]
    if not values.size:
        ax.text(0.02, row, "no run", transform=ax.get_yaxis_transform(), va="center", fontsize=8, color="#6b6b6b")
        return
    low, middle, high = np.percentile(values, [25, 50, 75])
    inside = values[(values >= low - 1.5 * (high - low)) & (values <= high + 1.5 * (high - low))]
    if values.size > 1:
        ax.barh(row, high - low, left=low, height=0.62, color=colour, alpha=0.18, edgecolor=colour, linewidth=0.9)
        ax.plot([inside.min(), low], [row, row], color=colour, linewidth=0.9)
        ax.plot([high, inside.max()], [row, row], color=colour, linewidth=0.9)
        ax.plot([middle, middle], [row - 0.31, row + 0.31], color=colour, linewidth=2.2)
    # Spread by a fixed pattern, so that the same campaign gives the same picture.
    height = row + 0.42 * ((np.arange(values.size) * 0.6180339887) % 1.0 - 0.5)
    style: dict[str, Any] = {"markersize": 4.2, "markeredgecolor": "white", "markeredgewidth": 0.4, "linestyle": "none"}
    ax.plot(values, height, marker="o", color=colour, gid=gid, **style)


def _rows(ax: Axes, labels: Sequence[str]) -> None:
    """A row for each, the first on top."""
    ax.set_yticks(range(len(labels)), [_short(label) for label in labels])
    ax.set_ylim(len(labels) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")


def _semilogy(ax: Axes, x: Array, values: Array, place: int, label: str) -> None:
    ax.semilogy(x, values, label=_short(label), **_line(place))
    ax.tick_params(which="minor", labelsize=7, colors="#404040")


def _short(label: str) -> str:
    """At most so many letters, none of which matplotlib takes for a formula."""
    return (label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…").replace("$", r"\$")


def residuals(recorded: Mapping[Group, Recorded]) -> Picture | None:
    """ADMM residuals by iteration: median over all samples of all runs, and the band that holds 90 % of them."""
    there = [(group, own) for group, own in recorded.items() if own.primal.shape[1] and own.dual.shape[1]]
    if not there:
        return None
    figure, axes = panel_row(["primal residual", "dual residual"], 3.0)
    for ax, tables in zip(axes, zip(*((own.primal, own.dual) for _, own in there), strict=True), strict=True):
        longest = max(table.shape[1] for table in tables)
        for place, ((group, _), table) in enumerate(zip(there, tables, strict=True)):
            low, middle, high = _percentiles(np.maximum(table, ROUNDING), (5, 50, 95))
            x = np.arange(1, table.shape[1] + 1)
            ax.fill_between(x, low, high, color=COLOURS[place % len(COLOURS)], alpha=0.15, linewidth=0)
            _semilogy(ax, x, middle, place, group.label)
        ax.set_xlim(1, max(longest, 2))
        ax.locator_params(axis="x", integer=True)
        ax.set_xlabel("ADMM iteration")
    _legend(figure, axes[0], len(there))
    caption = (
        "How far the agents' copies are from the agreed states (primal) and how much these still move (dual): "
        "median and the band of 90 % of the samples of all runs."
    )
    return to_picture(figure, "residuals", "Agreement of the agents", caption)


def certificates(recorded: Mapping[Group, Recorded]) -> Picture | None:
    """Histograms of the largest residual of the optimality conditions, and of the width of the bracket."""
    there = {group: own for group, own in recorded.items() if own.residual.size}
    if not there:
        return None
    titles = ["largest KKT residual, relative", "width of the bracket, share of the value"]
    figure, axes = panel_row(titles, 0.9 + 0.55 * len(there))
    for ax, key in zip(axes, ("residual", "width"), strict=True):
        labels = [group.label for group in there] if key == "residual" else [""] * len(there)
        _ridges(ax, labels, [getattr(own, key) for own in there.values()])
    endless = sum(int(np.isinf(own.width).sum()) for own in there.values())
    caption = (
        "One count a solve, over all runs; rows are scaled to the same height. How far plans and multipliers are "
        "from solving the network's problem, and how closely the optimal value is known from them; "
        f"{ROUNDING:g} stands for that and anything less."
    )
    if endless:
        caption += f" At {endless} solves the bracket has no upper end: the roll-out breaks a hard bound."
    return to_picture(figure, "certificates", "Certificates", caption)


def solve_times(recorded: Mapping[Group, Recorded]) -> Picture | None:
    """Histograms of the solve times against the sample time."""
    there = {group: own for group, own in recorded.items() if own.solve_time.size}
    if not there:
        return None
    figure, (ax,) = panel_row(["solve time [ms]"], 0.9 + 0.55 * len(there))
    _ridges(ax, [group.label for group in there], [1e3 * own.solve_time for own in there.values()])
    for row, own in enumerate(there.values()):
        limit = 1e3 * own.sample_time
        ax.plot([limit, limit], [row - 0.42, row + 0.42], color=LIMIT, linewidth=1.6, linestyle=(0, (3, 1.5)))
        if row == 0 or own.sample_time != list(there.values())[row - 1].sample_time:
            ax.annotate(
                f"sample time {seconds(own.sample_time)}",
                (limit, row - 0.42),
                (-4.0, 0.0),
                textcoords="offset points",
                color=LIMIT,
                fontsize=8,
                ha="right",
                va="top",
            )
    low = min(float(own.solve_time.min()) for own in there.values())
    high = max(float(max(own.solve_time.max(), own.sample_time)) for own in there.values())
    ax.set_xlim(0.7e3 * low, 1.5e3 * high)
    late = sum(int((own.solve_time > own.sample_time).sum()) for own in there.values())
    total = sum(own.solve_time.size for own in there.values())
    caption = (
        "All agents' programs one after the other, on the machines that ran them; dashed: the sample time. "
        f"{late} of {total} solves took longer than the sample time."
    )
    return to_picture(figure, "solve-times", "Computation", caption)


def learning(recorded: Mapping[Group, Recorded]) -> Picture | None:
    """Temporal difference and cost while a controller learned in the loop."""
    there = [(group, own) for group, own in recorded.items() if own.td_error.shape[1]]
    if not there:
        return None
    figure, axes = panel_row(["|temporal difference|", "stage cost"], 3.0)
    for ax, tables in zip(
        axes, zip(*((own.td_error, own.learning_cost) for _, own in there), strict=True), strict=True
    ):
        for place, ((group, own), table) in enumerate(zip(there, tables, strict=True)):
            low, middle, high = _percentiles(np.maximum(table, ROUNDING), (25, 50, 75))
            x = (np.arange(table.shape[1]) + 0.5) * own.learning_samples / max(table.shape[1], 1)
            ax.fill_between(x, low, high, color=COLOURS[place % len(COLOURS)], alpha=0.18, linewidth=0)
            _semilogy(ax, x, middle, place, group.label)
        ax.set_xlabel("samples")
    _legend(figure, axes[0], len(there))
    caption = "Means over windows of a run: median over the runs, and the band of the middle half of them."
    return to_picture(figure, "learning", "Learning in the loop", caption)


def training(curves: Mapping[str, tuple[Array, Array, int]]) -> Picture | None:
    """Cost and temporal difference of the trainings behind learned controllers: name -> both, and samples in all."""
    if not curves:
        return None
    figure, axes = panel_row(["cost a sample", "|temporal difference|"], 3.0)
    for place, (name, (cost, error, samples)) in enumerate(curves.items()):
        for ax, values in zip(axes, (cost, error), strict=True):
            x = (np.arange(len(values)) + 0.5) * samples / max(len(values), 1)
            _semilogy(ax, x, np.maximum(values, ROUNDING), place, name)
            ax.set_xlabel("samples of training")
    _legend(figure, axes[0], len(curves))
    return to_picture(figure, "training", "Training", "Of the learned controllers, before the campaign.")


def still(trace: Trace, title: str) -> Picture:
    """One run as a picture, for paper and for browsers without scripts."""
    figure = Figure(figsize=(WIDTH, 0.4 + 1.7 * len(trace.panels)), layout="constrained")
    axes = figure.subplots(len(trace.panels), 1, sharex=True, squeeze=False)[:, 0]
    for ax, panel in zip(axes, trace.panels, strict=True):
        _panel(ax, panel, trace)
    axes[-1].set_xlabel("time [s]")
    caption = "Dashed: limits. Crosses: outside them. Shaded: the solve failed, and something else was applied."
    return to_picture(figure, "still", title, caption)


def _panel(ax: Axes, panel: PanelTraces, trace: Trace) -> None:
    for place, curve in enumerate(panel.curves):
        time, values, style = trace.time[curve.rows], curve.values, _line(place)
        if panel.held:
            ax.step(np.append(time, trace.time[-1]), np.append(values, values[-1:]), where="post", **style)
        else:
            ax.plot(time, values, label=_short(curve.label), **style)
        outside = (values < curve.low) | (values > curve.high)
        if not panel.held and outside.any():
            ax.plot(time[outside], values[outside], "x", color=LIMIT, markersize=4.5)
    low, high = ax.get_ylim()
    for side in ([curve.low for curve in panel.curves], [curve.high for curve in panel.curves]):
        shared = len(set(side)) == 1
        for place, bound in enumerate(side[:1] if shared else side):
            if 2 * low - high <= bound <= 2 * high - low:
                colour = LIMIT if shared else COLOURS[place % len(COLOURS)]
                ax.axhline(bound, color=colour, linewidth=0.9, linestyle=(0, (5, 3)))
    for start, end in trace.failed if panel.held else ():
        ax.axvspan(start, end, color=COLOURS[1], alpha=0.12, linewidth=0)
    ax.set_title(_short(f"{panel.title} [{panel.unit}]" if panel.unit else panel.title), loc="left", fontsize=9.5)
    ax.set_xlim(trace.time[0], trace.time[-1])
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#e6e6e6", linewidth=0.6)


def _ridges(ax: Axes, labels: Sequence[str], samples: Sequence[Array]) -> None:
    """A histogram a row over common logarithmic bins."""
    known = [np.maximum(own[np.isfinite(own)], ROUNDING) for own in samples]
    every = np.concatenate(known)
    if every.size:
        low, high = float(every.min()) / 1.3, float(every.max()) * 1.3
        edges = np.geomspace(low, high, 61)
        for row, own in enumerate(known):
            count = np.histogram(own, edges)[0]
            top = row + 0.42 - 0.84 * count / max(count.max(), 1)
            colour = COLOURS[row % len(COLOURS)]
            ax.fill_between(
                edges, np.append(top, top[-1]), row + 0.42, step="post", color=colour, alpha=0.75, linewidth=0
            )
            ax.axhline(row + 0.42, color="#c8ccd2", linewidth=0.6)
        ax.set_xscale("log")
    _rows(ax, labels)


def _line(place: int) -> dict[str, Any]:
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place % len(DASHES)], "linewidth": 1.5}


def _legend(figure: Figure, ax: Axes, count: int) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=min(count, 4), frameon=False, fontsize=8.5)


def _percentiles(table: Array, wanted: tuple[int, ...]) -> Array:
    """By column, of the numbers that are there; NaN where there are none."""
    found = np.full((len(wanted), table.shape[1]), np.nan)
    for k, column in enumerate(table.T):
        there = column[np.isfinite(column)]
        if there.size:
            found[:, k] = np.percentile(there, wanted)
    return found
