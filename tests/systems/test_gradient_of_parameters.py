"""From theta to the value and back, for the examples of the paper: gradients of V and Q against differences.

A difference that spans a change of the active rows says nothing about a derivative; it is counted instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free, Part, SemidefiniteFactor, Shared
from dmpcrl_ctrl.plants import chain_model, power_network
from dmpcrl_ctrl.plants.held_parameters import tie_parameters
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.value import Evaluation, agent_data

Thetas = Sequence[Mapping[str, Array]]
States = list[Array]


def power() -> tuple[Parametrization, ...]:
    """What the paper learns: ties, offset, linear cost, weights, offsets of the angle's bounds."""
    factors = [SemidefiniteFactor("Q"), SemidefiniteFactor("R", floor=1.0)]
    plant = power_network(input_limits="learning", violation_weight=500.0)
    return tie_parameters(plant, 1.0, [Free("V0"), Free("b"), Free("f"), Free("x_lb"), Free("x_ub"), *factors])


def chain() -> tuple[Parametrization, ...]:
    """All of the dynamics, couplings that start at zero, and one price for both states."""
    made = []
    for model in chain_model():
        model = replace(model, A_ij={j: np.zeros((2, 2)) for j in model.declared})
        parts: list[Part] = [Free(name) for name in ("A", "B", "b", "f", "V0", "x_lb", "x_ub")]
        parts += [Free(("A_ij", j)) for j in model.declared]
        made.append(Parametrization(model, [*parts, Shared("price", {"slack_weight": [1.0, 1.0]})]))
    return tuple(made)


def power_states(rng: np.random.Generator) -> States:
    return [rng.normal(size=4) * [0.05, 0.02, 0.1, 0.1] for _ in range(4)]


def chain_states(rng: np.random.Generator) -> States:
    return [rng.uniform([0.0, -0.5], [1.0, 0.5]) for _ in range(3)]


def evaluation(
    learned: Sequence[Parametrization], thetas: Thetas, N: int, states: States, action: Sequence[Array] | None
) -> Evaluation:
    models = tuple(one.model(theta) for one, theta in zip(learned, thetas, strict=True))
    problem = MPCProblem(models, N, discount=0.9)
    found = CentralEvaluator(problem).evaluate(agent_data(problem, states), action)
    assert found.status.ok
    return found


def active_rows(found: Evaluation) -> NDArray[np.bool_]:
    """Which bounds have a multiplier, and which slacks are not zero."""
    bounds = [np.concatenate([d.lower, d.upper, d.slack, d.u_min, d.u_max], axis=1).ravel() for d in found.duals]
    slacks = [plan.sigma.ravel() for plan in found.plans]
    return np.concatenate([*bounds, *slacks]) > 1e-9


@pytest.mark.parametrize(
    ("made", "draw", "N"), [(power, power_states, 5), (chain, chain_states, 10)], ids=["power", "chain"]
)
@pytest.mark.parametrize("of", ["V", "Q"])
@pytest.mark.parametrize("count", [1, pytest.param(10, marks=pytest.mark.long)])
def test_the_gradient_is_the_slope_of_the_value(
    made: Callable[[], tuple[Parametrization, ...]],
    draw: Callable[[np.random.Generator], States],
    N: int,
    of: str,
    count: int,
) -> None:
    learned, rng, step = made(), np.random.default_rng(7), 1e-5
    errors: list[float] = []
    kinks = 0
    for _ in range(count):
        states = draw(rng)
        thetas = [{n: a + 0.05 * rng.normal(size=a.shape) for n, a in one.initial.items()} for one in learned]
        here = evaluation(learned, thetas, N, states, None)
        action = None
        if of == "Q":
            action = [0.5 * a for a in here.action]
            here = evaluation(learned, thetas, N, states, action)
        for i, one in enumerate(learned):
            slopes = one.pullback(thetas[i], here.gradient[i])
            largest = max(float(np.abs(slope).max()) for slope in slopes.values())
            for name in slopes:
                way = rng.uniform(-1.0, 1.0, slopes[name].shape)
                ends = []
                for h in (-2.0 * step, -step, step, 2.0 * step):
                    moved = thetas[i] | {name: thetas[i][name] + h * way}
                    ends.append(evaluation(learned, [*thetas[:i], moved, *thetas[i + 1 :]], N, states, action))
                if any((active_rows(end) != active_rows(here)).any() for end in ends):
                    kinks += 1
                    continue
                far_back, back, on, far_on = (end.value for end in ends)
                slope = (far_back - 8.0 * back + 8.0 * on - far_on) / (12.0 * step)
                errors.append(abs(float(np.sum(slopes[name] * way)) - slope) / largest)
    assert max(errors) < 1e-8
    assert len(errors) >= 9 * kinks
