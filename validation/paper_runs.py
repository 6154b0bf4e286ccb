"""What the figures of the paper are made of: trainings, evaluations, distances of multipliers; each a piece of work.

A piece of work leaves one file of arrays in a folder, written as a whole or not at all; it is done where the file is
there. A training also leaves a checkpoint, so that one that was interrupted goes on where it stood.
"""

import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast
from zipfile import BadZipFile

import numpy as np

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import Block, DistributedMPC, LearningMPC
from dmpcrl_ctrl.controllers.learning import LearningState, Theta
from dmpcrl_ctrl.cosim.scheduler import Row
from dmpcrl_ctrl.errors import CampaignError, LogError, SimulationError
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.plants.chain import chain_model
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.qlearning import flat, shaped
from dmpcrl_ctrl.validation.campaign import Job, run_job
from dmpcrl_ctrl.validation.clairvoyant import clairvoyant
from dmpcrl_ctrl.validation.dual_recovery import dual_recovery
from dmpcrl_ctrl.validation.paper import Variant, chain_learning, chain_plant, power_learning, power_plant
from dmpcrl_ctrl.validation.paper_baselines import chain_nominal, chain_scenario, power_nominal, power_scenario
from dmpcrl_ctrl.validation.published import LEARNED_COST
from dmpcrl_ctrl.validation.training import Snapshot, train
from dmpcrl_ctrl.validation.training_file import load_snapshot, save_snapshot
from dmpcrl_ctrl.value import agent_data

