"""A part of an experiment as an FMU: its plant, its controller, or its observer.

The FMU carries the experiment's text, with every default filled in, and those of a controller and an observer the
learned parameters that it names: no file of the machine is asked for on which it was made.
"""

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.validation.experiment import Override, experiment_text, parse_experiment
from dmpcrl_ctrl.validation.runner import blocks_of
from dmpcrl_ctrl.validation.section import hint
from dmpcrl_ctrl.validation.sections import Experiment

if TYPE_CHECKING:
    from dmpcrl_ctrl.controllers.block import Block
    from dmpcrl_ctrl.plants.plant import Plant

Part = Literal["controller", "plant", "observer"]
# Where an experiment names a file of learned parameters.
_FILES = ("controller.parameters", "learning.start")


def export_part(experiment: Experiment, part: str, out: Path | str, overwrite: bool = False) -> Path:
    """Write a part of an experiment as an FMU.

    Parameters
    ----------
    experiment
        From :func:`~dmpcrl_ctrl.validation.experiment.load_experiment`; its seed is the FMU's.
    part
        "controller" (one that learns stands still, as in `run`), "plant" (its smallest communication step is the
        controller's sample time) or "observer".
    out
        "<something>.fmu".
    overwrite
        Replace a file that is there.

    Raises
    ------
    ExperimentError
        No such part.
    DmpcrlError
        As for :func:`~dmpcrl_ctrl.cosim.adapters.fmu_export.export_controller`; nothing is written.
    """
    from dmpcrl_ctrl.cosim.adapters.fmu_export import export_controller, export_plant

    if part not in get_args(Part):
        raise ExperimentError(f"--part {part}: {hint(part, get_args(Part))}")
    if part == "observer" and experiment.observer is None:
        raise ExperimentError(f"--part observer: {experiment.title!r} has no section [observer]")
    arguments: dict[str, Any] = {"text": experiment_text(experiment)}
    seed, plant = experiment.simulation.seed, experiment.plant.build()
    if part == "plant":
        sample_time = experiment.controller.sample_time if plant.sample_time is None else plant.sample_time
        return export_plant(out, made_plant, arguments, sample_time=sample_time, seed=seed, overwrite=overwrite)
    arguments["files"] = _files_of(experiment)
    make = made_controller if part == "controller" else made_observer
    outputs = set(make(**arguments).outputs)
    limits = {
        name: (float(low), float(high))
        for name, (low, high) in zip(plant.input_names, plant.input_limits, strict=True)
        if name in outputs and (math.isfinite(low) or math.isfinite(high))
    }
    return export_controller(out, make, arguments, limits=limits, seed=seed, overwrite=overwrite)


def made_plant(text: str) -> "Plant":
    """The plant of an experiment's text."""
    return _experiment(text, {}).plant.build()


def made_controller(text: str, files: Mapping[str, Any] | None = None) -> "Block":
    """The controller of an experiment's text, and of the contents of the files that it names."""
    return _blocks(text, files)[-1]


def made_observer(text: str, files: Mapping[str, Any] | None = None) -> "Block":
    """The observer of an experiment's text."""
    return _blocks(text, files)[0]


def _blocks(text: str, files: Mapping[str, Any] | None) -> "tuple[Block, ...]":
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for key, content in (files or {}).items():
            paths[key] = str(Path(folder) / f"{key}.json")
            Path(paths[key]).write_text(json.dumps(content), encoding="utf-8")
        experiment = _experiment(text, paths)
        return blocks_of(experiment, experiment.plant.build())


def _experiment(text: str, paths: Mapping[str, str]) -> Experiment:
    overrides = [Override(tuple(key.split(".")), path) for key, path in paths.items()]
    return parse_experiment(text, "experiment", overrides)


def _files_of(experiment: Experiment) -> dict[str, Any]:
    """Key of the experiment -> content of the file that it names."""
    contents = {}
    for key in _FILES:
        section, _, name = key.partition(".")
        path = getattr(getattr(experiment, section), name, None)
        if isinstance(path, str):
            try:
                contents[key] = json.loads(Path(path).read_text(encoding="utf-8"))
            except OSError as error:
                raise ExperimentError(f"{key}: {path} cannot be read: {error.strerror or error}") from error
            except ValueError as error:
                raise ExperimentError(f"{key}: {path} is no file of parameters: {error}") from error
    return contents
