import itertools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dmpcrl_ctrl.cosim.layout import CHUNK_SLOTS, Axis, Layout, Variable
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.cosim.log_writer import LogWriter
from dmpcrl_ctrl.errors import LogError

LAYOUT = Layout(
    axes=(Axis("time", long_name="time"), Axis("g/name", ("a", "ü b")), Axis("g/round", size=3)),
    variables=(
        Variable("g/value", ("time", "g/name"), unit="V", long_name="voltage", units_along="unit"),
        Variable("g/unit", ("g/name",), "str", value=("V", "V")),
        Variable("g/deep/level", ("time", "g/round"), "i2", flags={0: "low", 1: "high"}),
        Variable("g/matrix", ("g/name", "g/round"), value=np.arange(6.0).reshape(2, 3)),
    ),
    attributes={"": {"title": "x" * 100_000, "number": 3}, "g": {"kind": "Test"}},
    rows=10,
)


def filled(path: Path | None, rows: int = 25) -> LogWriter:
    writer = LogWriter(path, LAYOUT)
    for name, width in (("g/value", 2), ("g/deep/level", 3)):
        writer.write(name, 0, np.arange(rows * width).reshape(rows, width))
    writer.write("time", 0, np.arange(float(rows)))
    return writer


@pytest.fixture
def log(tmp_path: Path) -> Path:
    filled(tmp_path / "log.h5").close()
    return tmp_path / "log.h5"


def test_what_is_written_is_read(log: Path) -> None:
    reader = LogReader.open(log)
    assert reader.names("g") == ("deep/level", "matrix", "unit", "value")
    assert reader.labels("g/name") == ("a", "ü b") and reader.labels("g/unit") == ("V", "V")
    assert np.array_equal(reader.array("g/value"), np.arange(50.0).reshape(25, 2))
    assert np.array_equal(reader.array("g/value", 7), np.arange(14.0).reshape(7, 2))
    assert reader.array("g/deep/level").dtype == np.int16 and reader.shape("g/deep/level") == (25, 3)
    assert np.array_equal(reader.array("g/matrix"), np.arange(6.0).reshape(2, 3))
    assert reader.attributes() == {"title": "x" * 100_000, "number": 3} and reader.attributes("g") == {"kind": "Test"}
    shown = reader.dataset_attributes("g/deep/level")
    assert shown["flag_values"].tolist() == [0, 1] and shown["flag_meanings"] == "low high"
    assert reader.dataset_attributes("g/value") == {"units": "V", "long_name": "voltage"}
    assert "g/value" in reader and "g/nothing" not in reader and reader.groups("nothing") == ()
    reader.close()
    with pytest.raises(LogError, match="the log is closed"):
        reader.array("time")


@pytest.mark.parametrize("closed", [False, True])
def test_an_open_array_has_a_small_table_of_chunks(tmp_path: Path, closed: bool) -> None:
    """A log of 1,000 agents has 35,000 arrays, and a reader holds them all."""
    writer = filled(tmp_path / "log.h5")
    if closed:
        writer.close()
    reader = LogReader.open(tmp_path / "log.h5")
    kept = [reader._file, *([] if closed else [writer.file]), filled(None).file]
    assert {file["g/value"].id.get_access_plist().get_chunk_cache()[0] for file in kept} == {CHUNK_SLOTS}
    reader.close()


def test_an_unfinished_log_can_be_read(tmp_path: Path) -> None:
    writer = filled(tmp_path / "log.h5")
    with h5py.File(tmp_path / "log.h5", "r", swmr=True) as other:
        assert other["time"].shape == (25,)
    assert LogReader.open(tmp_path / "log.h5").array("time").size == 25
    writer.write("time", 25, np.arange(5.0))
    assert LogReader.open(tmp_path / "log.h5").array("time").size == 30


