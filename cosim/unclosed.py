"""Reading an HDF5 file that its writer has not closed: because it is still at work, or because it was killed.

HDF5's own reader for that case (`swmr=True`) waits, for practical purposes for ever, for damaged parts to become whole.
Everything in a log carries a checksum, so an ordinary reader is as safe, and fails at once. It only has to be told that
the file is closed and where it ends: two entries of the superblock, the file's first 48 bytes, which are replaced here
as they are read. The file itself is left alone.
"""

import io
import struct
from pathlib import Path
from typing import Any

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LENGTH = 48
_FLAGS, _END, _CHECKSUM = 11, 28, 44
_WORD = 0xFFFFFFFF
# By how much the file may grow while it is being read, in bytes.
_GROWTH = 1 << 40


def is_unclosed(head: bytes) -> bool:
    """Whether the file with these first 48 bytes has a writer, or had one that was killed."""
    return len(head) >= _LENGTH and head[:8] == SIGNATURE and head[8] == 3 and head[_FLAGS] != 0


class UnclosedFile(io.RawIOBase):
    """The bytes of an unclosed HDF5 file as if it were closed; behind its end there are zeros, which pass no checksum.

    Parameters
    ----------
    path
        File with a superblock of version 3, for which :func:`is_unclosed` holds.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        head = bytearray(self._file.read(_LENGTH))
        self._length = path.stat().st_size + _GROWTH
        head[_FLAGS] = 0
        struct.pack_into("<Q", head, _END, self._length)
        struct.pack_into("<I", head, _CHECKSUM, lookup3(bytes(head[:_CHECKSUM])))
        self._head = bytes(head)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        if whence == io.SEEK_END:
            offset, whence = self._length + offset, io.SEEK_SET
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer."""
        view, start = memoryview(buffer).cast("B"), self._file.tell()
        count = self._file.readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        if start < _LENGTH:
            stop = min(_LENGTH, start + len(view))
            view[: stop - start] = self._head[start:stop]
        return len(view)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def lookup3(key: bytes) -> int:
    """Bob Jenkins' 32-bit hash "lookup3" (little endian, initial value 0): the checksum of HDF5's metadata.

    Source: the HDF5 file format specification, version 3.0, which refers to burtleburtle.net/bob/hash/doobs.html.
    """
    a = b = c = (0xDEADBEEF + len(key)) & _WORD
    position = 0
    while len(key) - position > 12:
        x, y, z = struct.unpack_from("<III", key, position)
        a, b, c = _mixed((a + x) & _WORD, (b + y) & _WORD, (c + z) & _WORD)
        position += 12
    if position == len(key):
        return c
    x, y, z = struct.unpack("<III", key[position:].ljust(12, b"\0"))
    a, b, c = (a + x) & _WORD, (b + y) & _WORD, (c + z) & _WORD
    c = ((c ^ b) - _rotated(b, 14)) & _WORD
    a = ((a ^ c) - _rotated(c, 11)) & _WORD
    b = ((b ^ a) - _rotated(a, 25)) & _WORD
    c = ((c ^ b) - _rotated(b, 16)) & _WORD
    a = ((a ^ c) - _rotated(c, 4)) & _WORD
    b = ((b ^ a) - _rotated(a, 14)) & _WORD
    return ((c ^ b) - _rotated(b, 24)) & _WORD


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for shift in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _WORD) ^ _rotated(c, shift)
        c = (c + b) & _WORD
        a, b, c = b, c, a
    return a, b, c


def _rotated(word: int, shift: int) -> int:
    return ((word << shift) | (word >> (32 - shift))) & _WORD
