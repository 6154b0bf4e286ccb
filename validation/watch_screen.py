"""What `dmpcrl-ctrl watch` shows: a snapshot of a run on a terminal of 80 columns, and as lines where it is piped."""

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dmpcrl_ctrl.validation.watch import ControllerNow, Look, Snapshot, StateNow
from dmpcrl_ctrl.validation.wording import counted

# A state is close to its limit from here on, and a row is late after so many seconds without one.
_CLOSE, _LATE = 0.1, 10.0
_BAR = 20


def screen(seen: Look, where: str) -> RenderableType:
    """The whole picture of one look at the log `where`."""
    if seen.snapshot is None:
        return Text(f"{where}: no row yet{_quiet(seen)}")
    now = seen.snapshot
    head = Text.assemble((now.title or where, "bold"), "  ", _outcome(seen))
    progress = Table.grid(padding=(0, 1))
    progress.add_row(
        ProgressBar(total=1.0, completed=now.share, width=30),
        Text(f"{100.0 * now.share:.0f} %  t = {now.time:.6g} of {now.t_end:.6g} s, {counted(now.rows, 'row')}"),
    )
    numbers = Table.grid(padding=(0, 2))
    numbers.add_column(style="dim", no_wrap=True)
    numbers.add_column(overflow="fold")
    numbers.add_row("cost", _cost(now))
    numbers.add_row("limits", _limits(now))
    parts: list[RenderableType] = [head, progress, Text(), numbers, Text(), _states(now)]
    for controller in now.controllers:
        parts += [Text(), _controller(controller)]
    return Group(*parts)


def line(seen: Look) -> str:
    """One line of it, for logs of other tools."""
    now = seen.snapshot
    if now is None:
        return "no row yet"
    parts = [f"{100.0 * now.share:3.0f} %  t = {now.time:.6g} of {now.t_end:.6g} s"]
    if now.total_cost is not None:
        parts.append(f"cost {now.total_cost:.6g}")
    parts.append(f"{counted(now.violated_samples, 'sample')} outside limits")
    for controller in now.controllers:
        if controller.td_error is not None:
            parts.append(f"{controller.name}: TD error {controller.td_error:.3g}")
    return ", ".join(parts)


def _outcome(seen: Look) -> Text:
    if seen.snapshot is not None and seen.snapshot.complete:
        return Text("complete", "green")
    if seen.closed:
        return Text("stopped before its end", "bold red")
    return Text(f"running{_quiet(seen)}", "yellow" if seen.quiet > _LATE else "dim")


def _quiet(seen: Look) -> str:
    return f", no new row for {seen.quiet:.0f} s" if seen.quiet > _LATE else ""


def _cost(now: Snapshot) -> Text:
    if now.cost is None or now.mean_cost is None or now.total_cost is None:
        return Text("none yet", "dim")
    return Text(f"now {now.cost:.4g}, mean {now.mean_cost:.4g}, total {now.total_cost:.6g}")


def _limits(now: Snapshot) -> Text:
    if not now.limited:
        return Text("no state has any", "dim")
    if now.worst is None:
        return Text("all states inside", "green")
    name, amount, unit, when = now.worst
    return Text(
        f"{counted(now.violated_samples, 'sample')} outside; worst {name} by {amount:.3g}{_unit(unit)} "
        f"at t = {when:.6g} s",
        "bold red",
    )


def _states(now: Snapshot) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("nearest to limits" if now.limited else "state", no_wrap=True, max_width=24)
    for heading in ("value", "lower", "upper"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("room to limit", no_wrap=True)
    for state in now.states:
        value = f"{state.value:.4g}{_unit(state.unit)}"
        table.add_row(Text(state.name), value, _limit(state.lower), _limit(state.upper), _room(state))
    return table


def _room(state: StateNow) -> Text:
    if state.room == float("inf"):
        return Text("")
    if state.room < 0.0:
        return Text("outside", "bold red")
    filled = round(_BAR * min(1.0, state.room))
    style = "yellow" if state.room < _CLOSE else "green"
    return Text.assemble(("■" * filled, style), ("·" * (_BAR - filled), "dim"), f" {100.0 * state.room:3.0f} %")


def _controller(now: ControllerNow) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(now.name, "bold"), Text(f"every {now.sample_time:g} s, {counted(now.samples, 'sample')}"))
    if now.statuses:
        bad = any(name not in ("optimal", "max_iterations") for name in now.statuses)
        counts = ", ".join(f"{number} {name}" for name, number in now.statuses.items())
        table.add_row("solves", Text(counts, "red" if bad else ""))
    if now.solve_time is not None:
        share = 100.0 * now.solve_time.max / now.sample_time
        text = f"median {_seconds(now.solve_time.median)}, longest {_seconds(now.solve_time.max)}"
        late = f"; {now.late} longer than that" if now.late else ""
        table.add_row(
            "solve time",
            Text(f"{text}: {share:.{0 if share >= 10.0 else 1}f} % of a sample{late}", "red" if now.late else ""),
        )
    if now.primal_residual is not None and now.dual_residual is not None:
        table.add_row("ADMM", f"residuals: primal {now.primal_residual:.1e}, dual {now.dual_residual:.1e}")
    if now.updates is not None:
        table.add_row("learning", _learning(now))
    return table


def _learning(now: ControllerNow) -> Text:
    error = "no TD error here" if now.td_error is None else f"TD error {now.td_error:.3g}"
    parts = [error, counted(now.updates or 0, "update")]
    if now.skipped:
        parts.append(f"{now.skipped} skipped")
    if now.theta_moved is not None:
        parts.append(f"|theta - start| {now.theta_moved:.3g}")
    return Text(", ".join(parts))


def _limit(value: float) -> str:
    return "" if value in (float("inf"), float("-inf")) else f"{value:.4g}"


def _unit(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"


def _seconds(value: float) -> str:
    return f"{1e3 * value:.3g} ms" if value < 1.0 else f"{value:.3g} s"
