"""The front door, one command a function: `dmpcrl-ctrl run EXPERIMENT.toml --out DIR`, `campaign`, `train`, `verify`.

Nothing heavy is imported before a command needs it. Bad input ends with one line on standard error and exit status 2, a
run that had to stop with one line and 1, and so does a check that failed; an interrupted one (Ctrl-C, SIGTERM) with 130
or 143, its log closed.
"""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dmpcrl_ctrl import __version__
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.threads import one_thread
from dmpcrl_ctrl.validation.terminal import (
    BAD_INPUT,
    FAILED,
    one_line_errors,
    progress_bar,
    show_campaign,
    show_run,
    show_verdicts,
    terminated,
)

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
    one_thread()
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
    with one_line_errors(BAD_INPUT):
        from dmpcrl_ctrl.validation.experiment import Override, load_experiment
        from dmpcrl_ctrl.validation.runner import command_line, execute, prepare

        overrides = [Override.read(text) for text in sets or ()]
        file = None if parameters is None else str(parameters)
        if file is not None:
            overrides.append(Override(("controller", "parameters"), file))
        loaded = load_experiment(experiment, overrides, seed)
        prepared = prepare(loaded, out, overwrite)
    signal.signal(signal.SIGTERM, terminated)
    with one_line_errors(FAILED), progress_bar(loaded.title) as progress:
        outcome = execute(prepared, command_line(str(experiment), sets or (), seed, file), progress)
    show_run(outcome, loaded.title)


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
    with one_line_errors(BAD_INPUT):
        from dmpcrl_ctrl.validation import train_experiment as training
        from dmpcrl_ctrl.validation.experiment import Override, load_experiment

        overrides = [Override.read(text) for text in sets or ()]
        for key, value in (("steps", steps), ("episodes", episodes), ("evaluation.episodes", evaluations)):
            if value is not None:
                overrides.append(Override(("learning", *key.split(".")), value))
        order = training.TrainingOrder(load_experiment(experiment, overrides, seed), central, start)
        prepared = training.prepare_training(order, out, overwrite, resume)
    signal.signal(signal.SIGTERM, terminated)
    stopped = f"{out / training.CHECKPOINT} holds what came before: --resume"
    with one_line_errors(FAILED, stopped), progress_bar(order.experiment.title) as progress:
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
    with one_line_errors(BAD_INPUT), progress_bar(f"verify {target}") as progress:
        if ":" in target and not Path(target).exists():
            from dmpcrl_ctrl.validation.laws import verify_block

            verdicts = verify_block(target, examples=examples, seed=seed)
        else:
            from dmpcrl_ctrl.validation.log_check import verify_log
            from dmpcrl_ctrl.validation.runner import log_of

            verdicts = verify_log(log_of(Path(target)), progress)
    failed = show_verdicts(verdicts, target)
    raise typer.Exit(FAILED if failed else 0)


