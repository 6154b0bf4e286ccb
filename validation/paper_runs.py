"""What is run for the figures of the paper: trainings, evaluations, baselines, distances of multipliers."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import Block, DistributedMPC
from dmpcrl_ctrl.plants.chain import chain_model
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.clairvoyant import clairvoyant
from dmpcrl_ctrl.validation.dual_recovery import dual_recovery
from dmpcrl_ctrl.validation.learners import COMPARED, learned
from dmpcrl_ctrl.validation.paper_baselines import chain_nominal, chain_scenario, power_nominal, power_scenario
from dmpcrl_ctrl.validation.paper_training import end_of, marks_of, trained
from dmpcrl_ctrl.validation.paper_work import Work, file_of, learning_of, plant_of, results, theta_of, write
from dmpcrl_ctrl.validation.tally import tally
from dmpcrl_ctrl.value import agent_data

# noise that no training sees, the same for all controllers
EVALUATION_SEED = 10_000
# iterations of ADMM in the deployed controllers; draws of a scenario controller
DEPLOYED = (5, 10, 20, 50)
SAMPLE_SEEDS = 3
_DUAL_ITERATIONS = 100


def run_work(work: Work, folder: Path) -> str:
    """Do a piece of work and write its results; returns its name."""
    kind, _, rest = work.controller.partition(" ")
    make: dict[str, Callable[[Work, Path, str], Mapping[str, Array]]] = {
        "train": trained,
        "try": _tried,
        "deploy": _deployed,
        "learn": _learner,
        "clairvoyant": _clairvoyant,
        "duals": _duals,
    }
    write(file_of(work.name, folder), make.get(kind, _baseline)(work, folder, rest))
    return work.name


def _tried(work: Work, folder: Path, learner: str) -> Mapping[str, Array]:
    """A learned policy at every number of samples at which its parameters were kept."""
    central = learner == "central" or work.example == "chain"  # one problem; the central solver is quicker
    learning = learning_of(work.example, work.variant, central=central)
    training = results(f"{work.example}-{learner}-{work.seed}", folder)
    marks = marks_of(training) if work.example == "chain" else end_of(training, learner)
    tried = [_episodes(work, learning.controller(theta_of(learning, theta))) for theta in marks.values()]
    return {"samples": np.array(list(marks))} | _stacked(tried)


def _deployed(work: Work, folder: Path, learner: str) -> Mapping[str, Array]:
    """The learned policy under few iterations of ADMM."""
    (theta,) = end_of(results(f"{work.example}-{learner}-{work.seed}", folder), learner).values()
    learning = learning_of(work.example, work.variant, central=False)
    policy, tried = learning.controller(theta_of(learning, theta)), []
    for iterations in DEPLOYED:
        admm = ADMMOptions(iterations=iterations)
        block = DistributedMPC(policy.problem, policy.sample_time, policy.signals, admm=admm, certify=False)
        tried.append(_episodes(work, block, share=0.2 if work.example == "power" else 1.0))
    return {"iterations": np.array(DEPLOYED)} | _stacked(tried)


def _learner(work: Work, folder: Path, name: str) -> Mapping[str, Array]:
    """One of the learners that are compared, trained and tried out as it learns."""
    marks, skipped = learned(name, work.extent.learner_samples, work.seed)
    learning = COMPARED[name]()
    tried = [_episodes(work, learning.controller(theta)) for theta in marks.values()]
    return {"samples": np.array(list(marks)), "skipped": np.array(skipped)} | _stacked(tried)


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
    plant = plant_of(work.example, work.variant, evaluation=True)
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + max(1, round(share * _evaluations(work))))
    found = [tally(plant, block, float(work.extent.episode), seed) for seed in seeds]
    return {"cost": np.array([run.cost for run in found]), "violations": np.array([run.violated for run in found])}


def _stacked(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.array([part[name] for part in parts]) for name in parts[0]}
