"""Experiment files: read, change by --set, check strictly, and say in one line what is wrong and where.

The sections themselves stand in `sections.py`. What is checked here is what a run logs: `Experiment.model_dump` written
back as TOML, with every default filled in, so that the log tells the whole experiment.
"""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.validation.section import hint
from dmpcrl_ctrl.validation.sections import Experiment
from dmpcrl_ctrl.validation.toml_text import (
    KeyPath,
    check_size,
    dotted,
    line_of,
    parse,
    read_text,
    shorten,
    split_key,
    write,
)

Checked = TypeVar("Checked", bound=BaseModel)

# pydantic's own kinds of errors; all others are told by the sections
_TYPES = frozenset(get_args(ErrorType))


@dataclass(frozen=True)
class Override:
    """One `--set key=value` of the command line.

    Attributes
    ----------
    path
        The key, split at its dots.
    value
        The value, as TOML reads it.
    """

    path: tuple[str, ...]
    value: Any

    @classmethod
    def read(cls, text: str) -> "Override":
        """Read `table.key=value`; ExperimentError if the key is none or the value is not TOML."""
        key, equals, value = text.partition("=")
        if not equals:
            raise ExperimentError(f"--set {shorten(text)}: write --set table.key=value")
        path = split_key(key.strip())
        try:
            table = tomllib.loads(f"value = {value}") if "\n" not in value else {}
        except (ValueError, RecursionError):
            table = {}
        if set(table) != {"value"}:
            hint = f"; a string needs quotes: --set '{key.strip()}=\"{value}\"'" if value.isidentifier() else ""
            raise ExperimentError(f"--set {key.strip()}: {shorten(value)} is not a TOML value{hint}")
        check_size(table, f"--set {key.strip()}")
        return cls(path, table["value"])


def load_experiment(path: Path | str, overrides: Sequence[Override] = (), seed: int | None = None) -> Experiment:
    """Read the experiment file at `path`, with `overrides` and `seed` in place of what it says.

    Raises
    ------
    ExperimentError
        One line with file, line and key (or the --set) of the first thing that is wrong.
    """
    text = read_text(Path(path))
    if seed is not None:
        overrides = [*overrides, Override(("simulation", "seed"), seed)]
    return parse_experiment(text, str(path), overrides)


def parse_experiment(text: str, source: str, overrides: Sequence[Override] = ()) -> Experiment:
    """Check the experiment in `text`; `source` names it in messages."""
    table = parse(text, source)
    for override in overrides:
        _apply(table, override)
    if not table:
        raise ExperimentError(f"{source} holds no key; it needs {', '.join(_required())}")
    return checked(Experiment, table, lambda path: (_place(path, text, source, overrides), path))


def checked(
    section: type[Checked], table: dict[str, Any], found_at: Callable[[KeyPath], tuple[str, KeyPath]]
) -> Checked:
    """The section that a table holds.

    Parameters
    ----------
    section, table
        The class, and what is to be checked.
    found_at
        From a key of the table to where it comes from: file and line, and the key as it stands there.

    Raises
    ------
    ExperimentError
        One line on the first thing that is wrong.
    """
    try:
        return section.model_validate(table)
    except ValidationError as error:
        raise ExperimentError(_first_error(error, table, found_at)) from error


def experiment_text(experiment: Experiment) -> str:
    """The experiment as TOML with every default filled in; `parse_experiment` gives the same experiment back."""
    return write(experiment.model_dump(exclude_none=True))


def _apply(table: dict[str, Any], override: Override) -> None:
    for depth, key in enumerate(override.path[:-1]):
        below = table.setdefault(key, {})
        if not isinstance(below, dict):
            raise ExperimentError(
                f"--set {dotted(override.path)}: {dotted(override.path[: depth + 1])} is {shorten(below)}, not a table"
            )
        table = below
    table[override.path[-1]] = override.value


def _required() -> list[str]:
    return [key for key, field in Experiment.model_fields.items() if field.is_required()]


