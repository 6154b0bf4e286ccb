"""SHA-256 of what a log holds: of everything that is fixed before the run, and of every row.

A number that nothing depends on, such as a bound that is never met or a multiplier among larger residuals, can be
altered without any other number of the log becoming wrong. Its fingerprint does change. It tells accidents and careless
hands; who forges a log can make it anew.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.cosim.layout import Layout
from dmpcrl_ctrl.cosim.log_reader import LogReader

# Name of the root's attribute.
CHECKSUM = "parameters_sha256"
DIGEST_BYTES = hashlib.sha256().digest_size


def row_digests(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """(rows, 32): SHA-256 of each row of arrays with as many rows, joined in the order of their paths."""
    tables = [np.ascontiguousarray(columns[path]) for path in sorted(columns)]
    raw = np.hstack([table.reshape(len(table), -1).view(np.uint8) for table in tables if table.size])
    digests = b"".join(hashlib.sha256(row).digest() for row in raw)
    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, DIGEST_BYTES)


def fingerprint_of_layout(layout: Layout) -> str:
    """SHA-256 in hexadecimal digits of the arrays and attributes that a log is created with."""
    arrays = {variable.path: variable.value for variable in layout.variables if variable.value is not None}
    arrays |= {path: arrays[target] for path, target in layout.links.items() if target in arrays}
    return _digest(arrays, layout.attributes)


def fingerprint_of_log(reader: LogReader) -> str:
    """The same of a log."""
    paths = reader.fixed()
    arrays = {path: reader.labels(path) if reader.is_text(path) else reader.array(path) for path in paths}
    groups = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(path.count("/") + 1)}
    return _digest(arrays, {group: reader.attributes(group or "/") for group in groups})


def _digest(arrays: Mapping[str, Any], attributes: Mapping[str, Mapping[str, Any]]) -> str:
    digest = hashlib.sha256()
    for line in (*_arrays(arrays), *_attributes(attributes)):
        digest.update(len(line).to_bytes(8, "big") + line)
    return digest.hexdigest()


def _arrays(arrays: Mapping[str, Any]) -> Iterator[bytes]:
    for path in sorted(arrays):
        value = arrays[path]
        yield path.encode()
        if isinstance(value, tuple):
            yield repr(value).encode()
        else:
            array = np.asarray(value)
            yield f"{array.dtype.str} {array.shape}".encode()
            yield np.ascontiguousarray(array).tobytes()


def _attributes(attributes: Mapping[str, Mapping[str, Any]]) -> Iterator[bytes]:
    for group in sorted(attributes):
        for name in sorted(attributes[group]):
            if name != CHECKSUM:
                yield f"{group}@{name} = {attributes[group][name]!r}".encode()
