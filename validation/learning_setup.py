"""From the section [learning] of an experiment to the learning block, and to the controller that was learned.

The block and the frozen controller stand on the same models, so that parameters learned by one deploy the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import LearningMPC, PolicyLearning
from dmpcrl_ctrl.controllers.learning_block import LearningBlock
from dmpcrl_ctrl.controllers.mpc import MPC
from dmpcrl_ctrl.errors import ExperimentError
from dmpcrl_ctrl.exploration import Exploration
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parameter_file import load_parameters
from dmpcrl_ctrl.parametrization import Parametrization, fields_of
from dmpcrl_ctrl.parts import Free, Part, SemidefiniteFactor, Shared, Theta
from dmpcrl_ctrl.plants.held_parameters import tie_parameters
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.projection import Projection, at_least, semidefinite, within
from dmpcrl_ctrl.replay import Replay
from dmpcrl_ctrl.schedule import Geometric
from dmpcrl_ctrl.validation.learning_section import ExplorationSection, GeometricSection, Learning, SetSection
from dmpcrl_ctrl.validation.sections import CentralizedMpc, Experiment, Mpc

_EVERYBODY = "all"


def learning_of(
    experiment: Experiment, plant: Plant, *, central: bool = False, start: Path | str | None = None
) -> LearningBlock:
    """The learning block of an experiment.

    Parameters
    ----------
    experiment
        With a section [learning].
    plant
        That the experiment builds.
    central
        One central learner instead of agents.
    start
        File of parameters to start from, instead of the experiment's own start.

    Raises
    ------
    ExperimentError
        No section [learning], or a start of agents, parameters or shapes that there are not.
    LearningError
        A file of parameters that does not belong to this network.
    ModelError, PlantError
        Parameters that the models, or the plant, do not have.
    """
    learning, section = experiment.learning, experiment.controller
    if learning is None or not isinstance(section, Mpc):
        raise ExperimentError(f"{experiment.title!r} has no section [learning]")
    names, made = _parametrizations(learning, section, plant)
    initial = [own.initial for own in made]
    file = start or (learning.start if isinstance(learning.start, str) else None)
    theta = _started(learning.start, names, initial) if file is None else load_parameters(file, names, initial)
    # built at the start, so that the weights of ADMM are those of the frozen controller there
    models = [own.model(at) for own, at in zip(made, theta, strict=True)]
    mpc = (_centralised(section) if central else section).build(plant, lambda _: models)
    parameters = {part for own in initial for name in own for part in (name, name.split("/")[0])}
    for name in learning.sets:
        if name not in parameters:
            raise ExperimentError(f"learning.sets: {_unknown(name, parameters, 'parameter')}")
    explores = None if learning.exploration is None else _exploration(learning.exploration)
    common: dict[str, Any] = {
        "step_size": _schedule(learning.step_size),
        "update_every": learning.update_every,
        "sets": {name: _projection(chosen) for name, chosen in learning.sets.items()},
        "trust": None if learning.trust == "none" else learning.trust,
        "theta": theta,
    }
    if learning.method == "policy_gradient":
        assert explores is not None, "the section asks for it"
        return PolicyLearning(mpc, made, exploration=explores, ridge=learning.ridge, **common)
    replay = None if learning.replay is None else Replay(**learning.replay.model_dump())
    target = learning.perturbed_target
    return LearningMPC(
        mpc, made, method=learning.method, replay=replay, exploration=explores, perturbed_target=target, **common
    )


def frozen_of(experiment: Experiment, plant: Plant) -> MPC:
    """The controller at the experiment's parameters, or where its learning starts from; as for :func:`learning_of`."""
    file = getattr(experiment.controller, "parameters", None)
    return learning_of(experiment, plant, start=file).controller()


