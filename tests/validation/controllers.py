"""Controllers for the tests of the laws: honest ones, and some with one planted fault each."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.channel import EVERYBODY, Kind, Message
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.controllers.mpc import MPC
from dmpcrl_ctrl.plants import chain_model, power_network
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.random_problems import Blueprint, random_problem
from dmpcrl_ctrl.value import Evaluation

CONVERGED = ADMMOptions(iterations=3000, tolerance=1e-10)
CHAIN_STATE = [0.3, 0.1, 0.5, -0.2, 0.7, 0.2]
RANDOM = Blueprint(((2, 1), (1, 1), (3, 2)), ((0, 1), (2, 1)), 3, frozenset({"soft_bounds", "input_bounds"}), 4)


def chain_problem() -> MPCProblem:
    """The chain with a shorter horizon."""
    return MPCProblem(chain_model(True), 5, 0.9)


@cache
def honest(kind: str, example: str) -> MPC:
    """A controller of an example whose evaluations are as good as can be, "central" or "distributed"."""
    distributed = kind == "distributed"
    options: dict[str, Any] = {"admm": CONVERGED} if distributed else {}
    block = DistributedMPC if distributed else CentralizedMPC
    if example == "power":
        plant = power_network(scenario=1, violation_weight=500.0)
        return block.for_plant(plant, 5, discount=0.9, hold="area", **options)
    problem = chain_problem() if example == "chain" else random_problem(RANDOM)[0]
    return block(problem, 1.0, **options)


def state_of(controller: MPC, seed: int = 0) -> np.ndarray:
    """A random state, small enough for each of the examples."""
    return np.random.default_rng(seed).uniform(0.05, 0.2, len(controller.signals.states))


class Faulty(CentralizedMPC):
    """Alters what an evaluation says."""

    fault: Callable[[Evaluation], Evaluation]

    def evaluate(self, state: ArrayLike, action: ArrayLike | None = None, **given: Any) -> Evaluation:
        """The evaluation with the fault."""
        found = super().evaluate(state, action, **given)
        return type(self).fault(found) if found.status.ok else found


def planted(fault: Callable[[Evaluation], Evaluation]) -> Faulty:
    """A controller of the chain with this fault."""
    return type("Planted", (Faulty,), {"fault": staticmethod(fault)})(chain_problem(), 1.0)


def flipped_dual(found: Evaluation) -> Evaluation:
    """The sign of one multiplier of the dynamics is turned."""
    dynamics = found.duals[1].dynamics.copy()
    dynamics[2, 1] *= -1.0
    return replace(found, duals=(found.duals[0], replace(found.duals[1], dynamics=dynamics), found.duals[2]))


def dropped_coupling_gradient(found: Evaluation) -> Evaluation:
    """The derivative by A_ij is zero."""
    altered = replace(found)
    vars(altered)["gradient"] = tuple(
        {**own, "A_ij": {j: np.zeros_like(block) for j, block in own["A_ij"].items()}} for own in found.gradient
    )
    return altered


def perturbed_value(found: Evaluation) -> Evaluation:
    """V, but not Q, is off by 1e-4."""
    of_v = found.question is not None and found.question.action is None
    return replace(found, value=found.value * (1.0 + 1e-4)) if of_v else found


def other_input(found: Evaluation) -> Evaluation:
    """The input is not the policy."""
    return replace(found, action=tuple(a + 1e-2 for a in found.action))


def lost_sum(found: Evaluation) -> Evaluation:
    """One agent's belief lags behind."""
    beliefs = found.agreed_values.copy()
    beliefs[0] *= 0.999
    return replace(found, agreed_values=beliefs)


class Leaky(DistributedMPC):
    """Sends out one message more than it should."""

    extra: Message

    def evaluate(self, state: ArrayLike, action: ArrayLike | None = None, **given: Any) -> Evaluation:
        """The evaluation, and the message."""
        if self._transport is not None:
            self._transport.carry(type(self).extra)
        return super().evaluate(state, action, **given)


def leaky(kind: Kind, sender: int, receiver: int, values: ArrayLike) -> Leaky:
    """A controller of the chain with this message."""
    message = Message(kind, sender, receiver, np.asarray(values, dtype=float))
    return type("Leaking", (Leaky,), {"extra": message})(chain_problem(), 1.0, admm=ADMMOptions(iterations=5))


LEAKS = {
    "Q in a sum": lambda: leaky(Kind.SCALARS, 0, EVERYBODY, chain_problem().models[0].Q),
    "B among prices": lambda: leaky(Kind.PRICE, 0, 1, chain_problem().models[0].B),
    "A among states": lambda: leaky(Kind.PLAN, 1, 0, chain_problem().models[1].A[:1]),
    "a coupling": lambda: leaky(Kind.PROPOSAL, 1, 2, chain_problem().models[1].A_ij[2][1:]),
    "to a stranger": lambda: leaky(Kind.STATE, 0, 2, [0.1234]),
    "too long": lambda: leaky(Kind.AGREED, 0, 1, np.full(100, 0.1234)),
    "a long sum": lambda: leaky(Kind.SCALARS, 0, EVERYBODY, np.full(100, 0.1234)),
}
