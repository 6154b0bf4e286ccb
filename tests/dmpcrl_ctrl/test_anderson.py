"""What is learnt of ADMM's affine pieces: images are differences of iterations; where all are known, it ends."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings

from dmpcrl_ctrl.admm import ADMMOptions, sweeps
from dmpcrl_ctrl.anderson import Acceleration
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.channel import Kind, Message
from dmpcrl_ctrl.consensus import ADMMState, Directions, Sweep, cold_state, images, step
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.convergence import power_loop
from dmpcrl_ctrl.validation.random_problems import Blueprint, random_problem
from dmpcrl_ctrl.validation.strategies import mpc_problems
from tests.scalar_agents import ALL_SHARE_ONE, OneByOne, Scalar, circle

Case = tuple[MPCProblem, tuple[AgentData, ...]]
# h = 1, 2, 5 about 0, 1, 5: their sum is least at 27 / 8
AGENTS = [Scalar(1.0, 0.0), Scalar(2.0, 1.0), Scalar(5.0, 5.0)]


def first_sweep(agents: list[Scalar]) -> Sweep:
    return step(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE), cold_state(ALL_SHARE_ONE, 1))


def acceleration(capacity: int) -> Acceleration:
    return Acceleration(capacity, 1.0, np.ones(1), circle(ALL_SHARE_ONE))


def norm(sweep: Sweep) -> float:
    return float(np.linalg.norm(sweep.residuals))


@pytest.mark.parametrize("relaxation", [1.0, 1.7])
def test_images_are_differences_of_iterations(relaxation: float) -> None:
    """Two starts that lie a direction apart lead to two ends that lie its image apart, bounds or not."""
    problem, data = random_problem(Blueprint(((2, 1), (3, 2), (1, 1)), ((0, 1), (1, 2)), 4, frozenset({"scales"}), 5))
    evaluator = DistributedEvaluator(problem)
    agents, weights, neighbourhood = evaluator._agents(data, None), evaluator.weights, evaluator._neighbourhood
    state = list(islice(evaluator.iterates(data), 12))[-1].memory
    assert state is not None
    state, rng = replace(state, factor=1.0), np.random.default_rng(0)
    size = 1e-7 * np.abs(state.z).max()
    entries = neighbourhood.entries
    copies_ways, y_ways = rng.normal(size=(2, len(entries), 3))
    ways = Directions(copies_ways, y_ways * weights[entries][:, None])
    before = step(agents, weights, neighbourhood, state, relaxation)
    laws = agents.laws(1.0)
    assert all(law is not None for law in laws)
    known = [law for law in laws if law is not None]
    found = images(known, ways, weights, neighbourhood, 1.0, relaxation)
    for k in range(3):
        copies, y = (
            part + size * way[:, k] for part, way in zip((state.copies, state.y), (ways.copies, ways.y), strict=True)
        )
        after = step(agents, weights, neighbourhood, replace(state, copies=copies, y=y), relaxation)
        pairs: list[tuple[Array, Array, Array]] = [
            (before.state.z, after.state.z, found.z[:, k]),
            (before.state.copies, after.state.copies, found.directions.copies[:, k]),
            (before.state.y, after.state.y, found.directions.y[:, k]),
            (before.residuals, after.residuals, found.residuals[:, k]),
        ]
        for old, new, image in pairs:
            scale = np.abs(image).max(initial=1e-6)
            assert np.abs((new - old) / size - image).max(initial=0.0) <= 1e-5 * scale


def test_a_map_of_three_dimensions_is_solved_in_five_iterations() -> None:
    options, neighbourhood = ADMMOptions(acceleration=8, balance_at=()), circle(ALL_SHARE_ONE)
    found = sweeps(OneByOne(AGENTS), np.ones(1), neighbourhood, cold_state(ALL_SHARE_ONE, 1), options)
    last = list(islice(found, 5))[-1]
    assert last.state.z == pytest.approx([27.0 / 8.0], abs=1e-12)
    # y = -f'(z)
    assert last.state.y.tolist() == pytest.approx([-27 / 8, -2 * 19 / 8, 5 * 13 / 8], abs=1e-10)


def test_what_one_sample_has_learnt_solves_the_next_in_two_iterations() -> None:
    options, neighbourhood = ADMMOptions(acceleration=8, balance_at=()), circle(ALL_SHARE_ONE)
    first = sweeps(OneByOne(AGENTS), np.ones(1), neighbourhood, cold_state(ALL_SHARE_ONE, 1), options)
    learnt = list(islice(first, 6))[-1].state.directions
    assert learnt is not None
    moved, cold = [Scalar(1.0, 8.0), Scalar(2.0, -1.0), Scalar(5.0, 2.0)], cold_state(ALL_SHARE_ONE, 1)
    for directions, reached in ((learnt, True), (None, False)):
        start = replace(cold, directions=directions)
        last = list(islice(sweeps(OneByOne(moved), np.ones(1), neighbourhood, start, options), 2))[-1]
        assert (abs(float(last.state.z[0]) - 2.0) < 1e-9) is reached


def test_the_mixture_leaves_the_least_residual() -> None:
    sweep = first_sweep(AGENTS)
    laws = [agent.law(1.0) for agent in AGENTS]
    ahead, start = acceleration(8).after(sweep, laws, norm(sweep))
    assert ahead.known is not None
    R, r = ahead.known.basis.images.residuals, sweep.residuals
    g = np.linalg.lstsq(R, -r)[0]
    assert start.z == pytest.approx(sweep.state.z + ahead.known.basis.images.z @ g, rel=1e-9)


@pytest.mark.parametrize(("relaxation", "factor"), [(1.0, 1.0), (1.7, 1.0), (1.0, 4.0)])
def test_what_is_promised_is_what_comes(relaxation: float, factor: float) -> None:
    """While no law changes: the residual of the next iteration is at most the promised one; R'R is kept up to date."""
    problem, data = random_problem(Blueprint(((2, 1), (3, 2), (2, 1)), ((0, 1), (1, 2)), 5, frozenset({"scales"}), 3))
    evaluator = DistributedEvaluator(problem)
    agents, weights, neighbourhood = evaluator._agents(data, None), evaluator.weights, evaluator._neighbourhood
    state = replace(cold_state(evaluator.held, len(weights)), factor=factor)
    sweep, ahead, compared = step(agents, weights, neighbourhood, state, relaxation), None, 0
    for _ in range(12):
        ahead = Acceleration(5, relaxation, weights, neighbourhood) if ahead is None else ahead
        ahead, start = ahead.after(sweep, agents.laws(factor), norm(sweep))
        assert ahead.known is not None
        R, before = ahead.known.basis.images.residuals, norm(sweep)
        assert ahead.known.gram == pytest.approx(R.T @ R, rel=1e-9, abs=1e-12)
        sweep = step(agents, weights, neighbourhood, start, relaxation)
        if ahead.known.holds([law for law in agents.laws(factor) if law is not None]):
            assert norm(sweep) <= ahead.known.promised * (1.0 + 1e-6) + 1e-9 * before
            compared += np.isfinite(ahead.known.promised)
    assert compared >= 5