def _parametrizations(
    learning: Learning, section: Mpc, plant: Plant
) -> tuple[tuple[str, ...], tuple[Parametrization, ...]]:
    """Names of the agents, and their parametrizations."""
    options = section.model_options()
    models = plant.local_models(section.sample_time, hold=section.hold, **options)
    bases: tuple[LocalModel, ...] = tuple(models.models)
    coupled = "A_ij" in learning.parameters
    if coupled and section.hold == "area":
        neighbours = [[models.names.index(j) for j in agent.neighbours or ()] for agent in plant.agents]
        bases = tuple(_with_neighbours(i, bases, known) for i, known in enumerate(neighbours))
    if "ties" in learning.parameters:
        if coupled:
            raise ExperimentError('learning.parameters: "ties" and "A_ij" move the same entries; take one of them')
        return models.names, tie_parameters(plant, section.sample_time, _parts(learning, bases[0]), **options)
    return models.names, tuple(Parametrization(base, _parts(learning, base)) for base in bases)


def _with_neighbours(i: int, models: Sequence[LocalModel], known: Sequence[int]) -> LocalModel:
    """All states of all neighbours are shared: a coupling that is to be learned may be zero as yet."""
    own = models[i]
    everyone = sorted({*known, *own.A_ij})
    blocks = {j: own.A_ij.get(j, np.zeros((own.n, models[j].n))) for j in everyone}
    return replace(own, A_ij=blocks, declared={j: tuple(range(models[j].n)) for j in everyone})


def _parts(learning: Learning, base: LocalModel) -> list[Part]:
    fields = fields_of(base)
    parts: list[Part] = []
    for name in learning.parameters:
        if name == "A_ij":
            parts += [Free(("A_ij", j)) for j in base.A_ij]
        elif name.endswith("/factor"):
            parts.append(SemidefiniteFactor(name.split("/")[0]))
        elif name in learning.scale:
            parts.append(_scaled(name, learning.scale[name], fields[name]))
        elif name != "ties":
            parts.append(Free(name))
    return parts


def _scaled(name: str, unit: float, field: Array) -> Shared:
    """The field in units of `unit`: field = unit theta."""
    basis = unit * np.eye(field.size).reshape(field.shape * 2)
    return Shared(name, {name: basis}, field / unit)


def _started(
    start: str | Mapping[str, Mapping[str, Any]], names: Sequence[str], initial: Sequence[Theta]
) -> tuple[dict[str, Array], ...]:
    """Where learning starts: the parametrizations' own values, with those of the table in their place."""
    theta = [dict(own) for own in initial]
    for agent, values in start.items() if not isinstance(start, str) else ():
        if agent not in (*names, _EVERYBODY):
            raise ExperimentError(f"learning.start: {_unknown(agent, (*names, _EVERYBODY), 'agent')}")
        for own, name in zip(theta, names, strict=True):
            if agent in (name, _EVERYBODY):
                own |= {key: _value(f"learning.start.{agent}", key, given, own) for key, given in values.items()}
    return tuple(theta)


def _value(where: str, name: str, given: Any, own: Theta) -> Array:
    if name not in own:
        raise ExperimentError(f"{where}: {_unknown(name, own, 'parameter')}")
    try:
        value = np.asarray(given, dtype=np.float64)
    except ValueError:
        value = np.zeros(0)
    if value.shape != np.shape(own[name]):
        raise ExperimentError(f"{where}: {name} has shape {np.shape(own[name])}, got {value.shape}")
    return value


def _centralised(section: Mpc) -> CentralizedMpc:
    values = {key: getattr(section, key) for key in Mpc.model_fields if key not in ("kind", "solver")}
    given = {key: value for key, value in values.items() if value is not None}
    return CentralizedMpc.model_validate({**given, "kind": "centralized_mpc"})


def _schedule(given: float | GeometricSection) -> Geometric:
    return Geometric(given.start, given.factor) if isinstance(given, GeometricSection) else Geometric(given)


def _exploration(given: ExplorationSection) -> Exploration:
    return Exploration(_schedule(given.probability), given.strength, given.distribution)


def _projection(given: SetSection) -> Projection:
    if given.within is not None:
        return within(*given.within)
    return semidefinite(given.semidefinite) if given.semidefinite is not None else at_least(given.at_least or 0.0)


def _unknown(name: str, known: Any, what: str) -> str:
    near = get_close_matches(name, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
    return f"{what} {name!r} does not exist; {hint}"
