"""Agents that share one number and whose ADMM iterations are known in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.channel import Neighbourhood, Transport
from dmpcrl_ctrl.consensus import Held, LocalFailure
from dmpcrl_ctrl.qp import QPSolution
from dmpcrl_ctrl.status import Status

NONE = np.zeros(0)
ALL_SHARE_ONE = [Held(np.array([0]), np.array([0])) for _ in range(3)]


def circle(held: Sequence[Held], transport: Transport | None = None) -> Neighbourhood:
    """Everything belongs to agent 0."""
    size = 1 + max(int(h.shared.max()) for h in held)
    return Neighbourhood(np.zeros(size, dtype=np.intp), tuple(h.shared for h in held), transport)


@dataclass(frozen=True)
class Solved:
    """An answer whose variables are all shared."""

    shared: np.ndarray
    status: Status = Status.OPTIMAL

    def solution(self) -> QPSolution:
        return QPSolution(self.shared, NONE, NONE, NONE, self.status)


@dataclass
class Scalar:
    """f(x) = h/2 (x - c)^2 on [low, high], penalised with weight w."""

    h: float
    c: float
    w: float = 1.0
    low: float = -np.inf
    high: float = np.inf
    x: float = np.nan

    def solve(self, linear: np.ndarray, factor: float) -> Solved:
        x = np.clip((self.h * self.c - linear) / (self.h + factor * self.w), self.low, self.high)
        self.x = float(x[0])
        return Solved(np.asarray(x))

    def law(self, factor: float) -> np.ndarray | None:
        """Zero at a bound."""
        return np.array([[0.0 if self.x in (self.low, self.high) else 1.0 / (self.h + factor * self.w)]])


@dataclass(frozen=True)
class AllSolved:
    """The answers of all agents."""

    answers: Sequence[Solved]
    sound: bool = True

    @property
    def shared(self) -> np.ndarray:
        return np.concatenate([answer.shared for answer in self.answers])

    def solutions(self) -> tuple[QPSolution, ...]:
        return tuple(answer.solution() for answer in self.answers)


@dataclass(frozen=True)
class OneByOne:
    """Agents that hold one number each, solved one after the other."""

    agents: Sequence[Scalar]

    def solve(self, linear: np.ndarray, factor: float) -> AllSolved:
        answers = []
        for i, agent in enumerate(self.agents):
            answers.append(agent.solve(linear[i : i + 1], factor))
            if not answers[-1].status.ok:
                raise LocalFailure(i, answers[-1].status)
        return AllSolved(answers)

    def laws(self, factor: float) -> tuple[np.ndarray | None, ...]:
        return tuple(agent.law(factor) for agent in self.agents)
