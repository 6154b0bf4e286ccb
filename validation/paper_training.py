"""Trainings for the figures of the paper; one that was interrupted goes on from its checkpoint."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.learning_block import LearnerState
from dmpcrl_ctrl.cosim.scheduler import Row
from dmpcrl_ctrl.errors import CampaignError, SimulationError
from dmpcrl_ctrl.validation.paper_work import Work, file_of, learning_of, plant_of, results, vector_of, write
from dmpcrl_ctrl.validation.published import LEARNED_COST
from dmpcrl_ctrl.validation.training import Snapshot, train
from dmpcrl_ctrl.validation.training_file import load_snapshot, save_snapshot

# how often parameters are kept
THETA_EVERY = {"chain": 50, "power": 100}
_CHECKPOINT_EVERY = 1000


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

    def __call__(self, sample: int, row: Row, state: LearnerState) -> None:
        """Take note of a sample."""
        if not self.arrays["input"].shape[1]:
            shape = len(self.arrays["state"]), len(row.input)
            self.arrays["input"] = np.full(shape, np.nan, dtype=np.float32)
        with np.errstate(over="ignore"):  # of a state that runs away
            self.arrays["state"][sample], self.arrays["input"][sample] = row.state, row.input
        if (sample + 1) % self.every == 0:
            self.arrays["theta"][(sample + 1) // self.every] = vector_of(state.theta)
        if sample + 1 in self.shown:
            self.marks[sample + 1] = vector_of(state.theta)

    def results(self) -> dict[str, Array]:
        """All of it, as it is written."""
        return self.arrays | {f"at/{k}": value for k, value in self.marks.items()}

    def restore(self, written: Mapping[str, Array]) -> None:
        """Go on from what was written."""
        self.arrays |= {name: written[name] for name in self.arrays}
        self.marks |= marks_of(written)


def marks_of(trained: Mapping[str, Array]) -> dict[int, Array]:
    """Samples of training -> the parameters then, in order."""
    kept = {int(name.removeprefix("at/")): value for name, value in trained.items() if name.startswith("at/")}
    return dict(sorted(kept.items()))


def trained(work: Work, folder: Path, learner: str) -> Mapping[str, Array]:
    """One training: curves, and the parameters at the samples at which the paper shows the policy.

    Of one whose state runs away until it is no number: what there was at the last checkpoint.
    """
    chain, extent = work.example == "chain", work.extent
    samples = extent.chain_samples if learner == "central" else extent.agents_samples
    steps, episodes = (samples, 1) if chain else (extent.episode, extent.power_episodes)
    learning = learning_of(work.example, work.variant, central=learner == "central")
    plant = plant_of(work.example, work.variant)
    shown = [k for k in LEARNED_COST if k <= steps] if chain else []
    start = vector_of(learning.theta)
    curve = _Curve(steps * episodes, THETA_EVERY[work.example], len(plant.state_names), start, shown)
    checkpoint, beside = folder / f"{work.name}.checkpoint.json", f"{work.name}.so-far"
    latest: list[Snapshot] = []
    if checkpoint.exists() and file_of(beside, folder).exists():
        latest = [load_snapshot(checkpoint, learning, work.fingerprint)]
        curve.restore(results(beside, folder))

    def save(snapshot: Snapshot) -> None:
        write(file_of(beside, folder), curve.results())
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
        curve.marks[steps * episodes] = vector_of(found.theta)
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


def end_of(trained: Mapping[str, Array], learner: str) -> dict[int, Array]:
    """The last of the marks; of a training that was cut off there is none."""
    samples, marks = trained["cost"].size, marks_of(trained)
    if samples not in marks:
        raise CampaignError(f"the training of the {learner} learner did not end: its state ran away")
    return {samples: marks[samples]}