def test_directions_are_orthonormal_and_the_oldest_are_forgotten() -> None:
    options, neighbourhood = ADMMOptions(acceleration=2, balance_at=()), circle(ALL_SHARE_ONE)
    found = sweeps(OneByOne(AGENTS), np.ones(1), neighbourhood, cold_state(ALL_SHARE_ONE, 1), options)
    taken = [sweep.state.directions for sweep in islice(found, 5)]
    assert taken[0] is None
    counts = []
    for directions in taken[1:]:
        assert directions is not None
        stacked = np.vstack([directions.copies, directions.y])
        counts.append(stacked.shape[1])
        assert np.abs(np.diag(stacked.T @ stacked) - 1.0).max() < 1e-12
        assert np.abs(stacked.T @ stacked - np.eye(counts[-1])).max() < 1e-9
    assert counts == [1, 2, 2, 2]


def test_directions_fit_each_other_though_displacements_are_little_but_rounding() -> None:
    """All copies of a number move alike and S'y stays 0; of plain differences neither is true near convergence."""
    problem, data = random_problem(Blueprint(((2, 1), (3, 2), (2, 1)), ((0, 1), (1, 2)), 5, frozenset({"scales"}), 3))
    evaluator = DistributedEvaluator(problem, ADMMOptions(acceleration=40, balance_at=()))
    neighbourhood, weights = evaluator._neighbourhood, evaluator.weights
    *_, last = islice(evaluator.iterates(data), 40)
    assert last.memory is not None
    directions = last.memory.directions
    assert directions is not None
    assert directions.y.shape[1] > 5
    root = np.sqrt(weights)[:, None]
    z = neighbourhood.gathered(Kind.RESPONSE, directions.copies) / neighbourhood.holders[:, None]
    assert np.abs(root[neighbourhood.entries] * (directions.copies - z[neighbourhood.entries])).max() < 1e-14
    assert np.abs(neighbourhood.gathered(Kind.RESPONSE, directions.y) / root).max() < 1e-13


def test_no_more_directions_than_there_are_dimensions() -> None:
    options, neighbourhood = ADMMOptions(acceleration=8, balance_at=()), circle(ALL_SHARE_ONE)
    *_, last = islice(sweeps(OneByOne(AGENTS), np.ones(1), neighbourhood, cold_state(ALL_SHARE_ONE, 1), options), 40)
    assert last.state.directions is not None
    assert last.state.directions.y.shape[1] <= 3


