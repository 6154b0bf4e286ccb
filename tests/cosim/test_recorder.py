"""The log round trip: what goes in comes out, bit for bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

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


@settings(max_examples=200)
@given(st.data())
def test_what_is_written_is_read_back_bit_for_bit(make_plant: Make, make_block: Make, data: st.DataObject) -> None:
    plant = make_plant(np.zeros((2, 2)), [[1.0], [1.0]], name=data.draw(names, "plant"), signals="p q; u; y z")
    blocks = [
        TimedBlock(
            make_block("", "", lambda k, y: y),
            name,
            data.draw(signals),
            data.draw(signals),
            Schedule(1),
            fields=data.draw(fields()),
        )
        for name in data.draw(st.lists(names.map("block ".__add__), max_size=2, unique=True))
    ]
    who = Participants((plant,), tuple(blocks), Clock(1), 10)
    layout = layout_of(who, 0, dense=True)
    writer = LogWriter(None, layout)
    recorder = Recorder(writer, layout, blocks)
    samples = data.draw(st.sampled_from([0, 1, 2, 255, 256, 257, 600]), "samples")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), "seed"))

    def bits(shape: tuple[int, ...], dtype: str = "f8") -> NDArray[Any]:
        """Any bit pattern: subnormal numbers, infinities, NaN with payload."""
        return np.frombuffer(rng.bytes(np.dtype(dtype).itemsize * int(np.prod(shape))), dtype).reshape(shape)

    sizes = {"state": 2, "output": 2, "input": 1, "disturbance": 0, "setpoint": 3, "cost": 1}
    written: dict[str, list[Any]] = {what: [] for what in ("time", "dense", *sizes)}
    seen: list[dict[str, list[Any]]] = [{} for _ in blocks]
    last: list[dict[str, Any]] = [
        {"input": np.full(len(b.inputs), np.nan), "output": np.zeros(len(b.outputs)), "due": False}
        | {f.name: np.full(f.shape, missing(np.dtype(f.dtype)), f.dtype) for f in b.fields}
        for b in blocks
    ]
    for _ in range(samples + 1):
        values = {what: bits((size,)) for what, size in sizes.items()}
        steps = {}
        for number, block in enumerate(blocks):
            last[number] = {**last[number], "due": False}
            if rng.random() < 0.7:
                record = {f.name: bits(f.shape, f.dtype) for f in block.fields}
                steps[number] = Step(bits((len(block.inputs),)), bits((len(block.outputs),)), record)
                last[number] = {
                    "input": steps[number].measurement,
                    "output": steps[number].output,
                    "due": True,
                    **record,
                }
        time = float(rng.random())
        end = len(written["time"]) == samples
        recorder.put(Row(time=time, steps=steps, **values), last=end)
        recorder.put_dense(time + 1.0, values["state"])
        written["time"].append(time)
        for what, value in values.items():
            written[what].append(value)
        if not end:
            for kept, now in zip(seen, last, strict=True):
                for name, value in now.items():
                    kept.setdefault(name, []).append(value)
    recorder.close()
    run = Run(LogReader(writer.file))
    assert run.samples == samples
    for what, size in sizes.items():
        rows = samples + (what in ("state", "output"))
        assert same(getattr(run, what), np.array(written[what][:rows], float).reshape(rows, size))
    assert same(run.time, np.array(written["time"]))
    assert run.dense is not None and same(run.dense[0], np.array(written["time"]) + 1.0)
    assert same(run.dense[1], np.array(written["state"]))
    assert run.plants == (plant.name,) and run.state_names == ("p", "q")
    assert list(run.controllers) == sorted(block.name for block in blocks)
    for block, kept in zip(blocks, seen, strict=True):
        trace = run.controllers[block.name]
        assert (trace.input_names, trace.output_names) == (block.inputs, block.outputs)
        for name, width in (("input", len(block.inputs)), ("output", len(block.outputs))):
            assert same(getattr(trace, name), np.array(kept.get(name, []), float).reshape(samples, width))
        assert trace.due.tolist() == kept.get("due", [])
        for field in block.fields:
            if 0 not in field.shape:
                expected = np.array(kept.get(field.name, []), field.dtype).reshape(samples, *field.shape)
                assert same(trace[field.name], expected) and trace.unit(field.name) == field.unit


def row(time: float) -> Row:
    return Row(time, np.array([time]), np.array([time]), np.array([2.0]), np.zeros(0), np.zeros(2), np.zeros(1), {})


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
