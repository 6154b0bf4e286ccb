"""The networks are what their graphs say."""

import networkx as nx
import pytest

from benchmarks.networks import integrators, sides
from dmpcrl_ctrl.network import communication_graph


def test_agents_are_tied_as_the_graph_says() -> None:
    found = communication_graph(integrators(nx.grid_2d_graph(*sides(8))))
    assert nx.is_isomorphic(found, nx.grid_2d_graph(2, 4))


@pytest.mark.parametrize(("size", "wanted"), [(4, (2, 2)), (16, (4, 4)), (128, (8, 16))])
def test_sides_of_a_grid_are_nearly_equal(size: int, wanted: tuple[int, int]) -> None:
    assert sides(size) == wanted
