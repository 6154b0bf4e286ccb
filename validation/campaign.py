"""Campaigns: many closed loops, seeds by controllers, on any executor; one log a run, and a failed run costs no other.

Every controller of one seed meets the same noise, so that differences between them are differences of pairs. An index
in the folder says which runs are finished: a campaign that was interrupted goes on when it is started again.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dmpcrl_ctrl.controllers.block import Block
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.validation.campaign_index import CampaignIndex, require_that_jobs_travel, runs_in
from dmpcrl_ctrl.validation.metrics import summarise
from dmpcrl_ctrl.validation.workers import in_words, on_executor, on_processes

PlantFactory = Callable[[], Plant]
BlockFactory = Callable[[Plant], Block | Sequence[Block]]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}")


@dataclass(frozen=True)
class Job:
    """One closed loop of a campaign.

    Parameters
    ----------
    controller, scenario
        Names; the scenario may be empty where there is but one plant.
    index, seed
        Number of the seed in the campaign, and the seed itself: of all noise and all blocks.
    t_end
        Seconds.
    plant, block
        Make the plant, and the controller or controllers for it. They are called where the loop runs; for worker
        processes they are functions that can be imported by name, or `functools.partial` of such.
    experiment
        TOML text for the log, or empty.

    Raises
    ------
    CampaignError
        A name that cannot be part of a file's name.
    """

    controller: str
    index: int
    seed: int
    t_end: float
    plant: PlantFactory
    block: BlockFactory
    scenario: str = ""
    experiment: str = ""

    def __post_init__(self) -> None:
        for what in ("controller", "scenario"):
            name = getattr(self, what)
            if not (_NAME.fullmatch(name) or (what == "scenario" and not name)):
                raise CampaignError(f"{what} {name!r}: a name consists of letters, digits, and _ . - after the first")

    @property
    def name(self) -> str:
        """Of the run and of its log: scenario, controller and number of the seed."""
        return "-".join([*filter(None, [self.scenario]), self.controller, f"{self.index:04d}"])


@dataclass(frozen=True)
class RunResult:
    """What came of one run.

    Attributes
    ----------
    name, controller, scenario, index, seed
        Of the job.
    cost
        Of the whole run and all agents; NaN where it failed.
    samples, violated_samples
        Samples, and instants (the end included) at which a state was outside its limits.
    violations
        State -> at how many instants; only the states that were.
    statuses
        Outcome of a solve -> at how many samples, of all controllers.
    seconds
        Wall-clock time of the run; 0 where it failed.
    log
        Its HDF5 file, where the campaign has a folder.
    error
        Why it failed, in one line; empty where it did not.
    """

    name: str
    controller: str
    scenario: str
    index: int
    seed: int
    cost: float = float("nan")
    samples: int = 0
    violated_samples: int = 0
    violations: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    log: Path | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ran to its end."""
        return not self.error


@dataclass(frozen=True)
class Campaign:
    """Results in the order of the jobs.

    Attributes
    ----------
    results
        One a job.
    repeated
        How many ran now; the others were finished before.
    folder
        Of the logs and the index, or None.
    """

    results: tuple[RunResult, ...]
    repeated: int
    folder: Path | None = None

    @property
    def failed(self) -> tuple[RunResult, ...]:
        """Those that did not run to their end."""
        return tuple(result for result in self.results if not result.ok)

    def of(self, controller: str, scenario: str = "") -> tuple[RunResult, ...]:
        """Results of one controller, by seed."""
        return tuple(r for r in self.results if (r.controller, r.scenario) == (controller, scenario))


def seeds_of(seed: int, number: int) -> tuple[int, ...]:
    """Independent seeds; the first ones stay the same when more are asked for."""
    if number < 1 or seed < 0:
        raise CampaignError(f"a campaign needs at least one seed, from a number of at least 0: got {number}, {seed}")
    return tuple(int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(number))


