"""What `dmpcrl-ctrl train` does: learn in one of the paper's examples, write what came of it, and try it out."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import Block, LearningMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.parameter_file import load_parameters, save_parameters
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.validation.drawing import panel_row, to_picture
from dmpcrl_ctrl.validation.paper import Variant, chain_learning, chain_plant, power_learning, power_plant
from dmpcrl_ctrl.validation.training import Training, train

PARAMETERS, NUMBERS, PICTURE = "parameters.json", "training.json", "training.svg"
# of noise that no training sees, common to all controllers
_EVALUATION = 10_000


@dataclass(frozen=True)
class Evaluated:
    """A controller over episodes of 100 samples on common noise.

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
    example
        "chain" or "power".
    variant
        "default", "published" or "text"; see :mod:`~dmpcrl_ctrl.validation.paper`.
    steps, episodes
        Samples of an episode, and how many; the paper's where None: 20,000 samples, or 100 episodes of 100.
    seed
        Of noise, exploration and replay.
    central
        One central learner instead of agents.
    start
        File of parameters to start from.
    evaluations
        Episodes on which the result is tried out, beside what it started from.

    Raises
    ------
    ExperimentError
        An example that there is not, or a number below 1.
    """

    example: str
    variant: str = "default"
    steps: int | None = None
    episodes: int | None = None
    seed: int = 0
    central: bool = False
    start: Path | None = None
    evaluations: int = 10

    def __post_init__(self) -> None:
        if self.example not in ("chain", "power"):
            raise ExperimentError(f"train knows the examples chain and power, got {self.example!r}")
        for name in ("steps", "episodes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ExperimentError(f"{name} must be at least 1, got {value}")

    @property
    def size(self) -> tuple[int, int]:
        """Samples of an episode, and the number of episodes."""
        steps, episodes = (20_000, 1) if self.example == "chain" else (100, 100)
        return self.steps or steps, self.episodes or episodes

    def plant(self, evaluation: bool = False) -> Plant:
        """The example's plant."""
        if self.example == "chain":
            return chain_plant(evaluation=evaluation, variant=cast(Variant, self.variant))
        return power_plant(variant=cast(Variant, self.variant))

    def learning(self, central: bool) -> LearningMPC:
        """The example's learning block."""
        make = chain_learning if self.example == "chain" else power_learning
        options: dict[str, Any] = {"distributed": not central, "variant": self.variant}
        if self.start is not None:
            fresh = make(**options)
            options["theta"] = load_parameters(self.start, fresh.mpc.problem.names, fresh.theta)
        return make(**options)


def train_example(
    order: TrainingOrder, out: Path, overwrite: bool = False, progress: Callable[[float], None] | None = None
) -> list[Evaluated]:
    """Train, evaluate, and write parameters, numbers and a picture of the learning curve into a folder.

    Raises
    ------
    ExperimentError
        The folder holds a training already.
    LearningError
        The parameters to start from do not belong to the example.
    """
    learning = order.learning(order.central)
    if (out / PARAMETERS).exists() and not overwrite:
        raise ExperimentError(f"{out} holds a training already; choose another folder, or --overwrite")
    out.mkdir(parents=True, exist_ok=True)
    steps, episodes = order.size
    found = train(order.plant(), learning, steps=steps, episodes=episodes, seed=order.seed, progress=progress)
    names = learning.mpc.problem.names
    save_parameters(out / PARAMETERS, names, found.theta, overwrite=True)
    # agents and a central controller solve one problem; the central one is quicker to try out
    tried = order.learning(central=True)
    controllers = {"before": tried.controller(), "learned": tried.controller(found.theta)}
    results = [evaluated(name, order, block) for name, block in controllers.items()]
    _write_numbers(out / NUMBERS, order, found, results)
    _draw(out / PICTURE, found)
    return results


def evaluated(name: str, order: TrainingOrder, controller: Block) -> Evaluated:
    """A controller on the noise that all controllers are tried out on."""
    costs, clean = [], 0
    for seed in range(order.evaluations):
        run = simulate(order.plant(evaluation=True), controller, t_end=100.0, seed=_EVALUATION + seed)
        costs.append(float(np.asarray(run.cost).sum()))
        clean += not (np.asarray(run.violations) > 0.0).any()
        run.close()
    mean, spread = (float(np.mean(costs)), float(np.std(costs))) if costs else (float("nan"), float("nan"))
    return Evaluated(name, mean, spread, clean)


def _write_numbers(path: Path, order: TrainingOrder, found: Training, results: list[Evaluated]) -> None:
    windows = _windows(found)
    numbers = {
        "order": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(order).items()},
        "updates": found.state.updates,
        "transitions": found.state.transitions,
        "skipped": found.state.skipped,
        "cost": windows[0].tolist(),
        "td_error": windows[1].tolist(),
        "samples_with_violation": found.violations.tolist(),
        "evaluation": [asdict(result) for result in results],
    }
    path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def _windows(found: Training) -> tuple[Array, Array]:
    """Mean cost a sample and mean |temporal difference|: by episode, or over a hundredth of a single long one."""
    cost, error = found.cost, np.abs(found.td_error)
    if len(cost) == 1:
        width = max(1, cost.shape[1] // 100)
        used = cost.shape[1] // width * width
        cost, error = (array[0, :used].reshape(-1, width) for array in (cost, error))
    known = ~np.isnan(error)
    return cost.mean(axis=1), np.where(known, error, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def _draw(path: Path, found: Training) -> None:
    titles = ["cost a sample", "|temporal difference|"]
    figure, axes = panel_row(titles, 2.6)
    for ax, values in zip(axes, _windows(found), strict=True):
        ax.semilogy(np.linspace(0.0, found.cost.size, len(values)), values, color="#1f5fa8", linewidth=1.2)
        ax.set_xlabel("samples")
    path.write_text(to_picture(figure, "training", "Training", "Learning curves").svg, encoding="utf-8")
