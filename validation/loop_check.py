"""Is the closed loop of a log one: do states follow from states, inputs from outputs, costs from both?

Everything is recomputed from the file alone. Where a row does not hold until the next one, because an edge of a
disturbance, a delayed output or a discrete plant's own sample lies between, the file does not tell what happened there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.cosim.log import Run
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.plants.task import Task
from dmpcrl_ctrl.plants.zoh import foh_ramp, zoh
from dmpcrl_ctrl.validation.comparison import Compared, compared, verdict
from dmpcrl_ctrl.validation.samples import columns_of
from dmpcrl_ctrl.validation.verdict import Outcome, Verdict

# Of the sum of the absolute terms that make a number.
ROUNDING = 1e-10
_ROUNDED = f"{ROUNDING:g} of the terms"


@dataclass(frozen=True, eq=False)
class Loop:
    """A log, with what its plants' checks share.

    Attributes
    ----------
    run, reader
        Of the file.
    ticks
        (K + 1,): instants on the loop's clock.
    steady
        (K,): where nothing happens between a row and the next.
    """

    run: Run
    reader: LogReader
    ticks: NDArray[np.int64]
    steady: NDArray[np.bool_]

    @classmethod
    def of(cls, run: Run, reader: LogReader) -> "Loop":
        """Of an open log."""
        ticks = np.rint(run.time * run.attributes["ticks_per_second"]).astype(np.int64)
        return cls(run, reader, ticks, reader.array("plant/steady", run.samples).astype(bool))

    def seconds(self, ticks: int) -> Fraction:
        """A number of ticks in seconds."""
        return Fraction(ticks, int(self.run.attributes["ticks_per_second"]))

    def arrived(self, name: str) -> Array:
        """(K, outputs): outputs of a controller that have arrived by each row; NaN before the first."""
        trace, K = self.run.controllers[name], self.run.samples
        delay = round(trace.delay * self.run.attributes["ticks_per_second"])
        rows = np.flatnonzero(trace.due)
        last = np.searchsorted(self.ticks[rows] + delay, self.ticks[:K], side="right") - 1
        outputs = np.vstack([trace.output[rows], np.full((1, len(trace.output_names)), np.nan)])
        return np.asarray(outputs[last])

    def source(self, path: str) -> Array | None:
        """(K,): what a reader of an array and column saw at each row, NaN where unknown; None: the log does not tell.

        A disturbance is not told: what controllers are told of it may differ from what acts.
        """
        K, (root, _, rest) = self.run.samples, path.partition("/")
        if not path:
            return np.zeros(K)
        if root == "controller":
            name, _, column = rest.split("/", 2)
            return np.asarray(self.arrived(name)[:, self.run.controllers[name].output_names.index(column)])
        kind, _, column = rest.partition("/")
        values = getattr(self.run, kind)[:K, self.run.names[kind].index(column)]
        if kind == "disturbance":
            return None
        if kind == "input":  # in effect just before the instant
            return np.append([np.nan], np.where(self.steady, values, np.nan)[:-1])[:K]
        return np.asarray(values)

    def at(self, names: Sequence[str], rows: Index | None = None) -> "_Where":
        """What messages call the entry (row, column) of a table."""
        return _Where(self.run.time, tuple(names), rows)


@dataclass(frozen=True, eq=False)
class _Where:
    time: Array
    names: tuple[str, ...]
    rows: Index | None

    def __call__(self, index: tuple[int, ...]) -> str:
        row = index[0] if self.rows is None else int(self.rows[index[0]])
        return f"t = {self.time[row]:g} s, {self.names[index[1]]}"


def check_loop(run: Run, reader: LogReader) -> Iterator[Verdict]:
    """Verdicts on plants and wiring."""
    loop = Loop.of(run, reader)
    for number, name in enumerate(run.plants):
        prefix = f"{name}: " if len(run.plants) > 1 else ""
        yield from _plant(loop, number, name, prefix)
    yield verdict("inputs follow from outputs", _inputs(loop), "none")
    for name in run.controllers:
        yield verdict(f"{name}: measurements", _measurements(loop, name), "none", "not of disturbances")
        if "previous_input" in run.controllers[name].fields:
            yield verdict(f"{name}: previous inputs", _previous(loop, name), "none")


def _plant(loop: Loop, number: int, name: str, prefix: str) -> Iterator[Verdict]:
    run, reader = loop.run, loop.reader
    group = "plant/model" + (f"/{name}" if prefix else "")
    columns = {kind: columns_of(run.names[kind], name, run) for kind in run.names}
    states = run.state[:, columns["state"]]
    names = np.array(run.state_names)[columns["state"]]
    if not states.shape[1]:
        pass
    elif f"{group}/A" not in reader:
        why = "the plant is not linear: its equations are not in the log"
        yield Verdict(f"{prefix}states follow from states", Outcome.SKIPPED, why)
    else:
        matrices = {key: reader.array(f"{group}/{key}") if f"{group}/{key}" in reader else None for key in "ABCD"}
        period = int(reader.array("plant/sample_ticks")[number])
        entered = _merged(loop, group, columns)
        moves = list(_transitions(loop, entered, states, matrices, period, names.tolist()))
        skipped = int((~loop.steady).sum())
        remark = f"{skipped} of {run.samples} intervals left out: something happens within them" if skipped else ""
        yield verdict(f"{prefix}states follow from states", moves, _ROUNDED, remark)
        yield verdict(f"{prefix}outputs", [_outputs(loop, states, matrices, columns)], _ROUNDED)
    yield _cost(loop, f"cost/weights{f'/{name}' if prefix else ''}", columns, prefix)


def _merged(loop: Loop, group: str, columns: dict[str, NDArray[np.bool_]]) -> tuple[Array, Array]:
    """(K, nw), (K, nw): what entered the system's inputs from each row on, and its change per second."""
    run, reader = loop.run, loop.reader
    labels = reader.labels(f"{group}/of_input")
    values, slopes = np.zeros((2, run.samples, len(labels)))
    parts = [("input", run.input, np.zeros_like(run.input))]
    if run.disturbance.shape[1]:
        slope = reader.array("plant/disturbance_slope", run.samples)
        parts.append(("disturbance", run.disturbance, slope))
    for kind, table, change in parts:
        for column in np.flatnonzero(columns[kind]):
            own = run.names[kind][column]
            place = labels.index(own if own in labels else own.partition(".")[2])
            values[:, place], slopes[:, place] = table[:, column], change[:, column]
    return values, slopes


