"""The one file that speaks HDF5: creates a log so that a killed run stays readable, and opens one without trusting it.

A log on disk is written in SWMR mode ("single writer, multiple readers"): whatever has been flushed can be read while
the run goes on, and after it was killed. That mode forbids new datasets and attributes once rows arrive, which is why
the whole layout is created first. Every chunk carries a checksum. A log in memory is the same file in a buffer.
"""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.cosim.layout import BLOCK_ROWS, Axis, Layout, Variable
from dmpcrl_ctrl.errors import LogError

_CHUNK_BYTES = 1 << 20
_TEXT = h5py.string_dtype()
# What netCDF calls the scale of a dimension that has a length and nothing else.
_NO_LABELS = "This is a netCDF dimension but not a netCDF variable. {:>10}"
# A full disk can end in a crash inside HDF5, so that this much is left free for its own bookkeeping.
_RESERVE = 1 << 20
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_memory_files = count()


class LogWriter:
    """A log that grows.

    Parameters
    ----------
    path
        File to create; None: in memory.
    layout
        What it holds.
    overwrite
        Replace an existing file.

    Raises
    ------
    LogError
        The file exists, or cannot be created; a label that HDF5 cannot hold.
    """

    def __init__(self, path: Path | None, layout: Layout, overwrite: bool = False) -> None:
        self.path = path
        self.file = _created(path, overwrite)
        self._chunk_rows = min(BLOCK_ROWS, max(1, layout.rows))
        try:
            for axis in layout.axes:
                self._create_axis(axis)
            for variable in layout.variables:
                self._create(variable)
            for group, attributes in layout.attributes.items():
                self.file.require_group(group or "/").attrs.update(attributes)
            if path is not None:
                self.file.flush()
                self.file.swmr_mode = True
        except (OSError, RuntimeError, ValueError) as error:
            self.file.close()
            if path is not None:
                path.unlink(missing_ok=True)
            raise LogError(f"{self._name}: cannot be created: {_line(error)}") from error

    def write(self, path: str, start: int, values: NDArray[Any]) -> None:
        """Put rows `start` ... of the array at `path`; the same rows may be written again.

        Raises
        ------
        LogError
            The disk is full, or another fault of the file system.
        """
        if self.path is not None and shutil.disk_usage(self.path.parent).free < 2 * values.nbytes + _RESERVE:
            raise LogError(f"{self._name}: the disk is full; rows up to {start} are kept")
        try:
            dataset = self.file[path]
            dataset.resize(start + len(values), axis=0)
            dataset[start:] = values
            dataset.flush()
        except (OSError, RuntimeError) as error:
            raise LogError(f"{self._name}: {path} cannot be written: {_line(error)}") from error

    def close(self) -> None:
        """Finish the file; a log in memory stays open for its reader."""
        if self.path is not None:
            self.file.close()

    @property
    def _name(self) -> str:
        return "log in memory" if self.path is None else str(self.path)

    def _create_axis(self, axis: Axis) -> None:
        if axis.grows:
            scale = self._growing(axis.path, (), "f8")
            scale.attrs["units"] = "s"
        elif axis.labels is not None:
            scale = self.file.create_dataset(axis.path, data=_texts(axis.labels), dtype=_TEXT)
        else:
            scale = self.file.create_dataset(axis.path, shape=(axis.length,), dtype="f4")
        scale.make_scale(_NO_LABELS.format(axis.length) if axis.size is not None else axis.path.rsplit("/", 1)[-1])
        if axis.long_name:
            scale.attrs["long_name"] = axis.long_name

    def _create(self, variable: Variable) -> None:
        if variable.value is None:
            lengths = [self.file[path].shape[0] for path in variable.axes[1:]]
            if 0 in lengths:  # HDF5 has no chunks without width; the reader knows from the axis
                return
            dataset = self._growing(variable.path, tuple(lengths), variable.dtype)
        elif variable.dtype == "str":
            dataset = self.file.create_dataset(variable.path, data=_texts(variable.value), dtype=_TEXT)
        else:
            value = np.asarray(variable.value)
            options = {"chunks": value.shape, "fletcher32": True} if value.size else {}
            dataset = self.file.create_dataset(variable.path, data=value, **options)
        for number, axis in enumerate(variable.axes):
            dataset.dims[number].attach_scale(self.file[axis])
            # A name for the same array inside this group, so that the group can be read by itself.
            if axis in ("time", "sample") and axis not in dataset.parent:
                dataset.parent[axis] = self.file[axis]
        dataset.attrs.update(_attributes(variable))

    def _growing(self, path: str, shape: tuple[int, ...], dtype: str) -> h5py.Dataset:
        rows = max(1, min(self._chunk_rows, _CHUNK_BYTES // max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)))
        options = {"maxshape": (None, *shape), "chunks": (rows, *shape), "fletcher32": True}
        return self.file.create_dataset(path, (0, *shape), np.dtype(dtype), **options)


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
        self._datasets = dict(self._walk(file, "", set()))

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
                head = raw.read(12)
        except OSError as error:
            raise LogError(f"{path}: cannot be read: {error.strerror}") from error
        if head[:8] != _SIGNATURE:
            raise LogError(f"{path}: is no HDF5 file: it begins with {head[:8]!r}, expected {_SIGNATURE!r}")
        # Byte 11 of a version 3 superblock says that a writer in SWMR mode has not closed the file.
        writing = head[8:9] == b"\x03" and bool(head[11] & 4)
        try:
            return cls(h5py.File(path, "r", swmr=writing), path)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise LogError(f"{path}: is damaged or truncated: {_line(error)}") from error

    def __contains__(self, path: str) -> bool:
        return path in self._datasets

    def names(self, group: str) -> tuple[str, ...]:
        """Paths below `group` of the arrays that are not dimensions, without the group's own."""
        prefix = f"{group}/"
        found = (path for path, dataset in self._datasets.items() if path.startswith(prefix) and not dataset.is_scale)
        return tuple(path.removeprefix(prefix) for path in found)

    def groups(self, group: str) -> tuple[str, ...]:
        """Names of the groups in `group`, or none where that does not exist."""
        return tuple(self._file[group]) if group in self._file else ()

    def shape(self, path: str) -> tuple[int, ...]:
        """Shape of the array at `path`."""
        return tuple(self._dataset(path).shape)

    def array(self, path: str, rows: int | None = None) -> NDArray[Any]:
        """The numbers at `path`, at most `rows` rows of them; LogError where a checksum fails."""
        dataset = self._dataset(path)
        if dataset.dtype.kind not in "fiu" or not dataset.dtype.isnative:
            raise self.fault(path, "numbers in the byte order of this machine", f"type {dataset.dtype}")
        try:
            self._require_stored(dataset, path)
            values = dataset[:rows]
        except (OSError, RuntimeError) as error:
            raise LogError(f"{self.name}: {path} is damaged: {_line(error)}") from error
        values.flags.writeable = False
        return values

    def labels(self, path: str) -> tuple[str, ...]:
        """The texts at `path`."""
        dataset = self._dataset(path)
        if h5py.check_string_dtype(dataset.dtype) is None or dataset.ndim != 1:
            raise self.fault(path, "a list of names", f"type {dataset.dtype}, shape {dataset.shape}")
        try:
            return tuple(dataset.asstr()[:].tolist())
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise LogError(f"{self.name}: {path} is damaged: {_line(error)}") from error

    def attributes(self, group: str = "/") -> dict[str, Any]:
        """Texts and numbers of a group."""
        found = {}
        for name in self._file[group].attrs:
            kind = self._file[group].attrs.get_id(name)
            if kind.shape == () and (h5py.check_string_dtype(kind.dtype) or kind.dtype.kind in "fiu"):
                value = self._file[group].attrs[name]
                found[name] = value if isinstance(value, str) else value.item()
        return found

    def dataset_attributes(self, path: str) -> dict[str, Any]:
        """Attributes of an array that are meant for people: units, long_name, flag_values, flag_meanings."""
        given = self._dataset(path).attrs
        return {name: given[name] for name in ("units", "long_name", "flag_values", "flag_meanings") if name in given}

    def fault(self, path: str, expected: str, found: str) -> LogError:
        """The error for something that is not as it should be."""
        return LogError(f"{self.name}: {path}: expected {expected}, found {found}")

    def close(self) -> None:
        """Close the file; nothing more can be read."""
        self._datasets.clear()
        self._file.close()

    def _dataset(self, path: str) -> h5py.Dataset:
        if not self._file:
            raise LogError(f"{self.name}: the log is closed")
        if path not in self._datasets:
            raise self.fault(path, "an array", "nothing")
        return self._datasets[path]

    def _walk(self, group: h5py.Group, prefix: str, seen: set[int]) -> Iterator[tuple[str, h5py.Dataset]]:
        """Every dataset by its path; what leads out of the file, or claims more than it holds, is refused."""
        for name in group:
            path = prefix + name
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise self.fault(path, "an array or a group", f"a link ({type(link).__name__})")
            entry = group[name]
            if isinstance(entry, h5py.Dataset):
                self._require_plain(entry, path)
                yield path, entry
            elif not isinstance(entry, h5py.Group):
                raise self.fault(path, "an array or a group", type(entry).__name__)
            elif (address := h5py.h5o.get_info(entry.id).addr) not in seen:
                seen.add(address)
                yield from self._walk(entry, f"{path}/", seen)

    def _require_plain(self, dataset: h5py.Dataset, path: str) -> None:
        creation = dataset.id.get_create_plist()
        filters = {creation.get_filter(k)[0] for k in range(creation.get_nfilters())}
        if dataset.is_virtual or dataset.external:
            raise self.fault(path, "data in this file", "data that lie in another")
        if filters - {h5py.h5z.FILTER_FLETCHER32}:
            raise self.fault(path, "no filter but checksums", f"filters {sorted(filters)}")
        if dataset.shape is None or dataset.nbytes > self._size():
            claim = "no shape" if dataset.shape is None else f"shape {dataset.shape} ({dataset.nbytes} bytes)"
            raise self.fault(path, f"at most the file's own {self._size()} bytes", claim)

    def _require_stored(self, dataset: h5py.Dataset, path: str) -> None:
        """Every chunk is there and lies within the file: HDF5 itself reads zeros where it does not."""
        if dataset.chunks is None:
            return
        ends: list[int] = []
        dataset.id.chunk_iter(lambda chunk: ends.append(chunk.byte_offset + chunk.size))
        expected = int(np.prod([-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True)]))
        size, last = self._size(), max(ends, default=0)
        if len(ends) < expected or last > size:
            raise self.fault(path, f"{expected} chunks within {size} bytes", f"{len(ends)} up to byte {last}")

    def _size(self) -> int:
        """Bytes of the file, which may be growing."""
        size: int = self._file.id.get_filesize() if self._path is None else self._path.stat().st_size
        return size


def _created(path: Path | None, overwrite: bool) -> h5py.File:
    if path is None:
        name = f"dmpcrl_ctrl-log-{next(_memory_files)}"
        return h5py.File(name, "w", libver="latest", driver="core", backing_store=False)
    if path.is_dir():
        raise LogError(f"{path}: is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise LogError(f"{path}: exists already; choose another name, or overwrite=True")
    try:
        path.unlink(missing_ok=True)
        return h5py.File(path, "x", libver="latest")
    except OSError as error:
        raise LogError(f"{path}: cannot be created: {_line(error)}") from error


def _texts(labels: Any) -> NDArray[Any]:
    for label in labels:
        if "\0" in label:
            raise ValueError(f"a name cannot hold a null character: {label!r}")
    return np.array(labels, dtype=object)


def _attributes(variable: Variable) -> dict[str, Any]:
    """What a reader such as xarray shows of an array, by the CF conventions."""
    given: dict[str, Any] = {"units": variable.unit, "long_name": variable.long_name}
    given["coordinates"] = variable.units_along
    if variable.flags is not None:
        given["flag_values"] = np.array(sorted(variable.flags), dtype=variable.dtype)
        given["flag_meanings"] = " ".join(variable.flags[value] for value in sorted(variable.flags))
    return {name: value for name, value in given.items() if not (isinstance(value, str) and not value)}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
