"""TOML as people write it: read with a cap and a clear word on what is wrong, find the line of a key, write it back.

Every fault of the text ends in an ExperimentError of one line that names the file and the place; nothing of an
experiment is looked at before its text is known to be sound.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dmpcrl_ctrl.errors import ExperimentError

LARGEST_FILE = 1_000_000
LONGEST_LINE = 10_000
LARGEST_INTEGER = 2**63 - 1
DEEPEST_TABLE = 20
MOST_LINES_SEARCHED = 2_000

KeyPath = tuple[str | int, ...]


def read_text(path: Path) -> str:
    """Text of the file at `path`: UTF-8, at most one megabyte, no NUL and no byte order mark.

    Raises
    ------
    ExperimentError
        Names the file, and the byte where there is one at fault.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except IsADirectoryError as error:
        raise ExperimentError(f"{path} is a folder, not an experiment file") from error
    except OSError as error:
        raise ExperimentError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > LARGEST_FILE:
        raise ExperimentError(f"{path} is larger than {LARGEST_FILE} bytes: this is not an experiment file")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise ExperimentError(f"{path} starts with a byte order mark (byte 0): save it as plain UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ExperimentError(
            f"{path}:{line}: byte {error.start} (0x{data[error.start]:02x}) is not UTF-8: save the file as UTF-8"
        ) from error
    if "\0" in text:
        where = data.index(b"\0")
        raise ExperimentError(f"{path}:{data.count(bytes([10]), 0, where) + 1}: byte {where} is NUL")
    if not text.strip():
        raise ExperimentError(f"{path} is empty")
    return text


def parse(text: str, source: str) -> dict[str, Any]:
    """Parse `text`; `source` stands for it in messages.

    Raises
    ------
    ExperimentError
        The text is not TOML, nests too deeply, or holds an integer that no machine number can hold.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE:
            raise ExperimentError(f"{source}:{number}: the line has {len(line)} characters, more than {LONGEST_LINE}")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExperimentError(f"{source}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ExperimentError(f"{source}: brackets are nested too deeply") from error
    except ValueError as error:  # Python refuses to convert integers of more than 4300 digits
        raise ExperimentError(f"{source}: a number has too many digits") from error
    check_size(table, source, text)
    return table


def check_size(table: dict[str, Any], source: str, text: str = "") -> None:
    """Refuse what TOML allows and no experiment needs: integers beyond 64 bits and tables deep inside tables.

    Raises
    ------
    ExperimentError
        Names `source`, the key and, where `text` tells it, the line.
    """
    rest: list[tuple[KeyPath, Any]] = [((), table)]
    while rest:
        path, value = rest.pop()
        if len(path) > DEEPEST_TABLE:
            raise ExperimentError(f"{source}: {dotted(path[:3])}… is nested more than {DEEPEST_TABLE} levels deep")
        if isinstance(value, dict):
            rest.extend(((*path, key), item) for key, item in value.items())
        elif isinstance(value, list):
            rest.extend(((*path, number), item) for number, item in enumerate(value))
        elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            line = line_of(text, path)
            where = f"{source}:{line}" if line else source
            raise ExperimentError(f"{where}: {dotted(path)} is an integer of more than 64 bits")


def line_of(text: str, path: KeyPath) -> int | None:
    """Line (from 1) on which the key at `path` is set, or of the nearest table above it that is; None if unknown.

    The parser itself is the judge: a key stands in the first statement with which a prefix of the text contains it.
    """
    lines = text.splitlines(keepends=True)
    if len(lines) > MOST_LINES_SEARCHED:
        return None
    while path:
        found = _first_statement(lines, path)
        if found is not None:
            return found
        path = path[:-1]
    return None


def _first_statement(lines: Sequence[str], path: KeyPath) -> int | None:
    without, holding = 0, len(lines)  # two prefixes that parse, counted in lines: one lacks the key, one holds it
    if not _holds(_parse_prefix(lines, holding), path):
        return None
    while True:
        middle = (without + holding) // 2
        between = sorted(range(without + 1, holding), key=lambda end: abs(end - middle))
        tables = ((end, _parse_prefix(lines, end)) for end in between)
        end, table = next(((end, table) for end, table in tables if table is not None), (0, None))
        if table is None:
            return without + 1
        if _holds(table, path):
            holding = end
        else:
            without = end


def _parse_prefix(lines: Sequence[str], count: int) -> dict[str, Any] | None:
    try:
        return tomllib.loads("".join(lines[:count]))
    except (ValueError, RecursionError):
        return None


def _holds(table: Any, path: KeyPath) -> bool:
    for key in path:
        try:
            table = table[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def dotted(path: KeyPath) -> str:
    """A key path as it is written in TOML: ("plant", "scenario") -> plant.scenario."""
    return ".".join(_key(part) if isinstance(part, str) else str(part) for part in path)


def split_key(key: str) -> tuple[str, ...]:
    """Parts of a dotted key as TOML reads it: plant.scenario -> ("plant", "scenario").

    Raises
    ------
    ExperimentError
        `key` is not a TOML key.
    """
    try:
        table: Any = tomllib.loads(f"{key} = 0") if "\n" not in key and "=" not in key else None
    except (ValueError, RecursionError):
        table = None
    parts = []
    while isinstance(table, dict) and len(table) == 1:
        ((part, table),) = table.items()
        parts.append(part)
    if table != 0 or not parts:
        raise ExperimentError(f"--set: `{shorten(key)}` is not a key; write --set table.key=value")
    return tuple(parts)


def shorten(value: object, length: int = 60) -> str:
    """One line that shows a value, however large it is."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return "an integer of more than 64 bits"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def write(table: Mapping[str, Any]) -> str:
    """TOML text of a tree of tables, lists, strings, numbers and booleans; reading it back gives the same tree.

    Raises
    ------
    ExperimentError
        A value has no TOML form.
    """
    lines: list[str] = []
    _write_table(table, (), lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    for key, value in table.items():
        if not isinstance(value, Mapping):
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines.extend(["", f"[{dotted((*path, key))}]"])
            _write_table(value, (*path, key), lines)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "a").replace("_", "a").isalnum()
    return key if bare else _value(key)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case str():
            escaped = "".join(_ESCAPES.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in value)
            return f'"{escaped}"'
        case list() | tuple():
            items = [_value(item) for item in value]
            # a line that is too long could not be read again
            return "[" + (",\n" if sum(map(len, items)) > LONGEST_LINE // 10 else ", ").join(items) + "]"
        case Mapping():
            return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
        case _:
            raise ExperimentError(f"a value of type {type(value).__name__} has no TOML form here")


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
