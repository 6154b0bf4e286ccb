"""One iteration of ADMM: rates in closed form, the laws of its proof on random networks, what crosses the channel."""

from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.channel import Kind, Message, Watched
from dmpcrl_ctrl.consensus import ADMMState, Held, Sweep, cold_state, largest, places_later, shifted_state, step
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.random_problems import FEATURES
from dmpcrl_ctrl.validation.strategies import mpc_problems
from dmpcrl_ctrl.value import Evaluation
from tests.examples import examples
from tests.scalar_agents import ALL_SHARE_ONE, OneByOne, Scalar, circle

Case = tuple[MPCProblem, tuple[AgentData, ...]]
# The fixed point that the laws are measured against has to be reached to many digits.
MODEST = sorted(set(FEATURES) - {"terminal_equality", "merely_convex"})


def errors(agents: list[Scalar], weight: float, optimum: float, count: int) -> np.ndarray:
    held = ALL_SHARE_ONE[: len(agents)]
    state, found = cold_state(held, 1), []
    for _ in range(count):
        sweep = step(OneByOne(agents), np.array([weight]), circle(held), state)
        assert isinstance(sweep, Sweep)
        state = sweep.state
        duals = [float(y + a.h * (optimum - a.c)) for y, a in zip(state.y, agents, strict=True)]
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


def test_one_iteration_is_the_one_on_paper() -> None:
    """f_i = (x - c_i)^2 / 2 with w = 1 from zero: x_i = c_i / 2, z their mean, y_i = x_i - z."""
    agents = [Scalar(1.0, c) for c in (0.0, 2.0, 10.0)]
    sweep = step(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE), cold_state(ALL_SHARE_ONE, 1))
    assert sweep.state.z == pytest.approx([2.0])
    assert sweep.state.y.tolist() == pytest.approx([-2.0, -1.0, 3.0])
    assert (sweep.primal, sweep.dual) == pytest.approx((3.0, 2.0))


def test_shifting_moves_z_and_y_one_stage_on() -> None:
    held = [Held(np.arange(3), np.arange(3)), Held(np.arange(2), np.array([0, 1]))]
    state = ADMMState(
        np.array([1.0, 2.0, 3.0]),
        np.array([1.0, 2.0, 3.0, 1.5, 2.5]),
        np.array([4.0, 5.0, 6.0, 7.0, 8.0]),
        4.0,
    )
    later = np.array([1, 2, 2])
    moved = shifted_state(state, later, places_later(held, later))
    assert moved.z.tolist() == [2.0, 3.0, 3.0]
    assert moved.y.tolist() == [5.0, 6.0, 6.0, 8.0, 8.0]
    assert moved.copies.tolist() == [2.0, 3.0, 3.0, 2.5, 2.5]
    assert moved.factor == 1.0


PLAIN = ADMMOptions(acceleration=0, balance_at=())


def plain_and_fixed(case: Case) -> tuple[DistributedEvaluator, list[Evaluation], Evaluation]:
    """Forty plain iterations from a cold start, and a fixed point that acceleration has found."""
    problem, data = case
    tight = ADMMOptions(iterations=500, tolerance=1e-11, balance_at=())
    fixed = DistributedEvaluator(problem, tight).evaluate(data)
    assume(fixed.status is Status.OPTIMAL)
    plain = DistributedEvaluator(problem, PLAIN)
    return plain, list(islice(plain.iterates(data), 40)), fixed


def state(evaluation: Evaluation) -> ADMMState:
    assert evaluation.memory is not None
    return evaluation.memory


