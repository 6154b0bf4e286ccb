"""ADMM from start to end: it heals, acceleration changes the way and not the goal, and every end has its status."""

from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from dmpcrl_ctrl.admm import ADMMOptions, iterate, sweeps
from dmpcrl_ctrl.channel import Kind, Message, Watched
from dmpcrl_ctrl.consensus import ADMMState, Held, cold_state
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QPSolution
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.random_problems import FEATURES
from dmpcrl_ctrl.validation.strategies import mpc_problems
from tests.examples import examples
from tests.scalar_agents import ALL_SHARE_ONE, NONE, OneByOne, Scalar, Solved, circle

Case = tuple[MPCProblem, tuple[AgentData, ...]]
MODEST = sorted(set(FEATURES) - {"terminal_equality", "merely_convex"})


@pytest.mark.parametrize("memory", [0, 8])
def test_a_disturbed_multiplier_heals(memory: int) -> None:
    agents = [Scalar(1.0, c) for c in (0.0, 1.0, 5.0)]
    disturbed = replace(cold_state(ALL_SHARE_ONE, 1), y=np.array([7.0, 0.0, 0.0]))
    result = iterate(
        OneByOne(agents),
        np.ones(1),
        circle(ALL_SHARE_ONE),
        disturbed,
        ADMMOptions(iterations=60, acceleration=memory),
    )
    assert result.state.z == pytest.approx([2.0], abs=1e-12)
    assert result.state.y.sum() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("relaxation", [1.0, 1.3, 1.8])
def test_over_relaxation_keeps_the_solution(relaxation: float) -> None:
    agents = [Scalar(h, c) for h, c in ((1.0, 0.0), (2.0, 1.0), (5.0, 4.0))]
    options = ADMMOptions(iterations=400, tolerance=1e-10, relaxation=relaxation)
    result = iterate(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE), cold_state(ALL_SHARE_ONE, 1), options)
    assert result.status is Status.OPTIMAL
    assert result.state.z == pytest.approx([22.0 / 8.0], abs=1e-8)
    assert len(result.primal) == len(result.dual) < 400


def test_a_local_failure_is_named_and_nothing_is_lost() -> None:
    class Failing(Scalar):
        def solve(self, linear: np.ndarray, factor: float) -> Solved:
            return Solved(NONE, Status.PRIMAL_INFEASIBLE)

    state = ADMMState(np.array([3.0]), np.full(3, 3.0), np.ones(3))
    result = iterate(
        OneByOne([Scalar(1, 0), Failing(1, 0), Scalar(1, 0)]),
        np.ones(1),
        circle(ALL_SHARE_ONE),
        state,
        ADMMOptions(),
    )
    assert (result.status, result.culprit, result.solutions) == (Status.PRIMAL_INFEASIBLE, 1, ())
    assert result.state.z is state.z


def test_a_solution_that_is_found_wanting_at_the_end_is_a_local_failure() -> None:
    class Wanting(Scalar):
        def solve(self, linear: np.ndarray, factor: float) -> Solved:
            return Unproved(super().solve(linear, factor).shared)

    class Unproved(Solved):
        def solution(self) -> QPSolution:
            return replace(super().solution(), status=Status.SOLVER_FAILED)

    agents = [Scalar(1, 0), Scalar(1, 1), Wanting(1, 2)]
    start = cold_state(ALL_SHARE_ONE, 1)
    result = iterate(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE), start, ADMMOptions(balance_at=()))
    assert (result.status, result.culprit, result.solutions) == (Status.SOLVER_FAILED, 2, ())


def test_weights_apart_a_component_are_weighed_in_the_mean() -> None:
    """(15b) with W: after a shift of the state the fixed point is reached again from anywhere."""
    held = [Held(np.array([0]), np.array([0])), Held(np.array([0]), np.array([0]))]
    agents = [Scalar(1.0, 0.0, 2.0), Scalar(3.0, 4.0, 2.0)]
    result = iterate(
        OneByOne(agents),
        np.array([2.0]),
        circle(held),
        cold_state(held, 1),
        ADMMOptions(iterations=200, tolerance=1e-12),
    )
    assert result.state.z == pytest.approx([3.0], abs=1e-10)


def test_all_directions_are_kept_where_they_are_few() -> None:
    assert [ADMMOptions().memory(held) for held in (3, 160, 161)] == [3, 160, 64]
    assert ADMMOptions(penalty=2.0).memory(3) == 0
    assert ADMMOptions(penalty=2.0, acceleration=5).memory(3) == 5


@pytest.mark.parametrize("memory", [0, 8])
def test_one_lost_message_heals(memory: int) -> None:
    class Once:
        """Loses the 20th message."""

        count = 0

        def carry(self, message: Message) -> np.ndarray:
            self.count += 1
            return np.zeros_like(message.values) if self.count == 20 else message.values

    agents = [Scalar(1.0, c) for c in (0.0, 1.0, 5.0)]
    options = ADMMOptions(iterations=80, acceleration=memory, balance_at=())
    start = cold_state(ALL_SHARE_ONE, 1)
    result = iterate(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE, Once()), start, options)
    assert result.state.z == pytest.approx([2.0], abs=1e-12)


