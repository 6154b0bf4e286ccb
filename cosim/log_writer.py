"""Creating a log in HDF5 so that a killed run stays readable.

A log on disk is written in SWMR mode ("single writer, multiple readers"): whatever has been flushed can be read while
the run goes on, and after it was killed. That mode forbids new datasets and attributes once rows arrive, which is why
the whole layout is created first. Every chunk carries a checksum. A log in memory is the same file in a buffer.
"""

import shutil
from itertools import count
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.cosim.layout import BLOCK_ROWS, CHUNK_SLOTS, Axis, Layout, Variable
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.messages import one_line

_CHUNK_BYTES = 1 << 20
_TEXT = h5py.string_dtype()
# What netCDF calls the scale of a dimension that has a length and nothing else.
_NO_LABELS = "This is a netCDF dimension but not a netCDF variable. {:>10}"
# A full disk can end in a crash inside HDF5, so that this much is left free for its own bookkeeping.
_RESERVE = 1 << 20
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
        # HDF5 takes as long to find an array or a group by its path as to create it
        self._groups: dict[str, h5py.Group] = {"": self.file}
        try:
            scales = {axis.path: self._create_axis(axis) for axis in layout.axes}
            for variable in layout.variables:
                self._create(variable, scales)
            for path_too, target in layout.links.items():
                self.file[path_too] = self.file[target]
            for group, attributes in layout.attributes.items():
                self.file.require_group(group or "/").attrs.update(attributes)
            if path is not None:
                self.file.flush()
                self.file.swmr_mode = True
        except (OSError, RuntimeError, ValueError) as error:
            self.file.close()
            if path is not None:
                path.unlink(missing_ok=True)
            raise LogError(f"{self._name}: cannot be created: {one_line(error)}") from error

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
            raise LogError(f"{self._name}: {path} cannot be written: {one_line(error)}") from error

    def close(self) -> None:
        """Finish the file; a log in memory stays open for its reader.

        Raises
        ------
        LogError
            The end could not be written; the rows before it stay readable.
        """
        if self.path is None:
            return
        try:
            self.file.close()
        except (OSError, RuntimeError) as error:
            raise LogError(f"{self._name}: cannot be finished: {one_line(error)}") from error

    @property
    def _name(self) -> str:
        return "log in memory" if self.path is None else str(self.path)

    def _group(self, path: str) -> h5py.Group:
        if path not in self._groups:
            above, _, name = path.rpartition("/")
            self._groups[path] = self._group(above).require_group(name)
        return self._groups[path]

    def _create_dataset(self, path: str, *shape: Any, **options: Any) -> h5py.Dataset:
        group, _, name = path.rpartition("/")
        return self._group(group).create_dataset(name, *shape, **options)

    def _create_axis(self, axis: Axis) -> h5py.Dataset:
        if axis.grows:
            scale = self._growing(axis.path, (), "f8")
            scale.attrs["units"] = "s"
        elif axis.labels is not None:
            scale = self._create_dataset(axis.path, data=_texts(axis.labels), dtype=_TEXT)
        else:
            scale = self._create_dataset(axis.path, shape=(axis.length,), dtype="f4")
        scale.make_scale(_NO_LABELS.format(axis.length) if axis.size is not None else axis.path.rsplit("/", 1)[-1])
        if axis.long_name:
            scale.attrs["long_name"] = axis.long_name
        return scale

    def _create(self, variable: Variable, scales: dict[str, h5py.Dataset]) -> None:
        if variable.value is None:
            lengths = [scales[path].shape[0] for path in variable.axes[1:]]
            if 0 in lengths:  # HDF5 has no chunks without width; the reader knows from the axis
                return
            dataset = self._growing(variable.path, tuple(lengths), variable.dtype)
        elif variable.dtype == "str":
            dataset = self._create_dataset(variable.path, data=_texts(variable.value), dtype=_TEXT)
        else:
            value = np.asarray(variable.value)
            options = {"chunks": value.shape, "fletcher32": True} if value.size else {}
            dataset = self._create_dataset(variable.path, data=value, **options)
        group = variable.path.rpartition("/")[0]
        for number, axis in enumerate(variable.axes):
            h5py.h5ds.attach_scale(dataset.id, scales[axis].id, number)
            # A name for the same array inside this group, so that the group can be read by itself.
            if axis in ("time", "sample") and axis not in self._group(group):
                self._group(group)[axis] = scales[axis]
        dataset.attrs.update(_attributes(variable))

    def _growing(self, path: str, shape: tuple[int, ...], dtype: str) -> h5py.Dataset:
        rows = max(1, min(self._chunk_rows, _CHUNK_BYTES // max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)))
        options = {"maxshape": (None, *shape), "chunks": (rows, *shape), "fletcher32": True}
        return self._create_dataset(path, (0, *shape), np.dtype(dtype), **options)


def _created(path: Path | None, overwrite: bool) -> h5py.File:
    if path is None:
        name = f"dmpcrl_ctrl-log-{next(_memory_files)}"
        return h5py.File(name, "w", libver="latest", rdcc_nslots=CHUNK_SLOTS, driver="core", backing_store=False)
    if path.is_dir():
        raise LogError(f"{path}: is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise LogError(f"{path}: cannot be created: folder {path.parent} does not exist; create it, or choose another")
    if path.exists() and not overwrite:
        raise LogError(f"{path}: exists already; choose another name, or overwrite=True")
    try:
        path.unlink(missing_ok=True)
        return h5py.File(path, "x", libver="latest", rdcc_nslots=CHUNK_SLOTS)
    except OSError as error:
        raise LogError(f"{path}: cannot be created: {one_line(error)}") from error


def _texts(labels: Any) -> NDArray[Any]:
    for label in labels:
        if "\0" in label:
            raise ValueError(f"a name cannot hold a null character: {label!r}")
    return np.array(labels, dtype=object)


def _attributes(variable: Variable) -> dict[str, Any]:
    """What a reader such as xarray shows of an array, by the CF conventions."""
    given: dict[str, Any] = {"units": variable.unit, "long_name": variable.long_name}
    given["coordinates"] = variable.units_along
    if variable.fill is not None:
        given["_FillValue"] = np.dtype(variable.dtype).type(variable.fill)
    if variable.flags is not None:
        flags = dict(variable.flags) | ({} if variable.fill is None else {variable.fill: "missing"})
        given["flag_values"] = np.array(sorted(flags), dtype=variable.dtype)
        given["flag_meanings"] = " ".join(flags[value] for value in sorted(flags))
    return {name: value for name, value in given.items() if not (isinstance(value, str) and not value)}
