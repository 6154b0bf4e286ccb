"""Reading a log without trusting it: nothing is followed out of the file, nothing is read that was not checked.

A log file may come from anywhere. HDF5 would follow links to other files, load filters, allocate what a header claims,
and read zeros where data are missing; each of these is an error here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.cosim.layout import CHUNK_SLOTS
from dmpcrl_ctrl.cosim.unclosed import SIGNATURE, UnclosedFile, is_unclosed
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.messages import one_line

_DEEPEST = 20
# of the file's size, what all arrays together may claim: one that has several names is counted for each
_NAMED = 16


class LogReader:
    """A log, with nothing read that was not checked; :class:`LogError` names the file and what was expected.

    Parameters
    ----------
    file
        Open for reading, or a log in memory.
    path
        Of the file; None: in memory.
    """

    def __init__(self, file: h5py.File, path: Path | None = None) -> None:
        self.name = "memory" if path is None else str(path)
        self._file, self._path = file, path
        self._readonly = file.mode == "r"
        # by identifiers: h5py's own objects cost three times as much, and there are 35 arrays an agent
        self._claimed = 0
        self._datasets = dict(self._walk(file["/"].id, "", set()))

    @classmethod
    def open(cls, path: Path) -> "LogReader":
        """Open a file, also one that is being written or whose writer was killed.

        Raises
        ------
        LogError
            There is no such file, or it is no HDF5 file, or it is damaged.
        """
        try:
            with path.open("rb") as raw:
                head = raw.read(48)
        except OSError as error:
            raise LogError(f"{path}: cannot be read: {error.strerror}") from error
        if head[:8] != SIGNATURE:
            raise LogError(f"{path}: is no HDF5 file: it begins with {head[:8]!r}, expected {SIGNATURE!r}")
        file = None
        try:
            file = h5py.File(UnclosedFile(path) if is_unclosed(head) else path, "r", rdcc_nslots=CHUNK_SLOTS)
            return cls(file, path)
        except (OSError, RuntimeError, ValueError, KeyError, LogError) as error:
            if file is not None:
                file.close()
            if isinstance(error, LogError):
                raise
            raise LogError(f"{path}: is damaged or truncated: {one_line(error)}") from error

    @cached_property
    def _data(self) -> dict[str, h5py.Dataset]:
        """The arrays that are not dimensions."""
        return {path: found for path, found in self._datasets.items() if not found.is_scale}

    def __contains__(self, path: str) -> bool:
        return path in self._datasets

    def names(self, group: str) -> tuple[str, ...]:
        """Paths below `group` of the arrays that are not dimensions, without the group's own."""
        prefix = f"{group}/"
        return tuple(path.removeprefix(prefix) for path in self._data if path.startswith(prefix))

    def fixed(self) -> tuple[str, ...]:
        """Paths of the arrays that do not grow with the run, without those that are dimensions."""
        return tuple(path for path, found in self._data.items() if None not in (found.maxshape or ()))

    def growing(self) -> tuple[str, ...]:
        """Paths of the arrays that grow with the run, without those that are dimensions."""
        return tuple(path for path, found in self._data.items() if None in (found.maxshape or ()))

    def is_text(self, path: str) -> bool:
        """Whether the array at `path` holds texts."""
        return h5py.check_string_dtype(self._dataset(path).dtype) is not None

    def groups(self, group: str) -> tuple[str, ...]:
        """Names of the groups in `group`, or none where that does not exist."""
        return tuple(self._file[group]) if group in self._file else ()

    def shape(self, path: str) -> tuple[int, ...]:
        """Shape of the array at `path`."""
        return tuple(self._dataset(path).shape)

    def array(self, path: str, rows: int | None = None, start: int = 0) -> NDArray[Any]:
        """The numbers at `path`, from row `start` to before row `rows`; LogError where a checksum fails."""
        dataset = self._dataset(path)
        if dataset.dtype.kind not in "fiu" or not dataset.dtype.isnative:
            raise self.fault(path, "numbers in the byte order of this machine", f"type {dataset.dtype}")
        with self._reading(path):
            self._require_stored(dataset, path)
            values = dataset[start:rows] if start else dataset[:rows]
        values.flags.writeable = False
        return values

    def labels(self, path: str) -> tuple[str, ...]:
        """The texts at `path`."""
        dataset = self._dataset(path)
        if h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1:
            raise self.fault(path, "a list of names", f"type {dataset.dtype}, shape {dataset.shape}")
        with self._reading(path):
            self._require_stored(dataset, path)
            self._require_texts(dataset, path)
            return tuple(dataset.asstr()[:].tolist())

    def attributes(self, group: str = "/") -> dict[str, Any]:
        """Texts and numbers of a group."""
        found = {}
        with self._reading(group):
            given = self._file[group].attrs
            for name in given:
                kind = given.get_id(name)
                if kind.shape == () and (h5py.check_string_dtype(kind.dtype) or kind.dtype.kind in "fiu"):
                    value = given[name]
                    found[name] = value if isinstance(value, str) else value.item()
        return found

    def dataset_attributes(self, path: str) -> dict[str, Any]:
        """Attributes of an array that are meant for people: units, long_name, flags, missing value."""
        with self._reading(path):
            given = self._dataset(path).attrs
            wanted = ("units", "long_name", "flag_values", "flag_meanings", "_FillValue")
            there = {name: given.get_id(name) for name in wanted if name in given}
            # many texts may stand for one that is long
            return {name: given[name] for name, kind in there.items() if kind.shape == () or kind.dtype.kind in "fiu"}

    def fault(self, path: str, expected: str, found: str) -> LogError:
        """The error for something that is not as it should be."""
        return LogError(f"{self.name}: {path}: expected {expected}, found {found}")

    def close(self) -> None:
        """Close the file; nothing more can be read."""
        self._datasets.clear()
        self.__dict__.pop("_data", None)
        self._file.close()

    @contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        """What HDF5 reports of a damaged file, as the error of this package."""
        try:
            yield
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise LogError(f"{self.name}: {path} is damaged: {one_line(error)}") from error

    def _dataset(self, path: str) -> h5py.Dataset:
        if not self._file:
            raise LogError(f"{self.name}: the log is closed")
        if path not in self._datasets:
            raise self.fault(path, "an array", "nothing")
        return self._datasets[path]

    def _walk(self, group: h5py.h5g.GroupID, prefix: str, seen: set[int]) -> Iterator[tuple[str, h5py.Dataset]]:
        """Every dataset by its path; what leads out of the file, or claims more than it holds, is refused."""
        for raw in group:
            try:
                name = raw.decode()
            except UnicodeDecodeError as error:
                raise self.fault(prefix or "/", "names in UTF-8", repr(raw)) from error
            path = prefix + name
            if path.count("/") > _DEEPEST:
                raise self.fault(prefix, f"at most {_DEEPEST} groups in each other", "more")
            if group.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
                link = type(h5py.Group(group).get(name, getlink=True))
                raise self.fault(path, "an array or a group", f"a link ({link.__name__})")
            entry = h5py.h5o.open(group, raw)
            if isinstance(entry, h5py.h5d.DatasetID):
                self._require_plain(entry, path)
                yield path, h5py.Dataset(entry, readonly=self._readonly)
            elif not isinstance(entry, h5py.h5g.GroupID):
                raise self.fault(path, "an array or a group", "Datatype")
            elif (address := h5py.h5o.get_info(entry).addr) not in seen:
                seen.add(address)
                yield from self._walk(entry, f"{path}/", seen)

    def _require_plain(self, dataset: h5py.h5d.DatasetID, path: str) -> None:
        creation, space = dataset.get_create_plist(), dataset.get_space()
        filters = {creation.get_filter(k)[0] for k in range(creation.get_nfilters())}
        if creation.get_layout() == h5py.h5d.VIRTUAL or creation.get_external_count():
            raise self.fault(path, "data in this file", "data that lie in another")
        if filters - {h5py.h5z.FILTER_FLETCHER32}:
            raise self.fault(path, "no filter but checksums", f"filters {sorted(filters)}")
        shapeless = space.get_simple_extent_type() == h5py.h5s.NULL
        size = prod(space.shape or ()) * dataset.get_type().get_size()
        if shapeless or size > self._size():
            claim = "no shape" if shapeless else f"shape {space.shape} ({size} bytes)"
            raise self.fault(path, f"at most the file's own {self._size()} bytes", claim)
        self._claimed += size
        if self._claimed > _NAMED * self._size():
            raise self.fault(
                path, f"all arrays together at most {_NAMED} times the file's {self._size()} bytes", "more"
            )

    def _require_stored(self, dataset: h5py.Dataset, path: str) -> None:
        """All of it is there and lies within the file: else HDF5 may read zeros."""
        ends: list[int] = []
        if dataset.chunks is None:
            expected = 1 if dataset.size else 0
            if dataset.id.get_offset() is not None:
                ends.append(dataset.id.get_offset() + dataset.id.get_storage_size())
        else:
            expected = int(np.prod([-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True)]))
            dataset.id.chunk_iter(lambda chunk: ends.append(chunk.byte_offset + chunk.size))
        size, last = self._size(), max(ends, default=0)
        if len(ends) < expected or last > size:
            raise self.fault(path, f"{expected} chunks within {size} bytes", f"{len(ends)} up to byte {last}")

    def _require_texts(self, dataset: h5py.Dataset, path: str) -> None:
        """Together they are no longer than the file: what an array of texts holds is their lengths and where they are,
        and all may be in one place.
        """
        if self._path is None or not dataset.size or h5py.check_string_dtype(dataset.dtype).length is not None:
            return
        # in the file, an entry is longer than the pointer that it becomes
        offset, entry = dataset.id.get_offset(), dataset.id.get_storage_size() // dataset.size
        if offset is None:
            raise self.fault(path, "texts in one piece", f"chunks {dataset.chunks}")
        with self._path.open("rb") as raw:
            raw.seek(offset)
            lengths = np.frombuffer(raw.read(entry * dataset.size), dtype=np.uint8).reshape(-1, entry)[:, :4]
        total = int(np.ascontiguousarray(lengths).view("<u4").sum(dtype=np.uint64))
        if total > self._size():
            raise self.fault(path, f"texts of at most the file's own {self._size()} bytes", f"{total} bytes")

    def _size(self) -> int:
        """Bytes of the file, which may be growing."""
        size: int = self._file.id.get_filesize() if self._path is None else self._path.stat().st_size
        return size