@app.command()
def campaign(
    file: Annotated[Path, typer.Argument(metavar="CAMPAIGN", help="Campaign file (TOML): a grid of closed loops.")],
    out: Annotated[Path, typer.Option(help="Folder for logs, index, tables, junit.xml, report.html.")],
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
        with one_line_errors(BAD_INPUT):
            from dmpcrl_ctrl.validation import campaign_runner, executors
            from dmpcrl_ctrl.validation.campaign_file import load_campaign

            if (workers is not None) + (dask is not None) + mpi > 1:
                raise CampaignError("--workers, --dask and --mpi are three places to run: take one of them")
            loaded = load_campaign(file)
            prepared = campaign_runner.prepare_campaign(loaded, out, runs, overwrite)
            executor = None
            if dask is not None:
                executor = stack.enter_context(executors.dask_executor(dask))
            elif mpi:
                executor = stack.enter_context(executors.mpi_executor())
        signal.signal(signal.SIGTERM, terminated)
        kept = f"{out} holds the runs that are finished: the same command goes on"
        with one_line_errors(FAILED, kept), progress_bar(loaded.title) as progress:
            command = campaign_runner.campaign_command(str(file), runs)
            outcome = campaign_runner.execute_campaign(
                prepared, executor=executor, workers=workers, command=command, progress=progress
            )
    show_campaign(outcome, loaded.reference)
    raise typer.Exit(0 if outcome.passed else FAILED)


@app.command()
def watch(
    target: Annotated[Path, typer.Argument(help="Log (RUN.h5) of a run that goes on, or its folder.")],
    once: Annotated[bool, typer.Option("--once", help="Show how it stands, and end.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a log that does not exist yet.")] = False,
    patience: Annotated[
        float, typer.Option(min=0.0, help="Seconds without a new row after which the run is given up.")
    ] = 60.0,
) -> None:
    """Follow a run from its log: time, limits, cost, solves, residuals, learning; until it is over."""
    with one_line_errors(BAD_INPUT, "the run itself goes on"):
        from rich.live import Live

        from dmpcrl_ctrl.errors import LogError
        from dmpcrl_ctrl.validation.runner import LOG, log_of
        from dmpcrl_ctrl.validation.watch import Look, follow
        from dmpcrl_ctrl.validation.watch_screen import line, screen

        # a folder that is still to come has no suffix, as a log has
        path = target / LOG if wait and not target.suffix and not target.exists() else log_of(target)
        if not (wait or path.exists()):
            raise LogError(f"{path}: there is no such log; --wait waits for one that is yet to come")
        console = Console(highlight=False, width=None if sys.stdout.isatty() else 80)
        seen: Look | None = None
        if once or not console.is_terminal:
            for seen in follow(path, patience=patience, wait=wait):
                if once:
                    break
                typer.echo(line(seen))
            console.print(screen(seen, str(path)) if seen else "")
        else:
            with Live(console=console, auto_refresh=False) as live:
                for seen in follow(path, patience=patience, wait=wait):
                    live.update(screen(seen, str(path)), refresh=True)
    if seen is None or (seen.closed and not (seen.snapshot and seen.snapshot.complete)):
        typer.echo(f"dmpcrl-ctrl: {path}: the run stopped before its end, its log is closed", err=True)
        raise typer.Exit(FAILED)


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
    with one_line_errors(BAD_INPUT):
        from dmpcrl_ctrl.validation.paper_work import Extent
        from dmpcrl_ctrl.validation.reproduce import ReproduceOrder
        from dmpcrl_ctrl.validation.reproduce import reproduce as reproduced

        order = ReproduceOrder(tuple(figures or ()), variant, seeds, Extent.share(share))
    signal.signal(signal.SIGTERM, terminated)
    with one_line_errors(FAILED), progress_bar("reproduce") as progress:
        found = reproduced(order, out, workers=workers, overwrite=overwrite, progress=progress)
    for text, good in found.checks.items():
        typer.echo(f"{'yes' if good else 'no ':<3}  {text}")
    for path in found.files:
        typer.echo(str(path))


@app.command()
def fmu(
    experiment: Annotated[Path, typer.Argument(help="Experiment file (TOML).")],
    part: Annotated[str, typer.Option(help="controller, plant or observer.")],
    out: Annotated[Path, typer.Option(help="File to write, NAME.fmu.")],
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the file's.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key, such as plant.scenario=2."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a file that is there.")] = False,
) -> None:
    """Write a part of an experiment as an FMU (FMI 2.0, co-simulation)."""
    with one_line_errors(BAD_INPUT):
        from dmpcrl_ctrl.validation.experiment import Override, load_experiment
        from dmpcrl_ctrl.validation.experiment_fmu import export_part

        loaded = load_experiment(experiment, [Override.read(text) for text in sets or ()], seed)
        typer.echo(str(export_part(loaded, part, out, overwrite)))


@app.command("list")
def list_(
    folder: Annotated[Path, typer.Argument(help="Where to look for experiments, with its folder examples/.")] = Path(
        "."
    ),
) -> None:
    """List the plants, the controllers and the experiments at hand, with one line each."""
    with one_line_errors(BAD_INPUT):
        from dmpcrl_ctrl.validation.catalogue import entries

        console = Console(soft_wrap=True, highlight=False)
        for heading, lines in entries(folder):
            console.print(heading, style="bold")
            width = max((len(name) for name, _ in lines), default=0)
            for name, line in lines:
                console.print(f"  {name:<{width}}  {line}", markup=False)
