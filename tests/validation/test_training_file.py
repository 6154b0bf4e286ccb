"""A training that goes on from its file is the training that was never interrupted.

Number for number with a central learner. Agents that learn are not even repeated to the last bit: their solver is not.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.controllers import LearningMPC
from dmpcrl_ctrl.controllers.learning_block import LearningBlock
from dmpcrl_ctrl.controllers.policy_learning import Transition
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.qlearning import flat
from dmpcrl_ctrl.validation.paper import chain_learning, chain_plant, chain_policy_learning, power_learning, power_plant
from dmpcrl_ctrl.validation.training import Snapshot, Training, train
from dmpcrl_ctrl.validation.training_file import load_snapshot, save_snapshot


def loop(example: str, distributed: bool) -> tuple[Plant, LearningBlock, dict[str, Any]]:
    if example == "policy of the chain":
        # an update at 6, 13 and 20 samples: at checkpoints there are transitions that no update has seen
        policy = chain_policy_learning(distributed=distributed, update_every=5)
        return chain_plant(), policy, {"steps": 24, "checkpoint_every": 8}
    if example == "chain":
        return chain_plant(), chain_learning(distributed=distributed), {"steps": 24, "checkpoint_every": 8}
    learning = power_learning(distributed=distributed, update_every=7)
    return power_plant(), learning, {"steps": 8, "episodes": 3, "checkpoint_every": 5}


def memory(training: Training) -> list[np.ndarray]:
    """All that is remembered of transitions, agent by agent."""
    values = [getattr(training.state, field.name) for field in fields(training.state) if field.name != "last"]
    kept = [own for value in values if isinstance(value, tuple) for own in value]
    seen = [own for own in kept if isinstance(own, Transition)]
    parts = [part for own in seen for part in (own.target, *own.before, *own.after, *own.moves)]
    return [own for own in kept if isinstance(own, np.ndarray)] + parts


def assert_same(one: Training, other: Training, rounding: float = 0.0) -> None:
    def same(mine: np.ndarray, theirs: np.ndarray) -> bool:
        scale = np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)
        return np.allclose(mine, theirs, rtol=0.0, atol=rounding * scale, equal_nan=True)

    for mine, theirs in zip(one.theta, other.theta, strict=True):
        assert same(flat(mine), flat(theirs))
    for kept, expected in zip(memory(one), memory(other), strict=True):
        assert same(kept, expected)
    assert same(one.cost, other.cost)
    assert same(one.td_error, other.td_error)
    assert np.array_equal(one.violations, other.violations)
    counts = [(t.state.updates, t.state.transitions, t.state.skipped) for t in (one, other)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("distributed", [True, False])
@pytest.mark.parametrize("example", ["chain", "policy of the chain", "power"])
def test_resumed_training_is_uninterrupted_training(example: str, distributed: bool, tmp_path: Path) -> None:
    plant, learning, options = loop(example, distributed)
    files: list[Path] = []

    def keep(snapshot: Snapshot) -> None:
        files.append(tmp_path / f"{len(files)}.json")
        save_snapshot(files[-1], snapshot, "mine")

    whole = train(plant, learning, seed=4, checkpoint=keep, **options)
    assert len(files) == (6 if example == "power" else 3)  # within episodes and at their ends
    for file in files[:: 2 if distributed else 1]:
        plant, learning, options = loop(example, distributed)
        again = train(plant, learning, seed=4, start=load_snapshot(file, learning, "mine"), **options)
        assert_same(again, whole, 1e-9 if distributed else 0.0)


def test_more_episodes_go_on_from_a_finished_training(tmp_path: Path) -> None:
    plant, learning, options = loop("power", False)
    whole = train(plant, learning, **options)
    short = train(
        plant,
        learning,
        checkpoint=lambda snapshot: save_snapshot(tmp_path / "c.json", snapshot, "mine"),
        **{**options, "episodes": 2},
    )
    assert short.cost.shape == (2, 8)
    snapshot = load_snapshot(tmp_path / "c.json", learning, "mine")
    assert_same(train(plant, learning, start=snapshot, **options), whole)
    with pytest.raises(LearningError, match="of 2 episodes of 8 samples: it cannot go on as 1 of 8"):
        train(plant, learning, start=snapshot, **{**options, "episodes": 1})


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[Path, LearningMPC]:
    learning = chain_learning(distributed=False)
    file = tmp_path / "checkpoint.json"
    train(
        chain_plant(),
        learning,
        steps=4,
        checkpoint_every=2,
        checkpoint=lambda snapshot: save_snapshot(file, snapshot, "mine") if snapshot.loop else None,
    )
    return file, learning


def test_a_file_that_does_not_belong_is_one_line(checkpoint: tuple[Path, LearningMPC], tmp_path: Path) -> None:
    file, learning = checkpoint
    with pytest.raises(LearningError, match="is of another training"):
        load_snapshot(file, learning, "another")
    with pytest.raises(LearningError, match=r"there is no checkpoint .*nothing\.json"):
        load_snapshot(tmp_path / "nothing.json", learning, "mine")


@pytest.mark.parametrize("damage", ["cut", "no format", "no curves", "shape", "parameter", "type"])
def test_a_damaged_file_is_one_line(checkpoint: tuple[Path, LearningMPC], damage: str) -> None:
    file, learning = checkpoint
    content = json.loads(file.read_text())
    if damage == "no format":
        del content["format"]
    elif damage == "no curves":
        del content["curves"]
    elif damage == "shape":
        content["learning"]["theta"][0]["A"]["shape"] = [3, 3]
    elif damage == "parameter":
        del content["learning"]["theta"][0]["A"]
    elif damage == "type":
        content["loop"] = 3
    text = json.dumps(content)
    file.write_text(text[: len(text) // 2] if damage == "cut" else text)
    with pytest.raises(LearningError, match="is no checkpoint of"):
        load_snapshot(file, learning, "mine")