def _transitions(
    loop: Loop,
    entered: tuple[Array, Array],
    states: Array,
    matrices: dict[str, Array | None],
    period: int,
    names: list[str],
) -> Iterator[Compared]:
    """x(k + 1) beside the flow of x(k) under what is held."""
    n, (values, slopes) = states.shape[1], entered
    A = matrices["A"] if matrices["A"] is not None else np.zeros((n, n))
    B = matrices["B"] if matrices["B"] is not None else np.zeros((n, values.shape[1]))

    @cache
    def flow(ticks: int) -> tuple[Array, Array, Array]:
        if period:
            return A, B, np.zeros_like(B)
        duration = float(loop.seconds(ticks))
        Ad, B0 = zoh(A, B, duration)
        return Ad, B0, foh_ramp(A, B, duration)[2] if slopes.any() else np.zeros_like(B)

    for k in np.flatnonzero(loop.steady):
        x, w, slope = states[k], values[k], slopes[k]
        where = loop.at(names, np.array([k + 1]))
        if period and loop.ticks[k + 1] % period:
            yield compared(where, states[None, k + 1], x[None])
            continue
        Ad, B0, B1 = flow(int(loop.ticks[k + 1] - loop.ticks[k]))
        terms = np.abs(Ad) @ np.abs(x) + np.abs(B0) @ np.abs(w) + np.abs(B1) @ np.abs(slope)
        # x(k + 1) = Ad x(k) + B0 w(k) + B1 dw/dt
        yield compared(where, states[None, k + 1], (Ad @ x + B0 @ w + B1 @ slope)[None], ROUNDING * terms)


def _outputs(
    loop: Loop, states: Array, matrices: dict[str, Array | None], columns: dict[str, NDArray[np.bool_]]
) -> Compared:
    """Outputs beside C x: those on which no input acts at once, because that would be the one held before."""
    C, D = matrices["C"], matrices["D"]
    table = loop.run.output[:, columns["output"]]
    if C is None:
        return Compared(0)
    told = ~D.any(axis=1) if D is not None else np.ones(len(C), dtype=bool)
    names = np.array(loop.run.output_names)[columns["output"]][told]
    found, terms = states @ C[told].T, np.abs(states) @ np.abs(C[told]).T
    return compared(loop.at(names.tolist()), table[:, told], found, ROUNDING * terms)


