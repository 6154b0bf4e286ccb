"""The law that the order in which agents are numbered does not matter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.errors import LawInapplicableError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.truth import apart, evaluated, solved, text

_OPTIONS = ("solver", "admm", "averaging_rounds", "averaging", "acceleration")


def check_order(
    controller: Any,
    state: ArrayLike,
    action: ArrayLike | None = None,
    *,
    tolerance: float = 1e-6,
    seed: int = 0,
    **given: Any,
) -> float:
    """Value and inputs do not depend on the order of the agents.

    The block is built anew for the problem with its agents in another order (by `seed`): by its own method
    `rebuilt(problem)` if it has one, whose signals are then the agents' one after the other.
    """
    law, truth = "the order of agents does not matter", solved(controller, state, action, given)
    order = np.random.default_rng(seed).permutation(len(truth.names))
    found, other = evaluated(controller, truth, given), rebuilt(controller, reordered(truth.problem, order))
    signals = truth.signals
    asked = [_in_order(truth.state, signals.state_index, order)]
    asked += [] if truth.action is None else [_in_order(truth.action, signals.input_index, order)]
    again = other.evaluate(*asked, **_given_in_order(given, signals, order))
    if not again.status.ok:
        truth.broken(law, f"{found.status.message} in the order {order.tolist()}", again.status.message, np.inf)
    worst = float(abs(again.value - found.value) / truth.size)
    if not worst <= tolerance:
        truth.broken(law, f"{found.value:.12g} in the order {order.tolist()}", f"{again.value:.12g}", worst)
    for k, i in enumerate(order):
        error = apart(again.action[k][None], found.action[i][None])
        # the value is flat at its least: inputs are known to the root of what it is
        if not error <= np.sqrt(tolerance):
            truth.broken(law, f"{text(found.action[i])} of {truth.names[i]}", text(again.action[k]), error)
    return worst


def reordered(problem: MPCProblem, order: Sequence[int] | Index) -> MPCProblem:
    """The same problem with agent order[k] as its agent k."""
    place = {int(old): new for new, old in enumerate(order)}

    def moved(model: LocalModel) -> LocalModel:
        couplings = ("A_ij", "C_ij", "G_ij", "declared")
        renamed: dict[str, Any] = {
            name: {place[j]: part for j, part in getattr(model, name).items()} for name in couplings
        }
        return replace(model, **renamed)

    models, names = zip(*((moved(problem.models[i]), problem.names[i]) for i in order), strict=True)
    return replace(problem, models=models, names=names)


def rebuilt(controller: Any, problem: MPCProblem) -> Any:
    """The controller for another problem, with its own options.

    Raises
    ------
    LawInapplicableError
        Nothing is known of how to build it.
    """
    if hasattr(controller, "rebuilt"):
        return controller.rebuilt(problem)
    if not isinstance(controller, (CentralizedMPC, DistributedMPC)):
        raise LawInapplicableError("it cannot be built anew: it has no method rebuilt(problem)")
    options = {name: getattr(controller, name) for name in _OPTIONS if hasattr(controller, name)}
    return type(controller)(problem, controller.sample_time, **options)


def _given_in_order(given: Mapping[str, Any], signals: Any, order: Index) -> dict[str, Any]:
    """What `evaluate` takes besides, in the order of the agents."""
    moved: dict[str, Any] = {}
    if given.get("setpoint") is not None:
        x_ref, u_ref = given["setpoint"]
        moved["setpoint"] = _in_order(x_ref, signals.state_index, order), _in_order(u_ref, signals.input_index, order)
    for name, index in (("disturbance", signals.disturbance_index), ("previous_input", signals.input_index)):
        if given.get(name) is not None:
            moved[name] = _in_order(given[name], index, order)
    return moved


def _in_order(vector: ArrayLike, index: Sequence[Index], order: Index) -> Array:
    """Parts of the last axis, one an agent, one after the other."""
    return np.concatenate([np.asarray(vector, dtype=float)[..., index[i]] for i in order], axis=-1)