def test_a_file_that_is_missing_or_something_else(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"none\.h5: cannot be read: No such file"):
        LogReader.open(tmp_path / "none.h5")
    for content in (b"", b"\x89HDF", b"PK\x03\x04 something quite different", "naïve text".encode("latin-1")):
        (tmp_path / "other.h5").write_bytes(content)
        with pytest.raises(LogError, match=r"other\.h5: is no HDF5 file: it begins with b'.*, expected b'.x89HDF"):
            LogReader.open(tmp_path / "other.h5")


def test_links_that_lead_away_are_refused(log: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(64))
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["data"] = [1.0]

    def external(file: h5py.File) -> None:
        file["g/away"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "data")

    def soft(file: h5py.File) -> None:
        file["g/away"] = h5py.SoftLink("/g/away")

    def raw(file: h5py.File) -> None:
        file.create_dataset("g/away", (8,), "f8", external=[(str(tmp_path / "secret"), 0, 64)])

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((1,), "f8")
        layout[0] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "data", (1,))[0]
        file.create_virtual_dataset("g/away", layout)

    def datatype(file: h5py.File) -> None:
        file["g/away"] = np.dtype("f8")

    original = log.read_bytes()
    for spoil in (external, soft, raw, virtual, datatype):
        log.write_bytes(original)
        with h5py.File(log, "r+") as file:
            spoil(file)
        with pytest.raises(LogError, match=r"log\.h5: g/away: expected .*, found "):
            LogReader.open(log)


def test_groups_in_a_circle_are_walked_once(log: Path) -> None:
    with h5py.File(log, "r+") as file:
        file["g/deep/again"] = file["g"]
    assert "g/value" in LogReader.open(log)


@pytest.mark.parametrize("kind", ["array", "group", "link"])
def test_names_that_are_no_text_are_refused(log: Path, kind: str) -> None:
    """They would be an error wherever a name is written, or looked up, later on."""
    with h5py.File(log, "r+") as file:
        group = file["g"]
        if kind == "array":
            space, number = h5py.h5s.create_simple((2,)), h5py.h5t.NATIVE_DOUBLE
            h5py.h5d.create(group.id, b"\xff\xfe", number, space)
        elif kind == "group":
            h5py.h5g.create(group.id, b"\xff\xfe")
        else:
            group.id.links.create_soft(b"\xff\xfe", b"/time")
    with pytest.raises(LogError, match=r"log.h5: g/: expected names in UTF-8, found b'.xff.xfe'"):
        LogReader.open(log)


def test_claims_beyond_the_file_are_refused(log: Path) -> None:
    with h5py.File(log, "r+") as file:
        file.create_dataset("g/huge", (10**13,), "f8", chunks=(1000,))
    with pytest.raises(
        LogError, match=r"g/huge: expected at most the file's own \d+ bytes, found shape \(10000000000000,\)"
    ):
        LogReader.open(log)


def test_one_array_under_many_names_is_refused(log: Path) -> None:
    with h5py.File(log, "r+") as file:
        file["g/large"] = np.zeros(100_000)
        for k in range(20):
            file[f"g/again_{k:02}"] = file["g/large"]
    with pytest.raises(LogError, match=r"g/again_1\d: expected all arrays together at most 16 times the file's"):
        LogReader.open(log)


