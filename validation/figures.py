"""The pictures of a run: states, inputs, disturbances, cost, agreement of the agents, computation.

Each shows one thing, reads in print and by a screen reader, and comes out byte for byte the same every time.
"""

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.drawing import (
    COLOURS,
    LIMIT,
    STYLE,
    Picture,
    draw_held,
    draw_limits,
    finish,
    line_style,
    panels,
    side_by_side,
    stacked,
    thinned,
    to_picture,
)

# Below it a difference of two numbers near one is rounding.
ROUNDING = 1e-16

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import ControllerTrace, Run


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
    figure, axes = stacked(len(groups))
    dense = run.dense
    time, values = (run.time, run.state) if dense is None else dense
    setpoint = np.asarray(run.setpoint)[:, : len(run.state_names)]
    for ax, panel in zip(axes, groups, strict=True):
        for place, column in enumerate(panel.columns):
            style = line_style(place)
            if np.isfinite(setpoint[:, column]).all() and np.ptp(setpoint[:, column]) + abs(setpoint[0, column]) > 0.0:
                draw_held(ax, run.time, setpoint[:, column], color=style["color"], linewidth=1.1, linestyle=":")
            ax.plot(*thinned(time, values[:, column]), label=panel.labels[place], **style)
        draw_limits(ax, np.asarray(run.state_limits)[list(panel.columns)])
        finish(ax, panel, [run.units.get(name, "") for name in panel.labels])
    axes[-1].set_xlabel("time [s]")
    caption = "Dotted: set points; dashed: limits."
    if dense is not None:
        caption += " Drawn with the exact values between the samples."
    return to_picture(figure, "states", "States", caption)


def inputs(run: "Run") -> Picture:
    """Inputs as the plant took them, with their limits; the samples with a failed solve are shaded."""
    groups = panels(run.input_names)
    figure, axes = stacked(len(groups))
    setpoint = np.asarray(run.setpoint)[:, len(run.state_names) :]
    failed = _failed(run)
    for ax, panel in zip(axes, groups, strict=True):
        for place, column in enumerate(panel.columns):
            style = line_style(place)
            if np.isfinite(setpoint[:, column]).all() and np.ptp(setpoint[:, column]) > 0.0:
                draw_held(ax, run.time, setpoint[:, column], color=style["color"], linewidth=1.1, linestyle=":")
            draw_held(ax, run.time, np.asarray(run.input)[:, column], label=panel.labels[place], **style)
        draw_limits(ax, np.asarray(run.input_limits)[list(panel.columns)])
        for start, end in failed:
            ax.axvspan(start, end, color="#D55E00", alpha=0.10, linewidth=0)
        finish(ax, panel, [run.units.get(name, "") for name in panel.labels])
    axes[-1].set_xlabel("time [s]")
    caption = "Held between samples, as the plant took them (saturated). Dotted: set points; dashed: limits."
    if failed:
        caption += " Shaded: the solve failed and a substitute was applied."
    return to_picture(figure, "inputs", "Inputs", caption)


def disturbances(run: "Run") -> Picture | None:
    """What acted on the plant from outside."""
    if not run.disturbance_names:
        return None
    groups = panels(run.disturbance_names)
    figure, axes = stacked(len(groups), 1.5)
    for ax, panel in zip(axes, groups, strict=True):
        for place, column in enumerate(panel.columns):
            draw_held(
                ax, run.time, np.asarray(run.disturbance)[:, column], label=panel.labels[place], **line_style(place)
            )
        finish(ax, panel, [run.units.get(name, "") for name in panel.labels])
    axes[-1].set_xlabel("time [s]")
    return to_picture(
        figure,
        "disturbances",
        "Disturbances",
        "At the samples: what controllers are told of it, and noise that they are not.",
    )


def cost(run: "Run") -> Picture:
    """Stage cost over time, and where it comes from."""
    figure, (ax,) = stacked(1, 1.7)
    stage = np.asarray(run.cost, dtype=float)
    total = stage.sum(axis=1)
    held = np.append(total, total[-1:])
    ax.fill_between(*thinned(run.time, held), step="post", color=COLOURS[0], alpha=0.25, linewidth=0)
    draw_held(ax, run.time, total, color=COLOURS[0])
    ax.set_title("stage cost of all agents")
    ax.set_xlabel("time [s]")
    ax.set_xlim(run.time[0], run.time[-1])
    return to_picture(figure, "cost", "Cost", "Summed over the samples it is the total cost.")


