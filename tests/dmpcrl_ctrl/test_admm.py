"""ADMM on problems whose path is known in closed form; it heals, and it sees contradictions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions, iterate
from dmpcrl_ctrl.channel import Neighbourhood
from dmpcrl_ctrl.consensus import ADMMState, Held, Sweep, cold_state, shifted_state, step
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.qp import QPSolution
from dmpcrl_ctrl.status import Status

NONE = np.zeros(0)
ALL_SHARE_ONE = [Held(np.array([0]), np.array([0])) for _ in range(3)]


def circle(held: Sequence[Held]) -> Neighbourhood:
    """Everything belongs to agent 0."""
    size = 1 + max(int(h.shared.max()) for h in held)
    return Neighbourhood(np.zeros(size, dtype=np.intp), tuple(h.shared for h in held))


@dataclass
class Scalar:
    """f(x) = h/2 (x - c)^2 on [low, high], penalised with weight w."""

    h: float
    c: float
    w: float = 1.0
    low: float = -np.inf
    high: float = np.inf

    def solve(self, linear: np.ndarray, factor: float) -> QPSolution:
        x = np.clip((self.h * self.c - linear) / (self.h + factor * self.w), self.low, self.high)
        return QPSolution(np.asarray(x), NONE, NONE, NONE, Status.OPTIMAL)


def errors(agents: list[Scalar], weight: float, optimum: float, count: int) -> np.ndarray:
    held = ALL_SHARE_ONE[: len(agents)]
    state, found = cold_state(held, 1), []
    for _ in range(count):
        sweep = step(agents, held, np.array([weight]), circle(held), state)
        assert isinstance(sweep, Sweep)
        state = sweep.state
        duals = [float(y[0] + a.h * (optimum - a.c)) for y, a in zip(state.y, agents, strict=True)]
        primal = len(agents) * weight * (state.z[0] - optimum) ** 2
        found.append(np.sqrt(sum(dual**2 for dual in duals) / weight + primal))
    return np.array(found)


@pytest.mark.parametrize("weight", [0.25, 1.0, 3.0, 8.0])
def test_equal_curvatures_converge_at_the_rate_of_theory(weight: float) -> None:
    h, centres = 3.0, [0.0, 1.0, 5.0]
    found = errors([Scalar(h, c, weight) for c in centres], weight, 2.0, 30)
    rate = max(h, weight) / (h + weight)
    assert found[-1] / found[-2] == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(
    ("curvatures", "weight", "rate"), [((1.0, 5.0), 1.0, 0.50002), ((1.0, 2.0, 5.0), 1.963, 0.51439)]
)
def test_unequal_curvatures_converge_at_the_published_best_rates(
    curvatures: tuple[float, ...], weight: float, rate: float
) -> None:
    centres = [0.0, 1.0, 5.0][: len(curvatures)]
    optimum = float(np.dot(curvatures, centres) / np.sum(curvatures))
    agents = [Scalar(h, c, weight) for h, c in zip(curvatures, centres, strict=True)]
    found = errors(agents, weight, optimum, 24)
    assert (found[-1] / found[3]) ** (1 / 20) == pytest.approx(rate, rel=2e-2)


def test_a_disturbed_multiplier_heals() -> None:
    agents = [Scalar(1.0, c) for c in (0.0, 1.0, 5.0)]
    disturbed = replace(cold_state(ALL_SHARE_ONE, 1), y=(np.array([7.0]), np.array([0.0]), np.array([0.0])))
    result = iterate(agents, ALL_SHARE_ONE, np.ones(1), circle(ALL_SHARE_ONE), disturbed, ADMMOptions(iterations=60))
    assert result.state.z == pytest.approx([2.0], abs=1e-12)
    assert sum(float(y[0]) for y in result.state.y) == pytest.approx(0.0, abs=1e-12)


def test_the_penalty_is_scaled_towards_its_best_value_and_the_solution_stays() -> None:
    agents = [Scalar(1.0, c, 1e-4) for c in (0.0, 1.0, 5.0)]
    fixed, balanced = (
        iterate(agents, ALL_SHARE_ONE, np.full(1, 1e-4), circle(ALL_SHARE_ONE), cold_state(ALL_SHARE_ONE, 1),
                ADMMOptions(iterations=200, tolerance=1e-10, acceleration=0, balance_at=at))
        for at in ((), (10, 20, 30, 40, 50))
    )  # fmt: skip
    assert fixed.status is Status.NOT_CONVERGED
    assert balanced.status is Status.OPTIMAL
    assert balanced.state.factor > 100.0
    assert balanced.state.z == pytest.approx([2.0], abs=1e-8)


@pytest.mark.parametrize("relaxation", [1.0, 1.3, 1.8])
def test_over_relaxation_keeps_the_solution(relaxation: float) -> None:
    agents = [Scalar(h, c) for h, c in ((1.0, 0.0), (2.0, 1.0), (5.0, 4.0))]
    options = ADMMOptions(iterations=400, tolerance=1e-10, relaxation=relaxation)
    result = iterate(agents, ALL_SHARE_ONE, np.ones(1), circle(ALL_SHARE_ONE), cold_state(ALL_SHARE_ONE, 1), options)
    assert result.status is Status.OPTIMAL
    assert result.state.z == pytest.approx([22.0 / 8.0], abs=1e-8)
    assert len(result.primal) == len(result.dual) < 400


def test_constraints_that_contradict_each_other_stall_and_name_the_agent_at_odds() -> None:
    agents = [Scalar(1.0, 0.0, high=1.0), Scalar(1.0, 0.0, high=1.5), Scalar(1.0, 9.0, low=5.0)]
    result = iterate(
        agents,
        ALL_SHARE_ONE,
        np.ones(1),
        circle(ALL_SHARE_ONE),
        cold_state(ALL_SHARE_ONE, 1),
        ADMMOptions(5000, tolerance=1e-8),
    )
    assert result.status is Status.CONSENSUS_STALLED
    assert result.culprit == 2
    assert len(result.primal) < 5000


@pytest.mark.parametrize("tolerance", [None, 1e-8])
def test_a_contradiction_that_holds_z_at_zero_is_found(tolerance: float | None) -> None:
    agents = [Scalar(1.0, 0.0, low=1.0), Scalar(1.0, 0.0, high=-1.0)]
    options = ADMMOptions(iterations=100, tolerance=tolerance)
    result = iterate(
        agents, ALL_SHARE_ONE[:2], np.ones(1), circle(ALL_SHARE_ONE[:2]), cold_state(ALL_SHARE_ONE[:2], 1), options
    )
    assert result.status is Status.CONSENSUS_STALLED
    assert result.state.z == pytest.approx([0.0])


@pytest.mark.parametrize("penalty", [1e-4, 1e-6])
def test_a_penalty_far_too_light_is_no_contradiction(penalty: float) -> None:
    agents = [Scalar(1.0, c, penalty) for c in (0.0, 1.0, 5.0)]
    options = ADMMOptions(iterations=300, tolerance=1e-9, penalty=penalty)
    start = cold_state(ALL_SHARE_ONE, 1)
    result = iterate(
        agents, ALL_SHARE_ONE, np.full(1, penalty), circle(ALL_SHARE_ONE), start, options, curvature=np.ones(1)
    )
    assert result.status is Status.NOT_CONVERGED


def test_a_local_failure_is_named_and_nothing_is_lost() -> None:
    class Failing(Scalar):
        def solve(self, linear: np.ndarray, factor: float) -> QPSolution:
            return QPSolution(NONE, NONE, NONE, NONE, Status.PRIMAL_INFEASIBLE)

    state = ADMMState(np.array([3.0]), (np.full(1, 3.0),) * 3, (np.ones(1),) * 3)
    result = iterate(
        [Scalar(1, 0), Failing(1, 0), Scalar(1, 0)],
        ALL_SHARE_ONE,
        np.ones(1),
        circle(ALL_SHARE_ONE),
        state,
        ADMMOptions(),
    )
    assert (result.status, result.culprit, result.solutions) == (Status.PRIMAL_INFEASIBLE, 1, ())
    assert result.state.z is state.z


def test_weights_apart_a_component_are_weighed_in_the_mean() -> None:
    """(15b) with W: after a shift of the state the fixed point is reached again from anywhere."""
    held = [Held(np.array([0]), np.array([0])), Held(np.array([0]), np.array([0]))]
    agents = [Scalar(1.0, 0.0, 2.0), Scalar(3.0, 4.0, 2.0)]
    result = iterate(
        agents, held, np.array([2.0]), circle(held), cold_state(held, 1), ADMMOptions(iterations=200, tolerance=1e-12)
    )
    assert result.state.z == pytest.approx([3.0], abs=1e-10)


def test_shifting_moves_z_and_y_one_stage_on() -> None:
    held = [Held(np.arange(3), np.arange(3)), Held(np.arange(2), np.array([0, 1]))]
    state = ADMMState(
        np.array([1.0, 2.0, 3.0]),
        (np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5])),
        (np.array([4.0, 5.0, 6.0]), np.array([7.0, 8.0])),
        4.0,
    )
    moved = shifted_state(state, held, np.array([1, 2, 2]))
    assert moved.z.tolist() == [2.0, 3.0, 3.0]
    assert [y.tolist() for y in moved.y] == [[5.0, 6.0, 6.0], [8.0, 8.0]]
    assert [copy.tolist() for copy in moved.copies] == [[2.0, 3.0, 3.0], [2.5, 2.5]]
    assert moved.factor == 4.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "iterations must be a whole number of at least 1, got 0"),
        ({"iterations": True}, "iterations"),
        ({"tolerance": 0.0}, r"tolerance must lie in \(0, 1\), got 0.0"),
        ({"penalty": -1.0}, 'penalty must be a positive number or "auto", got -1.0'),
        ({"penalty": "best"}, "penalty"),
        ({"penalty": float("nan")}, "penalty"),
        ({"relaxation": 2.0}, r"relaxation must lie in \[1, 2\), got 2.0"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ADMMOptions(**options)
