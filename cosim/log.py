"""A run as its log tells it: lazy arrays with names and units, whether the log is a file or in memory."""

from collections.abc import Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.cosim.schema import DENSE_TIME, SAMPLE, SCHEMA_VERSION, TIME
from dmpcrl_ctrl.cosim.trace import ControllerTrace, row_names
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Signals by kind, and whether they have a value at the end of the run too (K + 1 rows) or only at samples (K rows).
_KINDS = {"state": True, "output": True, "input": False, "disturbance": False, "setpoint": False}

# What a log that has just begun is told to have instead of rows.
NO_ROW = "none yet"


def open_log(path: str | PathLike[str]) -> "Run":
    """Open a log; it may still be growing, or belong to a run that was killed.

    Raises
    ------
    LogError
        The file is missing, no log of this schema, damaged, leads to other files, or claims more than it holds.
    """
    reader = LogReader.open(Path(path))
    try:
        return Run(reader)
    except BaseException:
        reader.close()
        raise


class Run:
    """A closed loop of K samples: times t_0 ... t_K, and what happened at them; arrays are read when first asked for.

    Rows k of `input`, `disturbance`, `setpoint`, `cost` and of the controllers hold from t_k to t_{k+1}. With several
    plants, signals are called "plant.signal". A run can be used in a `with` statement, which closes it.

    Parameters
    ----------
    reader
        An open log.

    Attributes
    ----------
    controllers
        Name -> :class:`ControllerTrace`.
    samples
        K.
    attributes
        Of the file: title, seed, t_end, experiment, versions.
    """

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self.attributes = MappingProxyType(reader.attributes())
        version = self.attributes.get("schema_version")
        if version != SCHEMA_VERSION:
            raise reader.fault("schema_version", str(SCHEMA_VERSION), repr(version))
        self.samples = self._complete_samples()
        self.controllers: Mapping[str, ControllerTrace] = MappingProxyType(
            {name: ControllerTrace(reader, name, self.samples) for name in reader.groups("controller")}
        )

    @cached_property
    def time(self) -> Array:
        """(K + 1,): seconds."""
        return self._reader.array(TIME, self.samples + 1)

    @cached_property
    def state(self) -> Array:
        """(K + 1, n)."""
        return self._signals("state")

    @cached_property
    def output(self) -> Array:
        """(K + 1, ny): just before each time."""
        return self._signals("output")

    @cached_property
    def input(self) -> Array:
        """(K, m): control inputs in effect, after saturation."""
        return self._signals("input")

    @cached_property
    def disturbance(self) -> Array:
        """(K, nd): measured or not."""
        return self._signals("disturbance")

    @cached_property
    def setpoint(self) -> Array:
        """(K, n + m): of states, then of control inputs (plant by plant)."""
        return self._signals("setpoint")

    @cached_property
    def cost(self) -> Array:
        """(K, M): stage cost by agent."""
        return self._reader.array("cost/stage", self.samples)

    @cached_property
    def dense(self) -> tuple[Array, Array] | None:
        """Times (L,) and states (L, n) between the samples too, where the run was asked to keep them."""
        if DENSE_TIME not in self._reader:
            return None
        width = len(self.names["state"])
        rows = self._reader.shape(DENSE_TIME)[0]
        if not width:
            return self._reader.array(DENSE_TIME), np.zeros((rows, 0))
        rows = min(rows, self._reader.shape("plant/dense/state")[0])
        return self._reader.array(DENSE_TIME, rows), self._reader.array("plant/dense/state", rows)

    @cached_property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the columns, by "state", "output", "input", "disturbance", "setpoint" and "agent"."""
        found = {kind: self._reader.labels(f"plant/{kind}_name") for kind in _KINDS}
        return MappingProxyType({**found, "agent": self._reader.labels("cost/agent")})

    @cached_property
    def plants(self) -> tuple[str, ...]:
        """Names of the plants."""
        return self._reader.labels("plant/plant_name")

    @cached_property
    def units(self) -> Mapping[str, str]:
        """Signal -> unit; "1" where there is none."""
        return MappingProxyType(
            {
                name: unit
                for kind in _KINDS
                for name, unit in zip(self.names[kind], self._reader.labels(f"plant/{kind}_unit"), strict=True)
            }
        )

    @property
    def state_names(self) -> tuple[str, ...]:
        """Of the columns of `state`."""
        return self.names["state"]

    @property
    def input_names(self) -> tuple[str, ...]:
        """Of the columns of `input`."""
        return self.names["input"]

    @property
    def output_names(self) -> tuple[str, ...]:
        """Of the columns of `output`."""
        return self.names["output"]

    @property
    def disturbance_names(self) -> tuple[str, ...]:
        """Of the columns of `disturbance`."""
        return self.names["disturbance"]

    @property
    def setpoint_names(self) -> tuple[str, ...]:
        """Of the columns of `setpoint`: "<signal>_ref"."""
        return self.names["setpoint"]

    @property
    def agent_names(self) -> tuple[str, ...]:
        """Of the columns of `cost`."""
        return self.names["agent"]

    @cached_property
    def state_limits(self) -> Array:
        """(n, 2): lower and upper, infinite where there is none."""
        return self._reader.array("plant/state_limits")

    @cached_property
    def input_limits(self) -> Array:
        """(m, 2): lower and upper, infinite where there is none."""
        return self._reader.array("plant/input_limits")

    @cached_property
    def violations(self) -> Array:
        """(K + 1, n): by how much each state is outside its limits; zero inside."""
        low, high = self.state_limits.T
        return np.maximum(np.maximum(low - self.state, self.state - high), 0.0)

    @property
    def complete(self) -> bool:
        """Whether the run got to its end."""
        return bool(self.time[-1] == self.attributes.get("t_end"))

    def __getitem__(self, signal: str) -> Array:
        """One signal by name: (K + 1,) of a state or output, (K,) of an input, disturbance or set point."""
        for kind in _KINDS:
            if signal in self.names[kind]:
                return np.asarray(getattr(self, kind)[:, self.names[kind].index(signal)])
        raise LogError(unknown(signal, dict.fromkeys(n for kind in _KINDS for n in self.names[kind]), "signal"))

    def trajectory(self, plant: Plant | str | None = None) -> Trajectory:
        """The run of one plant, in the form that its performance indices take.

        Parameters
        ----------
        plant
            Which; None where there is only one.

        Raises
        ------
        LogError
            The log holds no such plant, or several.
        """
        names, arrays = {}, {}
        for kind in ("state", "input", "disturbance", "setpoint"):
            columns, names[kind] = self._of_plant(kind, plant)
            arrays[kind] = getattr(self, kind)[:, columns]
        return Trajectory(
            self.time,
            **arrays,
            state_names=names["state"],
            input_names=names["input"],
            disturbance_names=names["disturbance"],
        )

    def plot(self, path: str | PathLike[str] | None = None, signals: Any = None) -> "Figure":
        """A picture of the run: states with limits and set points, inputs, disturbances.

        Parameters
        ----------
        path
            File to write it to as well (.png, .svg, .pdf).
        signals
            Names to draw; None: all.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it.
        """
        from dmpcrl_ctrl.cosim.plot import plot_run

        figure = plot_run(self, signals)
        if path is not None:
            figure.savefig(path)
        return figure

    def close(self) -> None:
        """Close the log: arrays that have been read stay, others are out of reach (and lost, where it is in memory)."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        title = self.attributes.get("title", "run")
        return f"<Run {title!r}: {self.samples} samples in {self._reader.name}>"

    def _complete_samples(self) -> int:
        """K: samples of which every array has its row; a run that was killed may have got further in some."""
        reader = self._reader
        rows = {True: [reader.shape(TIME)[0]], False: [reader.shape(SAMPLE)[0]]}
        for kind, at_end in _KINDS.items():
            width = len(self.names[kind])
            if width:
                rows[at_end].append(self._rows(f"plant/{kind}", width))
        rows[False].append(self._rows("cost/stage", len(self.names["agent"])))
        for name in reader.groups("controller"):
            rows[False] += [reader.shape(f"controller/{name}/{own}")[0] for own in row_names(reader, name)]
        samples = min(min(rows[True]) - 1, *rows[False])
        if samples < 0:
            raise reader.fault(TIME, "at least one row", NO_ROW)
        return samples

    def _rows(self, path: str, width: int) -> int:
        shape = self._reader.shape(path)
        if len(shape) != 2 or shape[1] != width:
            raise self._reader.fault(path, f"shape (any, {width})", f"shape {shape}")
        return shape[0]

    def _signals(self, kind: str) -> Array:
        rows, width = self.samples + _KINDS[kind], len(self.names[kind])
        return self._reader.array(f"plant/{kind}", rows) if width else np.zeros((rows, 0))

    def _of_plant(self, kind: str, plant: Plant | str | None) -> tuple[list[int], tuple[str, ...]]:
        """Columns of one plant's signals, and their names without the plant's."""
        names = self.names[kind]
        if len(self.plants) == 1 and plant is None:
            return list(range(len(names))), names
        own = getattr(plant, "name", plant)
        if own not in self.plants:
            raise LogError(unknown(own, self.plants, f"{self._reader.name}: plant"))
        prefix = f"{own}." if len(self.plants) > 1 else ""
        columns = [k for k, name in enumerate(names) if name.startswith(prefix)]
        return columns, tuple(names[k].removeprefix(prefix) for k in columns)
