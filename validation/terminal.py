"""What the commands show a person: one-line errors with their exit statuses, a bar, and the tables that end a job."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from dmpcrl_ctrl.errors import DmpcrlError
from dmpcrl_ctrl.messages import one_line

if TYPE_CHECKING:
    from dmpcrl_ctrl.validation.campaign_runner import CampaignOutcome
    from dmpcrl_ctrl.validation.runner import Outcome
    from dmpcrl_ctrl.validation.verdict import Verdict

BAD_INPUT, FAILED, INTERRUPTED, TERMINATED = 2, 1, 130, 143


@contextmanager
def one_line_errors(status: int, kept: str = "the log holds what came before") -> Iterator[None]:
    """Turn an error of ours into one line and an exit status; any other is a fault of the program and shows itself."""
    try:
        yield
    except DmpcrlError as error:
        typer.echo(f"dmpcrl-ctrl: {one_line(error)}", err=True)
        raise typer.Exit(status) from None
    except Terminated:
        typer.echo(f"dmpcrl-ctrl: terminated; {kept}", err=True)
        raise typer.Exit(TERMINATED) from None
    except KeyboardInterrupt:
        typer.echo(f"dmpcrl-ctrl: interrupted; {kept}", err=True)
        raise typer.Exit(INTERRUPTED) from None


class Terminated(KeyboardInterrupt):
    """SIGTERM, on its way through the loop, so that the log is closed like after Ctrl-C."""


def terminated(number: int, frame: object) -> None:
    """Handler of SIGTERM."""
    raise Terminated


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None] | None]:
    """A bar on standard error where a person watches; nothing where it is piped."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


def show_run(outcome: "Outcome", title: str) -> None:
    """The table that ends a run, and where its files are."""
    from rich.table import Table
    from rich.text import Text

    from dmpcrl_ctrl.validation.wording import table

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    shown = Table(title=Text(title), title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True)
    shown.add_column(style="dim")
    for row in table(outcome.summary):
        shown.add_row(Text(row.label), Text(row.value), Text(row.remark))
    console.print(shown)
    typer.echo("a · b · c: median, 95th percentile, largest over the samples")
    for path in (outcome.log, outcome.numbers, outcome.page):
        typer.echo(str(path))


def show_verdicts(verdicts: "Sequence[Verdict]", title: str) -> int:
    """A table of checks, the examples on which they fail, and one line; returns how many failed."""
    from rich.table import Table
    from rich.text import Text

    from dmpcrl_ctrl.validation.verdict import Outcome

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    styles = {Outcome.PASSED: "green", Outcome.FAILED: "bold red", Outcome.SKIPPED: "dim"}
    shown = Table(title=Text(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
    shown.add_column("check", no_wrap=True)
    shown.add_column("outcome", no_wrap=True)
    shown.add_column("detail", overflow="fold")
    for verdict in verdicts:
        shown.add_row(Text(verdict.check), Text(verdict.outcome, styles[verdict.outcome]), Text(verdict.detail))
    console.print(shown)
    for verdict in verdicts:
        if verdict.example:
            console.print(Text(f"\n{verdict.check} fails on"), style="bold")
            console.print(Text(verdict.example), soft_wrap=True)
    count = {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Outcome}
    typer.echo(", ".join(f"{number} {outcome}" for outcome, number in count.items() if number))
    return count[Outcome.FAILED]


def show_campaign(outcome: "CampaignOutcome", reference: str | None) -> None:
    """The table of a campaign, its verdicts, what failed, and where its files are."""
    from dmpcrl_ctrl.validation.campaign_table import as_text, table
    from dmpcrl_ctrl.validation.wording import judgement_line

    typer.echo(as_text(table(outcome.campaign, reference)))
    for judgement in outcome.heading.judgements:
        typer.echo(judgement_line(judgement))
    for run in outcome.campaign.failed:
        typer.echo(f"FAIL  {run.name}: {run.error}")
    total = len(outcome.campaign.results)
    typer.echo(f"{total} runs, {outcome.campaign.repeated} of them now; {outcome.campaign.folder}")
    for path in outcome.files:
        typer.echo(str(path))
