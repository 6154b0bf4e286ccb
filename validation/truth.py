"""What a controller is held against: its own problem, solved by one central program, and how a broken law is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.certificate import Certificate, certify
from dmpcrl_ctrl.controllers import CentralizedMPC
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.errors import LawError, LawInapplicableError
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.network import coupling_components
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.value import Evaluation

_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class Truth:
    """The central solution of a controller's problem at one state.

    Attributes
    ----------
    problem, signals, data
        The network's problem; which signal is whose; what every agent knows.
    state, action
        (n,) and (m,) or None: what is evaluated.
    central
        The central evaluation.
    size
        Sum of the absolute terms of its cost, or 1e-6 if that is more: what values are relative to.
    """

    problem: MPCProblem
    signals: Signals
    data: tuple[AgentData, ...]
    state: Array
    action: Array | None
    central: Evaluation
    size: float

    @property
    def names(self) -> tuple[str, ...]:
        """Of the agents."""
        return self.problem.names

    def split_action(self) -> tuple[Array, ...] | None:
        """The action by agent."""
        return None if self.action is None else self.signals.split(self.action)

    def certificate(self, plans: Sequence[Plan], duals: Sequence[Duals]) -> Certificate:
        """Optimality of plans and multipliers, by the problem alone."""
        points = agent_points(self.problem, self.data, plans, duals)
        return certify(points, coupling_components(self.problem), self.split_action())

    def broken(self, law: str, expected: str, found: str, error: float) -> NoReturn:
        """Raise the LawError of this state."""
        asked = f"state {text(self.state)}" + ("" if self.action is None else f", action {text(self.action)}")
        raise LawError(f"{law}: expected {expected}, found {found} (off by {error:.3g}) at {asked}")


def signals_of(controller: Any) -> Signals:
    """Of the controller; those of the agents one after the other where it has none."""
    found = getattr(controller, "signals", None)
    return found if isinstance(found, Signals) else Signals.of_names(controller.problem)


def solved(controller: Any, state: ArrayLike, action: ArrayLike | None, given: Mapping[str, Any]) -> Truth:
    """The truth about a controller at a state; LawInapplicableError where the central problem has no solution."""
    problem, signals = controller.problem, signals_of(controller)
    central = _reference(problem, signals).evaluate(state, action, **given)
    if central.question is None:
        raise LawInapplicableError(f"the problem has no solution here: {central.status.message}")
    points = agent_points(problem, central.question.data, central.plans, central.duals)
    size = sum(abs(term) for point in points for term in point.costs())
    vectors = np.asarray(state, dtype=float), None if action is None else np.asarray(action, dtype=float)
    return Truth(problem, signals, central.question.data, *vectors, central, max(size, _LEAST))


def evaluated(controller: Any, truth: Truth, given: Mapping[str, Any]) -> Evaluation:
    """What the controller finds; LawInapplicableError where it says that it failed."""
    found: Evaluation = controller.evaluate(truth.state, truth.action, **given)
    if not found.status.ok:
        raise LawInapplicableError(f"the evaluation failed: {found.status.message}")
    return found


def apart(found: Array, expected: Array) -> float:
    """Largest difference of two arrays, by column relative to its largest entry; infinite where one is no number."""
    if not expected.size:
        return 0.0
    size = np.abs(expected).max(axis=0)
    size = np.maximum(size, max(_LEAST * float(np.max(size)), _LEAST**2))
    return float(np.nan_to_num(np.abs(found - expected) / size, nan=np.inf).max())


def text(vector: Array) -> str:
    """A vector as it can be typed."""
    return repr(np.asarray(vector, dtype=float).tolist())


@lru_cache(maxsize=8)
def _reference(problem: MPCProblem, signals: Signals) -> CentralizedMPC:
    return CentralizedMPC(problem, 1.0, signals)