def test_a_number_that_is_none_is_no_start() -> None:
    class Spoilt:
        """The first response arrives as NaN."""

        spoilt = False

        def carry(self, message: Message) -> np.ndarray:
            if message.kind is not Kind.RESPONSE or self.spoilt:
                return message.values
            self.spoilt = True
            return np.full_like(message.values, np.nan)

    agents = [Scalar(h, c) for h, c in ((1.0, 0.0), (2.0, 1.0), (5.0, 5.0))]
    options, transport = ADMMOptions(iterations=60, acceleration=8, balance_at=()), Spoilt()
    start = cold_state(ALL_SHARE_ONE, 1)
    result = iterate(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE, transport), start, options)
    assert transport.spoilt
    assert result.state.z == pytest.approx([27.0 / 8.0], abs=1e-10)


def test_acceleration_asks_for_responses_and_sums_up_products() -> None:
    watched, agents = Watched(), [Scalar(h, c) for h, c in ((1.0, 0.0), (2.0, 1.0), (5.0, 5.0))]
    options = ADMMOptions(iterations=6, acceleration=2, balance_at=())
    iterate(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE, watched), cold_state(ALL_SHARE_ONE, 1), options)
    said = {Kind.PROPOSAL, Kind.AGREED, Kind.RESPONSE, Kind.AGREED_RESPONSE, Kind.PRODUCTS, Kind.SCALARS}
    assert {message.kind for message in watched.messages} == said
    # of two directions, with each other and with the residual
    assert max(m.values.size for m in watched.messages if m.kind is Kind.PRODUCTS) == 2 * 3
    assert max(m.values.size for m in watched.messages if m.kind is Kind.RESPONSE) == 2
    assert all(m.values.size == 1 for m in watched.messages if m.kind is Kind.SCALARS)


@given(mpc_problems(min_agents=2, max_agents=5, features=MODEST, max_horizon=3))
@settings(max_examples=examples(60))
def test_acceleration_ends_where_the_plain_iteration_does_and_never_loses_it(case: Case) -> None:
    problem, data = case
    plain, accelerated = (
        DistributedEvaluator(problem, ADMMOptions(iterations=600, tolerance=1e-8, acceleration=memory)).evaluate(data)
        for memory in (0, None)
    )
    if plain.status is Status.OPTIMAL:
        assert accelerated.status is Status.OPTIMAL
        assert accelerated.value == pytest.approx(plain.value, rel=1e-6, abs=1e-6)
        for mine, theirs in zip(accelerated.plans, plain.plans, strict=True):
            assert np.allclose(mine.u, theirs.u, atol=1e-5 * (1.0 + np.abs(theirs.u).max(initial=0.0)))


def test_a_step_ahead_that_makes_things_worse_is_given_up() -> None:
    """Kinks: the curvature of two agents is far larger beyond 1, so that the law of one side misleads."""

    class Kinked(Scalar):
        def solve(self, linear: np.ndarray, factor: float) -> Solved:
            soft = (self.h * self.c - linear) / (self.h + factor * self.w)
            hard = (self.h * self.c + 1e3 - linear) / (self.h + 1e3 + factor * self.w)
            self.steep = bool(soft[0] > 1.0)
            return Solved(hard if self.steep else soft)

        def law(self, factor: float) -> np.ndarray:
            return np.array([[1.0 / (self.h + (1e3 if self.steep else 0.0) + factor * self.w)]])

    agents = [Kinked(6.1, -9.0), Kinked(4.2, 7.0), Scalar(7.4, -9.0)]
    options = ADMMOptions(acceleration=5, balance_at=())
    found = sweeps(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE), cold_state(ALL_SHARE_ONE, 1), options)
    taken = list(islice(found, 120))
    sizes = [float(np.linalg.norm(sweep.residuals)) for sweep in taken]
    again = [after is before for before, after in pairwise(taken)]
    assert sum(again[k] for k in range(10) if sizes[k] > 1.0) == 2
    assert all(after <= before + 1e-14 for before, after in pairwise(sizes))
    # stationary: 6.1 (x + 9) + 4.2 (x - 7) + 7.4 (x + 9) = 0, on the soft side of both kinks
    assert taken[-1].state.z == pytest.approx([-92.1 / 17.7], rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "iterations must be a whole number of at least 1, got 0"),
        ({"iterations": True}, "iterations"),
        ({"tolerance": 0.0}, r"tolerance must lie in \(0, 1\), got 0.0"),
        ({"penalty": -1.0}, 'penalty must be a positive number or "auto", got -1.0'),
        ({"penalty": "best"}, "penalty"),
        ({"penalty": float("nan")}, "penalty"),
        ({"acceleration": -1}, r"acceleration must be a whole number in \[0, 160\], got -1"),
        ({"acceleration": True}, "acceleration"),
        ({"relaxation": 2.0}, r"relaxation must lie in \[1, 2\), got 2.0"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ADMMOptions(**options)


def test_nobody_is_asked_for_directions_where_nothing_is_left_to_go() -> None:
    def asked(iterations: int) -> int:
        watched, agents = Watched(), [Scalar(h, c) for h, c in ((1.0, 0.0), (2.0, 1.0), (5.0, 5.0))]
        options = ADMMOptions(iterations=iterations, acceleration=8, balance_at=())
        iterate(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE, watched), cold_state(ALL_SHARE_ONE, 1), options)
        return sum(message.kind is Kind.RESPONSE for message in watched.messages)

    assert 0 < asked(20) == asked(60)
