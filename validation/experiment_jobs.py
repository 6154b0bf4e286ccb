"""Jobs of a campaign from experiment files: each experiment under many seeds."""

from collections.abc import Mapping
from functools import partial

from dmpcrl_ctrl.controllers.block import Block
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.validation.campaign import Job, seeds_of
from dmpcrl_ctrl.validation.experiment import experiment_text, parse_experiment
from dmpcrl_ctrl.validation.runner import blocks_of
from dmpcrl_ctrl.validation.sections import Experiment


def jobs_of_experiments(
    experiments: Mapping[str, Experiment], *, seeds: int, seed: int = 0, t_end: float | None = None
) -> tuple[Job, ...]:
    """Every experiment with every seed.

    Parameters
    ----------
    experiments
        Name -> experiment, from :func:`~dmpcrl_ctrl.validation.experiment.load_experiment`; the names stand for the
        controllers. Noise is common to experiments whose plants have one name. Files that they name have to be found
        from where the workers run.
    seeds, seed
        How many, and what they are drawn from; they take the place of the experiments' own.
    t_end
        Seconds, in place of the experiments' own.
    """
    jobs = []
    for index, own in enumerate(seeds_of(seed, seeds)):
        for name, experiment in experiments.items():
            jobs.append(job_of_experiment(experiment, name, index, own, t_end=t_end))
    return tuple(jobs)


def job_of_experiment(
    experiment: Experiment, controller: str, index: int, seed: int, *, scenario: str = "", t_end: float | None = None
) -> Job:
    """The job that runs an experiment with another seed; the rest as for :class:`Job`."""
    end = experiment.simulation.t_end if t_end is None else t_end
    simulation = experiment.simulation.model_copy(update={"seed": seed, "t_end": end})
    text = experiment_text(experiment.model_copy(update={"simulation": simulation}))
    make_plant, make_blocks = partial(plant_of_text, text), partial(blocks_of_text, text)
    return Job(controller, index, seed, end, make_plant, make_blocks, scenario, text)


def plant_of_text(text: str) -> Plant:
    """The plant of an experiment's text."""
    return parse_experiment(text, "experiment").plant.build()


def blocks_of_text(text: str, plant: Plant) -> tuple[Block, ...]:
    """Observer and controller of an experiment's text."""
    return blocks_of(parse_experiment(text, "experiment"), plant)
