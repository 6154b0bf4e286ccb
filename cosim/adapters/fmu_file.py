"""Opening an FMU from elsewhere: what it is is checked before anything of it is unpacked, let alone run.

What is checked is the archive and its description. The machine code in it cannot be: loading an FMU runs it, with all
rights of the user. An FMU from somebody who is not trusted belongs into a sandbox.
"""

import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any
from xml.parsers import expat

from dmpcrl_ctrl.errors import FMUError
from dmpcrl_ctrl.messages import one_line

_LARGEST, _LARGEST_DESCRIPTION = 1 << 31, 1 << 26  # bytes, unpacked
_DESCRIPTION = "modelDescription.xml"
# what Python's zipfile raises of an archive that is damaged or made to look so (of names too: UnicodeError, ValueError)
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, ValueError)


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of an FMU: its name, reference, kind ("Real", "Integer", "Boolean", "String") and causality."""

    name: str
    reference: int
    kind: str
    causality: str


@dataclass(frozen=True, eq=False)
class Description:
    """What is known of an FMU before it runs.

    Attributes
    ----------
    file
        Path as it was given.
    identifier, guid
        By which it is instantiated.
    variables
        By name.
    step_size
        Declared, in seconds, or None.
    keeps_states
        Whether it can go back to a state that was kept.
    """

    file: str
    identifier: str
    guid: str
    variables: Mapping[str, Variable]
    step_size: float | None
    keeps_states: bool

    def names(self, causality: str) -> tuple[str, ...]:
        """Real variables of a causality, in the order of the file."""
        return tuple(v.name for v in self.variables.values() if v.causality == causality and v.kind == "Real")


def describe(path: str | PathLike[str], validate: bool = True) -> Description:
    """Read the description of an FMI 2.0 co-simulation FMU; nothing is unpacked.

    Parameters
    ----------
    path
        The file.
    validate
        Whether its description has to follow schema and text of FMI to the letter.

    Raises
    ------
    FMUError
        No such file, no zip archive, paths that lead out of it, more than 2 GB; no description, or one that is not
        valid; another version of FMI, or no co-simulation; FMPy is missing.
    """
    file = Path(path)
    _check_archive(file)
    try:
        from fmpy import read_model_description
        from fmpy.model_description import ValidationError
    except ImportError as error:
        raise FMUError("an FMU is run by the package fmpy: pip install dmpcrl-ctrl[fmi]") from error
    version = _version(file)
    if version != "2.0":
        raise FMUError(f"{file} is an FMU of FMI {version}; only FMI 2.0 is understood")
    try:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(file) as archive:
            # of a zip file, FMPy would leave it open where it finds a fault
            found = read_model_description(archive.extract(_DESCRIPTION, folder), validate=validate)
    except ValidationError as error:
        problem = one_line(error.problems[0])
        raise FMUError(f"{file}: {_DESCRIPTION}: {problem} (validate=False runs it all the same)") from error
    except Exception as error:
        raise FMUError(f"{file}: {_DESCRIPTION}: {one_line(error)}") from error
    slave = found.coSimulation
    if slave is None:
        raise FMUError(f"{file} is for model exchange only; an FMU for co-simulation is needed")
    experiment = found.defaultExperiment
    step = getattr(experiment, "stepSize", None)
    variables = {v.name: Variable(v.name, v.valueReference, _kind(v.type), v.causality) for v in found.modelVariables}
    return Description(
        str(file),
        slave.modelIdentifier,
        found.guid,
        variables,
        None if step is None else float(step),
        bool(slave.canGetAndSetFMUstate),
    )


def unpack(description: Description, folder: Path) -> None:
    """Unpack an FMU that was described into a folder."""
    file = Path(description.file)
    _check_archive(file)
    try:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    except _DAMAGED as error:
        raise FMUError(f"{file} cannot be unpacked: {_words(error)}") from error


def _check_archive(file: Path) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except FileNotFoundError:
        raise FMUError(f"there is no file {file}") from None
    except OSError as error:
        raise FMUError(f"{file} cannot be read: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise FMUError(f"{file} is no FMU: {_words(error)}") from error
    for entry in entries:
        name = entry.orig_filename
        parts = PurePosixPath(name).parts
        if "\\" in name or ":" in name or name.startswith("/") or ".." in parts:
            raise FMUError(f"{file} holds {name!r}, a path that leads out of it")
    described = [entry.file_size for entry in entries if entry.filename == _DESCRIPTION]
    if not described:
        raise FMUError(f"{file} is no FMU: it holds no {_DESCRIPTION}")
    size = sum(entry.file_size for entry in entries)  # of those that share a name, too
    if size > _LARGEST or max(described) > _LARGEST_DESCRIPTION:
        raise FMUError(f"{file} would be {size} bytes unpacked; {_LARGEST} is the limit")


def _version(file: Path) -> str:
    """The version of FMI, before anything that depends on it is read; no entities, which could be endless."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate()

    def begin(tag: str, attributes: dict[str, str]) -> None:
        if not found:
            found.append((tag, attributes))

    def refuse(*declared: object) -> None:
        raise FMUError(f"{file}: {_DESCRIPTION} has a document type; a description has none")

    parser.StartElementHandler, parser.StartDoctypeDeclHandler = begin, refuse
    try:
        with zipfile.ZipFile(file) as archive, archive.open(_DESCRIPTION) as text:
            parser.ParseFile(text)
    except (expat.ExpatError, *_DAMAGED) as error:
        raise FMUError(f"{file}: {_DESCRIPTION} cannot be read: {_words(error)}") from error
    tag, attributes = found[0]
    if tag != "fmiModelDescription":
        raise FMUError(f"{file}: {_DESCRIPTION} begins with <{tag}>, expected <fmiModelDescription>")
    return attributes.get("fmiVersion", "without a version")


def _kind(kind: Any) -> str:
    return "Integer" if kind == "Enumeration" else str(kind)


def _words(error: Exception) -> str:
    return one_line(error) or type(error).__name__
