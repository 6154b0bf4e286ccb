"""Power networks of any size and shape, with parameters drawn around the Hycon2 benchmark's."""

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.disturbance import Steps
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.power import PowerArea, Tie, power_network_of

# Ranges of the benchmark's tables.
_RANGES = {
    "inertia": (8.0, 12.0),
    "droop": (0.05, 0.08),
    "damping": (0.7, 0.9),
    "turbine_time": (0.3, 0.8),
    "governor_time": (0.1, 0.15),
    "input_limit": (0.5, 0.65),
}
_STIFFNESS = (2.0, 4.0)
_LOAD = 0.15
_LOAD_TIMES = (5, 40)


def random_power_network(
    areas: int, topology: str | nx.Graph = "ring", seed: int = 0, *, steps: int = 1, **options: Any
) -> Plant:
    """A power network whose parameters are uniform over the ranges of the Hycon2 benchmark.

    Parameters
    ----------
    areas
        Number of areas, numbered from 1.
    topology
        "ring", "path", "grid" (nearly square, filled row by row), "star" (area 1 in the middle), "random" (a random
        tree and a quarter as many further ties), or an undirected networkx graph of `areas` nodes, taken in its order.
    seed
        Of every draw; the same seed gives the same network.
    steps
        Load steps of each area, at whole seconds from 5 to 40, to levels within 0.15 p.u.
    **options
        As :func:`dmpcrl_ctrl.plants.power_network_of`.

    Raises
    ------
    PlantError
        No area, an unknown topology, a graph with another number of nodes.

    Examples
    --------
    >>> random_power_network(5, "star", seed=1).agents[0].neighbours
    ('area_2', 'area_3', 'area_4', 'area_5')
    """
    if isinstance(areas, bool) or areas < 1:
        raise PlantError(f"a power network needs at least 1 area, got {areas!r}")
    if not 0 <= steps <= _LOAD_TIMES[1] - _LOAD_TIMES[0] + 1:
        raise PlantError(f"steps must lie in 0..{_LOAD_TIMES[1] - _LOAD_TIMES[0] + 1}, got {steps}")
    rng = np.random.default_rng(seed)
    ties = [Tie(a, b, rng.uniform(*_STIFFNESS)) for a, b in _edges(areas, topology, rng)]
    return power_network_of([_area(k, steps, rng) for k in range(1, areas + 1)], ties, **options)


def _area(number: int, steps: int, rng: np.random.Generator) -> PowerArea:
    parameters = {name: float(rng.uniform(*bounds)) for name, bounds in _RANGES.items()}
    first, last = _LOAD_TIMES
    times = np.sort(rng.choice(np.arange(first, last + 1), size=steps, replace=False))
    levels = rng.uniform(-_LOAD, _LOAD, size=steps)
    return PowerArea(number, **parameters, load=Steps(tuple(times.tolist()), tuple(levels.tolist())))


def _edges(areas: int, topology: str | nx.Graph, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Pairs of area numbers, each tie once, in an order that depends on the arguments alone."""
    if isinstance(topology, nx.Graph):
        graph = topology
        if graph.is_directed() or graph.number_of_nodes() != areas:
            raise PlantError(f"topology must be an undirected graph of {areas} nodes, got {graph}")
    elif topology in _TOPOLOGIES:
        graph = _TOPOLOGIES[topology](areas, rng)
    else:
        raise PlantError(unknown(topology, _TOPOLOGIES, "topology"))
    number = {node: k for k, node in enumerate(graph.nodes, start=1)}
    return sorted((min(number[a], number[b]), max(number[a], number[b])) for a, b in graph.edges)


def _ring(areas: int, rng: np.random.Generator) -> nx.Graph:
    # A cycle of one or two nodes would be a self-loop or a doubled tie.
    return nx.cycle_graph(areas) if areas > 2 else nx.path_graph(areas)


def _grid(areas: int, rng: np.random.Generator) -> nx.Graph:
    width = int(np.ceil(np.sqrt(areas)))
    graph = nx.empty_graph(areas)
    graph.add_edges_from((k, k + 1) for k in range(areas - 1) if (k + 1) % width)
    graph.add_edges_from((k, k + width) for k in range(areas - width))
    return graph


def _random(areas: int, rng: np.random.Generator) -> nx.Graph:
    # Each node is tied to an earlier one: a tree, so that the network is connected whatever is added.
    graph = nx.empty_graph(areas)
    graph.add_edges_from((int(rng.integers(k)), k) for k in range(1, areas))
    free = list(nx.non_edges(graph))
    graph.add_edges_from(free[k] for k in rng.permutation(len(free))[: areas // 4])
    return graph


_TOPOLOGIES: dict[str, Callable[[int, np.random.Generator], nx.Graph]] = {
    "ring": _ring,
    "path": lambda areas, rng: nx.path_graph(areas),
    "grid": _grid,
    "star": lambda areas, rng: nx.star_graph(areas - 1),
    "random": _random,
}