@given(mpc_problems(min_agents=2, max_agents=5, features=MODEST))
@settings(max_examples=examples(40))
def test_the_distance_to_a_fixed_point_never_grows(case: Case) -> None:
    """|y - y*|^2 in W^-1 plus |S (z - z*)|^2 in W, with a fixed W."""
    evaluator, iterates, fixed = plain_and_fixed(case)
    W = np.concatenate([evaluator.weights[h.shared] for h in evaluator.held])

    def distance(evaluation: Evaluation) -> float:
        here, there = state(evaluation), state(fixed)
        return float((here.y - there.y) ** 2 @ (1.0 / W) + W @ (here.copies - there.copies) ** 2)

    distances = np.array([distance(evaluation) for evaluation in iterates])
    assert (np.diff(distances) <= 1e-9 * distances[0] + 1e-12).all()


@given(mpc_problems(min_agents=2, max_agents=5, features=MODEST))
@settings(max_examples=examples(40))
def test_the_value_is_as_close_as_the_agents_are_to_agreement(case: Case) -> None:
    """The inequalities A.2 and A.3 of Boyd et al. (2011), so that the value converges where the residuals do.

    F* - F <= y*'(xt - S z)   and   F - F* <= -y'(xt - S z) - (W S (z - z_before))'(xt - S z + S (z - z*))
    """
    evaluator, iterates, fixed = plain_and_fixed(case)
    W, there = np.concatenate([evaluator.weights[h.shared] for h in evaluator.held]), state(fixed)
    truth = CentralEvaluator(case[0]).evaluate(case[1]).value
    for before, after in pairwise(iterates):
        old, new = state(before), state(after)
        gap = (new.y - old.y) / W
        moved, off = W * (new.copies - old.copies), new.copies - there.copies
        below, above = float(there.y @ gap), -float(new.y @ gap + moved @ (gap + off))
        rounding = 1e-7 * (1.0 + abs(truth) + abs(after.value))
        assert truth - after.value <= below + rounding
        assert after.value - truth <= above + rounding


@given(mpc_problems(min_agents=2, max_agents=5), st.sampled_from([0, 4, 16]))
@settings(max_examples=examples(40))
def test_the_multipliers_of_a_number_cancel(case: Case, memory: int) -> None:
    """S'y = 0 after every iteration, accelerated or not."""
    problem, data = case
    evaluator = DistributedEvaluator(problem, ADMMOptions(acceleration=memory))
    for evaluation in islice(evaluator.iterates(data), 25):
        sums = np.zeros(evaluator.shared.size)
        np.add.at(sums, np.concatenate([h.shared for h in evaluator.held]), state(evaluation).y)
        assert np.abs(sums).max(initial=0.0) <= 1e-9 * (1.0 + largest(state(evaluation).y))


def test_what_crosses_the_channel_is_proposals_and_what_is_agreed() -> None:
    watched, agents = Watched(), [Scalar(1.0, c) for c in (0.0, 1.0, 5.0)]
    sweep = step(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE, watched), cold_state(ALL_SHARE_ONE, 1))
    kinds = [(m.kind, m.sender, m.receiver) for m in watched.messages]
    assert kinds == [(Kind.PROPOSAL, 1, 0), (Kind.PROPOSAL, 2, 0), (Kind.AGREED, 0, 1), (Kind.AGREED, 0, 2)]
    assert [float(m.values[0]) for m in watched.messages] == pytest.approx([0.5, 2.5, 1.0, 1.0])
    assert sweep.state.z == pytest.approx([1.0])


def test_agents_go_by_what_has_reached_them() -> None:
    class Altered:
        def carry(self, message: Message) -> np.ndarray:
            return message.values + (10.0 if message.kind is Kind.AGREED else 1.0)

    agents = [Scalar(1.0, c) for c in (0.0, 1.0, 5.0)]
    sweep = step(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE, Altered()), cold_state(ALL_SHARE_ONE, 1))
    z = (0.0 + 0.5 + 2.5 + 2.0) / 3.0
    assert sweep.state.z == pytest.approx([z])
    assert sweep.state.copies.tolist() == pytest.approx([z, z + 10.0, z + 10.0])
    assert float(sweep.state.y[1]) == pytest.approx(0.5 - (z + 10.0))
