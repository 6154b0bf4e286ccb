"""What crosses between agents: the same numbers with a transport as in memory, and nothing beside it."""

from collections import Counter

import numpy as np
import pytest

from dmpcrl_ctrl.channel import EVERYBODY, Kind, Message, Neighbourhood, Watched
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.network import coupling_components, shared_states
from dmpcrl_ctrl.problem import AgentData, MPCProblem

Array = np.ndarray

# Three agents; entry 0 is of agent 0 and held by all, entry 1 of agent 1 and held by 2 as well.
OWNER = np.array([0, 1])
HELD = (np.array([0]), np.array([1, 0]), np.array([0, 1]))
PARTS = [np.array([1.0]), np.array([10.0, 2.0]), np.array([4.0, 20.0])]


class Doubled(Watched):
    """A transport that alters what it carries."""

    def carry(self, message: Message) -> Array:
        return 2.0 * super().carry(message)


def test_gather_sums_over_the_holders_and_sends_to_the_owner_only() -> None:
    watched = Watched()
    for transport in (None, watched):
        total = Neighbourhood(OWNER, HELD, transport).gather(Kind.PROPOSAL, PARTS)
        assert total.tolist() == [7.0, 30.0]
    sent = [(m.sender, m.receiver, m.values.tolist()) for m in watched.messages]
    assert sent == [(1, 0, [2.0]), (2, 0, [4.0]), (2, 1, [20.0])]


def test_scatter_sends_from_the_owner_to_the_holders() -> None:
    watched = Watched()
    for transport in (None, watched):
        received = Neighbourhood(OWNER, HELD, transport).scatter(Kind.AGREED, np.array([5.0, 6.0]))
        assert [part.tolist() for part in received] == [[5.0], [6.0, 5.0], [5.0, 6.0]]
    sent = [(m.sender, m.receiver, m.values.tolist()) for m in watched.messages]
    assert sent == [(0, 1, [5.0]), (0, 2, [5.0]), (1, 2, [6.0])]


def test_total_sends_each_agents_share() -> None:
    watched, shares = Watched(), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    for transport in (None, watched):
        assert Neighbourhood(OWNER, HELD, transport).total(shares).tolist() == [9.0, 12.0]
    assert {m.receiver for m in watched.messages} == {EVERYBODY}
    assert [m.values.tolist() for m in watched.messages] == shares.tolist()


def test_what_arrives_is_what_counts() -> None:
    """A transport that doubles every number between two agents, and none that an agent keeps."""
    altered = Neighbourhood(OWNER, HELD, Doubled())
    assert altered.gather(Kind.PROPOSAL, PARTS).tolist() == [1.0 + 2.0 * 6.0, 10.0 + 2.0 * 20.0]
    assert altered.scatter(Kind.AGREED, np.array([5.0, 6.0]))[2].tolist() == [10.0, 12.0]


def test_arrays_with_a_stage_axis_are_carried_whole() -> None:
    parts = [np.outer(part, [1.0, 3.0]) for part in PARTS]
    total = Neighbourhood(OWNER, HELD, Watched()).gather(Kind.PRICE, parts)
    assert total.tolist() == [[7.0, 21.0], [30.0, 90.0]]


def test_components_are_the_columns_that_couple(problem: MPCProblem) -> None:
    """Agent 1 needs both states of 0 and the one of 2; agent 2 bounds a combination with the first state of 0."""
    components = coupling_components(problem)
    owner, column = components.neighbourhood.owner.tolist(), components.column.tolist()
    assert list(zip(owner, column, strict=True)) == [(0, 0), (0, 1), (2, 0)]
    assert [held.tolist() for held in components.neighbourhood.held] == [[0, 1], [0, 1, 2], [2, 0]]
    places, columns = components.copied[1][2]
    assert (places.tolist(), columns.tolist()) == ([2], [0])


def test_an_evaluation_is_the_same_over_a_transport(problem: MPCProblem, data: tuple[AgentData, ...]) -> None:
    """Value, gradient and certificate; and messages run between neighbours, of sizes that the coupling gives."""
    watched = Watched()
    here = DistributedEvaluator(problem).evaluate(data)
    there = DistributedEvaluator(problem, transport=watched).evaluate(data)
    assert there.value == pytest.approx(here.value, rel=1e-12)
    assert there.certificate.residual == pytest.approx(here.certificate.residual, rel=1e-6, abs=1e-12)
    assert np.allclose(there.gradient[0]["state"], here.gradient[0]["state"], rtol=1e-9)
    pairs = {frozenset((m.sender, m.receiver)) for m in watched.messages if m.receiver != EVERYBODY}
    assert pairs == {frozenset((0, 1)), frozenset((1, 2)), frozenset((0, 2))}
    kinds = Counter(m.kind for m in watched.messages)
    assert kinds[Kind.STATE] == 3  # 0 -> 1, 0 -> 2, 2 -> 1, once
    largest = max(m.values.size for m in watched.messages if m.kind in (Kind.PROPOSAL, Kind.AGREED))
    assert largest <= shared_states(problem).size
    assert {Kind.PROPOSAL, Kind.AGREED, Kind.PLAN, Kind.PRICE} <= set(kinds)


def test_a_sum_of_squares_that_arrives_negative_is_none() -> None:
    class Noisy:
        def carry(self, message: Message) -> np.ndarray:
            return message.values - 1e-9

    held = (np.array([0]), np.array([0]))
    assert Neighbourhood(np.array([0]), held, Noisy()).norm(np.full(2, 1e-12)) == 0.0
    assert Neighbourhood(np.array([0]), held).norm(np.array([3.0, 4.0])) == 5.0
    assert Neighbourhood(np.array([0]), held, Watched()).norm(np.array([3.0, 4.0])) == 5.0
