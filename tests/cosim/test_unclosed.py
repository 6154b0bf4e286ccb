import os
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from dmpcrl_ctrl.cosim.unclosed import UnclosedFile, is_unclosed, lookup3


@pytest.mark.parametrize(
    ("key", "expected"),
    # The author's own test values (lookup3.c, hashlittle with initial value 0).
    [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)],
)
def test_the_hash_is_the_published_one(key: bytes, expected: int) -> None:
    assert lookup3(key) == expected


def test_hdf5_itself_uses_this_hash(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file["x"] = np.arange(5)
    head = (tmp_path / "a.h5").read_bytes()[:48]
    assert struct.unpack_from("<I", head, 44)[0] == lookup3(head[:44])
    assert not is_unclosed(head)


@pytest.mark.parametrize("head", [b"", b"\x89HDF\r\n\x1a\n\x03", b"\x89HDF\r\n\x1a\n\x00" + bytes(40), bytes(48)])
def test_other_files_are_not_unclosed_logs(head: bytes) -> None:
    assert not is_unclosed(head)


@pytest.fixture
def open_file(tmp_path: Path) -> h5py.File:
    """A file whose writer has flushed ten numbers and goes on."""
    file = h5py.File(tmp_path / "a.h5", "w", libver="latest")
    file.create_dataset("x", (0,), "f8", maxshape=(None,), chunks=(4,), fletcher32=True)
    file.swmr_mode = True
    file["x"].resize((10,))
    file["x"][:] = np.arange(10.0)
    file["x"].flush()
    return file


def test_an_unclosed_file_reads_like_a_closed_one(open_file: h5py.File, tmp_path: Path) -> None:
    before, path = (tmp_path / "a.h5").read_bytes(), tmp_path / "killed.h5"
    assert is_unclosed(before)
    path.write_bytes(before)
    with pytest.raises(OSError, match="already open"):
        h5py.File(path, "r").close()
    with UnclosedFile(path) as raw, h5py.File(raw, "r") as file:
        assert file["x"][:].tolist() == list(range(10))
    assert path.read_bytes() == before
    open_file.close()


def test_the_file_may_grow_while_it_is_read(open_file: h5py.File, tmp_path: Path) -> None:
    with UnclosedFile(tmp_path / "a.h5") as raw, h5py.File(raw, "r") as file:
        open_file["x"].resize((4000,))
        open_file["x"][:] = np.arange(4000.0)
        open_file["x"].flush()
        assert file["x"][:10].tolist() == list(range(10))
    open_file.close()


def test_behind_the_end_are_zeros(open_file: h5py.File, tmp_path: Path) -> None:
    size = os.path.getsize(tmp_path / "a.h5")
    with UnclosedFile(tmp_path / "a.h5") as raw:
        assert raw.seek(0, os.SEEK_END) > size and raw.tell() > size
        raw.seek(size - 2)
        assert raw.read(6)[2:] == bytes(4)
        raw.seek(8)
        assert raw.read(4) == b"\x03\x08\x08\x00"
    open_file.close()
