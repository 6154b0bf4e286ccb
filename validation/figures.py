"""The pictures of a report: states, inputs, disturbances, cost, agreement of the agents, certificates, computation.

Signals are drawn by `Run.plot`, so that page and notebook show the same; the others are drawn here.
"""

from typing import TYPE_CHECKING

import numpy as np

from dmpcrl_ctrl.cosim.plot import COLOURS, LIMIT, plot_run
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.certified import bracket_widths, largest_residuals
from dmpcrl_ctrl.validation.drawing import WIDTH, Picture, legend_above, panel_row, to_picture
from dmpcrl_ctrl.validation.metrics import stage_costs
from dmpcrl_ctrl.validation.record_fields import last_numbers, members, numbers

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import ControllerTrace, Run

# Below it a difference of two numbers near one is rounding.
ROUNDING = 1e-16


def pictures(run: "Run") -> list[Picture]:
    """Every picture that the run has data for, in the order of reading."""
    lines = "Thin lines: set points; dashed: limits, where they are near."
    between = " Drawn with the exact values between the samples." if run.dense is not None else ""
    shaded = " Shaded: the solve failed, and something else was applied." if _any_failed(run) else ""
    held = "As the plant took them: saturated, and held from sample to sample. "
    outside = "What acts from outside, whether controllers are told of it or not."
    drawn = [
        signals(run, "state", "States", lines + between),
        signals(run, "input", "Inputs", held + lines + shaded),
        signals(run, "disturbance", "Disturbances", outside),
        cost(run),
    ]
    for trace in run.controllers.values():
        drawn += [residuals(trace), agreement(run, trace), certificates(run, trace), solve_times(trace)]
    return [picture for picture in drawn if picture is not None]


def signals(run: "Run", kind: str, title: str, caption: str) -> Picture | None:
    """All signals of a kind over time."""
    names = run.names[kind]
    if not names:
        return None
    figure = plot_run(run, names)
    figure.suptitle("")  # the page has a heading and a caption of its own
    figure.supxlabel("")
    figure.set_size_inches(WIDTH, 0.85 * figure.get_size_inches()[1])
    return to_picture(figure, f"{kind}s", title, caption)


def _any_failed(run: "Run") -> bool:
    failures = [status for status in Status if not status.ok]
    found = [(trace, members(trace, "status", Status)) for trace in run.controllers.values()]
    return any(status is not None and np.isin(status[trace.due], failures).any() for trace, status in found)


def cost(run: "Run") -> Picture:
    """Stage cost over time."""
    figure, (ax,) = panel_row(["stage cost of all agents"], 2.2)
    time, total = stage_costs(run)
    held = np.append(total, total[-1:])
    ax.fill_between(time, held, step="post", color=COLOURS[0], alpha=0.25, linewidth=0)
    ax.step(time, held, where="post", color=COLOURS[0])
    ax.set_xlabel("time [s]")
    ax.set_xlim(run.time[0], run.time[-1])
    return to_picture(figure, "cost", "Cost", "Summed over the samples it is the total cost.")


def residuals(trace: "ControllerTrace") -> Picture | None:
    """ADMM residuals by iteration: the median over the samples, and the band that holds 90 % of them."""
    tables = [f"admm/{kind}_residual" for kind in ("primal", "dual")]
    if any(last_numbers(trace, table) is None for table in tables):
        return None
    kinds = ("primal", "dual")
    figure, axes = panel_row([f"{kind} residual" for kind in kinds], 2.8)
    for ax, kind, colour in zip(axes, kinds, (COLOURS[0], COLOURS[2]), strict=True):
        table = trace[f"admm/{kind}_residual"][trace.due].astype(float)
        table = np.maximum(table[:, np.isfinite(table).any(axis=0)], ROUNDING)
        if not table.size:
            continue
        low, middle, high = np.nanpercentile(table, [5, 50, 95], axis=0)
        iteration = np.arange(1, table.shape[1] + 1)
        ax.fill_between(iteration, low, high, color=colour, alpha=0.22, linewidth=0, label="90 % of the samples")
        ax.semilogy(iteration, middle, color=colour, label="median")
        ax.semilogy(iteration, np.nanmax(table, axis=0), color=colour, linewidth=0.9, linestyle=":", label="worst")
        ax.set_xlim(1, max(table.shape[1], 2))
        ax.set_xlabel("ADMM iteration")
        legend_above(ax)
    caption = "How far the agents' copies are from the agreed states (primal) and how much these still move (dual)."
    return to_picture(figure, f"residuals-{trace.name}", "Agreement of the agents", caption)


