"""From an experiment to a folder that holds its log, its numbers and its report.

`prepare` finds everything that is wrong with the input before any file is touched; `execute` runs the loop. What is
written last is complete or not there at all: the numbers and the page are renamed into place.
"""

import json
import os
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmpcrl_ctrl import __version__
from dmpcrl_ctrl.errors import ExperimentError, LogError
from dmpcrl_ctrl.validation.experiment import experiment_text
from dmpcrl_ctrl.validation.metrics import Summary, summarise
from dmpcrl_ctrl.validation.sections import Experiment

if TYPE_CHECKING:
    from dmpcrl_ctrl.controllers.block import Block
    from dmpcrl_ctrl.plants.plant import Plant

LOG, NUMBERS, PAGE = "run.h5", "summary.json", "report.html"
_CAMPAIGN = "campaign.json"


@dataclass(frozen=True, eq=False)
class Prepared:
    """An experiment whose plant and controllers are built, and a folder that may be written to."""

    experiment: Experiment
    plant: "Plant"
    blocks: "tuple[Block, ...]"
    folder: Path
    overwrite: bool


@dataclass(frozen=True)
class Outcome:
    """The numbers of a run, and the files that it wrote."""

    summary: Summary
    log: Path
    numbers: Path
    page: Path


def log_of(path: Path) -> Path:
    """The log that a user means by a file or by the folder of a run.

    Raises
    ------
    LogError
        The folder is that of a campaign, which has many.
    """
    if not path.is_dir():
        return path
    if (path / _CAMPAIGN).exists() and not (path / LOG).exists():
        first = next(iter(sorted(path.glob("*.h5"))), path / "RUN.h5")
        raise LogError(f"{path}: holds a campaign, with a log for each run: name one of them, such as {first}")
    return path / LOG


def prepare(experiment: Experiment, folder: Path | str, overwrite: bool = False) -> Prepared:
    """Build the plant and the controllers, and make sure that `folder` may be written to.

    Raises
    ------
    ExperimentError
        The folder holds a run already and `overwrite` is false, or is no folder.
    DmpcrlError
        What is wrong with plant or controller, or with putting them into one loop: names, times, signals, records.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ExperimentError(f"{folder} is a file: give a folder for the run with --out")
    present = [name for name in (LOG, NUMBERS, PAGE) if os.path.lexists(folder / name)]
    if present and not overwrite:
        raise ExperimentError(
            f"{folder} already holds a run ({', '.join(present)}): give another --out, or --overwrite"
        )
    plant = experiment.plant.build()
    blocks = blocks_of(experiment, plant)
    require_a_loop(experiment, plant, blocks)
    return Prepared(experiment, plant, blocks, folder, overwrite)


def blocks_of(experiment: Experiment, plant: "Plant") -> "tuple[Block, ...]":
    """Observer, if there is one, and controller; one that learns stands still, at its parameters or its start."""
    controller: Block
    if experiment.learning is None:
        controller = experiment.controller.build(plant)
    else:
        from dmpcrl_ctrl.validation.learning_setup import frozen_of

        controller = frozen_of(experiment, plant)
    observer = experiment.observer
    return (controller,) if observer is None else (observer.build(plant, controller), controller)


def require_a_loop(experiment: Experiment, plant: "Plant", blocks: "tuple[Block, ...]") -> None:
    """Refuse what `simulate` would refuse before its first step, while an earlier run is still whole."""
    from dmpcrl_ctrl.cosim.participants import Participants
    from dmpcrl_ctrl.cosim.schema import layout_of
    from dmpcrl_ctrl.cosim.wiring import wire

    settings = experiment.simulation
    who = Participants.of(plant, blocks, settings.t_end)
    wire(who)
    layout_of(who, settings.seed, experiment_text(experiment), settings.dense > 0)


def execute(prepared: Prepared, command: str = "", progress: Callable[[float], None] | None = None) -> Outcome:
    """Run the loop and write log, numbers and report.

    Parameters
    ----------
    prepared
        From :func:`prepare`.
    command
        How a person runs it again; stands in the report.
    progress
        Called with the finished fraction, from 0 to 1.

    Raises
    ------
    DmpcrlError
        The loop had to stop, or a file could not be written; numbers and report of an earlier run are then gone, and
        the log holds what came before the fault.
    """
    from dmpcrl_ctrl.cosim import simulate
    from dmpcrl_ctrl.validation.report import Heading, render

    experiment, folder = prepared.experiment, prepared.folder
    text = experiment_text(experiment)
    log, numbers, page = folder / LOG, folder / NUMBERS, folder / PAGE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in (numbers, page):
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise LogError(f"{folder} cannot be written: {error.strerror or error}") from error
    settings = experiment.simulation
    run = simulate(
        prepared.plant,
        prepared.blocks,
        t_end=settings.t_end,
        seed=settings.seed,
        dense=settings.dense or None,
        log=log,
        overwrite=prepared.overwrite,
        progress=progress,
        experiment=text,
    )
    summary = summarise(run, prepared.plant)
    heading = Heading(experiment.title, experiment.question, facts(prepared), command, text)
    write_whole(page, render(run, summary, heading))
    write_whole(
        numbers, json.dumps(document(experiment, summary), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    )
    return Outcome(summary, log, numbers, page)


def document(experiment: Experiment, summary: Summary) -> dict[str, Any]:
    """What `summary.json` holds: which run it was, and its numbers."""
    return {
        "schema_version": 1,
        "dmpcrl_ctrl": __version__,
        "title": experiment.title,
        "plant": experiment.plant.kind,
        "controller": experiment.controller.kind,
        "seed": experiment.simulation.seed,
        **summary.as_json(),
    }


def facts(prepared: Prepared) -> str:
    """One line on what ran: plant, controller, duration, seed."""
    from dmpcrl_ctrl.controllers import DistributedMPC

    experiment, plant = prepared.experiment, prepared.plant
    controller, block = experiment.controller, prepared.blocks[-1]
    shared = f" of {_agents(len(block.problem.models))}" if isinstance(block, DistributedMPC) else ""
    horizon = f", horizon {controller.horizon}" if hasattr(controller, "horizon") else ""
    agents, states, inputs = _agents(len(plant.agents)), len(plant.state_names), len(plant.input_names)
    return (
        f"{plant.name}: {agents}, {states} states, {inputs} inputs · "
        f"{controller.kind}{shared}{horizon}, sample time {controller.sample_time:g} s · "
        f"{experiment.simulation.t_end:g} s, seed {experiment.simulation.seed}"
    )


def _agents(count: int) -> str:
    return f"{count} agents" if count > 1 else "1 agent"


def command_line(experiment: str, sets: Sequence[str], seed: int | None, parameters: str | None = None) -> str:
    """The shell command that repeats a run into another folder."""
    words = ["dmpcrl-ctrl", "run", experiment, "--out", "runs/again"]
    for text in sets:
        words += ["--set", text]
    if seed is not None:
        words += ["--seed", str(seed)]
    if parameters is not None:
        words += ["--parameters", parameters]
    return " ".join(shlex.quote(word) for word in words)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there complete or not at all.

    Raises
    ------
    LogError
        Names the path.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode("utf-8") if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LogError(f"{path} cannot be written: {error.strerror or error}") from error
