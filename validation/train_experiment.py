"""What `dmpcrl-ctrl train` does: learn in the loop of an experiment, write what came of it, and try it out.

The folder holds a checkpoint while training is under way, so that it can be resumed; then parameters, numbers and a
picture.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import Block
from dmpcrl_ctrl.controllers.learning_block import LearningBlock
from dmpcrl_ctrl.errors import ExperimentError, LearningError, LogError
from dmpcrl_ctrl.parameter_file import save_parameters
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.qlearning import flat
from dmpcrl_ctrl.validation.drawing import panel_row, to_picture
from dmpcrl_ctrl.validation.experiment import experiment_text
from dmpcrl_ctrl.validation.learning_section import EvaluationSection, Learning
from dmpcrl_ctrl.validation.learning_setup import learning_of
from dmpcrl_ctrl.validation.runner import write_whole
from dmpcrl_ctrl.validation.sections import Experiment
from dmpcrl_ctrl.validation.tally import tally
from dmpcrl_ctrl.validation.training import CHECKPOINT_EVERY, Snapshot, Training, train
from dmpcrl_ctrl.validation.training_file import load_snapshot, save_snapshot

PARAMETERS, NUMBERS, PICTURE, CHECKPOINT = "parameters.json", "training.json", "training.svg", "checkpoint.json"
# of noise that no training sees, common to all controllers
_EVALUATION = 10_000


@dataclass(frozen=True)
class Evaluated:
    """A controller over episodes on common noise.

    Attributes
    ----------
    controller
        Which.
    mean, spread, clean
        Cost of an episode, its standard deviation, and the number of episodes without a violation.
    """

    controller: str
    mean: float
    spread: float
    clean: int


@dataclass(frozen=True)
class TrainingOrder:
    """What to train.

    Parameters
    ----------
    experiment
        With a section [learning].
    central
        One central learner instead of agents.
    start
        File of parameters to start from, instead of the experiment's own start.
    checkpoint_every
        Samples between two checkpoints within an episode.
    """

    experiment: Experiment
    central: bool = False
    start: Path | None = None
    checkpoint_every: int = CHECKPOINT_EVERY

    @property
    def learning(self) -> Learning:
        """The section [learning]."""
        if self.experiment.learning is None:
            raise ExperimentError(f"{self.experiment.title!r} has no section [learning], so there is nothing to train")
        return self.experiment.learning

    def fingerprint(self, block: LearningBlock) -> str:
        """SHA-256 of all that decides what is learned in an episode; there may be more of them later."""
        section = self.learning.model_copy(update={"evaluation": EvaluationSection(), "start": {}, "episodes": 1})
        same = {"title": "training", "question": "", "learning": section}
        text = experiment_text(self.experiment.model_copy(update=same))
        start = np.concatenate([flat(theta) for theta in block.theta])
        told = [text, self.central, self.checkpoint_every, start.tolist()]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class PreparedTraining:
    """A training whose loop is built, and a folder that may be written to.

    Attributes
    ----------
    order, plant, others, block
        What is trained in which loop.
    folder
        For the files.
    snapshot
        To go on from, or None.
    """

    order: TrainingOrder
    plant: Plant
    others: tuple[Block, ...]
    block: LearningBlock
    folder: Path
    snapshot: Snapshot | None


def prepare_training(
    order: TrainingOrder, folder: Path, overwrite: bool = False, resume: bool = False
) -> PreparedTraining:
    """Find what is wrong with an order before a file is touched.

    Raises
    ------
    ExperimentError
        No section [learning]; the folder is none, or holds a training already.
    LearningError
        Parameters, or a checkpoint, that do not belong to the training.
    DmpcrlError
        A plant or a controller that cannot be.
    """
    experiment = order.experiment
    if order.checkpoint_every < 1:
        raise LearningError(f"checkpoint_every must be at least 1, got {order.checkpoint_every}")
    if folder.exists() and not folder.is_dir():
        raise ExperimentError(f"{folder} is a file: give a folder for the training with --out")
    plant = experiment.plant.build()
    block = learning_of(experiment, plant, central=order.central, start=order.start)
    others = () if experiment.observer is None else (experiment.observer.build(plant, block),)
    if resume:
        snapshot = load_snapshot(folder / CHECKPOINT, block, order.fingerprint(block))
        return PreparedTraining(order, plant, others, block, folder, snapshot)
    present = [name for name in (CHECKPOINT, PARAMETERS, NUMBERS, PICTURE) if (folder / name).exists()]
    if present and not overwrite:
        raise ExperimentError(
            f"{folder} holds a training already ({', '.join(present)}): give another --out, --overwrite, or --resume"
        )
    return PreparedTraining(order, plant, others, block, folder, None)


def run_training(prepared: PreparedTraining, progress: Callable[[float], None] | None = None) -> list[Evaluated]:
    """Train, evaluate, and write parameters, numbers and a picture of the learning curve.

    Raises
    ------
    DmpcrlError
        The loop had to stop, or a file could not be written; the checkpoint holds what came before.
    """
    order, block, folder = prepared.order, prepared.block, prepared.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in (PARAMETERS, NUMBERS, PICTURE, *([CHECKPOINT] if prepared.snapshot is None else [])):
            (folder / stale).unlink(missing_ok=True)
    except OSError as error:
        raise LogError(f"{folder} cannot be written: {error.strerror or error}") from error
    fingerprint = order.fingerprint(block)
    found = train(
        prepared.plant,
        block,
        steps=order.learning.steps,
        episodes=order.learning.episodes,
        seed=order.experiment.simulation.seed,
        others=prepared.others,
        start=prepared.snapshot,
        progress=progress,
        checkpoint=lambda snapshot: save_snapshot(folder / CHECKPOINT, snapshot, fingerprint),
        checkpoint_every=order.checkpoint_every,
    )
    save_parameters(folder / PARAMETERS, block.mpc.problem.names, found.theta, overwrite=True)
    # agents and a central controller solve one problem; the central one is quicker to try out
    plant = order.experiment.evaluation_plant().build()
    tried = learning_of(order.experiment, plant, central=True, start=order.start)
    controllers = {"before": tried.controller(), "learned": tried.controller(found.theta)}
    results = [evaluated(name, order, plant, own) for name, own in controllers.items()]
    write_whole(folder / PICTURE, _picture(found))
    write_whole(folder / NUMBERS, _numbers(order, found, results))
    return results


def evaluated(name: str, order: TrainingOrder, plant: Plant, controller: Block) -> Evaluated:
    """A controller of a plant on the noise that all controllers are tried out on."""
    asked, observer = order.learning.evaluation, order.experiment.observer
    others = () if observer is None else (observer.build(plant, controller),)
    costs, clean = [], 0
    for seed in range(asked.episodes):
        found = tally(plant, controller, asked.steps * float(controller.sample_time), _EVALUATION + seed, others)
        costs.append(found.cost)
        clean += not found.violated
    mean, spread = (float(np.mean(costs)), float(np.std(costs))) if costs else (float("nan"), float("nan"))
    return Evaluated(name, mean, spread, clean)


def _numbers(order: TrainingOrder, found: Training, results: list[Evaluated]) -> str:
    windows = _windows(found)
    numbers = {
        "experiment": experiment_text(order.experiment),
        "central": order.central,
        "start": None if order.start is None else str(order.start),
        "updates": found.state.updates,
        "transitions": found.state.transitions,
        "skipped": found.state.skipped,
        "cost": windows[0].tolist(),
        "td_error": windows[1].tolist(),
        "instants_with_violation": found.violations.tolist(),
        "evaluation": [asdict(result) for result in results if np.isfinite(result.mean)],
    }
    return json.dumps(numbers, indent=1) + "\n"


def _windows(found: Training) -> tuple[Array, Array]:
    """Mean cost a sample and mean |temporal difference|: by episode, or over a hundredth of a single long one."""
    cost, error = found.cost, np.abs(found.td_error)
    if len(cost) == 1:
        width = max(1, cost.shape[1] // 100)
        used = cost.shape[1] // width * width
        cost, error = (array[0, :used].reshape(-1, width) for array in (cost, error))
    known = ~np.isnan(error)
    return cost.mean(axis=1), np.where(known, error, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def _picture(found: Training) -> str:
    titles = ["cost a sample", "|temporal difference|"]
    figure, axes = panel_row(titles, 2.6)
    for ax, values in zip(axes, _windows(found), strict=True):
        ax.semilogy(np.linspace(0.0, found.cost.size, len(values)), values, color="#1f5fa8", linewidth=1.2)
        ax.set_xlabel("samples")
    return to_picture(figure, "training", "Training", "Learning curves").svg
