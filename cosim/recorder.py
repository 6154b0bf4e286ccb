"""Rows of a closed loop on their way into the log: collected in blocks, written at every block and every second.

Writing row by row would cost 50 times as much. A process that is killed loses what it has not written yet, at most one
block or one second; what is written stays readable. Of a thousand agents a row alone takes seconds to write: there
rows wait for 20 times as long as the last writing took, and for a minute at most.
"""

import time as wall_time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.block_runner import Step
from dmpcrl_ctrl.cosim.fingerprint import row_digests
from dmpcrl_ctrl.cosim.layout import BLOCK_ROWS, Layout
from dmpcrl_ctrl.cosim.log_writer import LogWriter
from dmpcrl_ctrl.cosim.missing import is_status, placeholder
from dmpcrl_ctrl.cosim.participants import TimedBlock
from dmpcrl_ctrl.cosim.scheduler import Row
from dmpcrl_ctrl.cosim.schema import DENSE_TIME, DIGESTS, SAMPLE, TIME
from dmpcrl_ctrl.status import Status

_SECONDS_BETWEEN_WRITES = 1.0
_PAUSE, _LONGEST_PAUSE = 20.0, 60.0
# What the rows that wait may take: a record can be long, such as the residuals of a million iterations.
_BLOCK_BYTES = 1 << 24


class Table:
    """The arrays of a log that grow along one axis, with the rows that wait to be written.

    Parameters
    ----------
    axis
        Path of the axis; it is written last, so that whatever it tells of is there in every other array.
    layout
        Of the log.

    Attributes
    ----------
    columns
        Path -> (block rows, ...): waiting rows. As many as are worth writing at once, but no more than fit into 16 MB.
    count
        How many are filled.
    """

    def __init__(self, axis: str, layout: Layout) -> None:
        self.count = 0
        self._written = 0
        self._digest = DIGESTS[axis]
        one_row: dict[str, NDArray[Any]] = {
            variable.path: np.empty([layout.axis(path).length for path in variable.axes[1:]], variable.dtype)
            for variable in layout.variables
            if variable.value is None and variable.axes[0] == axis
        }
        one_row[axis] = np.empty(())
        self._rows = max(1, min(BLOCK_ROWS, _BLOCK_BYTES // sum(entry.nbytes for entry in one_row.values())))
        self.columns: dict[str, NDArray[Any]] = {
            path: np.empty((self._rows, *entry.shape), entry.dtype) for path, entry in one_row.items()
        }

    @property
    def full(self) -> bool:
        """Whether the block must be written before the next row."""
        return self.count == self._rows

    def flush(self, writer: LogWriter) -> None:
        """Write the waiting rows; after an interruption it starts again with the same rows."""
        if self.count:
            told = {path: rows[: self.count] for path, rows in self.columns.items() if path != self._digest}
            self.columns[self._digest][: self.count] = row_digests(told)
            for path, rows in self.columns.items():
                if rows[0].size:
                    writer.write(path, self._written, rows[: self.count])
            self._written, self.count = self._written + self.count, 0


class BlockRows:
    """What is kept of one block; where it was not due its last values are repeated."""

    def __init__(self, block: TimedBlock, samples: Table) -> None:
        group, columns = f"controller/{block.name}", samples.columns
        self._input, self._output = columns[f"{group}/input"], columns[f"{group}/output"]
        self._due = columns[f"{group}/due"]
        self._fields = [(field.name, columns[f"{group}/{field.name}"]) for field in block.fields]
        self._nothing = {field.name: placeholder(field) for field in block.fields}
        self._statuses = [columns[f"{group}/{field.name}"] for field in block.fields if is_status(field)]
        self._last = Step(np.full(len(block.inputs), np.nan), np.zeros(len(block.outputs)), {})

    def put(self, k: int, step: Step | None) -> None:
        """Waiting row k; None: the block was not due."""
        last = self._last if step is None else step
        self._input[k], self._output[k], self._due[k] = last.measurement, last.output, step is not None
        for name, rows in self._fields:
            rows[k] = last.record.get(name, self._nothing[name])
        if step is None:
            for status in self._statuses:
                status[k] = Status.IDLE
        self._last = last


class Recorder:
    """Writes rows to a log.

    Parameters
    ----------
    writer, layout
        The log, and what it holds.
    blocks
        Of the loop, in the order of the numbers in its rows' steps.
    """

    def __init__(self, writer: LogWriter, layout: Layout, blocks: Sequence[TimedBlock]) -> None:
        self._writer = writer
        self._samples, self._times, self._dense = (Table(axis, layout) for axis in (SAMPLE, TIME, DENSE_TIME))
        self._blocks = [BlockRows(block, self._samples) for block in blocks]
        self._next_write = wall_time.monotonic() + _SECONDS_BETWEEN_WRITES

    def put(self, row: Row, last: bool = False) -> None:
        """Take a row; the last one has a state and an output, and nothing that is in effect from then on."""
        if not last:
            self._put_sample(row)
        k, columns = self._times.count, self._times.columns
        columns[TIME][k], columns["plant/state"][k], columns["plant/output"][k] = row.time, row.state, row.output
        self._times.count += 1
        full = self._times.full or self._samples.full
        if full or wall_time.monotonic() > self._next_write:
            self.flush()

    def put_dense(self, time: float, state: Array) -> None:
        """Take a state between two rows."""
        k, columns = self._dense.count, self._dense.columns
        columns[DENSE_TIME][k], columns["plant/dense/state"][k] = time, state
        self._dense.count += 1
        if self._dense.full:
            self._dense.flush(self._writer)

    def flush(self) -> None:
        """Write what has been collected."""
        start = wall_time.monotonic()
        for table in (self._dense, self._samples, self._times):
            table.flush(self._writer)
        end = wall_time.monotonic()
        self._next_write = end + min(max(_SECONDS_BETWEEN_WRITES, _PAUSE * (end - start)), _LONGEST_PAUSE)

    def close(self) -> None:
        """Write what has been collected, and finish the log."""
        try:
            self.flush()
        finally:
            self._writer.close()

    def _put_sample(self, row: Row) -> None:
        k, columns = self._samples.count, self._samples.columns
        columns[SAMPLE][k], columns["cost/stage"][k] = row.time, row.cost
        columns["plant/input"][k], columns["plant/disturbance"][k] = row.input, row.disturbance
        columns["plant/setpoint"][k], columns["plant/steady"][k] = row.setpoint, row.steady
        columns["plant/disturbance_slope"][k] = row.slope
        for number, block in enumerate(self._blocks):
            block.put(k, row.steps.get(number))
        self._samples.count += 1
