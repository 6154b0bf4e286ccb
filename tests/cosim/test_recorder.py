"""The log round trip: what goes in comes out, bit for bit."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.cosim import recorder as module
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.block_runner import Step
from dmpcrl_ctrl.cosim.clock import Clock, Schedule
from dmpcrl_ctrl.cosim.layout import DTYPES
from dmpcrl_ctrl.cosim.log import Run
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.cosim.log_writer import LogWriter
from dmpcrl_ctrl.cosim.missing import missing
from dmpcrl_ctrl.cosim.participants import Participants, TimedBlock
from dmpcrl_ctrl.cosim.recorder import Recorder
from dmpcrl_ctrl.cosim.scheduler import Row
from dmpcrl_ctrl.cosim.schema import layout_of
from tests.examples import examples

Make = Callable[..., Any]

names = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"), exclude_characters="/."
    ),
    min_size=1,
    max_size=12,
)
signals = st.lists(names, max_size=4, unique=True).map(tuple)


@st.composite
def fields(draw: st.DrawFn) -> tuple[Field, ...]:
    made = []
    for name in draw(st.lists(names.map(lambda name: f"{name}!"), max_size=4, unique=True)):
        path = f"group of {name}/{name}" if draw(st.booleans()) else name
        shape = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
        made.append(Field(path, shape, draw(st.sampled_from(DTYPES)), draw(names), draw(names)))
    return tuple(made)


def same(found: NDArray[Any], written: NDArray[Any]) -> bool:
    """To the last bit, so that NaN equals NaN and -0.0 does not equal 0.0."""
    return found.dtype == written.dtype and found.shape == written.shape and found.tobytes() == written.tobytes()


@st.composite
def blocks(draw: st.DrawFn) -> list[TimedBlock]:
    """Blocks with any names, signals and fields; what they would do does not matter."""
    own = draw(st.lists(names.map("block ".__add__), max_size=2, unique=True))
    return [
        TimedBlock(Silent(), name, draw(signals), draw(signals), Schedule(1), fields=draw(fields())) for name in own
    ]


class Silent:
    sample_time = 1.0
    inputs = outputs = ()

    def init(self, seed: int) -> None: ...

    def step(self, state: None, tick: int, measurement: Array, applied: Array, cost: Array) -> Any:
        return None, [], {}


class Bits:
    """Arrays of any bit patterns: subnormal numbers, infinities, NaN with a payload."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, shape: tuple[int, ...], dtype: str = "f8") -> NDArray[Any]:
        return np.frombuffer(self.rng.bytes(np.dtype(dtype).itemsize * math.prod(shape)), dtype).reshape(shape)


def repeated(table: NDArray[Any], due: NDArray[np.bool_], before: Any) -> NDArray[Any]:
    """Row k of the answer: the last row of `table` up to k where it was due, `before` where there is none."""
    last = np.maximum.accumulate(np.where(due, np.arange(len(due)), -1))
    answer = table[np.maximum(last, 0)]
    answer[last < 0] = before
    return answer


SIZES = {"state": 2, "output": 2, "input": 1, "disturbance": 0, "slope": 0, "setpoint": 3, "cost": 1}


@settings(max_examples=examples(100))
@given(names, blocks(), st.sampled_from([0, 1, 2, 3, 50, 255, 256, 257, 600]), st.integers(0, 2**32 - 1))
def test_what_is_written_is_read_back_bit_for_bit(
    make_plant: Make, name: str, blocks: list[TimedBlock], samples: int, seed: int
) -> None:
    plant = make_plant(np.zeros((2, 2)), [[1.0], [1.0]], name=f"plant {name}", signals="p q; u; y z")
    layout = layout_of(Participants((plant,), tuple(blocks), Clock(1), 10), 0, dense=True)
    writer = LogWriter(None, layout)
    recorder = Recorder(writer, layout, blocks)
    bits = Bits(seed)
    time, plant_rows = np.sort(bits.rng.random(samples + 1)), {k: bits((samples + 1, n)) for k, n in SIZES.items()}
    due = bits.rng.random((len(blocks), samples + 1)) < 0.7
    told = [(bits((samples + 1, len(b.inputs))), bits((samples + 1, len(b.outputs)))) for b in blocks]
    records = [{f.name: bits((samples + 1, *f.shape), f.dtype) for f in block.fields} for block in blocks]
    for k in range(samples + 1):
        steps = {
            n: Step(told[n][0][k], told[n][1][k], {name: table[k] for name, table in records[n].items()})
            for n in range(len(blocks))
            if due[n, k]
        }
        recorder.put(
            Row(float(time[k]), **{what: t[k] for what, t in plant_rows.items()}, steps=steps), last=k == samples
        )
        recorder.put_dense(float(time[k]) + 1.0, plant_rows["state"][k])
    recorder.close()

    run = Run(LogReader(writer.file))
    assert run.samples == samples and run.plants == (plant.name,) and run.state_names == ("p", "q")
    assert same(run.time, time) and run.dense is not None and same(run.dense[0], time + 1.0)
    for what, table in plant_rows.items():
        assert what == "slope" or same(getattr(run, what), table if what in ("state", "output") else table[:-1])
    assert same(run.dense[1], plant_rows["state"])
    assert list(run.controllers) == sorted(block.name for block in blocks)
    for block, turn, (seen, sent), record in zip(blocks, due[:, :samples], told, records, strict=True):
        trace = run.controllers[block.name]
        assert (trace.input_names, trace.output_names) == (block.inputs, block.outputs)
        assert same(trace.due, turn)
        assert same(trace.input, repeated(seen[:-1], turn, np.nan)) and same(
            trace.output, repeated(sent[:-1], turn, 0.0)
        )
        for field in (field for field in block.fields if 0 not in field.shape):
            assert same(trace[field.name], repeated(record[field.name][:-1], turn, missing(np.dtype(field.dtype))))
            assert trace.unit(field.name) == field.unit


