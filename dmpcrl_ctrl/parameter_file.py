"""Learned parameters as a file that people can read: JSON, by agent and parameter."""

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.parts import Theta

_FORMAT = "dmpcrl_ctrl parameters 1"


def save_parameters(
    path: str | PathLike[str], names: Sequence[str], theta: Sequence[Theta], overwrite: bool = False
) -> None:
    """Write parameters.

    Parameters
    ----------
    path
        Of the file; written as a whole or not at all.
    names, theta
        The agents and their parameters.
    overwrite
        Replace a file that is there.

    Raises
    ------
    LearningError
        There is such a file, or it cannot be written.
    """
    file = Path(path)
    if file.exists() and not overwrite:
        raise LearningError(f"{file} exists; give another name, or overwrite=True")
    agents = {
        name: {part: np.asarray(value).tolist() for part, value in own.items()}
        for name, own in zip(names, theta, strict=True)
    }
    text = json.dumps({"format": _FORMAT, "agents": agents}, indent=1, allow_nan=False)
    beside = file.with_name(f".{file.name}.part")
    try:
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        raise LearningError(f"{file} cannot be written: {error.strerror}") from error


def load_parameters(
    path: str | PathLike[str], names: Sequence[str], like: Sequence[Theta]
) -> tuple[dict[str, Array], ...]:
    """Read parameters of these agents, in the shapes of `like`.

    Raises
    ------
    LearningError
        No such file, or not one of parameters; other agents, parameters or shapes; a number that is not finite.
    """
    file = Path(path)
    agents = _agents(file)
    if list(agents) != list(names):
        raise LearningError(
            f"{file} holds parameters of {', '.join(agents) or 'nobody'}; this network has {', '.join(names)}"
        )
    return tuple(_parameters(file, name, agents[name], own) for name, own in zip(names, like, strict=True))


def _agents(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LearningError(f"there is no file {file}") from None
    except OSError as error:
        raise LearningError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise LearningError(f"{file} is no file of parameters: {error}") from error
    agents = content.get("agents") if isinstance(content, dict) and content.get("format") == _FORMAT else None
    if not isinstance(agents, dict):
        raise LearningError(f"{file} is no file of parameters: it does not begin with format {_FORMAT!r}")
    return agents


def _parameters(file: Path, agent: str, found: Any, like: Theta) -> dict[str, Array]:
    if not isinstance(found, dict) or list(found) != list(like):
        there = ", ".join(found) if isinstance(found, dict) else "no parameters"
        raise LearningError(f"{file}: {agent} has {there}; expected {', '.join(like) or 'none'}")
    theta = {}
    for name, start in like.items():
        try:
            value = np.asarray(found[name], dtype=np.float64)
        except (TypeError, ValueError):
            raise LearningError(f"{file}: {agent}, {name}: not an array of numbers") from None
        if value.shape != np.shape(start) or not np.isfinite(value).all():
            raise LearningError(
                f"{file}: {agent}, {name}: expected finite numbers of shape {np.shape(start)}, got {value.shape}"
            )
        theta[name] = value
    return theta
