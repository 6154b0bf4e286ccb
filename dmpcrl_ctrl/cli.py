"""The front door: `dmpcrl-ctrl run EXPERIMENT.toml --out DIR`, `campaign`, `train`, `reproduce`, `verify`, `list`.

Nothing heavy is imported before a command needs it. Bad input ends with one line on standard error and exit status 2, a
run that had to stop with one line and 1, and so does a check that failed; an interrupted one (Ctrl-C, SIGTERM) with 130
or 143, its log closed.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dmpcrl_ctrl import __version__
from dmpcrl_ctrl.errors import CampaignError, DmpcrlError

if TYPE_CHECKING:
    from dmpcrl_ctrl.validation.runner import Outcome
    from dmpcrl_ctrl.validation.verdict import Verdict

BAD_INPUT, FAILED, INTERRUPTED, TERMINATED = 2, 1, 130, 143

app = typer.Typer(
    name="dmpcrl-ctrl",
    help="Distributed MPC in exact co-simulation: run experiments, read their reports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Entry point of the command."""
    # Thousands of small dense factorisations: a second thread costs more than it brings (seventyfold for one of them,
    # on two cores with other work). It takes effect because nothing has loaded numpy yet; a value that is set stays.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dmpcrl-ctrl {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Options that come before a command."""


@app.command()
def run(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (TOML); `dmpcrl-ctrl list` shows those at hand.")],
    out: Annotated[Path, typer.Option(help="Folder for run.h5, summary.json and report.html.")],
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the file's.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key, such as plant.scenario=2."),
    ] = None,
    parameters: Annotated[Path | None, typer.Option(help="File of learned parameters to run with.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a run that DIR holds.")] = False,
) -> None:
    """Run one experiment: simulate the loop, log it, write its numbers and its report."""
    with _one_line_errors(BAD_INPUT):
        from dmpcrl_ctrl.validation.experiment import Override, load_experiment
        from dmpcrl_ctrl.validation.runner import command_line, execute, prepare

        overrides = [Override.read(text) for text in sets or ()]
        file = None if parameters is None else str(parameters)
        if file is not None:
            overrides.append(Override(("controller", "parameters"), file))
        loaded = load_experiment(experiment, overrides, seed)
        prepared = prepare(loaded, out, overwrite)
    signal.signal(signal.SIGTERM, _terminated)
    with _one_line_errors(FAILED), _progress(loaded.title) as progress:
        outcome = execute(prepared, command_line(str(experiment), sets or (), seed, file), progress)
    _show(outcome, loaded.title)


