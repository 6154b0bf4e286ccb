from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.cosim.block_runner import BlockRunner
from dmpcrl_ctrl.cosim.clock import Clock, Schedule
from dmpcrl_ctrl.cosim.participants import TimedBlock
from dmpcrl_ctrl.cosim.wiring import BlockPorts, Known
from dmpcrl_ctrl.errors import SimulationError

Make = Callable[..., Any]


def runner_of(block: Any, **options: Any) -> BlockRunner:
    """Two inputs from cells 1 and 2, of which the second is known ahead; one output in cell 3, in effect in cell 4."""
    known = (Known(0, np.array([1]), np.array([0])),)
    ports = BlockPorts(np.array([1, 2]), slice(3, 4), np.array([4]), known)
    timed = TimedBlock(block, "pid", ("y", "r"), ("u",), Schedule(3, 1), **options)
    return BlockRunner(timed, ports, Clock(10), 0)


def nothing_ahead(plant: int, tick: int) -> Array:
    raise AssertionError("no preview was asked for")


BOARD = np.array([0.0, 10.0, 20.0, -1.0, 40.0])


def test_a_block_is_told_what_its_cells_say(make_block: Make) -> None:
    block = make_block("y r", "u", lambda k, y: [y.sum()])
    runner, board = runner_of(block), BOARD.copy()
    state, step = runner.step(board, 1, runner.start(2), nothing_ahead)
    ((tick, measurement, applied, cost),) = block.seen
    assert (
        tick == 0
        and measurement.tolist() == [10.0, 20.0]
        and applied.tolist() == [40.0]
        and cost.tolist() == [0.0, 0.0]
    )
    # 10 + 20, at once on the board.
    assert board.tolist() == [0.0, 10.0, 20.0, 30.0, 40.0]
    assert step.output.tolist() == [30.0] and state.count == 1 and state.inner == 1
    assert [t for t in range(10) if runner.due(t)] == [1, 4, 7] and runner.next_event(4, state) == 7


def test_a_block_that_spoils_its_measurement_spoils_nothing_else(make_block: Make) -> None:
    def law(k: int, y: Array) -> Any:
        y[:] = np.nan
        return [1.0]

    runner, board = runner_of(make_block("y r", "u", law)), BOARD.copy()
    _, step = runner.step(board, 1, runner.start(1), nothing_ahead)
    assert step.measurement.tolist() == [10.0, 20.0] and np.isfinite(board).all()


def test_an_output_is_a_copy(make_block: Make) -> None:
    mine = np.array([1.0])
    runner, board = runner_of(make_block("y r", "u", lambda k, y: mine), delay=2), BOARD.copy()
    state, step = runner.step(board, 1, runner.start(1), nothing_ahead)
    mine[:] = 99.0
    assert step.output.tolist() == [1.0] and state.pending[0][1].tolist() == [1.0]


def test_delayed_outputs_arrive_in_order(make_block: Make) -> None:
    runner, board = runner_of(make_block("y r", "u", lambda k, y: [k + 1.0]), delay=4), BOARD.copy()
    state = runner.start(1)
    shown = []
    for tick in range(1, 13):
        state = runner.arrivals(board, tick, state)
        if runner.due(tick):
            state, _ = runner.step(board, tick, state, nothing_ahead)
        shown.append(float(board[3]))
    assert shown == [-1.0] * 4 + [1.0] * 3 + [2.0] * 3 + [3.0] * 2
    assert [due for due, _ in state.pending] == [14] and runner.next_event(12, state) == 13


def test_a_preview_reads_known_columns_ahead_and_repeats_the_others(make_block: Make) -> None:
    block = make_block("y r", "u", lambda k, y: [0.0])
    runner = runner_of(block, preview=2)
    asked: list[tuple[int, int]] = []

    def ahead(plant: int, tick: int) -> Array:
        asked.append((plant, tick))
        return np.array([tick, -1.0])

    runner.step(BOARD.copy(), 1, runner.start(1), ahead)
    assert block.seen[0][1].tolist() == [[10.0, 20.0], [10.0, 4.0], [10.0, 7.0]] and asked == [(0, 4), (0, 7)]


@pytest.mark.parametrize("value", [1, True, 1.0, np.float32(1.0), np.int64(1), np.array(1)])
def test_records_are_taken_in_any_numeric_form(make_block: Make, value: Any) -> None:
    fields = (Field("a", dtype="i2"), Field("b"))
    block = make_block("y r", "u", lambda k, y: ([0.0], {"a": value, "b": value}))
    runner = runner_of(block, fields=fields)
    _, step = runner.step(BOARD.copy(), 1, runner.start(1), nothing_ahead)
    assert {name: (entry.dtype.str[1:], float(entry)) for name, entry in step.record.items()} == {
        "a": ("i2", 1),
        "b": ("f8", 1),
    }


@pytest.mark.parametrize("value", [1.5, float("nan"), 40_000, "1", None, 1j, [1]])
def test_a_record_that_its_field_cannot_hold_is_refused(make_block: Make, value: Any) -> None:
    block = make_block("y r", "u", lambda k, y: ([0.0], {"a": value}))
    runner = runner_of(block, fields=(Field("a", dtype="i2"),))
    with pytest.raises(SimulationError, match=r"^t = 0\.1 s: pid: its record: 'a' "):
        runner.step(BOARD.copy(), 1, runner.start(1), nothing_ahead)
