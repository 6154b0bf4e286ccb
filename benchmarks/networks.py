"""Networks to measure growth on."""

from typing import Any

import networkx as nx
import numpy as np

from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem


def integrators(graph: "nx.Graph[Any]") -> MPCProblem:
    """Double integrators tied to their neighbours, with bounds on the inputs."""
    places = {node: k for k, node in enumerate(graph)}
    A, tie = np.array([[1.0, 0.1], [-0.1, 0.95]]), np.array([[0.0, 0.0], [0.04, 0.0]])
    models = tuple(
        LocalModel(
            A, [[0.0], [0.1]], np.eye(2), [[0.1]], A_ij={places[n]: tie for n in graph[node]}, u_min=[-1.0], u_max=[1.0]
        )
        for node in graph
    )
    return MPCProblem(models, 5)


def sides(size: int) -> tuple[int, int]:
    """Of a grid of so many nodes, a power of two."""
    side = 2 ** int(np.log2(size) / 2)
    return side, size // side
