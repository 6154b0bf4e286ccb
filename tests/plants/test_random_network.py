"""Random networks: their shape, their ranges, their seed."""

from typing import Any

import networkx as nx
import numpy as np
import pytest

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.random_network import random_power_network


def graph(plant: Plant) -> nx.Graph:
    edges = [(agent.name, other) for agent in plant.agents for other in agent.neighbours or ()]
    result = nx.Graph(edges)
    result.add_nodes_from(agent.name for agent in plant.agents)
    return result


@pytest.mark.parametrize(
    ("topology", "areas", "like"),
    [
        ("ring", 6, nx.cycle_graph(6)),
        ("ring", 2, nx.path_graph(2)),
        ("ring", 1, nx.empty_graph(1)),
        ("path", 5, nx.path_graph(5)),
        ("star", 5, nx.star_graph(4)),
        ("grid", 9, nx.grid_2d_graph(3, 3)),
        ("grid", 12, nx.grid_2d_graph(3, 4)),
        (nx.petersen_graph(), 10, nx.petersen_graph()),
    ],
)
def test_the_ties_have_the_topology(topology: str | nx.Graph, areas: int, like: nx.Graph) -> None:
    assert nx.is_isomorphic(graph(random_power_network(areas, topology)), like)


@pytest.mark.parametrize("topology", ["grid", "random"])
@pytest.mark.parametrize("areas", [1, 2, 3, 7, 23])
def test_irregular_networks_are_connected(topology: str, areas: int) -> None:
    network = graph(random_power_network(areas, topology, seed=areas))
    assert nx.is_connected(network)
    if topology == "random":
        assert network.number_of_edges() == min(areas - 1 + areas // 4, areas * (areas - 1) // 2)


def test_parameters_lie_in_the_benchmarks_ranges() -> None:
    plant = random_power_network(30, "random", seed=2, steps=3)
    A = plant.system.A
    for i in range(30):
        own = A[4 * i : 4 * i + 4, 4 * i : 4 * i + 4]
        assert 1 / 24 <= own[1, 2] <= 1 / 16 and 1 / 0.8 <= own[2, 3] <= 1 / 0.3 and 1 / 0.15 <= -own[3, 3] <= 10
        assert 0.7 <= -own[1, 1] / own[1, 2] <= 0.9 and 0.05 <= own[3, 3] / own[3, 1] <= 0.08
    assert ((plant.input_limits[:, 1] >= 0.5) & (plant.input_limits[:, 1] <= 0.65)).all()
    bound = plant.bind(1, np.random.SeedSequence(0))
    assert not bound.values(4).any() and bound.values(40).all() and (np.abs(bound.values(40)) <= 0.15).all()
    assert {5 <= t <= 40 and t.denominator == 1 for t in plant.clock_times} == {True}


def test_the_seed_decides() -> None:
    one, again, other = (random_power_network(6, "random", seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.system.A, again.system.A)
    assert (one.system.A != other.system.A).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"areas": 0}, "at least 1 area, got 0"),
        ({"areas": 4, "topology": "rings"}, "topology 'rings' does not exist; did you mean 'ring'"),
        ({"areas": 4, "topology": nx.path_graph(3)}, "an undirected graph of 4 nodes"),
        ({"areas": 3, "topology": nx.DiGraph([(0, 1), (1, 2)])}, "an undirected graph of 3 nodes"),
        ({"areas": 3, "steps": 37}, r"steps must lie in 0\.\.36, got 37"),
    ],
)
def test_impossible_networks_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PlantError, match=message):
        random_power_network(**arguments)
