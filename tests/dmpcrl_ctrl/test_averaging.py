"""Averaging contracts at the rates that theory gives in closed form, keeps the sum, and refuses what cannot agree."""

import warnings
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from dmpcrl_ctrl.averaging import Averaging, AveragingWarning
from dmpcrl_ctrl.errors import AveragingError, NetworkError

GRAPHS = {
    "path": nx.path_graph,
    "ring": nx.cycle_graph,
    "star": lambda n: nx.star_graph(n - 1),
    "complete": nx.complete_graph,
}
WEIGHTS = ("laplacian", "metropolis", "best_constant")


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
    P = averaging.matrix.toarray() if sparse.issparse(averaging.matrix) else averaging.matrix
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


@pytest.mark.parametrize("weights", WEIGHTS)
def test_weights_are_those_of_their_definitions(weights: str) -> None:
    graph = nx.Graph([(0, 1), (1, 2), (2, 0), (2, 3), (3, 4)])
    n, d = 5, dict(graph.degree)
    L = np.array([[d[i] if i == j else -1.0 if graph.has_edge(i, j) else 0.0 for j in range(n)] for i in range(n)])
    eigenvalues = np.linalg.eigvalsh(L)
    metropolis = np.array(
        [[1 / (1 + max(d[i], d[j])) if graph.has_edge(i, j) else 0.0 for j in range(n)] for i in range(n)]
    )
    expected = {
        "laplacian": np.eye(n) - L / 6.0,
        "metropolis": metropolis + np.diag(1.0 - metropolis.sum(axis=1)),
        "best_constant": np.eye(n) - 2.0 / (eigenvalues[1] + eigenvalues[-1]) * L,
    }
    nodes = nx.Graph()
    nodes.add_nodes_from(range(n))
    nodes.add_edges_from(graph.edges)
    assert np.allclose(Averaging.from_graph(nodes, weights).matrix, expected[weights], atol=1e-14)


@st.composite
def networks(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A connected network of up to eight agents: a tree and more links."""
    agents = draw(st.integers(1, 8))
    tree = [(draw(st.integers(0, i - 1)), i) for i in range(1, agents)]
    others = [(i, j) for i in range(agents) for j in range(i + 1, agents) if (i, j) not in tree]
    return agents, tree + (draw(st.lists(st.sampled_from(others), unique=True)) if others else [])


@given(networks(), st.sampled_from(WEIGHTS), st.integers(0, 60), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_the_sum_is_kept_and_the_error_is_at_most_the_predicted_one(
    network: tuple[int, list[tuple[int, int]]], weights: str, rounds: int, k: int, seed: int
) -> None:
    averaging = Averaging.from_edges(*network, weights)
    values = np.random.default_rng(seed).normal(size=(network[0], k)) * 10.0 ** np.arange(k)
    scale = np.abs(values).max()
    beliefs = averaging.average(values, rounds)
    assert beliefs.shape == values.shape
    assert np.allclose(beliefs.sum(axis=0), values.sum(axis=0), atol=1e-12 * scale)
    before, after = (np.linalg.norm(v - values.mean(axis=0), axis=0) for v in (values, beliefs))
    assert np.all(after <= averaging.predicted_error(rounds) * before + 1e-12 * scale)


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


def test_sparse_and_dense_give_one_answer() -> None:
    graph = nx.random_regular_graph(4, 500, seed=3)
    large = Averaging.from_graph(graph, "metropolis")
    assert sparse.issparse(large.matrix)
    dense = large.matrix.toarray()
    assert large.slem == pytest.approx(np.sort(np.abs(np.linalg.eigvalsh(dense)))[-2], abs=1e-12)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_one_agent_agrees_with_itself(weights: str) -> None:
    alone = Averaging.from_edges(1, [], weights)
    assert (alone.slem, alone.agents) == (0.0, 1)
    assert alone.average([[3.0, -1.0]], 5).tolist() == [[3.0, -1.0]]
    assert alone.rounds_for(1e-9) == 1


def test_values_stay_as_they_are() -> None:
    values = np.array([1.0, 2.0])
    pair = Averaging.from_edges(2, [(0, 1)])
    assert pair.average(values, 0).tolist() == [1.0, 2.0] and pair.average(values, 3).tolist() == [1.5, 1.5]
    assert values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("tolerance", [0.5, 1e-3, 1e-6])
def test_rounds_for_is_the_least_number_that_suffices(tolerance: float) -> None:
    path = Averaging.from_graph(nx.path_graph(5))
    rounds = path.rounds_for(tolerance)
    assert path.predicted_error(rounds) <= tolerance < path.predicted_error(rounds - 1)
    assert path.rounds_for(1.0) == 0


def test_too_few_rounds_are_warned_of_with_what_they_leave_and_what_it_takes() -> None:
    path = Averaging.from_graph(nx.path_graph(5))
    message = r"100 rounds .* leave 4\.4e-05 .*SLEM 0\.904508.* tolerance of 1e-06 takes 138 rounds"
    with pytest.warns(AveragingWarning, match=message):
        path.warn_if_short(100, 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path.warn_if_short(138, 1e-6)


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
    with pytest.raises(AveragingError, match="2 agents need as many names, got 1"):
        Averaging(np.full((2, 2), 0.5), ("one",))
