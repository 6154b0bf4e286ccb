"""Weights follow their definitions, and the ends of their spectra the closed forms of well-known graphs."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from dmpcrl_ctrl.averaging_weights import DENSE, WEIGHTS, compact, doubly_stochastic, spectrum_ends
from dmpcrl_ctrl.errors import AveragingError
from dmpcrl_ctrl.validation.strategies import networks

GRAPHS = {
    "path": nx.path_graph,
    "ring": nx.cycle_graph,
    "star": lambda n: nx.star_graph(n - 1),
    "complete": nx.complete_graph,
}


def adjacency(graph: "nx.Graph[int]") -> sparse.csc_array:
    """Of 0 and 1, agents in the order 0, 1, ..."""
    return sparse.csc_array(nx.adjacency_matrix(graph, nodelist=range(len(graph)), weight=None, dtype=np.float64))


def laplacian_spectrum(topology: str, n: int) -> np.ndarray:
    """Laplacian eigenvalues other than that of the vector of ones, ascending."""
    k = np.arange(1, n)
    return np.sort(
        {
            "path": 2 - 2 * np.cos(np.pi * k / n),
            "ring": 2 - 2 * np.cos(2 * np.pi * k / n),
            "star": np.append(np.ones(n - 2), n),
            "complete": np.full(n - 1, float(n)),
        }[topology]
    )


def step(weights: str, topology: str, n: int) -> float:
    """The a of P = I - a L: on these graphs every kind of weights has one for all links."""
    eigenvalues = laplacian_spectrum(topology, n)
    degree = 2 if topology in ("path", "ring") else n - 1
    return float(
        {
            "laplacian": 1 / (2 * degree),
            "metropolis": 1 / (1 + degree),
            "best_constant": 2 / (eigenvalues[0] + eigenvalues[-1]),
        }[weights]
    )


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("topology", GRAPHS)
def test_the_ends_of_the_spectrum_are_those_of_theory(topology: str, weights: str) -> None:
    for n in range(3, 31):
        eigenvalues, a = laplacian_spectrum(topology, n), step(weights, topology, n)
        high, low = spectrum_ends(compact(WEIGHTS[weights](adjacency(GRAPHS[topology](n)))))
        assert high == pytest.approx(1 - a * eigenvalues[0], abs=1e-13)
        assert low == pytest.approx(1 - a * eigenvalues[-1], abs=1e-13)


@pytest.mark.parametrize("n", [DENSE, DENSE + 1, 1500])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_large_rings_are_sparse_and_right(weights: str, n: int) -> None:
    P = compact(WEIGHTS[weights](adjacency(nx.cycle_graph(n))))
    assert sparse.issparse(P) == (n > DENSE)
    eigenvalues, a = laplacian_spectrum("ring", n), step(weights, "ring", n)
    assert spectrum_ends(P) == pytest.approx((1 - a * eigenvalues[0], 1 - a * eigenvalues[-1]), abs=1e-11)


def test_sparse_and_dense_give_one_answer() -> None:
    graph = nx.random_regular_graph(4, 500, seed=3)
    large = compact(WEIGHTS["metropolis"](adjacency(graph)))
    assert isinstance(large, sparse.csc_array)
    eigenvalues = np.linalg.eigvalsh(large.toarray())
    assert spectrum_ends(large) == pytest.approx((eigenvalues[-2], eigenvalues[0]), abs=1e-12)


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
    assert np.allclose(WEIGHTS[weights](adjacency(graph)).toarray(), expected[weights], atol=1e-14)


@given(networks(), st.sampled_from(sorted(WEIGHTS)))
def test_weights_are_doubly_stochastic_and_stand_on_links_only(graph: "nx.Graph[int]", weights: str) -> None:
    P = doubly_stochastic(WEIGHTS[weights](adjacency(graph)))
    assert isinstance(P, np.ndarray)
    assert np.allclose(P.sum(axis=1), 1.0, atol=1e-14) and np.allclose(P, P.T, atol=1e-15)
    links = P * (1.0 - np.eye(len(P)))
    assert np.array_equal(links != 0.0, adjacency(graph).toarray() != 0.0)


def test_no_constant_weight_beats_the_best_one() -> None:
    graph = nx.barbell_graph(4, 2)
    L = nx.laplacian_matrix(graph).toarray()
    best = max(map(abs, spectrum_ends(compact(WEIGHTS["best_constant"](adjacency(graph))))))
    others = [np.sort(np.abs(np.linalg.eigvalsh(np.eye(len(L)) - a * L)))[-2] for a in np.linspace(0.01, 0.5, 200)]
    assert best <= min(others) + 1e-12


def test_a_copy_is_taken_and_a_matrix_that_is_no_averaging_refused() -> None:
    given_matrix = np.full((2, 2), 0.5)
    P = doubly_stochastic(given_matrix)
    given_matrix[0, 0] = 7.0
    assert P[0, 0] == 0.5
    with pytest.raises(AveragingError, match=r"not doubly stochastic: row sums 1 to 7\.5"):
        doubly_stochastic(given_matrix)