def jobs_of(
    plants: PlantFactory | Mapping[str, PlantFactory],
    controllers: Mapping[str, BlockFactory],
    *,
    t_end: float,
    seeds: int,
    seed: int = 0,
) -> tuple[Job, ...]:
    """Every controller, on every plant, with every seed.

    Parameters
    ----------
    plants
        Makes the plant; or scenario -> what makes its plant.
    controllers
        Name -> what makes the controller of a plant.
    t_end
        Seconds.
    seeds, seed
        How many, and what they are drawn from, as :func:`seeds_of` does.

    Examples
    --------
    >>> from dmpcrl_ctrl.controllers import CentralizedMPC, LQR
    >>> from dmpcrl_ctrl.plants import chain
    >>> controllers = {"lqr": LQR.for_plant, "mpc": partial(CentralizedMPC.for_plant, horizon=5)}
    >>> jobs = jobs_of(chain, controllers, t_end=3.0, seeds=2)
    >>> [job.name for job in jobs]
    ['lqr-0000', 'mpc-0000', 'lqr-0001', 'mpc-0001']
    """
    scenarios = plants if isinstance(plants, Mapping) else {"": plants}
    return tuple(
        Job(name, index, own, t_end, plant, block, scenario)
        for index, own in enumerate(seeds_of(seed, seeds))
        for scenario, plant in scenarios.items()
        for name, block in controllers.items()
    )


def run_campaign(
    jobs: Iterable[Job],
    *,
    folder: Path | str | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Campaign:
    """Run the jobs.

    Parameters
    ----------
    jobs
        From :func:`jobs_of` or made one by one.
    folder
        For one log a run, "<name>.h5", and the index "campaign.json". Runs that it knows as finished are not repeated.
    executor
        Where they run: threads, Dask, MPI. None: new processes, one thread of linear algebra each; a run whose process
        dies is tried once more. A script then needs `if __name__ == "__main__":`.
    workers
        Number of these processes; as many as processors where None.
    overwrite
        Replace runs in the folder that belong to other jobs.
    progress
        Called with the finished fraction.

    Raises
    ------
    CampaignError
        Two jobs of one name; a job that cannot be sent to a process; a folder that holds something else.
    """
    jobs = tuple(jobs)
    todo = {job.name: job for job in jobs}
    if len(todo) < len(jobs):
        twice = next(name for name in todo if sum(job.name == name for job in jobs) > 1)
        raise CampaignError(f"two jobs are called {twice!r}: give controllers and scenarios different names")
    index = CampaignIndex.of(None if folder is None else Path(folder), jobs, overwrite)
    results = {name: _kept(name, kept) for name, kept in index.finished(todo).items()}
    waiting = [job for job in jobs if job.name not in results]
    call = partial(run_job, folder=index.folder)
    if executor is None:
        require_that_jobs_travel(waiting)
        answers = on_processes(call, waiting, workers)
    else:
        answers = on_executor(call, waiting, executor)
    try:
        with closing(answers):
            for job, answer in answers:
                results[job.name] = _failed(job, answer, index.folder) if isinstance(answer, str) else answer
                index.keep(job, results[job.name])
                if progress is not None:
                    progress(len(results) / len(jobs))
    finally:
        index.save()
    return Campaign(tuple(results[job.name] for job in jobs), len(waiting), index.folder)


def results_in(folder: Path | str) -> list[RunResult]:
    """What the index in a campaign's folder tells of its runs, failed ones included, by name.

    Raises
    ------
    CampaignError
        The index cannot be read, or is none.
    """
    return [_kept(name, kept) for name, kept in runs_in(Path(folder)).items()]


def run_job(job: Job, folder: Path | None = None) -> RunResult:
    """Run one job here.

    Raises
    ------
    CampaignError
        Whatever went wrong in it, in one line that can travel between processes.
    """
    log = _log(job, folder)
    start = time.perf_counter()
    try:
        plant = job.plant()
        loop = plant, job.block(plant)
        with simulate(*loop, t_end=job.t_end, seed=job.seed, log=log, overwrite=True, experiment=job.experiment) as run:
            found = summarise(run, plant)
    except Exception as error:
        raise CampaignError(in_words(error)) from error
    statuses: Counter[str] = Counter()
    for controller in found.controllers.values():
        statuses.update(controller.statuses)
    return replace(
        _of(job),
        cost=found.total_cost,
        samples=found.samples,
        violated_samples=found.violated_samples,
        violations={state: violation.samples for state, violation in found.violations.items()},
        statuses=dict(statuses),
        seconds=time.perf_counter() - start,
        log=log,
    )


def _kept(name: str, fields: Mapping[str, Any]) -> RunResult:
    try:
        return RunResult(**fields)
    except TypeError as error:
        raise CampaignError(f"the campaign's index holds no result of {name}: {error}") from error


def _failed(job: Job, error: str, folder: Path | None) -> RunResult:
    log = _log(job, folder)
    return replace(_of(job), error=error, log=log if log is not None and log.exists() else None)


def _of(job: Job) -> RunResult:
    return RunResult(job.name, job.controller, job.scenario, job.index, job.seed)


def _log(job: Job, folder: Path | None) -> Path | None:
    return None if folder is None else folder / f"{job.name}.h5"