def residuals(trace: "ControllerTrace") -> Picture | None:
    """ADMM residuals by iteration: the median over the samples, and the band that holds 90 % of them."""
    if "admm/primal_residual" not in trace.fields:
        return None
    figure, axes = side_by_side(2, 2.6)
    for ax, name, colour in zip(axes, ("primal", "dual"), (COLOURS[0], COLOURS[2]), strict=True):
        table = np.asarray(trace[f"admm/{name}_residual"], dtype=float)[trace.due]
        table = table[:, np.isfinite(table).any(axis=0)]
        if not table.size:
            continue
        low, middle, high = np.nanpercentile(np.maximum(table, ROUNDING), [5, 50, 95], axis=0)
        worst = np.nanmax(np.maximum(table, ROUNDING), axis=0)
        iteration = np.arange(1, table.shape[1] + 1)
        ax.fill_between(iteration, low, high, color=colour, alpha=0.22, linewidth=0, label="90 % of the samples")
        ax.semilogy(iteration, middle, color=colour, label="median")
        ax.semilogy(iteration, worst, color=colour, linewidth=0.9, linestyle=":", label="worst")
        ax.set_title(f"{name} residual")
        ax.set_xlabel("ADMM iteration")
        ax.set_xlim(1, max(table.shape[1], 2))
        ax.legend(loc="lower left", frameon=True, edgecolor="none", framealpha=0.85)
    caption = "How far the agents' copies are from the agreed states (primal) and how much these still move (dual)."
    return to_picture(figure, f"residuals-{trace.name}", "Agreement of the agents", caption)


def agreement(run: "Run", trace: "ControllerTrace") -> Picture | None:
    """Largest difference of the inputs to the central solution of the same problem, over time."""
    if "central_difference" not in trace.fields:
        return None
    figure, (ax,) = stacked(1, 1.7)
    difference = np.asarray(trace["central_difference"], dtype=float)
    due = trace.due & np.isfinite(difference)
    time, values = thinned(run.time[:-1][due], np.maximum(difference[due], ROUNDING))
    ax.semilogy(time, values, color=COLOURS[0], marker=".", markersize=3, linewidth=0.8)
    ax.set_title("largest |u − u central|")
    ax.set_xlabel("time [s]")
    ax.set_xlim(run.time[0], run.time[-1])
    caption = (
        "Against one quadratic program of the same agents' problems, solved for the same measurement; "
        f"{ROUNDING:g} stands for that and anything less."
    )
    return to_picture(figure, f"central-{trace.name}", "Difference to the central solution", caption)


def solve_times(trace: "ControllerTrace") -> Picture | None:
    """Distribution of the solve times against the sample time."""
    if "solve_time" not in trace.fields:
        return None
    values = np.asarray(trace["solve_time"], dtype=float)[trace.due]
    values = values[np.isfinite(values) & (values > 0.0)] * 1e3
    if not values.size:
        return None
    limit = float(trace.sample_time) * 1e3
    figure, (ax,) = stacked(1, 1.8)
    edges = np.geomspace(values.min() / 1.2, max(values.max() * 1.2, values.min() * 1.5), 40)
    ax.hist(values, bins=list(edges), color=COLOURS[0], alpha=0.8)
    ax.set_xscale("log")
    ax.axvline(limit, color=LIMIT, linewidth=1.1, linestyle="--", label=f"sample time {limit:g} ms")
    ax.set_xlim(min(edges[0], limit) / 1.3, max(edges[-1], limit) * 1.3)
    ax.set_title("solve time")
    ax.set_xlabel("milliseconds")
    ax.set_ylabel("samples")
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, 1.0))
    caption = "All agents' programs one after the other, on this machine."
    return to_picture(figure, f"solve-time-{trace.name}", "Computation", caption)


def _failed(run: "Run") -> list[tuple[float, float]]:
    """Intervals in seconds in which the input came from a failed solve of any controller."""
    spans: list[tuple[float, float]] = []
    for trace in run.controllers.values():
        if "status" not in trace.fields:
            continue
        bad = [not (Status(int(value)).ok or value == Status.IDLE) for value in trace["status"]]
        for k, failed in enumerate(bad):
            start, end = float(run.time[k]), float(run.time[k + 1])
            if failed and spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], end)
            elif failed:
                spans.append((start, end))
    return spans
