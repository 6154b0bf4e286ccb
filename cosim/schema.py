"""What a log holds (schema 1): every dimension, array, unit and attribute, before a file is touched.

/time (K+1), /sample (K)                         s; sample k holds from time k to time k + 1
/plant/state, /plant/output                      (K+1, .)   just before the instant
/plant/input, disturbance, setpoint              (K, .)     in effect from the instant on
/plant/disturbance_slope                         (K, .)     how the disturbances go on from there
/plant/steady                                    (K,)       whether nothing else happens before the next row
/plant/state_limits, /plant/input_limits         (., 2)
/plant/sample_ticks                              (.)        by plant
/plant/input_source                              (.)        what drives each control input
/plant/dense/dense_time, /plant/dense/state      (L, .)     where asked for
/plant/model/A, B, C, D                          of linear plants; in a group each where there are several
/digest/of_time, /digest/of_sample               (., 32)    SHA-256 of every row
/cost/stage                                      (K, M)     by agent
/cost/weights/Q, R, violation_weight, ...        in a group each where there are several plants
/controller/<name>/input, output, due            (K, .)     what it saw, what it sent out, whether it was its turn
/controller/<name>/input_source                  (.)        what it reads
/controller/<name>/<field>                       (K, ...)   as the block declares; repeated where it was not due
/controller/<name>/model/<agent>/...             of MPC blocks, see `agent_models.py`

Arrays of signals have an array of units beside them, such as /plant/state_unit and /controller/<name>/input_unit.
A source is the path of an array and a column of it, such as plant/output/x; empty: nothing, a constant zero.
"""

import platform
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate

import numpy as np

from dmpcrl_ctrl import __version__
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.cosim.agent_models import agent_models
from dmpcrl_ctrl.cosim.fingerprint import CHECKSUM, DIGEST_BYTES, fingerprint_of_layout
from dmpcrl_ctrl.cosim.layout import DTYPES, Axis, Layout, Variable
from dmpcrl_ctrl.cosim.missing import is_status, placeholder
from dmpcrl_ctrl.cosim.participants import Participants, TimedBlock
from dmpcrl_ctrl.cosim.plant_parts import plant_model, plant_weights
from dmpcrl_ctrl.cosim.sources import source_variables
from dmpcrl_ctrl.cosim.units import BlockUnits, block_units, common, per_second, unit_of
from dmpcrl_ctrl.cosim.wiring import Wiring
from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.plants.plant import Plant

SCHEMA_VERSION = 1
CONVENTIONS = "CF-1.11"
TIME, SAMPLE, DENSE_TIME = "time", "sample", "plant/dense/dense_time"
# Of the rows along each of these.
DIGESTS = {TIME: "digest/of_time", SAMPLE: "digest/of_sample", DENSE_TIME: "plant/dense/digest"}
# What a block may not call a field, because the log has it already.
RESERVED = (
    "input", "output", "due", "input_name", "output_name", "input_unit", "output_unit", "input_source", "model",
)  # fmt: skip
_STEADY = {0: "something_happens", 1: "steady"}


def layout_of(
    who: Participants, seed: int, experiment: str = "", dense: bool = False, wiring: Wiring | None = None
) -> Layout:
    """The log of a closed loop.

    Parameters
    ----------
    who
        Plants and blocks.
    seed, experiment
        Of the run; TOML text.
    dense
        Whether states between the samples are kept.
    wiring
        Tells the units of what blocks read and send out; without it they are "1".

    Raises
    ------
    WiringError
        A block's field has a name or type that the log cannot hold.
    """
    axes = [
        Axis(TIME, long_name="time"),
        Axis(SAMPLE, long_name="time from which on the values of the sample hold"),
        *_signal_axes(who.plants),
        Axis("plant/bound", ("lower", "upper")),
        Axis("byte", size=DIGEST_BYTES),
        Axis("cost/agent", _qualified(who.plants, [[agent.name for agent in p.agents] for p in who.plants])),
    ]
    variables = [
        *_plant_variables(who.plants),
        _periods(who),
        _digest(SAMPLE),
        _digest(TIME),
        Variable("cost/stage", (SAMPLE, "cost/agent"), unit="1", long_name="stage cost"),
    ]
    attributes: dict[str, Mapping[str, str | int | float]] = {"": _root_attributes(who, seed, experiment)}
    for plant in who.plants:
        own = f"/{plant.name}" if len(who.plants) > 1 else ""
        for parts in (plant_model(plant, f"plant/model{own}"), plant_weights(plant, f"cost/weights{own}")):
            axes, variables, attributes = axes + parts.axes, variables + parts.variables, attributes | parts.attributes
    if wiring is not None:
        variables += source_variables(who, wiring)
    for block, units in zip(who.blocks, block_units(who, wiring), strict=True):
        more_axes, more_variables = _block(block, units)
        axes, variables = axes + more_axes, variables + more_variables
    links = {}
    if dense:
        axes.append(Axis(DENSE_TIME, long_name="time"))
        variables.append(_digest(DENSE_TIME))
        along = (DENSE_TIME, "plant/state_name")
        unit = common([unit_of(plant, name) for plant in who.plants for name in plant.state_names])
        variables.append(Variable("plant/dense/state", along, unit=unit, long_name="states", units_along="state_unit"))
        links = {f"plant/dense/{name}": f"plant/{name}" for name in ("state_name", "state_unit")}
    for block in who.blocks:
        attributes[f"controller/{block.name}"] = {
            **block.log_attributes,
            "kind": type(block.block).__name__,
            "sample_time": who.clock.seconds(block.schedule.period),
            "offset": who.clock.seconds(block.schedule.offset),
            "delay": who.clock.seconds(block.delay),
        }
        more_axes, more_variables, more_attributes = agent_models(block)
        axes, variables, attributes = axes + more_axes, variables + more_variables, attributes | more_attributes
    # At most: blocks that are due at the same instant share a row.
    rows = 2 + sum(block.schedule.number(who.end) for block in who.blocks)
    layout = Layout(tuple(axes), tuple(variables), attributes, rows, links)
    told = {**attributes[""], CHECKSUM: fingerprint_of_layout(layout)}
    return replace(layout, attributes=attributes | {"": told})


