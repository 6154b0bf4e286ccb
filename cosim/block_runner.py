"""A block inside a closed loop: what it measures, when it computes, and when its outputs take effect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import block_seed
from dmpcrl_ctrl.cosim.clock import Clock
from dmpcrl_ctrl.cosim.faults import stopped
from dmpcrl_ctrl.cosim.participants import TimedBlock
from dmpcrl_ctrl.cosim.wiring import BlockPorts
from dmpcrl_ctrl.errors import SimulationError, SourceError
from dmpcrl_ctrl.messages import unknown

Ahead = Callable[[int, int], Array]


@dataclass(frozen=True, eq=False)
class BlockState:
    """A block between two samples.

    Parameters
    ----------
    inner
        The block's own state.
    count
        How many samples it has taken.
    cost
        (M,): stage cost by agent at its last sample.
    pending
        Outputs on their way: (tick at which they are due, values), earliest first.
    """

    inner: Any
    count: int
    cost: Array
    pending: tuple[tuple[int, Array], ...] = ()


@dataclass(frozen=True, eq=False)
class Step:
    """One sample of a block, for the log: what it measured now, what it sent out, its record."""

    measurement: Array
    output: Array
    record: Mapping[str, NDArray[Any]]


class BlockRunner:
    """A block on a clock.

    Parameters
    ----------
    block, ports
        The block, and its cells on the board.
    clock
        The loop's.
    seed
        Of the run; the block's own depends on it and on the block's name.
    """

    def __init__(self, block: TimedBlock, ports: BlockPorts, clock: Clock, seed: int) -> None:
        self.due, self.next_sample = block.schedule.due, block.schedule.after
        self._timed, self._ports, self._clock = block, ports, clock
        self._fields = {field.name: field for field in block.fields}
        self._seed = block_seed(block.name, seed)

    def start(self, agents: int) -> BlockState:
        """State before the first sample."""
        try:
            inner = self._timed.block.init(self._seed)
        except Exception as error:
            raise stopped(0.0, f"{self._timed.name}.init", error) from error
        return BlockState(inner, 0, np.zeros(agents))

    def arrivals(self, board: Array, tick: int, state: BlockState) -> BlockState:
        """Put outputs on the board that are due by now."""
        pending = state.pending
        while pending and pending[0][0] <= tick:
            board[self._ports.outputs] = pending[0][1]
            pending = pending[1:]
        return state if pending is state.pending else replace(state, pending=pending)

    def step(self, board: Array, tick: int, state: BlockState, ahead: Ahead) -> tuple[BlockState, Step]:
        """Step (3): measure and compute; an output without delay goes on the board at once."""
        block, time = self._timed, self._clock.seconds(tick)
        try:
            measured = board[self._ports.inputs]
            measurement = self._preview(measured, tick, ahead) if block.preview else measured
            answer: Any = block.block.step(
                state.inner, state.count, measurement.copy(), board[self._ports.applied], state.cost
            )
            inner, output, record = _three(answer)
            values, entries = self._checked_output(output), self._checked_record(record)
        except Exception as error:
            raise stopped(time, block.name, error) from error
        pending = state.pending
        if block.delay:
            pending = (*pending, (tick + block.delay, values))
        else:
            board[self._ports.outputs] = values
        return BlockState(inner, state.count + 1, state.cost, pending), Step(measured, values, entries)

    def next_event(self, tick: int, state: BlockState) -> int:
        """Next sample, or next arrival of a delayed output."""
        sample = self.next_sample(tick)
        return min(sample, state.pending[0][0]) if state.pending else sample

    def _preview(self, measured: Array, tick: int, ahead: Ahead) -> Array:
        """(preview + 1, len(inputs)): what is fed back is repeated, what is known ahead is read ahead."""
        rows = np.tile(measured, (self._timed.preview + 1, 1))
        for known in self._ports.known:
            for j in range(1, len(rows)):
                try:
                    told = ahead(known.plant, tick + j * self._timed.schedule.period)
                except SourceError:  # recorded data end within the preview: nothing later is known
                    rows[j:, known.columns] = rows[j - 1, known.columns]
                    break
                rows[j, known.columns] = told[known.sources]
        return rows

    def _checked_output(self, output: Any) -> Array:
        """(len(outputs),): a copy, every entry of it finite."""
        names = self._timed.outputs
        values = np.array(output, dtype=np.float64)
        if values.shape != (len(names),):
            raise SimulationError(f"its output has shape {values.shape}, expected ({len(names)},): {', '.join(names)}")
        if not np.isfinite(values).all():
            k = int(np.flatnonzero(~np.isfinite(values))[0])
            raise SimulationError(f"its output {names[k]!r} is {values[k]}")
        return values

    def _checked_record(self, record: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Arrays of the declared shapes and types, each a copy."""
        with np.errstate(invalid="ignore"):
            return {name: self._checked_entry(name, value) for name, value in record.items()}

    def _checked_entry(self, name: str, value: Any) -> NDArray[Any]:
        if name not in self._fields:
            raise SimulationError(f"its record: {unknown(name, self._fields, 'declared field')}")
        field, given = self._fields[name], np.asarray(value)
        if given.shape != field.shape:
            raise SimulationError(f"its record: {name!r} has shape {given.shape}, expected {field.shape}")
        number = given.dtype.kind in "biuf"
        entry = given.astype(field.dtype) if number else np.zeros(0)
        if not number or (entry.dtype.kind != "f" and (entry != given).any()):
            raise SimulationError(f"its record: {name!r} is {value!r}, which type {field.dtype!r} cannot hold")
        return entry


def _three(answer: Any) -> tuple[Any, Any, Mapping[str, Any]]:
    """State, outputs and record, as a step must return them."""
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        length = f" of {len(answer)}" if isinstance(answer, tuple | list) else ""
        raise SimulationError(f"step must return (state, outputs, record), got {type(answer).__name__}{length}")
    inner, output, record = answer
    if not isinstance(record, Mapping):
        raise SimulationError(
            f"step must return (state, outputs, record), got {type(record).__name__} as record, not {{}}"
        )
    return inner, output, record