@app.command()
def train(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (TOML) with a section [learning].")],
    out: Annotated[
        Path, typer.Option(help="Folder for parameters.json, training.json, training.svg, checkpoint.json.")
    ],
    seed: Annotated[int | None, typer.Option(help="Of noise, exploration and replay, instead of the file's.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key, such as learning.step_size=1e-6."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Samples of an episode, instead of the file's.")] = None,
    episodes: Annotated[int | None, typer.Option(help="Number of episodes, instead of the file's.")] = None,
    start: Annotated[Path | None, typer.Option("--from", help="Parameters to start from.")] = None,
    central: Annotated[bool, typer.Option("--central", help="One central learner instead of agents.")] = False,
    evaluations: Annotated[int | None, typer.Option(help="Episodes on which the result is tried out.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint that DIR holds.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a training that DIR holds.")] = False,
) -> None:
    """Let the controller of an experiment learn, and try out what it has learned."""
    with _one_line_errors(BAD_INPUT):
        from dmpcrl_ctrl.validation import train_experiment as training
        from dmpcrl_ctrl.validation.experiment import Override, load_experiment

        overrides = [Override.read(text) for text in sets or ()]
        for key, value in (("steps", steps), ("episodes", episodes), ("evaluation.episodes", evaluations)):
            if value is not None:
                overrides.append(Override(("learning", *key.split(".")), value))
        order = training.TrainingOrder(load_experiment(experiment, overrides, seed), central, start)
        prepared = training.prepare_training(order, out, overwrite, resume)
    signal.signal(signal.SIGTERM, _terminated)
    stopped = f"{out / training.CHECKPOINT} holds what came before: --resume"
    with _one_line_errors(FAILED, stopped), _progress(order.experiment.title) as progress:
        results = training.run_training(prepared, progress)
    for result in results if order.learning.evaluation.episodes else ():
        typer.echo(
            f"{result.controller:<8}  cost of an episode {result.mean:.2f} (spread {result.spread:.2f}), "
            f"{result.clean} of {order.learning.evaluation.episodes} without a violation"
        )
    for name in (training.PARAMETERS, training.NUMBERS, training.PICTURE):
        typer.echo(str(out / name))


@app.command()
def verify(
    target: Annotated[str, typer.Argument(help="Log (RUN.h5), folder of a run, or a controller as MODULE:BLOCK.")],
    examples: Annotated[int, typer.Option(min=1, help="States at which each law is checked; not for a log.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of these states.")] = 0,
) -> None:
    """Check what a log claims from the file alone, or a controller of yours against the laws of its method."""
    with _one_line_errors(BAD_INPUT), _progress(f"verify {target}") as progress:
        if ":" in target and not Path(target).exists():
            from dmpcrl_ctrl.validation.laws import verify_block

            verdicts = verify_block(target, examples=examples, seed=seed)
        else:
            from dmpcrl_ctrl.validation.log_check import verify_log
            from dmpcrl_ctrl.validation.runner import LOG

            path = Path(target)
            verdicts = verify_log(path / LOG if path.is_dir() else path, progress)
    failed = _show_verdicts(verdicts, target)
    raise typer.Exit(FAILED if failed else 0)


@app.command()
def campaign(
    file: Annotated[Path, typer.Argument(metavar="CAMPAIGN", help="Campaign file (TOML): a grid of closed loops.")],
    out: Annotated[Path, typer.Option(help="Folder for the logs, campaign.json, table.json, table.csv, junit.xml.")],
    runs: Annotated[int | None, typer.Option(min=1, help="Number of seeds, instead of the file's.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; as many as processors by default.")] = None,
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run on the Dask cluster of a scheduler.")] = None,
    mpi: Annotated[
        bool, typer.Option("--mpi", help="Run on the ranks of mpiexec -n N python -m mpi4py.futures -m dmpcrl_ctrl.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over another campaign that DIR holds.")] = False,
) -> None:
    """Run a grid of plants, controllers and seeds, and judge it by its criteria; goes on where it was interrupted."""
    with ExitStack() as stack:
        with _one_line_errors(BAD_INPUT):
            from dmpcrl_ctrl.validation import campaign_runner, executors
            from dmpcrl_ctrl.validation.campaign_file import load_campaign
            from dmpcrl_ctrl.validation.campaign_table import as_text, table
            from dmpcrl_ctrl.validation.wording import judgement_line

            if (workers is not None) + (dask is not None) + mpi > 1:
                raise CampaignError("--workers, --dask and --mpi are three places to run: take one of them")
            loaded = load_campaign(file)
            prepared = campaign_runner.prepare_campaign(loaded, out, runs, overwrite)
            executor = None
            if dask is not None:
                executor = stack.enter_context(executors.dask_executor(dask))
            elif mpi:
                executor = stack.enter_context(executors.mpi_executor())
        signal.signal(signal.SIGTERM, _terminated)
        kept = f"{out} holds the runs that are finished: the same command goes on"
        with _one_line_errors(FAILED, kept), _progress(loaded.title) as progress:
            command = campaign_runner.campaign_command(str(file), runs)
            outcome = campaign_runner.execute_campaign(
                prepared, executor=executor, workers=workers, command=command, progress=progress
            )
    typer.echo(as_text(table(outcome.campaign, loaded.reference)))
    for judgement in outcome.heading.judgements:
        typer.echo(judgement_line(judgement))
    for run in outcome.campaign.failed:
        typer.echo(f"FAIL  {run.name}: {run.error}")
    total = len(outcome.campaign.results)
    typer.echo(f"{total} runs, {outcome.campaign.repeated} of them now; {out}")
    for path in outcome.files:
        typer.echo(str(path))
    raise typer.Exit(0 if outcome.passed else FAILED)


@app.command()
def reproduce(
    figures: Annotated[list[str] | None, typer.Argument(help="fig1 ... fig8, all of these, or learners.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for figures, summary.json, report.html and data/.")] = Path(
        "runs/paper"
    ),
    variant: Annotated[
        str, typer.Option(help="published (as its code), text (as the paper), or default.")
    ] = "published",
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds of the chain's central learners.")] = 1,
    share: Annotated[float, typer.Option(help="Share of the paper's samples and episodes, in (0, 1].")] = 1.0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; as many as processors by default.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Take over a folder of another order.")] = False,
) -> None:
    """Reproduce the paper's figures, with the published numbers in them; goes on where it was interrupted."""
    with _one_line_errors(BAD_INPUT):
        from dmpcrl_ctrl.validation.paper_work import Extent
        from dmpcrl_ctrl.validation.reproduce import ReproduceOrder
        from dmpcrl_ctrl.validation.reproduce import reproduce as reproduced

        order = ReproduceOrder(tuple(figures or ()), variant, seeds, Extent.share(share))
    signal.signal(signal.SIGTERM, _terminated)
    with _one_line_errors(FAILED), _progress("reproduce") as progress:
        found = reproduced(order, out, workers=workers, overwrite=overwrite, progress=progress)
    for text, good in found.checks.items():
        typer.echo(f"{'yes' if good else 'no ':<3}  {text}")
    for path in found.files:
        typer.echo(str(path))


@app.command("list")
def list_(
    folder: Annotated[Path, typer.Argument(help="Where to look for experiments, with its folder examples/.")] = Path(
        "."
    ),
) -> None:
    """List the plants, the controllers and the experiments at hand, with one line each."""
    with _one_line_errors(BAD_INPUT):
        from dmpcrl_ctrl.validation.catalogue import entries

        console = Console(soft_wrap=True, highlight=False)
        for heading, lines in entries(folder):
            console.print(heading, style="bold")
            width = max((len(name) for name, _ in lines), default=0)
            for name, line in lines:
                console.print(f"  {name:<{width}}  {line}", markup=False)


@contextmanager
def _one_line_errors(status: int, kept: str = "the log holds what came before") -> Iterator[None]:
    """Turn an error of ours into one line and an exit status; any other is a fault of the program and shows itself."""
    try:
        yield
    except DmpcrlError as error:
        message = " ".join(str(error).split())
        typer.echo(f"dmpcrl-ctrl: {message}", err=True)
        raise typer.Exit(status) from None
    except _Terminated:
        typer.echo(f"dmpcrl-ctrl: terminated; {kept}", err=True)
        raise typer.Exit(TERMINATED) from None
    except KeyboardInterrupt:
        typer.echo(f"dmpcrl-ctrl: interrupted; {kept}", err=True)
        raise typer.Exit(INTERRUPTED) from None


class _Terminated(KeyboardInterrupt):
    """SIGTERM, on its way through the loop, so that the log is closed like after Ctrl-C."""


def _terminated(number: int, frame: object) -> None:
    raise _Terminated


@contextmanager
def _progress(title: str) -> Iterator[Callable[[float], None] | None]:
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


def _show(outcome: "Outcome", title: str) -> None:
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


def _show_verdicts(verdicts: "Sequence[Verdict]", title: str) -> int:
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