def test_without_a_law_the_plain_successor_is_taken() -> None:
    sweep = first_sweep(AGENTS)
    ahead, start = acceleration(8).after(sweep, [AGENTS[0].law(1.0), None, AGENTS[2].law(1.0)], norm(sweep))
    assert start is sweep.state
    assert ahead.known is None
    assert acceleration(0).after(sweep, [agent.law(1.0) for agent in AGENTS], norm(sweep))[1] is sweep.state


def test_images_are_made_anew_where_a_law_has_changed_or_is_doubted() -> None:
    sweep = first_sweep(AGENTS)
    laws = [agent.law(1.0) for agent in AGENTS]
    ahead, start = acceleration(8).after(sweep, laws, norm(sweep))
    again = step(OneByOne(AGENTS), np.ones(1), circle(ALL_SHARE_ONE), start)
    kept, _ = ahead.after(again, laws, norm(again))
    assert kept.known is not None and ahead.known is not None
    assert kept.known.basis.images.z[:, 0] == ahead.known.basis.images.z[:, 0]
    stiff = [np.array([[0.25]]), *laws[1:]]
    anew, _ = ahead.after(again, stiff, norm(again))
    assert anew.known is not None
    assert anew.known.basis.images.z[0, 0] != ahead.known.basis.images.z[0, 0]
    assert ahead.doubted().known is None


def unfit() -> Sweep:
    """An iteration with a direction that a lost message has spoilt: one copy moves, and its fellows stay."""
    directions = Directions(np.array([[1.0], [0.0], [0.0]]), np.zeros((3, 1)))
    sweep = first_sweep(AGENTS)
    return replace(sweep, state=replace(sweep.state, directions=directions))


def apart(state: ADMMState) -> float:
    """How far copies of directions are from being one, and S'y from zero."""
    assert state.directions is not None
    spread = np.ptp(state.directions.copies, axis=0).max()
    return float(max(spread, np.abs(state.directions.y.sum(axis=0)).max()))


def test_directions_are_split_again_after_a_start_that_led_astray() -> None:
    laws = [agent.law(1.0) for agent in AGENTS]
    assert apart(acceleration(8).after(unfit(), laws, norm(unfit()))[1]) > 0.5
    assert apart(acceleration(8).doubted().after(unfit(), laws, norm(unfit()))[1]) < 1e-12


@pytest.mark.parametrize(("promised", "again"), [(1e-3, True), (0.5, False)])
def test_directions_are_split_again_where_a_promise_was_not_kept(promised: float, again: bool) -> None:
    """A residual that stays what it was misses a promise of a thousandth, and is within ten times one of a half."""
    sweep, laws = unfit(), [agent.law(1.0) for agent in AGENTS]
    ahead, _ = acceleration(8).after(sweep, laws, norm(sweep))
    assert ahead.known is not None
    known = replace(ahead.known, promised=promised * norm(sweep))
    _, start = replace(ahead, known=known).after(sweep, laws, norm(sweep))
    assert (apart(start) < 1e-12) is again


@pytest.mark.parametrize("kinds", [(Kind.RESPONSE, Kind.AGREED_RESPONSE), (Kind.PRODUCTS,)])
def test_what_lost_messages_did_to_directions_does_not_last(kinds: tuple[Kind, ...]) -> None:
    """Losses in the first four samples of a loop; after them every sample takes as few iterations as without."""

    class Lossy:
        def __init__(self) -> None:
            self.rng, self.lost, self.losing = np.random.default_rng(0), 0, True

        def carry(self, message: Message) -> Array:
            if self.losing and message.kind in kinds and self.rng.random() < 0.05:
                self.lost += 1
                return np.zeros_like(message.values)
            return message.values

    example, transport = power_loop(0), Lossy()
    counts = []
    for lossy in (None, transport):
        options = ADMMOptions(iterations=100, tolerance=1e-10)
        evaluator, memory, taken = DistributedEvaluator(example.problem, options, transport=lossy), None, []
        for k, data in enumerate(example.data[1:16]):
            transport.losing = k < 4
            found = evaluator.evaluate(data, memory=memory)
            assert found.status.ok
            memory = evaluator.shifted(found.memory)
            taken.append(len(found.primal_residuals))
        counts.append(taken[9:])
    assert transport.lost > 5
    assert max(counts[1]) <= max(counts[0]) <= 4


@given(mpc_problems(min_agents=2, max_agents=5, features=["soft_bounds", "input_bounds", "scales", "disturbances"]))
@settings(max_examples=30)
def test_thirty_iterations_get_closer_with_it_than_without(case: Case) -> None:
    """Unless both are there: residuals in the norm in which ADMM never grows."""
    problem, data = case
    sizes = []
    for memory in (0, None):
        evaluator = DistributedEvaluator(problem, ADMMOptions(acceleration=memory, balance_at=()))
        last = list(islice(evaluator.iterates(data), 30))[-1]
        sizes.append(max(last.primal_residuals[-1], last.dual_residuals[-1] / (1.0 + evaluator.weights.max(initial=0))))
    assert sizes[1] <= max(sizes[0], 1e-8)
