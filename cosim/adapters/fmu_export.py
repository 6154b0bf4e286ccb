"""A controller or a plant of this package as a functional mock-up unit (FMI 2.0, co-simulation).

The file holds the name of a function and its arguments (:class:`~dmpcrl_ctrl.cosim.adapters.factory.Factory`), and
pythonfmu's bridge from the C functions of FMI to Python. Who runs it needs a Python with this package, and the modules
that the function is in; pythonfmu itself travels inside. The bridge calls the Python of the process it is loaded into,
so a master that is no Python program has to load Python's library first (Linux: LD_PRELOAD=libpython3.x.so).

Ports have the names of the signals, so that plant and controller are connected by equal names; an output whose name an
input of the same FMU has (an observer's) is called "<name>_out". Who connects has to know when: at an instant, read the
plant, set the controller's inputs, and then either read its outputs at once (they depend on inputs directly) or make
its step first; set the plant's inputs, make the plant's step. A master that moves everybody at once with the values of
before delays each loop by a step.
"""

import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from dmpcrl_ctrl import __version__
from dmpcrl_ctrl.cosim.adapters.driven import DrivenBlock, DrivenPlant
from dmpcrl_ctrl.cosim.adapters.factory import Factory
from dmpcrl_ctrl.cosim.adapters.fmu_spec import FORMAT, SPEC
from dmpcrl_ctrl.cosim.clock import Seconds
from dmpcrl_ctrl.errors import FMUError
from dmpcrl_ctrl.plants.exact_time import exact_seconds

Made = str | Callable[..., Any] | Factory

# Unique by its content: the bridge imports it by name, and one process may hold many FMUs.
_SCRIPT = '''"""An FMU written by dmpcrl_ctrl {version}; it needs a Python with that package."""

import ctypes

from dmpcrl_ctrl.cosim.adapters.fmu_slave import {slave}

# Run for each instance, at which the bridge to Python gives back a reference that it does not have.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(globals()))


class Exported({slave}):
    """What {spec} describes."""
'''