def agreement(run: "Run", trace: "ControllerTrace") -> Picture | None:
    """Largest difference of the inputs to the central solution of the same problem, over time."""
    difference = numbers(trace, "central_difference")
    if difference is None:
        return None
    figure, (ax,) = panel_row(["largest |u − u central|"], 2.2)
    compared = trace.due & np.isfinite(difference)
    values = np.maximum(difference[compared], ROUNDING)
    ax.semilogy(run.time[:-1][compared], values, color=COLOURS[0], marker=".", markersize=3, linewidth=0.8)
    ax.set_xlabel("time [s]")
    ax.set_xlim(run.time[0], run.time[-1])
    caption = (
        "Against one quadratic program of the same agents' problems, solved for the same measurement; "
        f"{ROUNDING:g} stands for that and anything less."
    )
    return to_picture(figure, f"central-{trace.name}", "Difference to the central solution", caption)


def certificates(run: "Run", trace: "ControllerTrace") -> Picture | None:
    """Largest residual of the optimality conditions and width of the bracket on the value, over time."""
    residual, width = largest_residuals(trace), bracket_widths(trace)
    if residual is None or width is None:
        return None
    figure, axes = panel_row(["largest KKT residual, relative", "width of the bracket, share of the value"], 2.4)
    for ax, values, colour in zip(axes, (residual, width), (COLOURS[0], COLOURS[2]), strict=True):
        known = trace.due & np.isfinite(values)
        shown = np.maximum(values[known], ROUNDING)
        ax.semilogy(run.time[:-1][known], shown, color=colour, marker=".", markersize=3, linewidth=0.8)
        ax.set_xlabel("time [s]")
        ax.set_xlim(run.time[0], run.time[-1])
    caption = (
        "How far plans and multipliers are from solving the network's problem, relative to the terms that have to "
        "balance, and how closely the optimal value is known from them, relative to that value; both are computed by "
        "the agents, and the command dmpcrl-ctrl verify computes them again from the log. "
        f"{ROUNDING:g} stands for that and anything less."
    )
    return to_picture(figure, f"certificates-{trace.name}", "Certificates", caption)


def solve_times(trace: "ControllerTrace") -> Picture | None:
    """Distribution of the solve times against the sample time."""
    recorded = numbers(trace, "solve_time")
    if recorded is None:
        return None
    values = recorded[trace.due] * 1e3
    values = values[np.isfinite(values) & (values > 0.0)]
    if not values.size:
        return None
    limit = trace.sample_time * 1e3
    figure, (ax,) = panel_row(["solve time"], 2.3)
    low, high = float(values.min()), float(values.max())
    edges = np.geomspace(low / 1.2, high * 1.2, 40)
    ax.hist(values, bins=edges.tolist(), color=COLOURS[0], alpha=0.8)
    ax.set_xscale("log")
    ax.axvline(limit, color=LIMIT, linewidth=1.1, linestyle="--", label=f"sample time {limit:g} ms")
    ax.set_xlim(min(low, limit) / 1.6, max(high, limit) * 1.6)
    ax.set_xlabel("milliseconds")
    ax.set_ylabel("samples")
    legend_above(ax)
    caption = "All agents' programs one after the other, on the machine that ran it."
    return to_picture(figure, f"solve-time-{trace.name}", "Computation", caption)