def _inputs(loop: Loop) -> Iterator[Compared]:
    """Inputs in effect beside what drives them, saturated."""
    run, reader = loop.run, loop.reader
    if not run.input_names:
        return
    periods = dict(zip(run.plants, reader.array("plant/sample_ticks").tolist(), strict=True))
    low, high = run.input_limits.T
    for column, path in enumerate(reader.labels("plant/input_source")):
        period = periods[run.plants[0] if len(run.plants) == 1 else run.input_names[column].partition(".")[0]]
        takes = np.ones(run.samples, dtype=bool) if not period else loop.ticks[:-1] % period == 0
        driven = loop.source(path)
        if driven is None:
            continue
        before = np.append([np.nan], np.where(loop.steady, run.input[:, column], np.nan)[:-1])[: run.samples]
        expected = np.where(takes, np.clip(driven, low[column], high[column]), before)
        rows = np.flatnonzero(~np.isnan(expected))
        yield compared(loop.at([run.input_names[column]], rows), run.input[rows, column, None], expected[rows, None])


def _measurements(loop: Loop, name: str) -> Iterator[Compared]:
    """What a controller measured beside what was there."""
    trace = loop.run.controllers[name]
    if not trace.input_names:
        return
    for column, path in enumerate(loop.reader.labels(f"controller/{name}/input_source")):
        seen = loop.source(path)
        if seen is None:
            continue
        rows = np.flatnonzero(trace.due & ~np.isnan(seen))
        where = loop.at([f"{name}: {trace.input_names[column]}"], rows)
        yield compared(where, trace.input[rows, column, None], seen[rows, None])


def _previous(loop: Loop, name: str) -> Iterator[Compared]:
    """What a controller took for the input before beside what was in effect; of a delayed one, what it sent last."""
    run, trace = loop.run, loop.run.controllers[name]
    driven = loop.reader.labels("plant/input_source") if run.input_names else ()
    due = np.flatnonzero(trace.due)
    for column, output in enumerate(trace.output_names):
        path = f"controller/{name}/output/{output}"
        seen = np.full(run.samples, np.nan)
        if trace.delay or path not in driven:
            seen[due[1:]] = trace.output[due[:-1], column]
        else:
            seen[1:] = np.where(loop.steady, run.input[:, driven.index(path)], np.nan)[:-1]
        rows = due[~np.isnan(seen[due])]
        claimed = trace["previous_input"][rows, column, None]
        yield compared(loop.at([f"{name}: {output} before"], rows), claimed, seen[rows, None])


def _cost(loop: Loop, group: str, columns: dict[str, NDArray[np.bool_]], prefix: str) -> Verdict:
    """Stage costs beside those of the logged weights."""
    run, reader, check = loop.run, loop.reader, f"{prefix}stage costs"
    if reader.attributes(group)["extra_stage_cost"]:
        return Verdict(check, Outcome.SKIPPED, "a function of the user adds to the cost: it is not in the log")
    n, m = int(columns["state"].sum()), int(columns["input"].sum())
    shapes = {
        "Q": (n, n), "R": (m, m), "violation_weight": (n,), "agent_of_state": (n,), "agent_of_input": (m,),
    }  # fmt: skip
    given = {
        key: reader.array(f"{group}/{key}") if 0 not in shape else np.zeros(shape) for key, shape in shapes.items()
    }
    limits = run.state_limits[columns["state"]], run.input_limits[columns["input"]]
    task = Task(given["Q"], given["R"], given["violation_weight"], *limits, np.full(m, np.inf))
    x, u = run.state[:-1, columns["state"]], run.input[:, columns["input"]]
    own = run.setpoint[:, columns["setpoint"]]
    x_ref, u_ref = own[:, :n], own[:, n:]
    agents = columns["agent"].sum()
    owner = np.concatenate([given["agent_of_state"], given["agent_of_input"]]).astype(int)
    member = (owner[:, None] == np.arange(agents)).astype(float)
    found = np.hstack([task.state_cost(x, x_ref), task.input_cost(u, u_ref)]) @ member
    # a weighted square and what it is summed from
    e, v = np.abs(x - x_ref), np.abs(u - u_ref)
    terms = np.hstack([e * (e @ np.abs(task.Q)) + task.violation_weight * task.violation(x), v * (v @ np.abs(task.R))])
    names = [name for name, mine in zip(run.agent_names, columns["agent"], strict=True) if mine]
    part = compared(loop.at(names), run.cost[:, columns["agent"]], found, ROUNDING * (terms @ member))
    return verdict(check, [part], _ROUNDED)