def export_controller(
    path: str | PathLike[str],
    factory: Made,
    arguments: Mapping[str, Any] | None = None,
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    applied: bool = False,
    costs: Sequence[str] = (),
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Write a controller as an FMU.

    It has a real input for every signal that the block asks for, a real output for every output, and an integer
    parameter `seed`. It samples at multiples of its sample time (declared as step size) after the experiment's start,
    and holds between. Communication steps divide the sample time, or begin at a sample and are its multiples: then it
    takes all samples in between, with the same inputs and a warning; others are refused. FMU states can be kept and
    restored (what follows is then the same to rounding), and cannot be serialised.

    Parameters
    ----------
    path
        "<something>.fmu".
    factory, arguments
        Makes the block: a function that can be imported, or "module:function", and its JSON arguments.
    limits
        Output -> (lower, upper) of the actuator that takes it: what takes effect where nobody says it.
    applied
        With further inputs "<output>_applied" by which the master says what took effect of the last output.
    costs
        Names of further inputs that tell stage costs of the last sample, one an agent, to a block that learns.
    seed
        Of the block; the default of the parameter.
    overwrite
        Replace a file that is there.

    Returns
    -------
    Path
        The file; it is written as a whole or not at all.

    Raises
    ------
    FMUError
        What is wrong with path, factory or arguments, or a package that is missing; nothing is written.
    WiringError, ClockError
        The factory makes no block, or one that only a loop can run.
    """
    _check(Path(path), seed, overwrite)
    made = Factory.of(factory, arguments)
    block = DrivenBlock(made(), seed=seed, limits=limits, agents=len(costs))
    ends = {name: [float(end) if np.isfinite(end) else None for end in pair] for name, pair in (limits or {}).items()}
    spec = {"part": "controller", "limits": ends, "applied": applied, "costs": list(costs)}
    text = f"controller {block.name}, sample time {float(block.sample_time):g} s"
    return _write(Path(path), "ControllerSlave", spec, made, block.name, text, seed)


def export_plant(
    path: str | PathLike[str],
    factory: Made,
    arguments: Mapping[str, Any] | None = None,
    *,
    sample_time: Seconds | None = None,
    signals: Sequence[str] | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Write a plant as an FMU, with its disturbances and set points inside: their time begins with the experiment.

    It has a real input for every control input; real outputs for its outputs, its measured disturbances and its set
    points ("<signal>_ref"), for the inputs as they take effect ("<input>_applied", saturated), and for the stage cost
    of the last sample ("stage_cost", and "stage_cost_<agent>" by agent); and an integer parameter `seed` of its noise.
    Outputs at an instant do not depend on the inputs that are set at it. Inputs are held over each sample, over which
    the plant moves exactly; a step over several samples holds them for all. Steps of a continuous plant are multiples
    of `sample_time`, of a discrete one as for controllers.

    Parameters
    ----------
    path, seed, overwrite
        As for :func:`export_controller`.
    factory, arguments
        Makes the plant.
    sample_time
        Seconds: the smallest communication step of a continuous plant. None: the plant's own.
    signals
        Which outputs, measured disturbances and set points are ports; None: all.

    Raises
    ------
    FMUError
        As for controllers; a continuous plant without a sample time; two ports of one name.
    WiringError, ClockError
        A signal that is not there, a sample time that does not fit.
    """
    from dmpcrl_ctrl.cosim.participants import Participants

    _check(Path(path), seed, overwrite)
    made = Factory.of(factory, arguments)
    plant = made()
    if sample_time is None:
        sample_time = getattr(plant, "sample_time", None)
    if sample_time is None:
        raise FMUError(f"{made.where}: a continuous plant needs a sample_time: the communication step of its master")
    Participants.of(plant, (), sample_time)  # says what is missing where it is no plant
    driven = DrivenPlant(plant, sample_time, signals=signals, seed=seed)
    step = float(exact_seconds(sample_time))
    spec = {"part": "plant", "sample_time": step, "signals": list(driven.signals)}
    return _write(Path(path), "PlantSlave", spec, made, plant.name, f"plant {plant.name}", seed)


def _check(path: Path, seed: int, overwrite: bool) -> None:
    if path.suffix != ".fmu":
        raise FMUError(f"{path}: the name of an FMU ends in .fmu")
    if os.path.lexists(path) and not (overwrite and path.is_file()):
        raise FMUError(f"{path} exists; give another name, or overwrite it")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise FMUError(f"seed must be a whole number from 0 to 2147483647, got {seed!r}")


def _write(
    path: Path,
    slave: str,
    spec: Mapping[str, Any],
    factory: Factory,
    name: str,
    description: str,
    seed: int,
) -> Path:
    """Build beside `path`, and move it there when it is whole."""
    builder = _builder()
    identifier = re.sub(r"\W", "_", name, flags=re.ASCII)
    identifier = identifier if identifier[0].isalpha() else f"fmu_{identifier}"
    full: dict[str, Any] = {
        "format": FORMAT,
        "dmpcrl_ctrl": __version__,
        "identifier": identifier,
        "description": description,
        "seed": seed,
        "factory": {"where": factory.where, "arguments": dict(factory.arguments)},
        **spec,
    }
    digest = hashlib.sha256(json.dumps(full, sort_keys=True).encode()).hexdigest()
    full["guid"] = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
            script = Path(folder) / f"dmpcrl_fmu_{digest[:16]}.py"
            resource = Path(folder) / SPEC
            resource.write_text(json.dumps(full, indent=1, allow_nan=False), encoding="utf-8")
            script.write_text(_SCRIPT.format(version=__version__, slave=slave, spec=resource.name), encoding="utf-8")
            with _no_traces(script.stem):
                built = builder.build_FMU(
                    script, Path(folder) / path.name, project_files=[resource], canGetAndSetFMUstate=True
                )
            Path(built).replace(path)
    except OSError as error:
        raise FMUError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


@contextmanager
def _no_traces(module: str) -> Iterator[None]:
    """The builder imports the script, and leaves it and its folder behind."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        sys.modules.pop(module, None)


def _builder() -> Any:
    try:
        from pythonfmu import FmuBuilder
    except ImportError as error:
        raise FMUError("an FMU is built by the package pythonfmu: pip install dmpcrl-ctrl[fmi]") from error
    return FmuBuilder
