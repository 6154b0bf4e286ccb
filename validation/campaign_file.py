"""Campaign files: a grid of plants, controllers and parameters as TOML, checked as strictly as an experiment.

Every point of the grid is an experiment of its own, put together and checked before anything runs. Learned parameters
are taken into it with their numbers, so that a job can travel to a machine that has no such file, and so that another
training is another job.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dmpcrl_ctrl.errors import CampaignError, DmpcrlError, ExperimentError
from dmpcrl_ctrl.validation.campaign import Job, seeds_of
from dmpcrl_ctrl.validation.campaign_grid import SECTIONS, Alternative, Draft, Origin, alternatives, pairs
from dmpcrl_ctrl.validation.campaign_sections import CampaignSection
from dmpcrl_ctrl.validation.criteria import Criterion
from dmpcrl_ctrl.validation.experiment import checked
from dmpcrl_ctrl.validation.experiment_jobs import job_of_experiment
from dmpcrl_ctrl.validation.runner import blocks_of, require_a_loop
from dmpcrl_ctrl.validation.section import hint
from dmpcrl_ctrl.validation.sections import Experiment
from dmpcrl_ctrl.validation.toml_text import dotted, line_of, parse, read_text

_EVERYBODY = "all"


@dataclass(frozen=True)
class Loop:
    """One point of the grid.

    Attributes
    ----------
    scenario, controller
        Names; the scenario is empty where there is but one plant.
    family
        Name of the controller in the file, before the grid varies it.
    experiment
        What runs, with learned parameters in it.
    parameters
        Path of their file; None where nothing was learned.
    place
        Where the controller was written.
    """

    scenario: str
    controller: str
    family: str
    experiment: Experiment
    parameters: str | None
    place: str


@dataclass(frozen=True)
class CampaignFile:
    """A campaign as it was read.

    Attributes
    ----------
    title, question, runs, seed, reference
        Of the file.
    loops
        One a scenario and controller.
    criteria
        With the names of the controllers that each is for.
    text
        Of the file.
    """

    title: str
    question: str
    runs: int
    seed: int
    reference: str | None
    loops: tuple[Loop, ...]
    criteria: tuple[tuple[Criterion, tuple[str, ...]], ...]
    text: str = field(repr=False, default="")

    @property
    def parameters(self) -> Mapping[str, str]:
        """Controller -> file of its learned parameters."""
        return {loop.controller: loop.parameters for loop in self.loops if loop.parameters is not None}

    def jobs(self, runs: int | None = None) -> tuple[Job, ...]:
        """Every loop with every seed; `runs` in place of the file's."""
        return tuple(
            job_of_experiment(loop.experiment, loop.controller, index, own, scenario=loop.scenario)
            for index, own in enumerate(seeds_of(self.seed, self.runs if runs is None else runs))
            for loop in self.loops
        )


def load_campaign(path: Path | str) -> CampaignFile:
    """Read a campaign file, and put its experiments together.

    Files that it names are looked for from its own folder.

    Raises
    ------
    ExperimentError
        One line with file, line and key of the first thing that is wrong.
    """
    path = Path(path)
    text = read_text(path)
    whole, table = Origin(path, text, ()), parse(text, str(path))
    section = checked(CampaignSection, table, lambda key: (whole.below(key).place(), key))
    base = _base(section, whole)
    plants, controllers = alternatives(section, whole)
    loops = tuple(_loop(base, plant, controller) for plant, controller in pairs(plants, controllers))
    names = tuple(dict.fromkeys(loop.controller for loop in loops))
    if section.reference is not None and section.reference not in names:
        place = whole.below(("reference",)).place()
        raise ExperimentError(f"{place}: reference: {_unknown(section.reference, names)}")
    criteria = _criteria(section, loops, whole)
    return CampaignFile(
        section.title, section.question, section.runs, section.seed, section.reference, loops, criteria, text
    )


def require_loops(campaign: CampaignFile) -> None:
    """Build every loop once, so that what is wrong with one shows before the first run.

    Raises
    ------
    DmpcrlError
        What is wrong, and where its controller was written.
    """
    for loop in campaign.loops:
        try:
            plant = loop.experiment.plant.build()
            require_a_loop(loop.experiment, plant, blocks_of(loop.experiment, plant))
        except DmpcrlError as error:
            raise CampaignError(f"{loop.place}: {error}") from error