def row(time: float) -> Row:
    nothing = np.zeros(0)
    return Row(
        time, np.array([time]), np.array([time]), np.array([2.0]), nothing, nothing, np.zeros(2), np.zeros(1), {}
    )


@pytest.fixture
def loop(make_plant: Make) -> Participants:
    return Participants.of(make_plant(0.0, 1.0), (), 10)


def test_rows_are_written_every_block_and_every_second(loop: Participants, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.wall_time, "monotonic", lambda: now[0])
    layout = layout_of(loop, 0)
    writer = LogWriter(None, layout)
    recorder = Recorder(writer, layout, ())
    for k in range(300):
        recorder.put(row(float(k)))
    assert writer.file["time"].shape == writer.file["plant/input"].shape[:1] == (256,)
    now[0] += 1.1
    recorder.put(row(300.0))
    assert writer.file["time"].shape == (301,)


def test_where_writing_takes_long_rows_wait_the_longer(loop: Participants, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.wall_time, "monotonic", lambda: now[0])
    layout = layout_of(loop, 0)
    writer = LogWriter(None, layout)
    recorder = Recorder(writer, layout, ())
    write, arrays = writer.write, len(recorder._samples.columns) + len(recorder._times.columns)

    def slow(path: str, start: int, values: NDArray[Any]) -> None:
        now[0] += 3.0 / arrays
        write(path, start, values)

    monkeypatch.setattr(writer, "write", slow)
    written = []
    for k in range(100):
        now[0] += 2.0
        recorder.put(row(float(k)))
        written.append(writer.file["time"].shape[0])
    assert written[0] == 1
    assert 3 <= len(set(written)) <= 5


def test_one_slow_write_keeps_no_row_for_longer_than_a_minute(
    loop: Participants, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(module.wall_time, "monotonic", lambda: now[0])
    layout = layout_of(loop, 0)
    writer = LogWriter(None, layout)
    recorder = Recorder(writer, layout, ())
    write = writer.write

    def stalled(path: str, start: int, values: NDArray[Any]) -> None:
        now[0] += 30.0
        write(path, start, values)

    now[0] += 2.0
    with monkeypatch.context() as disk:
        disk.setattr(writer, "write", stalled)
        recorder.put(row(0.0))
    now[0] += 61.0
    recorder.put(row(1.0))
    assert writer.file["time"].shape == (2,)


def test_an_interrupted_write_is_repeated_whole(loop: Participants, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = layout_of(loop, 0)
    writer = LogWriter(None, layout)
    recorder = Recorder(writer, layout, ())
    for k in range(5):
        recorder.put(row(float(k)))
    write, calls = writer.write, []

    def interrupted(path: str, start: int, values: NDArray[Any]) -> None:
        calls.append(path)
        if len(calls) == 4:
            raise KeyboardInterrupt
        write(path, start, values)

    monkeypatch.setattr(writer, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recorder.flush()
    recorder.close()
    assert Run(LogReader(writer.file)).time.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert writer.file["plant/input"][:, 0].tolist() == [2.0] * 5


def test_missing_values_are_nan_or_an_integer_at_the_end_of_the_range() -> None:
    assert np.isnan(missing(np.dtype("f4")))
    assert missing(np.dtype("i1")) == -128 and missing(np.dtype("u2")) == 65535
    assert missing("i1", {-128: "a", -127: "b"}) == -126 and missing("u1", {255: "a"}) == 254


@pytest.mark.parametrize(("cap", "rows"), [(10, 256), (20_000, 104), (1_000_000, 2), (5_000_000, 1)])
def test_rows_that_wait_stay_within_16_megabytes(make_plant: Make, make_block: Make, cap: int, rows: int) -> None:
    record = {"residual": np.arange(float(cap)), "count": 3}
    fields = (Field("residual", (cap,)), Field("count", dtype="i4"))
    block = make_block("x0", "u0", lambda k, y: ([0.0], record), fields=fields)
    who = Participants.of(make_plant(0.0, 1.0), block, 3)
    layout = layout_of(who, 0)
    writer = LogWriter(None, layout)
    recorder = Recorder(writer, layout, who.blocks)
    waiting = recorder._samples.columns
    assert {len(column) for column in waiting.values()} == {rows}
    assert rows == 1 or sum(column.nbytes for column in waiting.values()) <= 16 * 2**20
    writer.file.close()


def test_a_long_record_is_written_as_soon_as_its_block_is_full(make_plant: Make, make_block: Make) -> None:
    def law(k: int, y: Any) -> Any:
        return [0.0], {"residual": np.full(1_000_000, float(k))}

    block = make_block("x0", "u0", law, fields=(Field("residual", (1_000_000,)),))
    with simulate(make_plant(0.0, 1.0), block, t_end=5) as run:
        assert run.controllers["block"].residual[:, 999_999].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
