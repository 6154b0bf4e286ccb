"""From the tables of a campaign file to one table an experiment, in which every key knows where it was written."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.validation.campaign_sections import CampaignSection
from dmpcrl_ctrl.validation.section import hint
from dmpcrl_ctrl.validation.toml_text import KeyPath, dotted, line_of, shorten, split_key

SECTIONS = ("plant", "controller", "observer", "learning", "simulation")
MOST_LOOPS = 10_000
_VARIED = ("plant", "controller", "observer", "simulation")
_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,40}")


@dataclass(frozen=True)
class Origin:
    """Where a key was written: the file, its text, and the key in it."""

    file: Path
    text: str
    path: KeyPath

    def place(self) -> str:
        """File and line."""
        line = _line_of(self.text, self.path)
        return f"{self.file}:{line}" if line else str(self.file)

    def below(self, path: KeyPath) -> "Origin":
        """The same for a key inside this one."""
        return Origin(self.file, self.text, (*self.path, *path))


@dataclass
class Draft:
    """A table that is put together from several places.

    Attributes
    ----------
    table
        The keys and their values.
    origins
        Key -> where it was written last.
    """

    table: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)

    def copy(self) -> "Draft":
        """Another one that can be changed by itself."""
        return Draft(_deep(self.table), dict(self.origins))

    def merge(self, path: KeyPath, value: Any, origin: Origin) -> None:
        """Put a value at a key; of a table, only what it holds, unless it is of another kind than the one there."""
        *above, last = path
        table = self.table
        for depth, key in enumerate(above):
            if not isinstance(table.get(str(key)), dict):
                table[str(key)] = {}
                self.origins.setdefault(path[: depth + 1], origin)
            table = table[str(key)]
        self.origins[path] = origin
        there = table.get(str(last))
        if not isinstance(value, dict):
            table[str(last)] = value
            return
        if not isinstance(there, dict) or "kind" in value:
            table[str(last)] = {}
            self.origins = {key: o for key, o in self.origins.items() if key[: len(path)] != path or key == path}
        for key, item in value.items():
            self.merge((*path, key), item, origin.below((key,)))

    def drop(self, key: str) -> None:
        """Without this section."""
        self.table.pop(key, None)

    def found_at(self, path: KeyPath) -> tuple[str, KeyPath]:
        """File and line of a key, and the key as it stands there; of a key that is not there, of the table above it."""
        for depth in range(len(path), 0, -1):
            origin = self.origins.get(path[:depth])
            if origin is not None:
                whole = origin.below(path[depth:])
                return whole.place(), whole.path
        return str(self.origins[()].file), path


@dataclass(frozen=True)
class Alternative:
    """One plant or one controller of the grid: its name, the name in the file that it comes from, what it changes."""

    name: str
    family: str
    changes: tuple[tuple[KeyPath, Any, Origin], ...]


def alternatives(section: CampaignSection, whole: Origin) -> tuple[list[Alternative], list[Alternative]]:
    """The plants (scenarios) and the controllers of a campaign file.

    Parameters
    ----------
    section, whole
        The file, and its origin with an empty key.

    Raises
    ------
    ExperimentError
        A key of the grid that leads nowhere, values that have no name, or too many loops.
    """
    plants, controllers = (
        [Alternative(name, name, (((kind,), table, whole.below((f"{kind}s", name))),)) for name, table in named.items()]
        for kind, named in (("plant", section.plants), ("controller", section.controllers))
    )
    plants, controllers = plants or [Alternative("", "", ())], controllers or [Alternative("", "", ())]
    for key, values in section.grid.items():
        origin = whole.below(("grid", key))
        side, family, path = _target(key, section, origin)
        labelled = list(_labelled(path, values, origin))
        grown = controllers if side == "controllers" else plants
        grown = [
            own if family not in (None, own.family) else _grown(own, label, path, value, origin)
            for own in grown
            for label, value in (labelled if family in (None, own.family) else labelled[:1])
        ]
        if side == "controllers":
            controllers = grown
        else:
            plants = grown
        if len(plants) * len(controllers) > MOST_LOOPS:
            raise ExperimentError(f"{origin.place()}: the grid has more than {MOST_LOOPS} combinations")
    return plants, controllers


def _grown(own: Alternative, label: str, path: KeyPath, value: Any, origin: Origin) -> Alternative:
    return Alternative("-".join(filter(None, [own.name, label])), own.family, (*own.changes, (path, value, origin)))


def _target(key: str, section: CampaignSection, origin: Origin) -> tuple[str, str | None, KeyPath]:
    """Whose alternatives a key of the grid multiplies, which of them (None: all), and the key in their experiments."""
    try:
        parts = split_key(key)
    except ExperimentError:
        parts = ()
    where = f"{origin.place()}: {dotted(origin.path)}"
    no_key = f'{where} is no key of a section; write "controller.horizon" = [5, 10]'
    if len(parts) < 2:
        raise ExperimentError(no_key)
    first, *rest = parts
    if first in ("plants", "controllers"):
        named: Mapping[str, Any] = getattr(section, first)
        if rest[0] in named and len(rest) < 2:
            raise ExperimentError(no_key)
        if rest[0] not in named:
            raise ExperimentError(f"{where}: unknown {first[:-1]} {rest[0]}; {hint(rest[0], named)}")
        return first, rest[0], (first[:-1], *rest[1:])
    if parts == ("simulation", "seed"):
        raise ExperimentError(f"{where}: the seeds of a campaign are its keys runs and seed")
    if first not in _VARIED:
        known = (*_VARIED, "plants", "controllers")
        raise ExperimentError(f"{where}: unknown section {first}; {hint(first, known, 'known:')}")
    return ("controllers" if first in ("controller", "observer") else "plants"), None, parts


def _labelled(path: KeyPath, values: list[Any] | dict[str, Any], origin: Origin) -> Iterator[tuple[str, Any]]:
    """Names and values; numbers and words name themselves."""
    where = f"{origin.place()}: {dotted(origin.path)}"
    if not values:
        raise ExperimentError(f"{where} is empty; give at least one value")
    if isinstance(values, dict):
        yield from values.items()
        return
    labels = []
    for value in values:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if not isinstance(value, (bool, int, float, str)) or not _LABEL.fullmatch(text):
            named = f"{dotted(origin.path[1:])} = {{ NAME = VALUE }}"
            raise ExperimentError(f"{where}: {shorten(value)} has no short name; give names: {named}")
        labels.append(f"{path[-1]}_{text}")
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise ExperimentError(f"{where}: a value stands twice ({twice})")
    yield from zip(labels, values, strict=True)


def pairs(plants: list[Alternative], controllers: list[Alternative]) -> Iterator[tuple[Alternative, Alternative]]:
    """Every plant with every controller."""
    return itertools.product(plants, controllers)


# every loop of a grid asks for the same few lines
_line_of = lru_cache(maxsize=1000)(line_of)


def _deep(value: Any) -> Any:
    return {key: _deep(item) for key, item in value.items()} if isinstance(value, dict) else value
