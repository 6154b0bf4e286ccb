"""What blocks that learn around an MPC have in common: its signals, parameters and their sets, what is trusted."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.consensus import ADMMState
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.controllers.iosystem import ControllerSystem
from dmpcrl_ctrl.controllers.mpc import MPC, MPCState
from dmpcrl_ctrl.controllers.records import data_fields
from dmpcrl_ctrl.errors import LearningError, ModelError
from dmpcrl_ctrl.exploration import Exploration
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.projection import Projection
from dmpcrl_ctrl.qlearning import moved
from dmpcrl_ctrl.schedule import Geometric
from dmpcrl_ctrl.value import Evaluation

Theta = Mapping[str, Array]

_ROUNDING = 1e-8


@dataclass(frozen=True, eq=False)
class LearnerState:
    """What every block that learns carries from sample to sample.

    Attributes
    ----------
    mpc
        Of the block that is learned; its evaluator belongs to `theta`.
    theta
        Parameters, one mapping an agent.
    seed, updates, transitions, skipped
        Of the random numbers; updates so far; transitions learned from, and those that were not.
    last
        What the next sample looks back on; None at a start.
    """

    mpc: MPCState
    theta: tuple[Theta, ...]
    seed: int
    updates: int = 0
    transitions: int = 0
    skipped: int = 0
    last: Any = None


State = TypeVar("State", bound=LearnerState)


class LearningBlock(ABC):
    """A block that keeps the signals and options of the MPC it learns; use :class:`LearningMPC` or the like.

    Parameters
    ----------
    mpc
        The block: its evaluator, iterations and signals are used, its models only where no parametrization moves them.
    parametrizations
        One an agent: theta -> LocalModel.
    step_size
        alpha by update, or a constant.
    update_every
        Transitions between two updates.
    exploration
        How inputs are tried out.
    sets
        Convex sets of parameters; see :func:`~dmpcrl_ctrl.projection.projected`.
    trust
        Largest relative residual of the optimality conditions at which is learned; None: always.
    theta
        Where to start; the parametrizations' own where None.
    name
        In the log.

    Raises
    ------
    LearningError
        Parametrizations that do not belong to the block's agents; a number out of its range.
    """

    def __init__(
        self,
        mpc: MPC,
        parametrizations: Sequence[Parametrization],
        step_size: float | Callable[[int], float],
        update_every: int,
        exploration: Exploration,
        sets: Mapping[str, Projection] | None,
        trust: float | None,
        theta: Sequence[Theta] | None,
        name: str,
    ) -> None:
        names = mpc.problem.names
        if len(parametrizations) != len(names):
            raise LearningError(f"{len(names)} agents need as many parametrizations, got {len(parametrizations)}")
        if isinstance(update_every, bool) or int(update_every) != update_every or update_every < 1:
            raise LearningError(f"update_every must be a whole number of at least 1, got {update_every!r}")
        if trust is not None and not trust > 0.0:
            raise LearningError(f"trust must be a positive residual or None, got {trust!r}")
        if mpc.delay:
            raise LearningError("a block with a computation delay cannot be learned: its input acts on a later state")
        self.mpc = mpc
        self.parametrizations = tuple(parametrizations)
        self.step_size = step_size if callable(step_size) else Geometric(float(step_size))
        self.update_every = int(update_every)
        self.exploration = exploration
        self.sets = {} if sets is None else dict(sets)
        self.trust = trust
        self.theta = tuple(made.initial for made in self.parametrizations) if theta is None else tuple(theta)
        self.name = name
        self.sample_time, self.offset, self.preview = mpc.sample_time, mpc.offset, mpc.preview
        self.inputs, self.outputs = mpc.inputs, mpc.outputs
        self.models_at(self.theta)

    @abstractmethod
    def init(self, seed: int) -> LearnerState:
        """A state with workspaces of its own; what agents draw at random comes from the seed and the sample."""

    @abstractmethod
    def step(
        self, state: Any, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[Any, Array, dict[str, Any]]:
        """One sample: state, measurement, what was applied and what it cost -> state, output, record."""

    def resumed(self, state: State) -> State:
        """Another run's state with workspaces of its own, and nothing to look back on: the plant starts anew."""
        return replace(state, mpc=self._workspaces(state.seed, state.theta), last=None)

    def restored(self, kept: Mapping[str, Any]) -> LearnerState:
        """The state of which `kept` is all but its workspaces and `last`, by name."""
        return self.resumed(replace(self.init(0), **kept))

    @property
    def fields(self) -> tuple[Field, ...]:
        """What each step's record holds."""
        agents = len(self.mpc.problem.models)
        own = [
            Field("td_error", (agents,), long_name="each agent's belief of the temporal difference", dims=("agent",)),
            Field("exploring", (agents,), "i1", long_name="whether each agent explores", dims=("agent",)),
            Field("updates", dtype="i4", long_name="updates so far"),
            Field("skipped", dtype="i4", long_name="transitions not learned from so far"),
        ]
        for name, theta in zip(self.mpc.problem.names, self.theta, strict=True):
            own += [Field(f"theta/{name}/{part}", np.shape(value)) for part, value in theta.items()]
        known = () if self.preview else data_fields(self.mpc.problem)
        return self.mpc.fields + known + tuple(own)

    def models_at(self, theta: Sequence[Theta]) -> MPCProblem:
        """The network's problem at `theta`.

        Raises
        ------
        ModelError
            The parameters make no model.
        """
        models = tuple(made.model(own) for made, own in zip(self.parametrizations, theta, strict=True))
        return replace(self.mpc.problem, models=models)

    def controller(self, theta: Sequence[Theta] | None = None) -> MPC:
        """The block with its parameters frozen, to be deployed: at `theta`, or where learning starts from."""
        return self.mpc.with_problem(self.models_at(self.theta if theta is None else theta))

    def to_iosystem(self, theta: Sequence[Theta] | None = None, **options: Any) -> ControllerSystem:
        """The frozen controller at `theta` for python-control, which learns nothing.

        Parameters
        ----------
        theta
            As for :meth:`controller`.
        **options
            As for :meth:`CentralizedMPC.to_iosystem <dmpcrl_ctrl.controllers.iosystem.AsIOSystem.to_iosystem>`.
        """
        return self.controller(theta).to_iosystem(**{"name": self.name, **options})

    def _workspaces(self, seed: int, theta: Sequence[Theta]) -> MPCState:
        fresh = self.mpc.init(seed)
        return replace(fresh, evaluator=fresh.evaluator.with_problem(self.models_at(theta)), reference=None)

    def _trusted(self, evaluation: Evaluation) -> bool:
        if not evaluation.status.ok:
            return False
        return self.trust is None or evaluation.residual <= self.trust

    def _moved(
        self, mpc: MPCState, theta: Sequence[Theta], steps: Sequence[Array], update: int
    ) -> tuple[tuple[Theta, ...], MPCState]:
        """The parameters after a step, each in its set, and the block's state at them."""
        after = tuple(moved(own, step, self.sets) for own, step in zip(theta, steps, strict=True))
        try:
            evaluator = mpc.evaluator.with_problem(self.models_at(after))
        except ModelError as error:
            raise LearningError(f"update {update} left the models that there are: {error}") from error
        return after, replace(mpc, evaluator=evaluator)

    def _learning_record(
        self, theta: Sequence[Theta], td: Array, q: Sequence[Array], updates: int, skipped: int
    ) -> dict[str, Any]:
        record: dict[str, Any] = {
            "td_error": td,
            "exploring": np.array([own.any() for own in q]),
            "updates": updates,
            "skipped": skipped,
        }
        for name, own in zip(self.mpc.problem.names, theta, strict=True):
            record |= {f"theta/{name}/{part}": value for part, value in own.items()}
        return record


def same_action(action: Sequence[Array], policy: Sequence[Array]) -> bool:
    """Equal to rounding."""
    return all(np.allclose(a, b, rtol=_ROUNDING, atol=_ROUNDING) for a, b in zip(action, policy, strict=True))


def again(found: Evaluation) -> ADMMState | None:
    """Where ADMM starts from for another question at the same state."""
    return None if found.memory is None else replace(found.memory, factor=1.0)
