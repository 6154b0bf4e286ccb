"""Averaging contracts at the rates that theory gives in closed form, keeps the sum, and refuses what cannot agree."""

import warnings
from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from dmpcrl_ctrl.arrays import dense
from dmpcrl_ctrl.averaging import Averaging, AveragingWarning
from dmpcrl_ctrl.channel import Kind, Message, Watched
from dmpcrl_ctrl.errors import AveragingError, NetworkError
from dmpcrl_ctrl.validation.strategies import networks

GRAPHS = {
    "path": nx.path_graph,
    "ring": nx.cycle_graph,
    "star": lambda n: nx.star_graph(n - 1),
    "complete": nx.complete_graph,
}
WEIGHTS = ("laplacian", "metropolis", "best_constant")
ACCELERATIONS = ("none", "chebyshev", "finite_time")


def slem_of_theory(topology: str, weights: str, n: int) -> float:
    """Second largest eigenvalue modulus for n >= 4 nodes."""
    c = np.cos(2 * np.pi / n)
    # the largest Laplacian eigenvalue of a ring is 4, or 2 + 2 cos(pi/n) for odd n
    longest = 4.0 if n % 2 == 0 else 2 + 2 * np.cos(np.pi / n)
    closed_forms = {
        "path": ((1 + 2 * np.cos(np.pi / n)) / 3, np.cos(np.pi / (2 * n)) ** 2, np.cos(np.pi / n)),
        "ring": ((1 + 2 * c) / 3, np.cos(np.pi / n) ** 2, (longest - 2 + 2 * c) / (longest + 2 - 2 * c)),
        "star": (1 - 1 / n, 1 - 1 / (2 * (n - 1)), (n - 1) / (n + 1)),
        "complete": (0.0, 1 - n / (2 * (n - 1)), 0.0),
    }
    return float(closed_forms[topology][("metropolis", "laplacian", "best_constant").index(weights)])


def slowest(averaging: Averaging) -> np.ndarray:
    """Unit eigenvector of the second largest eigenvalue modulus."""
    P = dense(averaging.matrix)
    values, vectors = np.linalg.eigh(P - 1.0 / len(P))
    return vectors[:, np.argmax(np.abs(values))]


@pytest.mark.parametrize("n", [4, 5, 8, 13, 30])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("topology", GRAPHS)
def test_the_slowest_eigenvector_contracts_at_the_rate_of_theory(topology: str, weights: str, n: int) -> None:
    averaging = Averaging.from_graph(GRAPHS[topology](n), weights)
    rate, start = slem_of_theory(topology, weights, n), slowest(averaging)
    assert averaging.slem == pytest.approx(rate, abs=1e-12)
    for rounds in (1, 2, 7):
        left = np.linalg.norm(averaging.average(start, rounds) - start.mean())
        assert left == pytest.approx(rate**rounds, abs=1e-10)
        assert averaging.predicted_error(rounds) == pytest.approx(rate**rounds, abs=1e-12)


@pytest.mark.parametrize(("n", "error"), [(3, 3.2e-13), (4, 1.3e-7), (5, 4.4e-5)])
def test_a_hundred_rounds_on_a_path_leave_what_is_published(n: int, error: float) -> None:
    assert Averaging.from_graph(nx.path_graph(n)).predicted_error(100) == pytest.approx(error, rel=0.03)


@given(
    networks(), st.sampled_from(WEIGHTS), st.sampled_from(ACCELERATIONS), st.integers(0, 60), st.integers(0, 2**32 - 1)
)
@settings(max_examples=300)
def test_the_sum_is_kept_and_the_error_is_at_most_the_predicted_one(
    graph: "nx.Graph[int]", weights: str, acceleration: str, rounds: int, seed: int
) -> None:
    averaging = Averaging.from_graph(graph, weights, acceleration)
    values = np.random.default_rng(seed).normal(size=(len(graph), 3)) * [1.0, 10.0, 100.0]
    error = averaging.predicted_error(rounds)
    # rounding, also of the partial products of finite_time, which may be large before they are complete
    slack = 1e-12 * np.abs(values).max() * max(error, 1.0)
    beliefs = averaging.average(values, rounds)
    assert beliefs.shape == values.shape
    assert np.allclose(beliefs.sum(axis=0), values.sum(axis=0), atol=slack)
    before, after = (np.linalg.norm(v - values.mean(axis=0), axis=0) for v in (values, beliefs))
    assert np.all(after <= error * before + slack)