Example = Literal["chain", "power"]
# noise that no training sees, the same for all controllers
EVALUATION_SEED = 10_000
# of the parameters, how often they are kept; iterations of ADMM in the deployed controllers
THETA_EVERY = {"chain": 50, "power": 100}
DEPLOYED = (5, 10, 20, 50)
SAMPLE_SEEDS = 3
_CHECKPOINT_EVERY = 1000
_DUAL_ITERATIONS = 100


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
    """

    chain_samples: int = 20_000
    agents_samples: int = 10_000
    power_episodes: int = 100
    chain_evaluations: int = 10
    power_evaluations: int = 100
    states: int = 20
    episode: int = 100

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
    return _file(work.name, folder).exists()


def results(name: str, folder: Path) -> dict[str, Array]:
    """The arrays that a piece of work has left.

    Raises
    ------
    LogError
        There is no such file, or it is none of ours.
    """
    file = _file(name, folder)
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, BadZipFile) as error:
        raise LogError(f"{file} cannot be read: {error}") from error


def run_work(work: Work, folder: Path) -> str:
    """Do a piece of work and write its results; returns its name."""
    kind, _, rest = work.controller.partition(" ")
    make: dict[str, Callable[[Work, Path, str], Mapping[str, Array]]] = {
        "train": _trained,
        "try": _tried,
        "deploy": _deployed,
        "clairvoyant": _clairvoyant,
        "duals": _duals,
    }
    _write(_file(work.name, folder), make.get(kind, _baseline)(work, folder, rest))
    return work.name


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


class _Curve:
    """What a training shows sample by sample, and the parameters that it had at some of them."""

    def __init__(self, samples: int, every: int, states: int, start: Array, shown: Collection[int]) -> None:
        self.every, self.shown, self.marks = every, shown, {0: start}
        self.arrays = {
            "state": np.full((samples, states), np.nan, dtype=np.float32),
            "input": np.full((samples, 0), np.nan, dtype=np.float32),
            "theta": np.full((samples // every + 1, len(start)), np.nan),
        }
        self.arrays["theta"][0] = start

    def __call__(self, sample: int, row: Row, state: LearningState) -> None:
        """Take note of a sample."""
        if not self.arrays["input"].shape[1]:
            shape = len(self.arrays["state"]), len(row.input)
            self.arrays["input"] = np.full(shape, np.nan, dtype=np.float32)
        with np.errstate(over="ignore"):  # of a state that runs away
            self.arrays["state"][sample], self.arrays["input"][sample] = row.state, row.input
        if (sample + 1) % self.every == 0:
            self.arrays["theta"][(sample + 1) // self.every] = _vector(state.theta)
        if sample + 1 in self.shown:
            self.marks[sample + 1] = _vector(state.theta)

    def results(self) -> dict[str, Array]:
        """All of it, as it is written."""
        return self.arrays | {f"at/{k}": value for k, value in self.marks.items()}

    def restore(self, written: Mapping[str, Array]) -> None:
        """Go on from what was written."""
        self.arrays |= {name: written[name] for name in self.arrays}
        self.marks |= _marks(written)


def _marks(trained: Mapping[str, Array]) -> dict[int, Array]:
    """Samples of training -> the parameters then, in order."""
    kept = {int(name.removeprefix("at/")): value for name, value in trained.items() if name.startswith("at/")}
    return dict(sorted(kept.items()))


def _trained(work: Work, folder: Path, learner: str) -> Mapping[str, Array]:
    """One training: curves, and the parameters at the samples at which the paper shows the policy.

    Of one whose state runs away until it is no number: what there was at the last checkpoint.
    """
    chain, extent = work.example == "chain", work.extent
    samples = extent.chain_samples if learner == "central" else extent.agents_samples
    steps, episodes = (samples, 1) if chain else (extent.episode, extent.power_episodes)
    learning = learning_of(work.example, work.variant, central=learner == "central")
    plant = plant_of(work.example, work.variant)
    shown = [k for k in LEARNED_COST if k <= steps] if chain else []
    start = _vector(learning.theta)
    curve = _Curve(steps * episodes, THETA_EVERY[work.example], len(plant.state_names), start, shown)
    checkpoint, beside = folder / f"{work.name}.checkpoint.json", f"{work.name}.so-far"
    latest: list[Snapshot] = []
    if checkpoint.exists() and _file(beside, folder).exists():
        latest = [load_snapshot(checkpoint, learning, work.fingerprint)]
        curve.restore(results(beside, folder))

    def save(snapshot: Snapshot) -> None:
        _write(_file(beside, folder), curve.results())
        save_snapshot(checkpoint, snapshot, work.fingerprint)
        latest[:] = [snapshot]

    try:
        found = train(
            plant,
            learning,
            steps=steps,
            episodes=episodes,
            seed=work.seed,
            start=latest[0] if latest else None,
            checkpoint=save,
            checkpoint_every=_CHECKPOINT_EVERY,
            observe=curve,
        )
        curve.marks[steps * episodes] = _vector(found.theta)
    except SimulationError:
        if not latest:
            raise
        found = latest[0].training
    low, high = plant.task.state_limits.T
    return {
        "cost": found.cost,
        "td_error": found.td_error,
        "violations": found.violations,
        "counts": np.array([found.state.updates, found.state.transitions, found.state.skipped]),
        "limits": np.vstack([low, high]),
        **curve.results(),
    }


def _tried(work: Work, folder: Path, learner: str) -> Mapping[str, Array]:
    """A learned policy at every number of samples at which its parameters were kept."""
    central = learner == "central" or work.example == "chain"  # one problem; the central solver is quicker
    learning = learning_of(work.example, work.variant, central=central)
    trained = results(f"{work.example}-{learner}-{work.seed}", folder)
    marks = _marks(trained) if work.example == "chain" else _end(trained, learner)
    tried = [_episodes(work, learning.controller(theta_of(learning, theta))) for theta in marks.values()]
    return {"samples": np.array(list(marks))} | _stacked(tried)


def _deployed(work: Work, folder: Path, learner: str) -> Mapping[str, Array]:
    """The learned policy under few iterations of ADMM."""
    (theta,) = _end(results(f"{work.example}-{learner}-{work.seed}", folder), learner).values()
    learning = learning_of(work.example, work.variant, central=False)
    policy, tried = learning.controller(theta_of(learning, theta)), []
    for iterations in DEPLOYED:
        admm = ADMMOptions(iterations=iterations)
        block = DistributedMPC(policy.problem, policy.sample_time, policy.signals, admm=admm, certify=False)
        tried.append(_episodes(work, block, share=0.2 if work.example == "power" else 1.0))
    return {"iterations": np.array(DEPLOYED)} | _stacked(tried)


def _end(trained: Mapping[str, Array], learner: str) -> dict[int, Array]:
    """The last of the marks; of a training that was cut off there is none."""
    samples, marks = trained["cost"].size, _marks(trained)
    if samples not in marks:
        raise CampaignError(f"the training of the {learner} learner did not end: its state ran away")
    return {samples: marks[samples]}


def _baseline(work: Work, folder: Path, rest: str) -> Mapping[str, Array]:
    """A controller that does not learn; of one that draws samples several draws."""
    return _stacked([_episodes(work, block) for block in _baselines(work)])


def _baselines(work: Work) -> list[Block]:
    name = work.controller
    if work.example == "chain":
        if name.startswith("nominal"):
            return [chain_nominal(true_model=name.endswith("true model"))]
        samples, known = int(name.split()[1].rstrip(",")), name.endswith("known") and not name.endswith("unknown")
        return [chain_scenario(samples, model_known=known, seed=seed) for seed in range(SAMPLE_SEEDS)]
    return [power_nominal() if name == "nominal" else power_scenario(int(name.split()[1]))]


def _clairvoyant(work: Work, folder: Path, rest: str) -> Mapping[str, Array]:
    """The bound that nothing beats, on the same noise."""
    plant = plant_of(work.example, work.variant, evaluation=True)
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + _evaluations(work))
    return {"cost": np.array([[clairvoyant(plant, seed, work.extent.episode).cost for seed in seeds]])}


def _duals(work: Work, folder: Path, rest: str) -> Mapping[str, Array]:
    """(states, iterations) for each penalty and model."""
    found = {}
    for true_model in (False, True):
        problem = MPCProblem(chain_model(true_model), horizon=10, discount=0.9)
        rng = np.random.default_rng(work.seed)
        states = [[rng.uniform([0.0, -0.5], [1.0, 0.5]) for _ in range(3)] for _ in range(work.extent.states)]
        for scheme, admm in (("published penalty", ADMMOptions(penalty=0.5)), ("automatic penalty", ADMMOptions())):
            label = f"{'true' if true_model else 'inexact'} model, {scheme}"
            found[label] = np.array(
                [dual_recovery(problem, agent_data(problem, state), _DUAL_ITERATIONS, admm) for state in states]
            )
    return found


def _evaluations(work: Work) -> int:
    return work.extent.chain_evaluations if work.example == "chain" else work.extent.power_evaluations


def _episodes(work: Work, block: Block, share: float = 1.0) -> dict[str, Array]:
    """(episodes,) each: cost, and samples at which any state was outside its limits."""
    plant = partial(plant_of, work.example, work.variant, evaluation=True)
    found = []
    for k in range(max(1, round(share * _evaluations(work)))):
        job = Job("controller", k, EVALUATION_SEED + k, float(work.extent.episode), plant, lambda _: block)
        run = run_job(job)
        found.append((run.cost, run.violated_samples))
    cost, outside = np.array(found, dtype=float).T
    return {"cost": cost, "violations": outside}


def _stacked(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.array([part[name] for part in parts]) for name in parts[0]}


def _vector(theta: tuple[Theta, ...]) -> Array:
    return np.concatenate([flat(own) for own in theta])


def _file(name: str, folder: Path) -> Path:
    return folder / f"{name}.npz"


def _write(file: Path, arrays: Mapping[str, Array]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, **cast(dict[str, Any], dict(arrays)))
        os.replace(name, file)
    except OSError as error:
        raise LogError(f"{file} cannot be written: {error.strerror or error}") from error