def test_one_long_text_that_stands_for_many_is_refused(log: Path) -> None:
    """Each entry of an array of texts is where one lies in the file: here all are in the same place."""
    with h5py.File(log, "r+") as file:
        texts = file.create_dataset("g/texts", shape=(40,), dtype=h5py.string_dtype())
        texts[0], texts[1] = "a" * 200_000, "b"
        at, size = texts.id.get_offset(), texts.id.get_storage_size()
    content = bytearray(log.read_bytes())
    reader = LogReader.open(log)
    assert len(reader.labels("g/texts")) == 40
    reader.close()
    content[at : at + size] = bytes(content[at : at + size // 40]) * 40
    log.write_bytes(content)
    reader = LogReader.open(log)
    with pytest.raises(LogError, match=r"g/texts: expected texts of at most the file's own \d+ bytes, found 8000000"):
        reader.labels("g/texts")
    reader.close()


def test_texts_in_pieces_are_refused(log: Path) -> None:
    with h5py.File(log, "r+") as file:
        file.create_dataset("g/texts", data=["a", "b"], dtype=h5py.string_dtype(), chunks=(1,))
    reader = LogReader.open(log)
    with pytest.raises(LogError, match=r"g/texts: expected texts in one piece, found chunks \(1,\)"):
        reader.labels("g/texts")
    reader.close()


def test_of_attributes_single_texts_and_numbers_are_read(log: Path) -> None:
    with h5py.File(log, "r+") as file:
        file["g/value"].attrs["units"] = np.array(["V"] * 3, dtype=object)
        file["g/value"].attrs["flag_values"] = [1, 2]
    reader = LogReader.open(log)
    found = reader.dataset_attributes("g/value")
    assert set(found) == {"long_name", "flag_values"} and found["flag_values"].tolist() == [1, 2]
    reader.close()


def test_filters_that_may_run_foreign_code_are_refused(log: Path) -> None:
    with h5py.File(log, "r+") as file:
        file.create_dataset("g/packed", data=np.zeros(100), compression="gzip")
    with pytest.raises(LogError, match=r"g/packed: expected no filter but checksums, found filters \[1\]"):
        LogReader.open(log)


def test_other_types_are_named(log: Path) -> None:
    with h5py.File(log, "r+") as file:
        file["g/big"] = np.zeros(3, ">f8")
        file["g/complex"] = np.zeros(3, complex)
        file["g/names"] = np.zeros((2, 2))
    reader = LogReader.open(log)
    for path in ("g/big", "g/complex"):
        with pytest.raises(LogError, match=rf"{path}: expected numbers in the byte order of this machine, found type"):
            reader.array(path)
    with pytest.raises(LogError, match=r"g/names: expected a list of names, found type float64, shape \(2, 2\)"):
        reader.labels("g/names")
    with pytest.raises(LogError, match="g/nothing: expected an array, found nothing"):
        reader.array("g/nothing")


def everything(path: Path) -> list[Any]:
    reader = LogReader.open(path)
    try:
        return [
            reader.labels("g/name"), reader.labels("g/unit"), reader.attributes(), reader.attributes("g"),
            *(reader.array(name).tolist() for name in ("time", "g/value", "g/deep/level", "g/matrix")),
        ]  # fmt: skip
    finally:
        reader.close()


def test_a_truncated_log_is_an_error_at_every_length(log: Path) -> None:
    content = log.read_bytes()
    for length in itertools.chain(range(0, 64), range(64, len(content), 499), [len(content) - 1]):
        log.write_bytes(content[:length])
        with pytest.raises(LogError, match=r"log\.h5: "):
            everything(log)


def test_a_truncated_log_of_a_killed_run_gives_no_false_numbers(tmp_path: Path) -> None:
    path, cut = tmp_path / "log.h5", tmp_path / "cut.h5"
    writer = filled(path)
    content, whole = path.read_bytes(), everything(path)
    writer.close()
    readable = 0
    for length in range(64, len(content), 499):
        cut.write_bytes(content[:length])
        try:
            assert everything(cut) == whole
            readable += 1
        except LogError:
            pass
    assert readable < 10


def test_a_flipped_bit_in_numbers_is_noticed(log: Path) -> None:
    content, whole = log.read_bytes(), everything(log)
    rng = np.random.default_rng(0)
    noticed = 0
    for position in rng.integers(48, len(content), 300):
        spoilt = bytearray(content)
        spoilt[position] ^= 1 << int(rng.integers(8))
        log.write_bytes(spoilt)
        try:
            found = everything(log)
        except LogError:
            noticed += 1
        else:
            # Texts carry no checksum; numbers never come out wrong.
            assert found[4:] == whole[4:]
    assert noticed > 10