@given(networks(), st.sampled_from(ACCELERATIONS), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_with_messages_the_beliefs_are_those_of_memory(
    graph: "nx.Graph[int]", acceleration: str, rounds: int, seed: int
) -> None:
    averaging = Averaging.from_graph(graph, "metropolis", acceleration)
    values = np.random.default_rng(seed).normal(size=(len(graph), 2))
    for contributed in (values, values[:, 0], values[:, :0]):
        watched = Watched()
        scale = 1e-12 * max(1.0, *(averaging.predicted_error(t) for t in range(rounds + 1)))
        expected = averaging.average(contributed, rounds)
        assert np.allclose(averaging.average(contributed, rounds, watched), expected, rtol=0.0, atol=scale)
        directions = {(i, j) for link in graph.edges for i, j in (link, link[::-1])}
        crossed = [(message.sender, message.receiver) for message in watched.messages]
        assert Counter(crossed) == (dict.fromkeys(directions, rounds) if rounds else {})
        assert {(message.kind, message.values.shape) for message in watched.messages} <= {
            (Kind.SCALARS, (1,) if contributed.ndim == 1 else contributed.shape[1:])
        }


def test_the_first_round_tells_what_each_agent_contributes() -> None:
    watched = Watched()
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    Averaging.from_graph(nx.path_graph(3)).average(values, 1, watched)
    assert {message.sender: message.values.tolist() for message in watched.messages} == dict(enumerate(values.tolist()))


class Altered:
    """A transport that delivers twice what agent 0 tells agent 1."""

    def carry(self, message: Message) -> np.ndarray:
        """What arrives."""
        return message.values * (2.0 if (message.sender, message.receiver) == (0, 1) else 1.0)


def test_what_arrives_is_what_counts() -> None:
    path = Averaging.from_graph(nx.path_graph(4), "metropolis")
    P = np.array([[2, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 2]]) / 3.0
    P[1, 0] *= 2.0
    values = np.array([3.0, -1.0, 0.5, 2.0])
    expected = np.linalg.matrix_power(P, 5) @ values
    assert path.average(values, 5, Altered()) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_thousand_agents(weights: str) -> None:
    averaging = Averaging.from_graph(nx.path_graph(1000), weights)
    assert sparse.issparse(averaging.matrix)
    assert averaging.slem == pytest.approx(slem_of_theory("path", weights, 1000), abs=1e-12)
    k = np.arange(1000)
    slow = np.cos(np.pi * (k + 0.5) / 1000)  # of the path's Laplacian
    if weights != "metropolis":
        assert averaging.average(slow, 200) == pytest.approx(averaging.predicted_error(200) * slow, abs=1e-10)
    assert Averaging.from_graph(nx.star_graph(999), weights).slem == pytest.approx(
        slem_of_theory("star", weights, 1000), abs=1e-10
    )


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("acceleration", ACCELERATIONS)
def test_one_agent_agrees_with_itself(weights: str, acceleration: str) -> None:
    alone = Averaging.from_edges(1, [], weights, acceleration)
    assert (alone.slem, alone.agents) == (0.0, 1)
    assert alone.average([[3.0, -1.0]], 5).tolist() == [[3.0, -1.0]]
    assert alone.rounds_for(1e-9) <= 1
    assert alone.predicted_error(1) == 0.0


def test_values_stay_as_they_are() -> None:
    values = np.array([1.0, 2.0])
    pair = Averaging.from_edges(2, [(0, 1)])
    assert pair.average(values, 0).tolist() == [1.0, 2.0] and pair.average(values, 3).tolist() == [1.5, 1.5]
    assert values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("acceleration", ACCELERATIONS)
@pytest.mark.parametrize("tolerance", [0.5, 1e-3, 1e-6])
def test_rounds_for_is_the_least_number_that_suffices(tolerance: float, acceleration: str) -> None:
    path = Averaging.from_graph(nx.path_graph(5), acceleration=acceleration)
    rounds = path.rounds_for(tolerance)
    assert path.predicted_error(rounds) <= tolerance
    assert min(path.predicted_error(fewer) for fewer in range(rounds)) > tolerance
    assert path.rounds_for(1.0) == 0


def test_too_few_rounds_are_warned_of_with_what_they_leave_and_what_it_takes() -> None:
    path = Averaging.from_graph(nx.path_graph(5))
    message = r"100 rounds .* leave 4\.4e-05 .*SLEM 0\.904508.* tolerance of 1e-06 takes 138 rounds"
    with pytest.warns(AveragingWarning, match=message):
        path.warn_if_short(100, 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path.warn_if_short(138, 1e-6)


@pytest.mark.parametrize(("acceleration", "rounds"), [("chebyshev", 32), ("finite_time", 4)])
def test_the_warning_counts_the_rounds_of_the_acceleration(acceleration: str, rounds: int) -> None:
    path = Averaging.from_graph(nx.path_graph(5), acceleration=acceleration)
    message = rf"{rounds - 1} rounds .*SLEM 0\.904508.* tolerance of 1e-06 takes {rounds} rounds"
    with pytest.warns(AveragingWarning, match=message):
        path.warn_if_short(rounds - 1, 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path.warn_if_short(rounds, 1e-6)


def test_a_tolerance_below_rounding_is_named() -> None:
    path = Averaging.from_graph(nx.path_graph(50), acceleration="finite_time")
    message = r'rounding keeps finite_time from a tolerance of 1e-15 .*choose acceleration="chebyshev"'
    with pytest.raises(AveragingError, match=message):
        path.rounds_for(1e-15)
    with pytest.warns(AveragingWarning, match=r"200 rounds .* leave \d\.\de-1[23] .*" + message):
        path.warn_if_short(200, 1e-15)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_names_its_agent(poison: float) -> None:
    averaging = Averaging.from_graph(nx.path_graph(3), names=("north", "east", "south"))
    with pytest.raises(AveragingError, match=f"east contributes {poison} to the average"):
        averaging.average([[1.0, 2.0], [0.0, poison], [3.0, 4.0]], 10)


SWAP = np.array([[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (SWAP, r"never reaches agreement: SLEM 1, expected less than 1"),
        (np.eye(3), r"never reaches agreement: SLEM 1,"),
        (np.array([[1.5, -0.5], [-0.5, 1.5]]), r"never reaches agreement: SLEM 2,"),
        (np.array([[0.5, 0.4], [0.5, 0.6]]), r"row sums 0.9 to 1.1, column sums 1 to 1, .*\(SLEM 0.1\)"),
        (np.array([[0.5, 0.5], [0.4, 0.6]]), r"row sums 1 to 1, column sums 0.9 to 1.1, .*\(SLEM 0.1\)"),
        (np.array([[np.nan, 0.5], [0.5, 0.5]]), r"row sums nan to nan"),
        (np.roll(np.eye(3), 1, axis=1) / 2 + np.eye(3) / 2, r"must be symmetric, it differs from its transpose by 0.5"),
        (np.ones((1, 2)), r"got shape \(1, 2\)"),
        (np.zeros((0, 0)), r"got shape \(0, 0\)"),
        (sparse.csc_array(SWAP), r"SLEM 1,"),
    ],
)
def test_a_matrix_that_cannot_average_is_refused(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(AveragingError, match=message):
        Averaging(matrix)


def test_a_lazy_version_of_a_refused_matrix_averages() -> None:
    assert Averaging(0.75 * np.eye(2) + 0.25 * SWAP).slem == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("agents", "edges", "message"),
    [
        (4, [(0, 1), (2, 3)], r"2 parts that no link joins \(agent 0, agent 1 \| agent 2, agent 3\)"),
        (2, [(0, 1), (1, 0)], "link between agents 1 and 0 stands twice"),
        (2, [(0, 1), (1, 1)], "agent 1 is linked to itself"),
        (2, [(0, 2)], r"\(0, 2\) names an unknown agent: expected numbers in 0\.\.1"),
        (0, [], "at least one agent"),
    ],
)
def test_a_network_that_cannot_average_is_refused(agents: int, edges: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        Averaging.from_edges(agents, edges)


def test_a_directed_graph_is_refused() -> None:
    with pytest.raises(NetworkError, match="undirected"):
        Averaging.from_graph(nx.DiGraph([(0, 1)]))


@pytest.mark.parametrize("rounds", [-1, 1.5, True])
def test_rounds_are_a_whole_number(rounds: Any) -> None:
    with pytest.raises(AveragingError, match="rounds must be a whole number of at least 0, got"):
        Averaging.from_edges(2, [(0, 1)]).average([1.0, 2.0], rounds)


def test_other_mistakes_are_named() -> None:
    pair = Averaging.from_edges(2, [(0, 1)])
    with pytest.raises(AveragingError, match=r"values have shape \(3,\), expected \(2,\) or \(2, any\)"):
        pair.average([1.0, 2.0, 3.0], 1)
    with pytest.raises(AveragingError, match="tolerance of averaging must be positive, got 0.0"):
        pair.rounds_for(0.0)
    with pytest.raises(AveragingError, match="weights must be one of best_constant, laplacian, metropolis, got 'fast'"):
        Averaging.from_edges(2, [(0, 1)], "fast")
    with pytest.raises(AveragingError, match="acceleration must be one of chebyshev, finite_time, none, got 'fast'"):
        Averaging.from_edges(2, [(0, 1)], acceleration="fast")
    with pytest.raises(AveragingError, match="tolerance of averaging must be positive, got nan"):
        pair.rounds_for(float("nan"))
    with pytest.raises(AveragingError, match="2 agents need as many names, got 1"):
        Averaging(np.full((2, 2), 0.5), ("one",))


@pytest.mark.parametrize("acceleration", ["none", "chebyshev", "finite_time"])
def test_all_rounds_at_once_are_round_by_round(acceleration: str) -> None:
    """What is carried over the links, one round after the other, is what one matrix makes of the numbers."""
    ring = Averaging.from_edges(6, [(k, (k + 1) % 6) for k in range(6)], acceleration=acceleration)
    values = np.random.default_rng(0).normal(size=(6, 3))
    for rounds in (7, 40):
        expected = ring.average(values, rounds, Watched())
        assert ring.average(values, rounds) == pytest.approx(expected, abs=1e-13)
        # what all agree on stays, to the last bit
        assert (ring.average(np.full((6, 2), 0.1), rounds) == 0.1).all()
