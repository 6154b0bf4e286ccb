"""The checkpoint of a training as a file: everything that its future depends on, in JSON.

Floats keep every digit. Solvers' workspaces are not kept: training starts them cold at a checkpoint anyway. A
fingerprint tells of which training it is.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dmpcrl_ctrl.controllers.learning_block import LearningBlock
from dmpcrl_ctrl.cosim.block_runner import BlockState
from dmpcrl_ctrl.cosim.plant_runner import PlantState
from dmpcrl_ctrl.cosim.scheduler import LoopState
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.validation.runner import write_whole
from dmpcrl_ctrl.validation.training import Snapshot, Training

_FORMAT = "dmpcrl_ctrl training checkpoint 1"
_WORKSPACES = ("mpc", "last")


def save_snapshot(path: Path, snapshot: Snapshot, fingerprint: str) -> None:
    """Write a snapshot as a whole or not at all; LogError where the file cannot be written."""
    training, loop = snapshot.training, snapshot.loop
    content = {
        "format": _FORMAT,
        "fingerprint": fingerprint,
        "episode": snapshot.episode,
        "learning": {f.name: getattr(training.state, f.name) for f in fields(training.state) if _kept(f.name)},
        "curves": {"cost": training.cost, "td_error": training.td_error, "violations": training.violations},
        "loop": None if loop is None else _loop(loop),
    }
    write_whole(path, json.dumps(_plain(content)) + "\n")


def load_snapshot(path: Path, learning: LearningBlock, fingerprint: str) -> Snapshot:
    """Read a snapshot, with workspaces of its own.

    Parameters
    ----------
    path
        Of the file.
    learning
        The block that goes on.
    fingerprint
        Of the training; as it was written.

    Raises
    ------
    LearningError
        No such file, no checkpoint, or one of another training.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LearningError(f"there is no checkpoint {path} to resume from") from None
    except (OSError, ValueError) as error:
        raise LearningError(f"{path} is no checkpoint of a training: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise LearningError(f"{path} is no checkpoint of a training: it does not begin with format {_FORMAT!r}")
    if content.get("fingerprint") != fingerprint:
        raise LearningError(
            f"{path} is of another training (experiment, seed or start differ); give another folder, or do not resume"
        )
    try:
        return _snapshot(_back(content), learning)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise LearningError(f"{path} is no checkpoint of this training: {type(error).__name__}: {error}") from error


def _snapshot(content: Mapping[str, Any], learning: LearningBlock) -> Snapshot:
    state = learning.restored(content["learning"])
    curves = content["curves"]
    violations = np.asarray(curves["violations"], dtype=np.intp)
    training = Training(state, curves["cost"], curves["td_error"], violations)
    kept = content["loop"]
    if kept is None:
        return Snapshot(training, content["episode"])
    plants = tuple(PlantState(**own) for own in kept["plants"])
    block = BlockState(state, kept["count"], kept["cost"])
    return Snapshot(training, content["episode"], LoopState(kept["tick"], kept["board"], plants, (block,)))


def _loop(loop: LoopState) -> dict[str, Any]:
    (block,) = loop.blocks
    plants = [{name: getattr(plant, name) for name in ("x", "u", "d", "slope")} for plant in loop.plants]
    return {"tick": loop.tick, "board": loop.board, "plants": plants, "count": block.count, "cost": block.cost}


def _kept(name: str) -> bool:
    return name not in _WORKSPACES


def _plain(value: Any) -> Any:
    """A tree for JSON; of an array its shape and its entries."""
    match value:
        case np.ndarray():
            return {"shape": list(value.shape), "entries": value.ravel().tolist()}
        case np.generic():
            return value.item()
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _ if is_dataclass(value):
            return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


def _back(value: Any) -> Any:
    match value:
        case {"shape": list() as shape, "entries": list() as entries}:
            return np.array(entries, dtype=np.float64).reshape(shape)
        case dict():
            return {key: _back(item) for key, item in value.items()}
        case list():
            return tuple(_back(item) for item in value)
    return value
