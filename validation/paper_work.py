"""Pieces of work that the figures of the paper are made of: what is ordered, whose learner, and the file that is left.

A piece of work leaves one file of arrays in a folder, written as a whole or not at all; it is done where the file is
there.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast
from zipfile import BadZipFile

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import LearningMPC
from dmpcrl_ctrl.controllers.learning import Theta
from dmpcrl_ctrl.errors import CampaignError, LogError
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.qlearning import flat, shaped
from dmpcrl_ctrl.validation.paper import Variant, chain_learning, chain_plant, power_learning, power_plant
from dmpcrl_ctrl.validation.runner import write_whole

Example = Literal["chain", "power"]


@dataclass(frozen=True)
class Extent:
    """How much is run; the paper's by default.

    Parameters
    ----------
    chain_samples, agents_samples, power_episodes
        Of a training: of the chain by a central learner and by agents, whose published curves end at 10,000 samples; of
        the power network by either.
    chain_evaluations, power_evaluations
        Episodes of 100 samples on which every controller is tried out.
    states
        At which multipliers are compared.
    episode
        Samples of an episode.
    learner_samples
        Of a training of each of the learners that are compared beyond the paper.
    """

    chain_samples: int = 20_000
    agents_samples: int = 10_000
    power_episodes: int = 100
    chain_evaluations: int = 10
    power_evaluations: int = 100
    states: int = 20
    episode: int = 100
    learner_samples: int = 2_000

    @classmethod
    def share(cls, share: float) -> "Extent":
        """A share in (0, 1] of everything, at least one of each; episodes stay as long as they are."""
        if not 0.0 < share <= 1.0:
            raise CampaignError(f"share must lie in (0, 1], got {share}")
        full, parts = cls(), [name for name in cls.__dataclass_fields__ if name != "episode"]
        return cls(**{name: max(1, round(share * getattr(full, name))) for name in parts})


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Attributes
    ----------
    name
        Of its file.
    example, controller
        What runs in which loop.
    variant, seed, extent
        Of the learning; its seed; how much is run.
    """

    name: str
    example: Example
    controller: str
    variant: str
    seed: int
    extent: Extent

    @property
    def fingerprint(self) -> str:
        """What its results depend on, in words."""
        return repr(self)


def done(work: Work, folder: Path) -> bool:
    """Whether its results are there."""
    return file_of(work.name, folder).exists()


def results(name: str, folder: Path) -> dict[str, Array]:
    """The arrays that a piece of work has left.

    Raises
    ------
    LogError
        There is no such file, or it is none of ours.
    """
    file = file_of(name, folder)
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, BadZipFile) as error:
        raise LogError(f"{file} cannot be read: {error}") from error


def file_of(name: str, folder: Path) -> Path:
    """Where a piece of work leaves its arrays."""
    return folder / f"{name}.npz"


def write(file: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays, as a whole or not at all; LogError where that cannot be."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **cast(dict[str, Any], dict(arrays)))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogError(f"{file} cannot be written: {error.strerror or error}") from error
    write_whole(file, content.getvalue())


def theta_of(learning: LearningMPC, vector: Array) -> tuple[Theta, ...]:
    """Parameters by agent, from the vector of all of them."""
    ends = np.cumsum([0, *(len(flat(own)) for own in learning.theta)])
    return tuple(shaped(vector[a:b], own) for own, a, b in zip(learning.theta, ends[:-1], ends[1:], strict=True))


def parameter_names(example: Example) -> list[str]:
    """Of the entries of the vector of all parameters: agent, parameter, number of the entry."""
    learning = learning_of(example, "published", central=True)
    named = zip(learning.mpc.problem.names, learning.theta, strict=True)
    return [f"{agent} {part} {k}" for agent, own in named for part, value in own.items() for k in range(np.size(value))]


def learning_of(example: Example, variant: str, *, central: bool, **options: Any) -> LearningMPC:
    """The learning block of an example."""
    make = chain_learning if example == "chain" else power_learning
    return make(distributed=not central, variant=cast(Variant, variant), **options)


def plant_of(example: Example, variant: str, evaluation: bool = False) -> Plant:
    """The plant of an example."""
    if example == "chain":
        return chain_plant(evaluation=evaluation, variant=cast(Variant, variant))
    return power_plant(variant=cast(Variant, variant))


def vector_of(theta: tuple[Theta, ...]) -> Array:
    """The vector of all parameters."""
    return np.concatenate([flat(own) for own in theta])
