"""The two examples of Mallick, Airaldi, Dabiri and De Schutter (Automatica, 2024): plants, controllers, learning.

Variants: "published" follows the published code, "text" the paper where the two differ, "default" what is right: an
unbiased temporal difference, parameters that stay in their convex sets, second order, and exploration that never ends.
As published, exploration in example 1 is over after some 1,000 samples; from then on nothing tells how much another
input would cost, and what is learned drifts: of five trainings one is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC, LearningMPC, PolicyLearning, Signals
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.exploration import Exploration
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free, Part, Shared
from dmpcrl_ctrl.plants import Plant, chain, power_network
from dmpcrl_ctrl.plants.chain import chain_model
from dmpcrl_ctrl.plants.held_parameters import tie_parameters
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.projection import at_least, semidefinite
from dmpcrl_ctrl.replay import Replay
from dmpcrl_ctrl.schedule import Geometric

Variant = Literal["default", "published", "text"]
Order = Literal[1, 2]
_ORDER: dict[str, Order] = {"default": 2, "published": 1, "text": 1}
_CHAIN_PARAMETERS = ("V0", "x_lb", "x_ub", "b", "f", "A", "B")
_CONVERGED = ADMMOptions(iterations=200, tolerance=1e-11)

# where the agents of example 2 start: P_12, P_21, P_23, P_32, P_34, P_43
_TIES = {
    "area_1": {"P_ij/area_2": 4.7675},
    "area_2": {"P_ij/area_1": 3.2621, "P_ij/area_3": 2.7460},
    "area_3": {"P_ij/area_2": 3.3385, "P_ij/area_4": 0.0732},
    "area_4": {"P_ij/area_3": 3.0006},
}


def chain_plant(*, evaluation: bool = False, variant: Variant = "default") -> Plant:
    """Example 1. Noise apart an agent in training, common to all in evaluation; violations cost 60, in the text 100."""
    _require(variant)
    price: dict[str, Any] = {"violation_weight": 100.0, "Q": [1.0] * 6, "R": [0.5] * 3} if variant == "text" else {}
    return chain(noise="common" if evaluation else True, **price)


def power_plant(*, variant: Variant = "default") -> Plant:
    """Example 2: scenario 1 with the paper's input limits, uniform load noise of 0.1, violations at 500, or 2500.

    The stage cost counts the power on the ties as well, 1/2 sum over i and j in N_i of |P_ij (dtheta_i - dtheta_j)|.
    """
    _require(variant)
    price = 2500.0 if variant == "text" else 500.0
    return power_network(1, input_limits="learning", load_noise=0.1, violation_weight=price, tie_cost=1.0)


def chain_mpc(
    *, distributed: bool = True, variant: Variant = "default", true_model: bool = False, **options: Any
) -> DistributedMPC | CentralizedMPC:
    """The MPC of example 1 before it has learned: N = 10, gamma = 0.9.

    Parameters
    ----------
    distributed
        Agents, or one central controller, of the same problem.
    variant
        "published" starts with the upper bound on the first states at 2.
    true_model
        The true dynamics instead of the inexact ones.
    **options
        Of the controller.
    """
    _require(variant)
    plant = chain_plant(variant=variant)
    offset = np.array([1.0, 0.0]) if variant == "published" and not true_model else np.zeros(2)
    price: dict[str, Any] = {}
    if variant == "text":
        price = {"Q": np.eye(2), "R": np.full((1, 1), 0.5), "slack_weight": np.full(2, 100.0)}
    models = tuple(replace(model, x_ub=offset, **price) for model in chain_model(true_model))
    agents = plant.agents
    problem = MPCProblem(models, 10, 0.9, tuple(agent.name for agent in agents))
    signals = Signals.of_names(problem, [agent.states for agent in agents], [agent.inputs for agent in agents])
    return _controller(problem, signals, distributed, options)


def chain_learning(
    *, distributed: bool = True, variant: Variant = "default", order: Order | None = None, **options: Any
) -> LearningMPC:
    """Example 1 as it learns: V0, both offsets of the bounds, b, f, A, B and A_ij of every agent.

    Parameters
    ----------
    distributed, variant
        As for :func:`chain_mpc`.
    order
        A whole recipe. 1: steps, batches and exploration as published; 2: Gauss-Newton with its own, and agents that
        explore at half of their samples for good. The default variant's is 2, that of the others 1.
    **options
        Of :class:`~dmpcrl_ctrl.controllers.LearningMPC`.
    """
    mpc = chain_mpc(distributed=distributed, variant=variant, certify=False)
    first: dict[str, Any] = {
        "step_size": Geometric(6e-5, 0.9996),
        "update_every": 2,
        "replay": Replay(100, 15, 10),
        "exploration": _exploration(Geometric(0.7, 0.99), 1.0, variant),
    }
    second: dict[str, Any] = {
        "method": "gauss_newton",
        "step_size": 1e-3,
        "update_every": 5,
        "replay": Replay(5, 5, 5),
        "exploration": _exploration(Geometric(0.5), 1.0, variant),
    }
    made = [_free(model, _CHAIN_PARAMETERS) for model in mpc.problem.models]
    return _learning(mpc, made, variant, order, (first, second), options)


def chain_policy_learning(*, distributed: bool = True, **options: Any) -> PolicyLearning:
    """Example 1 with the same parameters, by a policy gradient; options of `PolicyLearning`."""
    mpc = chain_mpc(distributed=distributed, certify=False)
    return PolicyLearning(
        mpc,
        [_free(model, _CHAIN_PARAMETERS) for model in mpc.problem.models],
        **{
            "step_size": 0.03,
            "update_every": 50,
            "ridge": 1e-2,
            "exploration": Exploration(Geometric(1.0), 0.3),
            **options,
        },
    )


def power_mpc(
    *, distributed: bool = True, variant: Variant = "default", **options: Any
) -> DistributedMPC | CentralizedMPC:
    """The MPC of example 2 with the true model: N = 5, gamma = 0.9, each area's own hold, no terminal cost."""
    plant = power_plant(variant=variant)
    made = tie_parameters(plant, 1.0)
    problem = MPCProblem(tuple(own.base for own in made), 5, 0.9, tuple(agent.name for agent in plant.agents))
    return _controller(problem, Signals.of_plant(plant, plant.local_models(1.0)), distributed, options)


