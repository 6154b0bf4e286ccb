"""Accelerated averaging leaves what its polynomial leaves on the spectrum, and is exact in finite time."""

import dataclasses
import itertools

import networkx as nx
import numpy as np
import pytest

from dmpcrl_ctrl import averaging_acceleration
from dmpcrl_ctrl.averaging import Averaging
from dmpcrl_ctrl.averaging_acceleration import Acceleration, Chebyshev, FiniteTime, Plain, elimination_order
from dmpcrl_ctrl.averaging_weights import DENSE, WEIGHTS
from dmpcrl_ctrl.errors import AveragingError

FAMILIES = {
    "path": (nx.path_graph, lambda n: n - 1),
    "ring": (nx.cycle_graph, lambda n: n // 2),
    "star": (lambda n: nx.star_graph(n - 1), lambda n: 2),
    "complete": (nx.complete_graph, lambda n: 1),
}


def left_of(averaging: Averaging, values: np.ndarray, rounds: int) -> float:
    """The largest share of a column's distance to its mean that is left."""
    mean = values.mean(axis=0)
    before, after = (np.linalg.norm(v - mean, axis=0) for v in (values, averaging.average(values, rounds)))
    return float((after / before).max())


def path_gaps(n: int) -> np.ndarray:
    """Eigenvalues of I - P of a path with the weights "laplacian", P = I - L/4."""
    return (1 - np.cos(np.pi * np.arange(n) / n)) / 2


def ring_gaps(n: int) -> np.ndarray:
    """The same of a ring of odd length, each once; no two are as far from a third, so that Leja order is unique."""
    return (1 - np.cos(2 * np.pi * np.arange((n + 1) // 2) / n)) / 2


def leja(gaps: np.ndarray) -> np.ndarray:
    """Distinct positive gaps, the largest first, then the one farthest from those before it in the product."""
    rest = sorted(gaps[gaps > 0.0])
    order = [rest.pop()]
    while rest:
        order.append(rest.pop(int(np.argmax([np.log(np.abs(g - np.array(order))).sum() for g in rest]))))
    return np.array(order)


def test_chebyshev_takes_the_rounds_of_theory() -> None:
    assert Chebyshev(0.99).rounds_for(1e-6) == 103
    assert Plain(0.99).rounds_for(1e-6) == 1375
    pair = Averaging(np.array([[0.995, 0.005], [0.005, 0.995]]), acceleration="chebyshev")
    assert pair.slem == pytest.approx(0.99, abs=1e-14)
    assert pair.rounds_for(1e-6) == 103
    assert abs(pair.average([1.0, -1.0], 103)).max() <= 1e-6 < abs(pair.average([1.0, -1.0], 102)).max()


@pytest.mark.parametrize("mu", [0.0, 1e-9, 0.3, 0.9, 0.999])
def test_the_chebyshev_bound_is_the_polynomial_at_the_end_of_its_interval(mu: float) -> None:
    for k in range(30):
        # 1 / T_k(1/mu)
        expected = 1.0 if k == 0 else 0.0 if mu == 0.0 else 1.0 / np.cosh(k * np.arccosh(1.0 / mu))
        assert Chebyshev(mu).error(k) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_chebyshev_is_the_polynomial_of_its_name(weights: str) -> None:
    averaging = Averaging.from_graph(nx.barbell_graph(4, 3), weights, "chebyshev")
    P, mu = averaging.matrix, averaging.slem
    assert isinstance(P, np.ndarray)
    eigenvalues, vectors = np.linalg.eigh(P)
    values = np.random.default_rng(1).normal(size=averaging.agents)
    for k in range(25):
        T = np.polynomial.chebyshev.Chebyshev.basis(k)
        shares = T(eigenvalues / mu) / T(1 / mu)
        expected = vectors @ (shares * (vectors.T @ values))
        assert averaging.average(values, k) == pytest.approx(expected, abs=1e-12)
        # the extreme eigenvectors are left with exactly what is predicted
        assert np.abs(shares[:-1]).max() == pytest.approx(averaging.predicted_error(k), rel=1e-9)


def test_chebyshev_serves_networks_of_any_size() -> None:
    path = Averaging.from_graph(nx.path_graph(1500), "best_constant", "chebyshev")
    slow = np.cos(np.pi * (np.arange(1500) + 0.5) / 1500)  # an eigenvector of the path's Laplacian
    for rounds in (1, 50, 1000):
        assert path.average(slow, rounds) == pytest.approx(path.predicted_error(rounds) * slow, abs=1e-9)
    assert path.rounds_for(1e-6) < 7000 < Averaging.from_graph(nx.path_graph(1500), "best_constant").rounds_for(1e-6)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("n", [4, 5, 8, 13, 30, 50])
@pytest.mark.parametrize("family", FAMILIES)
def test_well_known_graphs_agree_after_the_rounds_of_theory(family: str, n: int, weights: str) -> None:
    graph, rounds = FAMILIES[family][0](n), FAMILIES[family][1](n)
    averaging = Averaging.from_graph(graph, weights, "finite_time")
    assert averaging.rounds_for(1e-10) == rounds
    values = np.random.default_rng(n).normal(size=(n, 4))
    for enough in (rounds, rounds + 1, rounds + 7, 10 * rounds):
        assert averaging.average(values, enough) == pytest.approx(np.tile(values.mean(axis=0), (n, 1)), abs=1e-12)
    single = np.eye(n)
    assert left_of(averaging, single, rounds - 1) > 1e-6  # and not a round earlier


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weights", WEIGHTS)
def test_random_graphs_agree_in_finite_time(weights: str, seed: int) -> None:
    random = nx.gnp_random_graph(60, 0.08, seed=seed)
    tree = nx.random_labeled_tree(100, seed=seed)  # hubs: rounding grows where nobody looks after it
    for graph in (random.subgraph(max(nx.connected_components(random), key=len)), tree):
        averaging = Averaging.from_graph(graph, weights, "finite_time")
        rounds = averaging.rounds_for(1e-10)
        assert rounds <= 1.5 * len(graph)
        assert left_of(averaging, np.eye(len(graph)), rounds + 60) < 1e-12


def test_the_predicted_error_is_the_norm_of_the_partial_product() -> None:
    n = 25
    ring = Averaging.from_graph(nx.cycle_graph(n), acceleration="finite_time")
    gaps = ring_gaps(n)
    vectors = np.cos(2 * np.pi * np.outer(np.arange(n), np.arange(1, len(gaps))) / n)
    product, shares = np.ones(len(gaps) - 1), []
    for rounds, root in enumerate(leja(gaps)):
        shares.append(left_of(ring, vectors, rounds))
        assert shares[-1] == pytest.approx(np.abs(product).max(), rel=1e-9)
        assert ring.predicted_error(rounds) == pytest.approx(shares[-1], rel=1e-9)
        product = product * (1 - gaps[1:] / root)
    assert max(shares) > 2.0  # the share may rise before it is gone


def test_in_ascending_order_a_path_of_fifty_runs_away_and_the_prediction_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(averaging_acceleration, "elimination_order", lambda gaps: np.sort(gaps)[1:])
    path = Averaging.from_graph(nx.path_graph(50), acceleration="finite_time")
    left = left_of(path, np.eye(50), 49)
    assert left > 1e3
    assert path.predicted_error(49) > left


def test_on_a_tree_with_hubs_leja_order_runs_away_and_the_prediction_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = nx.random_labeled_tree(60, seed=2)
    house = Averaging.from_graph(tree, acceleration="finite_time")
    assert left_of(house, np.eye(60), 90) < 1e-12
    apart = np.append(True, np.diff(np.linalg.eigvalsh(np.eye(60) - house.matrix)) > 1e-11)
    monkeypatch.setattr(averaging_acceleration, "elimination_order", lambda gaps: leja(gaps[apart]))
    once = Averaging.from_graph(tree, acceleration="finite_time")
    left = left_of(once, np.eye(60), 59)
    assert left > 1e3
    assert once.predicted_error(59) > left


def test_where_rounding_does_not_grow_the_order_is_lejas() -> None:
    gaps = ring_gaps(101)
    order = elimination_order(gaps)
    assert order[:50] == pytest.approx(leja(gaps))
    errors = FiniteTime(gaps, order).errors
    assert errors[49] > 1e-3 and errors[50] < 1e-11
    assert errors[50] > left_of(Averaging.from_graph(nx.cycle_graph(101), acceleration="finite_time"), np.eye(101), 50)


def test_too_many_agents_for_finite_time_are_told_of_chebyshev() -> None:
    assert Averaging.from_graph(nx.star_graph(DENSE - 1), acceleration="finite_time").rounds_for(1e-9) == 2
    message = rf'at most {DENSE} agents, got {DENSE + 1}: choose acceleration="chebyshev"'
    with pytest.raises(AveragingError, match=message):
        Averaging.from_graph(nx.star_graph(DENSE), acceleration="finite_time")


@pytest.mark.parametrize(
    "plan", [Plain(0.9), Chebyshev(0.9), FiniteTime(path_gaps(6), elimination_order(path_gaps(6)))]
)
def test_every_mix_keeps_the_sum_and_the_first_needs_no_past(plan: Acceleration) -> None:
    mixes = list(itertools.islice(plan.mixes(), 40))
    assert len(mixes) == 40
    assert [sum(mix) for mix in mixes] == pytest.approx([1.0] * 40, abs=1e-13)
    assert mixes[0].before == 0.0
    assert mixes == list(itertools.islice(plan.mixes(), 40))  # nothing is used up
    assert dataclasses.is_dataclass(plan)


def test_tolerances_are_reached_where_they_can_be() -> None:
    plan = FiniteTime(path_gaps(6), elimination_order(path_gaps(6)))
    assert plan.rounds_for(1e-9) == 5
    assert plan.rounds_for(2.0) == 0
    assert plan.rounds_for(1e-17) is None
    assert plan.error(5) == plan.errors[5]
    assert plan.error(10**6) == plan.errors[-1]