def usable(name: str) -> bool:
    """Whether something in a log can be called so: HDF5 has a meaning for dots, and every group its own time axis."""
    return bool(name) and name.isprintable() and name not in (".", "..", TIME, SAMPLE)


def _qualified(plants: Sequence[Plant], names: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """All names one after the other, as "plant.name" where there are several plants."""
    if len(plants) == 1:
        return tuple(names[0])
    return tuple(f"{plant.name}.{name}" for plant, own in zip(plants, names, strict=True) for name in own)


def _groups(plant: Plant) -> dict[str, tuple[str, ...]]:
    """The plant's signals by kind."""
    return {
        "state": plant.state_names,
        "output": plant.output_names,
        "input": plant.input_names,
        "disturbance": plant.disturbance_names,
        "setpoint": plant.setpoint_names,
    }


def _signal_axes(plants: Sequence[Plant]) -> list[Axis]:
    groups = [_groups(plant) for plant in plants]
    return [Axis("plant/plant_name", tuple(plant.name for plant in plants))] + [
        Axis(f"plant/{kind}_name", _qualified(plants, [group[kind] for group in groups]), long_name=f"{kind} signals")
        for kind in groups[0]
    ]


def _plant_variables(plants: Sequence[Plant]) -> list[Variable]:
    variables = []
    for kind, meaning in {
        "state": "states",
        "output": "outputs, with the inputs before the instant",
        "input": "control inputs in effect, after saturation",
        "disturbance": "disturbances, measured or not",
        "setpoint": "set points of states and control inputs",
    }.items():
        along = f"plant/{kind}_name"
        units = tuple(unit_of(plant, name) for plant in plants for name in _groups(plant)[kind])
        same = common(units)
        first = TIME if kind in ("state", "output") else SAMPLE
        variables += [
            Variable(f"plant/{kind}_unit", (along,), "str", value=units, long_name=f"units of the {kind} signals"),
            Variable(f"plant/{kind}", (first, along), unit=same, long_name=meaning, units_along=f"{kind}_unit"),
        ]
    unit = common([per_second(unit_of(plant, name)) for plant in plants for name in plant.disturbance_names])
    variables += [
        Variable("plant/disturbance_slope", (SAMPLE, "plant/disturbance_name"), "f8", unit, "their change per second"),
        Variable("plant/steady", (SAMPLE,), "i1", "1", "whether nothing happens before the next row", _STEADY),
    ]
    for kind in ("state", "input"):
        limits = np.vstack([plant.state_limits if kind == "state" else plant.input_limits for plant in plants])
        axes = (f"plant/{kind}_name", "plant/bound")
        unit = common([unit_of(plant, name) for plant in plants for name in _groups(plant)[kind]])
        path, meaning = f"plant/{kind}_limits", f"limits of the {kind}s"
        variables.append(Variable(path, axes, "f8", unit, meaning, value=limits, units_along=f"{kind}_unit"))
    return variables


def _digest(axis: str) -> Variable:
    meaning = "SHA-256 of everything else in the row, in the order of its path"
    return Variable(DIGESTS[axis], (axis, "byte"), "u1", "1", meaning)


def _periods(who: Participants) -> Variable:
    ticks = np.array([0 if p.sample_time is None else who.clock.ticks(p.sample_time) for p in who.plants])
    meaning = "ticks between the samples of a discrete plant; 0: continuous"
    return Variable("plant/sample_ticks", ("plant/plant_name",), "i8", "1", meaning, value=ticks)


def _block(block: TimedBlock, units: BlockUnits) -> tuple[list[Axis], list[Variable]]:
    group = f"controller/{block.name}"
    axes = {
        f"{group}/input_name": Axis(f"{group}/input_name", block.inputs, long_name="signals that it reads"),
        f"{group}/output_name": Axis(f"{group}/output_name", block.outputs, long_name="signals that it sends out"),
    }
    variables = [
        *_block_signals(group, "input", units[0], "what it measured"),
        *_block_signals(group, "output", units[1], "what it sent out, not yet saturated"),
        Variable(f"{group}/due", (SAMPLE,), "i1", "1", "whether it was its turn", flags={0: "idle", 1: "due"}),
    ]
    taken = {variable.path for variable in variables} | {f"{group}/{name}" for name in (TIME, SAMPLE)}
    taken |= {f"{group}/{field.name}" for field in block.fields}
    uses = Counter(path for field in block.fields for path in accumulate(field.name.split("/"), "{}/{}".format))
    for field in block.fields:
        _require_field(field, block, uses[field.name])
        own = []
        for k, length in enumerate(field.shape):
            path = f"{group}/{field.dims[k]}" if field.dims else f"{group}/{field.name}_{k}"
            while path in taken or (path in axes and axes[path].length != length):
                path += "_"
            axes.setdefault(path, Axis(path, size=length))
            own.append(path)
        variables.append(
            Variable(
                f"{group}/{field.name}",
                (SAMPLE, *own),
                field.dtype,
                field.unit,
                field.long_name or field.name,
                field.flags,
                fill=None if is_status(field) or field.dtype.startswith("f") else int(placeholder(field)),
            )
        )
    return list(axes.values()), variables


def _block_signals(group: str, kind: str, units: tuple[str, ...], meaning: str) -> tuple[Variable, ...]:
    along = f"{group}/{kind}_name"
    return (
        Variable(f"{group}/{kind}_unit", (along,), "str", value=units, long_name=f"units of its {kind}s"),
        Variable(f"{group}/{kind}", (SAMPLE, along), "f8", common(units), meaning, units_along=f"{kind}_unit"),
    )


def _require_field(field: Field, block: TimedBlock, uses: int) -> None:
    """Refuse a field that a log cannot hold; `uses` is how many fields have its name, or that of a group in it."""
    parts = field.name.split("/")
    taken = {parts[0]} & set(RESERVED) | {part for part in parts if not usable(part)}
    if taken:
        raise WiringError(
            f"{block.name}: field {field.name!r}: nothing in a log, and so no agent, can be called {min(taken)!r}; "
            "choose another printable name"
        )
    if uses > 1:
        raise WiringError(f"{block.name}: field {field.name!r} stands twice, or is also the group of another field")
    if field.dtype not in DTYPES:
        raise WiringError(f"{block.name}: field {field.name!r} has type {field.dtype!r}, expected {', '.join(DTYPES)}")
    if (field.dims and len(field.dims) != len(field.shape)) or any(length < 0 for length in field.shape):
        raise WiringError(f"{block.name}: shape {field.shape} and dims {field.dims} of field {field.name!r} disagree")


def _root_attributes(who: Participants, seed: int, experiment: str) -> dict[str, str | int | float]:
    return {
        "Conventions": CONVENTIONS,
        "schema_version": SCHEMA_VERSION,
        "title": _title(who, experiment),
        "seed": seed,
        "t_end": who.clock.seconds(who.end),
        "ticks_per_second": who.clock.base,
        "experiment": experiment,
        "dmpcrl_ctrl_version": __version__,
        "python_version": platform.python_version(),
        **_versions(),
    }


def _versions() -> dict[str, str]:
    """Of the packages that the numbers depend on, those that are here."""
    found = {}
    for package in ("numpy", "scipy", "control", "h5py", "qpsolvers", "proxsuite", "daqp", "piqp"):
        with suppress(PackageNotFoundError):
            found[f"{package}_version"] = version(package)
    return found


def _title(who: Participants, experiment: str) -> str:
    """As the experiment has it, or who took part."""
    try:
        title = tomllib.loads(experiment).get("title")
    except tomllib.TOMLDecodeError:
        title = None
    if isinstance(title, str):
        return title
    plants, blocks = ", ".join(p.name for p in who.plants), ", ".join(b.name for b in who.blocks)
    return f"{plants} with {blocks}" if blocks else plants