def power_learning(
    *, distributed: bool = True, variant: Variant = "default", order: Order | None = None, **options: Any
) -> LearningMPC:
    """Example 2 as it learns: V0, both offsets of the angle's bounds, b, f, Q, R and the stiffness of every tie.

    It starts from ties that are wrong by up to a factor of 27, and Q = diag(500, 0.1, 0.1, 10). In the default variant
    Q and R stay semidefinite and the stiffness positive. Parameters as for :func:`chain_learning`. As published, an
    update is made at the end of every episode of 100 samples; by second order every 20 samples.
    """
    plant, mpc = power_plant(variant=variant), power_mpc(distributed=distributed, variant=variant, certify=False)
    # the offset of the dynamics is learned in tenths, so that a step moves it by a hundredth
    offset = Shared("b", {"b": 0.1 * np.eye(4)}, np.zeros(4))
    parts: list[Part] = [*(Free(name) for name in ("V0", "x_lb", "x_ub", "f", "Q", "R")), offset]
    made = tie_parameters(plant, 1.0, parts)
    weights = {"Q": np.diag([500.0, 0.1, 0.1, 10.0])}
    theta = [
        {name: np.asarray((weights | ties).get(name, value), dtype=float) for name, value in own.initial.items()}
        for own, ties in zip(made, (_TIES[name] for name in mpc.problem.names), strict=True)
    ]
    sets = {"Q": semidefinite(), "R": semidefinite(1e-3), "P_ij": at_least(1e-3)} if variant == "default" else None
    first: dict[str, Any] = {
        "step_size": Geometric(7e-7, 0.98),
        "update_every": 100,
        "replay": Replay(300, 150, 100),
        "exploration": _exploration(Geometric(0.5, 0.8), 0.04, variant),
    }
    second: dict[str, Any] = {
        "method": "gauss_newton",
        "step_size": Geometric(1e-5, 0.96),
        "update_every": 20,
        "replay": Replay(20, 20, 20),
        "exploration": _exploration(Geometric(0.5), 0.04, variant),
    }
    return _learning(mpc, made, variant, order, (first, second), {"sets": sets, "theta": theta, **options})


def _controller(
    problem: MPCProblem, signals: Signals, distributed: bool, options: Mapping[str, Any]
) -> DistributedMPC | CentralizedMPC:
    if distributed:
        return DistributedMPC(problem, 1.0, signals, **{"admm": _CONVERGED, **options})
    return CentralizedMPC(problem, 1.0, signals, **options)


def _free(model: LocalModel, names: Sequence[str]) -> Parametrization:
    return Parametrization(model, [*map(Free, names), *(Free(("A_ij", j)) for j in model.A_ij)])


def _exploration(probability: Geometric, strength: float, variant: Variant) -> Exploration:
    return Exploration(probability, strength, "uniform" if variant == "text" else "normal")


def _learning(
    mpc: DistributedMPC | CentralizedMPC,
    made: Sequence[Parametrization],
    variant: Variant,
    order: Order | None,
    recipes: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> LearningMPC:
    """Learning by the recipe of an order, with what the variants of both examples differ in."""
    if order not in (None, 1, 2):
        raise LearningError(f"order is 1, 2 or None, got {order!r}")
    unbiased = variant == "default"
    common = {"perturbed_target": not unbiased, "trust": 1e-3 if unbiased else None}
    return LearningMPC(mpc, made, **{**recipes[(order or _ORDER[variant]) - 1], **common, **options})


def _require(variant: str) -> None:
    if variant not in _ORDER:
        raise LearningError(f"variant is one of {', '.join(_ORDER)}, got {variant!r}")