def _first_error(
    error: ValidationError, table: dict[str, Any], found_at: Callable[[KeyPath], tuple[str, KeyPath]]
) -> str:
    """One line: where, which key, what is wrong; the first of the errors, and how many more there are."""
    found: dict[KeyPath, list[str]] = {}

    def told(path: KeyPath) -> str:
        return dotted(found_at(path)[1])

    for item in error.errors(include_url=False, include_input=False):
        path, value = _where(item["loc"], table)
        kind, context = item["type"], item.get("ctx", {})
        if kind == "unknown_key":
            path += (context["key"],)
            message = f"unknown key {told(path)}; {context['hint']}"
        elif kind == "missing":
            path += (str(item["loc"][-1]),)
            message = f"{told(path)} is missing"
        elif kind == "union_tag_not_found":
            path += ("kind",)
            message = f"{told(path)} is missing"
        elif kind == "does_not_fit":  # one section to another
            message = item["msg"]
            path = split_key(message.split(" ")[0].rstrip(":"))
        elif kind == "union_tag_invalid":
            path += ("kind",)
            message = _unknown_kind(told(path), shorten(value["kind"]), context["expected_tags"])
        else:
            message = f"{told(path)} {_in_words(kind, item['msg'])}"
            # what keys of a table have to do with each other is not told better by its being one
            if kind in _TYPES or not isinstance(value, dict):
                message += f", got {shorten(value)}"
        found.setdefault(path, []).append(message)
    # A table that may also be a word: what is wrong inside it says more than that it is no such word.
    above = {path[:depth] for path in found for depth in range(len(path))}
    found = {path: messages for path, messages in found.items() if path not in above}
    path, messages = next(iter(found.items()))
    if len(messages) > 1:  # a key that may be one thing or another, and is neither
        first, *others = messages
        start = f"{told(path)} must be "
        middle = "".join(f" or {other.partition(', got ')[0].removeprefix(start)}" for other in others)
        messages = [first.replace(", got ", middle + ", got ", 1)]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found_at(path)[0]}: {messages[0]}{more}"


def _place(path: KeyPath, text: str, source: str, overrides: Sequence[Override]) -> str:
    """Who set the key: the --set that did, else the line of the file."""
    line = line_of(text, path)
    for override in overrides:
        common = min(len(path), len(override.path))
        above = len(path) < len(override.path) and line is not None  # its table stands in the file
        if path[:common] == override.path[:common] and not above:
            return f"--set {dotted(override.path)}"
    return f"{source}:{line}" if line else source


def _where(loc: Sequence[str | int], table: Any) -> tuple[KeyPath, Any]:
    """The keys of the file in a location of pydantic's, which also names the kinds and alternatives it tried."""
    path: list[str | int] = []
    for part in loc:
        inside_table = isinstance(table, dict) and part in table
        inside_list = isinstance(table, list) and isinstance(part, int) and part < len(table)
        if inside_table or inside_list:
            path.append(part)
            table = table[part]
    return tuple(path), table


def _unknown_kind(key: str, found: str, expected: str) -> str:
    known = [tag.strip().strip("'") for tag in expected.split(",")]
    own = "; one of your own comes in from Python, see simulate and jobs_of" if ":" in found or ".py" in found else ""
    return f"{key} {found} is unknown; " + hint(found.strip('"'), known, "known:") + own


def _in_words(kind: str, message: str) -> str:
    match kind:
        case "model_attributes_type" | "model_type" | "dict_type":
            return "must be a table"
        case "tuple_type" | "list_type":
            return "must be a list"
        case "too_short" | "too_long":  # the lists of experiment files are limits
            return "must be a list of a lower and an upper limit"
        case "string_pattern_mismatch":
            return "must be a name of letters, digits and underscores"
        case "string_too_short":
            return "must not be empty"
    return message.replace("Input should be", "must be").replace("Input should", "must")
