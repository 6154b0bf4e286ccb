import os
from pathlib import Path

import numpy as np
import pytest

from dmpcrl_ctrl.cosim import log_writer
from dmpcrl_ctrl.cosim.layout import Axis, Layout, Variable
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


def test_rows_may_be_written_again(tmp_path: Path) -> None:
    writer = filled(tmp_path / "log.h5")
    writer.write("time", 20, np.arange(20.0, 30.0))
    writer.write("time", 25, np.arange(25.0, 28.0))
    writer.close()
    assert LogReader.open(tmp_path / "log.h5").array("time").tolist() == list(range(28))


def test_memory_is_read_from_the_writers_own_file() -> None:
    writer = filled(None)
    writer.close()
    other = filled(None, 3)
    assert LogReader(writer.file).array("time").size == 25 and LogReader(other.file).array("time").size == 3


def test_a_log_is_not_created_over_another(log: Path) -> None:
    with pytest.raises(LogError, match=r"log\.h5: exists already"):
        LogWriter(log, LAYOUT)
    old = LogReader.open(log)
    LogWriter(log, LAYOUT, overwrite=True).close()
    # Who has the old one open keeps it.
    assert old.array("time").size == 25
    assert LogReader.open(log).array("time").size == 0


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="is a folder"):
        LogWriter(tmp_path, LAYOUT, overwrite=True)
    with pytest.raises(LogError, match=r"nowhere/log\.h5: cannot be created: folder .*nowhere does not exist; "):
        LogWriter(tmp_path / "nowhere" / "log.h5", LAYOUT)


def test_a_name_that_hdf5_would_cut_off_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"log\.h5: cannot be created: .*null character"):
        LogWriter(tmp_path / "log.h5", Layout((Axis("name", ("a\0b",)),), (), {}))
    assert not (tmp_path / "log.h5").exists()


def test_a_full_disk_is_noticed_before_it_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = filled(tmp_path / "log.h5")
    usage = os.statvfs_result  # only the attribute `free` is read
    monkeypatch.setattr(log_writer.shutil, "disk_usage", lambda path: type(usage.__name__, (), {"free": 1_000_000})())
    with pytest.raises(LogError, match=r"log\.h5: the disk is full; rows up to 25 are kept"):
        writer.write("time", 25, np.zeros(5))
    writer.close()
    assert LogReader.open(tmp_path / "log.h5").array("time").size == 25


def test_a_file_that_cannot_be_finished_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def close(self) -> None:
            raise RuntimeError("file write failed:\n File too large")

    writer = filled(tmp_path / "log.h5")
    file = writer.file
    monkeypatch.setattr(writer, "file", Full())
    with pytest.raises(LogError, match=r"log\.h5: cannot be finished: file write failed: File too large$"):
        writer.close()
    # What was flushed is there although nobody finished the file.
    assert LogReader.open(tmp_path / "log.h5").array("time").size == 25
    file.close()