def _base(section: CampaignSection, whole: Origin) -> Draft:
    base = Draft(origins={(): whole})
    if section.experiment is not None:
        file = whole.file.parent / section.experiment
        try:
            text = read_text(file)
            table = parse(text, str(file))
        except ExperimentError as error:
            raise ExperimentError(f"{whole.below(('experiment',)).place()}: {error}") from error
        for key, value in table.items():
            if key not in ("title", "question"):
                base.merge((key,), value, Origin(file, text, (key,)))
    for key in ("title", "question", *SECTIONS):
        if getattr(section, key):
            base.merge((key,), getattr(section, key), whole.below((key,)))
    return base


def _loop(base: Draft, plant: Alternative, controller: Alternative) -> Loop:
    draft = base.copy()
    for path, value, origin in (*plant.changes, *controller.changes):
        draft.merge(path, value, origin)
    if draft.table.get("controller", {}).get("parameters") is None:
        draft.drop("learning")
    try:
        experiment = checked(Experiment, draft.table, draft.found_at)
    except ExperimentError as error:
        who = " and ".join(filter(None, [plant.name, controller.name]))
        grown = who not in ("", controller.family)
        raise ExperimentError(f"{error}" + (f" (for {who})" if grown else "")) from error
    name = controller.name or experiment.controller.kind
    file = getattr(experiment.controller, "parameters", None)
    place = draft.found_at(("controller",))[0]
    taken, learned = experiment, None
    if file is not None:
        origin = draft.origins[("controller", "parameters")]
        learned = str(origin.file.parent / file)
        try:
            taken = _with_numbers(experiment, Path(learned))
        except DmpcrlError as error:
            raise ExperimentError(f"{origin.place()}: {dotted(origin.path)}: {error}") from error
    return Loop(plant.name, name, controller.family or name, taken, learned, place)


def _with_numbers(experiment: Experiment, file: Path) -> Experiment:
    """The experiment whose learning starts from what a file holds, and whose controller needs that file no longer."""
    from dmpcrl_ctrl.validation.learning_setup import learning_of

    plant = experiment.plant.build()
    learner = learning_of(experiment, plant, start=file)
    start: dict[str, Any] = {
        name: {key: np.asarray(value).tolist() for key, value in own.items()}
        for name, own in zip(learner.mpc.problem.names, learner.theta, strict=True)
    }
    assert experiment.learning is not None, "the section asks for it where there are parameters"
    learning = experiment.learning.model_copy(update={"start": start})
    controller = experiment.controller.model_copy(update={"parameters": None})
    return experiment.model_copy(update={"learning": learning, "controller": controller})


def _criteria(
    section: CampaignSection, loops: tuple[Loop, ...], whole: Origin
) -> tuple[tuple[Criterion, tuple[str, ...]], ...]:
    """Every criterion with the controllers that it is for: all of them, one, or all that the grid makes of one."""
    given = section.criteria if isinstance(section.criteria, dict) else {_EVERYBODY: section.criteria}
    names = tuple(dict.fromkeys(loop.controller for loop in loops))
    known = dict.fromkeys([*names, *(loop.family for loop in loops), _EVERYBODY])
    found = []
    for who, lines in given.items():
        table = isinstance(section.criteria, dict)
        origin = whole.below(("criteria", who) if table else ("criteria",))
        if who not in known:
            raise ExperimentError(f"{origin.place()}: criteria: {_unknown(who, known)}")
        mine = tuple(
            dict.fromkeys(loop.controller for loop in loops if who in (_EVERYBODY, loop.family, loop.controller))
        )
        for number, line in enumerate(lines):
            place = _line(origin, number, line)
            try:
                criterion = Criterion.read(line)
            except CampaignError as error:
                raise ExperimentError(f"{place}: {error}") from error
            others = tuple(name for name in mine if not criterion.needs_reference or name != section.reference)
            if criterion.needs_reference and section.reference is None:
                raise ExperimentError(f'{place}: criterion "{line}" needs a key reference: difference to whom?')
            found.append((criterion, others))
    return tuple(found)


def _line(origin: Origin, number: int, text: str) -> str:
    """File and line of a criterion; TOML knows the line of its list, and lists of criteria go over many."""
    first = line_of(origin.text, origin.path)
    lines = origin.text.splitlines()
    for at in range((first or 1) - 1, len(lines)):
        if f'"{text}"' in lines[at]:
            return f"{origin.file}:{at + 1}"
    return origin.place()


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"unknown controller {name!r}; {hint(name, known)}"
