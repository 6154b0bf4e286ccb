"""How exact V, Q and their gradients are, ours and the peer's, along one trajectory of the learning controller."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peer import PeerError, PeerProcess
from benchmarks.peer_numbers import EXAMPLES
from benchmarks.training import LEARNING
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.controllers import LearningMPC
from dmpcrl_ctrl.controllers.learning_block import again
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.value import Evaluation, agent_data

_LOADS = {"chain": (0.0, 0.0, 0.0), "power": (0.15, -0.15, 0.12, 0.28)}
# IPOPT moves bounds by 1e-8, slacks' own as well: at their price the peer's V is low by up to 1e-4
_SAME = 1e-4


@dataclass(frozen=True)
class Errors:
    """The largest error of V and Q, and of an entry of their gradients by the parameters, over a trajectory."""

    value: float
    gradient: float

    def __str__(self) -> str:
        return f"{self.value:.1e} and {self.gradient:.1e}"

    def within(self, other: "Errors") -> bool:
        """Whether neither is larger than the other's."""
        return self.value <= other.value and self.gradient <= other.gradient


@dataclass(frozen=True, eq=False)
class Trajectory:
    """States that training meets, the inputs that it tries there, and exact values and gradients.

    Attributes
    ----------
    example, block
        Name of the example, and the controller at the parameters that it starts from.
    loads
        One an agent, constant; measured.
    data, actions
        At each sample: what the agents know, and inputs for Q.
    exact
        At each sample the evaluations of V and of Q by one program of the network.
    """

    example: str
    block: LearningMPC
    loads: Array
    data: list[tuple[AgentData, ...]]
    actions: list[tuple[Array, ...]]
    exact: list[tuple[Evaluation, Evaluation]]

    def by_theta(self, found: Evaluation) -> list[dict[str, Array]]:
        """The gradient of an evaluation by every agent's parameters."""
        parts = zip(self.block.parametrizations, self.block.theta, found.gradient, strict=True)
        return [made.pullback(theta, gradient) for made, theta, gradient in parts]

    def theirs(self, found: Sequence[Mapping[str, Any]], names: str = "VQ") -> Errors:
        """Errors of the peer, with the better of its two values: with the terms of the Lagrangian, or without."""
        values, gradients = [], []
        for here, exact in zip(found, self.exact, strict=True):
            for name, best in zip(names, exact, strict=False):
                given = [here[key] for key in (name, f"{name}_cost") if key in here]
                values.append(min(abs(value - best.value) for value in given))
                gradients.append(self._furthest(here[f"{name}_gradient"], self.by_theta(best)))
        return Errors(max(values), max(gradients))

    def ours(self, block: LearningMPC) -> Errors:
        """Errors of a block of ours, which carries what its agents agreed on from sample to sample as in training."""
        evaluator, memory = block.init(0).mpc.evaluator, None
        values, gradients = [], []
        for data, action, exact in zip(self.data, self.actions, self.exact, strict=True):
            v = evaluator.evaluate(data, memory=memory)
            pair = v, evaluator.evaluate(data, action, again(v))
            memory = evaluator.shifted(v.memory)
            for found, best in zip(pair, exact, strict=True):
                values.append(abs(found.value - best.value))
                gradients.append(self._furthest(self.by_theta(found), self.by_theta(best)))
        return Errors(max(values), max(gradients))

    def require_same(self, peer: PeerProcess) -> Errors:
        """How far the peer's V and its gradient are from the exact ones where it solves one program of the network.

        Raises
        ------
        PeerError
            So far that its problem is another one.
        """
        found = self.theirs(peer.ask("central", example=self.example, **self.question(actions=False))["found"], "V")
        largest = max(1.0, *(abs(v.value) for v, _ in self.exact))
        steepest = max(1.0, *(np.abs(g).max() for v, _ in self.exact for own in self.by_theta(v) for g in own.values()))
        if not found.within(Errors(_SAME * largest, _SAME * steepest)):
            raise PeerError(f"the two problems differ: V and its gradient of one program by {found}")
        return found

    def question(self, *, actions: bool = True) -> dict[str, Any]:
        """States, inputs and loads, for the peer."""
        asked: dict[str, Any] = {"states": [_listed([d.state for d in data]) for data in self.data]}
        if actions:
            asked["actions"] = [_listed(action) for action in self.actions]
        return asked | {"loads": self.loads.tolist()}

    @staticmethod
    def _furthest(found: Sequence[Mapping[str, Any]], best: Sequence[Mapping[str, Array]]) -> float:
        pairs = [(own[name], exact[name]) for own, exact in zip(found, best, strict=True) for name in exact]
        return max(float(np.abs(np.ravel(one) - np.ravel(other)).max()) for one, other in pairs)


def trajectory(example: str, samples: int = 5, seed: int = 0) -> Trajectory:
    """The controller's own predictions, one sample each, with noise and inputs that explore."""
    block = LEARNING[example](variant="published", distributed=False)
    problem, stated, loads = block.models_at(block.theta), EXAMPLES[example](), np.array(_LOADS[example])
    evaluator, rng = CentralEvaluator(problem, "daqp"), np.random.default_rng(seed)
    states = np.split(stated.start, len(problem.models))
    found = Trajectory(example, block, loads, [], [], [])
    for _ in range(samples):
        data = _known(problem, states, loads)
        v = evaluator.evaluate(data)
        tried = [u + 0.1 * rng.standard_normal(m.m) * m.u_max for u, m in zip(v.action, problem.models, strict=True)]
        action = tuple(np.clip(u, m.u_min, m.u_max) for u, m in zip(tried, problem.models, strict=True))
        q = evaluator.evaluate(data, action)
        if not (v.status.ok and q.status.ok):
            raise RuntimeError(f"{example}: no exact solution: {v.status.message}, {q.status.message}")
        found.data.append(data)
        found.actions.append(action)
        found.exact.append((v, q))
        noise = stated.E @ rng.uniform(*stated.noise, stated.E.shape[1])
        after = np.concatenate([plan.x[1] for plan in q.plans]) + noise
        states = np.split(after, len(problem.models))
    return found


def _known(problem: MPCProblem, states: Sequence[Array], loads: Array) -> tuple[AgentData, ...]:
    """With the set points that follow the measured load; the chain has neither."""
    if not problem.models[0].d:
        return agent_data(problem, list(states))
    setpoints = [np.array([0.0, 0.0, load, load]) for load in loads]
    columns = list(loads[:, None])
    return agent_data(problem, list(states), columns, setpoints, columns)


def _listed(parts: Sequence[Array]) -> list[float]:
    joined: list[float] = np.concatenate(list(parts)).tolist()
    return joined
