"""Global average consensus (GAC): agents agree on the mean of their numbers by talking to neighbours only.

One round is v <- P v with P doubly stochastic and zero where two agents do not talk. Each round leaves at most the
share SLEM of the distance to the mean, the second largest eigenvalue modulus of P; so what T rounds leave is known
beforehand.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from dmpcrl_ctrl.arrays import Array, Matrix
from dmpcrl_ctrl.averaging_weights import DENSE, WEIGHTS, compact, spectrum_ends
from dmpcrl_ctrl.errors import AveragingError, NetworkError

_EXACT = 1e-10
_LEAST_GAP = 1e-12


class AveragingWarning(UserWarning):
    """The rounds of averaging that were asked for do not reach the tolerance."""


@dataclass(frozen=True, eq=False)
class Averaging:
    """Averaging over a network, by one symmetric doubly stochastic matrix; entries may be negative.

    Parameters
    ----------
    matrix
        (M, M) P, dense or sparse; P_ij weighs what agent i hears from agent j.
    names
        Agent names for messages; "agent 0", "agent 1", ... where not given.

    Attributes
    ----------
    slem
        Second largest eigenvalue modulus of P: the contraction of one round. 0 for a single agent.

    Raises
    ------
    AveragingError
        P is not square, finite, symmetric and doubly stochastic, or its SLEM is not below 1.

    Examples
    --------
    >>> ring = Averaging.from_edges(4, [(0, 1), (1, 2), (2, 3), (3, 0)])
    >>> round(ring.slem, 6)
    0.5
    >>> ring.average([4.0, 0.0, 0.0, 0.0], rounds=40).round(9).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    matrix: Matrix
    names: tuple[str, ...] = ()
    slem: float = field(init=False)

    def __post_init__(self) -> None:
        P = _checked(self.matrix)
        names = tuple(self.names) or tuple(f"agent {i}" for i in range(P.shape[0]))
        if len(names) != P.shape[0]:
            raise AveragingError(f"{P.shape[0]} agents need as many names, got {len(names)}")
        slem = max(map(abs, spectrum_ends(P))) if len(names) > 1 else 0.0
        if not slem < 1.0 - _LEAST_GAP:
            raise AveragingError(
                f"an averaging matrix that never reaches agreement: SLEM {slem:.12g}, expected less than 1"
            )
        for name, value in (("matrix", P), ("names", names), ("slem", slem)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_graph(cls, graph: "nx.Graph[Any]", weights: str = "laplacian", names: Sequence[str] = ()) -> "Averaging":
        """Averaging over the links of an undirected graph; agents are numbered in the order of its nodes.

        Parameters
        ----------
        graph
            Who talks to whom; weights on its edges are not read.
        weights
            "laplacian" P = I - L/(2 d_max); "metropolis" P_ij = 1/(1 + max(d_i, d_j)), for which an agent needs to know
            its neighbours' degrees only; "best_constant" P = I - 2/(l_2 + l_n) L, the fastest with one weight for all.
        names
            Agent names for messages; the graph's nodes where not given.

        Raises
        ------
        NetworkError
            The graph is empty, directed or not connected, or has parallel links or self-loops.
        AveragingError
            There are no weights of this name.
        """
        if weights not in WEIGHTS:
            raise AveragingError(f"weights must be one of {', '.join(sorted(WEIGHTS))}, got {weights!r}")
        chosen = tuple(names) or tuple(f"agent {node}" if isinstance(node, int) else str(node) for node in graph)
        _require_connected(graph, dict(zip(graph, chosen, strict=True)))
        adjacency = sparse.csc_array(nx.adjacency_matrix(graph, weight=None, dtype=np.float64))
        return cls(WEIGHTS[weights](adjacency), chosen)

    @classmethod
    def from_edges(
        cls, agents: int, edges: Iterable[tuple[int, int]], weights: str = "laplacian", names: Sequence[str] = ()
    ) -> "Averaging":
        """Averaging over a list of undirected links between agents 0..agents-1; see :meth:`from_graph`.

        Raises
        ------
        NetworkError
            A link to an unknown agent, a link that stands twice, or as for :meth:`from_graph`.
        """
        graph: nx.Graph[int] = nx.Graph()
        graph.add_nodes_from(range(agents))
        for i, j in edges:
            if i not in graph or j not in graph:
                raise NetworkError(f"link ({i}, {j}) names an unknown agent: expected numbers in 0..{agents - 1}")
            if graph.has_edge(i, j):
                raise NetworkError(f"the link between agents {i} and {j} stands twice")
            graph.add_edge(i, j)
        return cls.from_graph(graph, weights, names)

    @property
    def agents(self) -> int:
        """Number of agents M."""
        return int(self.matrix.shape[0])

    def average(self, values: ArrayLike, rounds: int) -> Array:
        """Every agent's own belief of the mean after `rounds` rounds, P^rounds values.

        Parameters
        ----------
        values
            (M,) or (M, k): row i is what agent i contributes.
        rounds
            T >= 0.

        Returns
        -------
        ndarray
            Of the same shape: row i is agent i's belief. The sum over the agents is that of `values`, and each
            column's distance to its mean (Euclidean norm) at most :meth:`predicted_error` times what it was.

        Raises
        ------
        AveragingError
            A number is not finite (it would reach every agent; the message names where it came from), a wrong shape,
            a negative number of rounds.
        """
        beliefs = np.array(values, dtype=np.float64)
        if beliefs.ndim not in (1, 2) or len(beliefs) != self.agents:
            raise AveragingError(
                f"values have shape {beliefs.shape}, expected ({self.agents},) or ({self.agents}, any)"
            )
        bad = np.argwhere(~np.isfinite(beliefs))
        if len(bad):
            culprit, found = self.names[bad[0, 0]], beliefs[tuple(bad[0])]
            raise AveragingError(f"{culprit} contributes {found} to the average, expected finite numbers")
        for _ in range(_whole(rounds)):
            beliefs = self.matrix @ beliefs
        return beliefs

    def predicted_error(self, rounds: int) -> float:
        """SLEM^rounds: the share of the initial distance to the mean that may be left."""
        return float(self.slem ** _whole(rounds))

    def rounds_for(self, tolerance: float) -> int:
        """The least number of rounds whose predicted error is at most `tolerance`, a positive number."""
        if not tolerance > 0.0:
            raise AveragingError(f"the tolerance of averaging must be positive, got {tolerance!r}")
        if tolerance >= 1.0:
            return 0
        if self.slem <= tolerance:
            return 1
        return math.ceil(math.log(tolerance) / math.log(self.slem))

    def warn_if_short(self, rounds: int, tolerance: float) -> None:
        """Warn (:class:`AveragingWarning`) where `rounds` rounds do not reach `tolerance`.

        The prediction depends on the network and on `rounds` alone, so whoever chooses the rounds asks once;
        :meth:`average`, which runs in a control loop, never warns.
        """
        error = self.predicted_error(rounds)
        if error > tolerance:
            message = (
                f"{rounds} rounds of averaging may leave {error:.2g} of the agents' initial disagreement (SLEM "
                f"{self.slem:.6g}): a tolerance of {tolerance:g} takes {self.rounds_for(tolerance)} rounds"
            )
            warnings.warn(message, AveragingWarning, stacklevel=2)


def _require_connected(graph: "nx.Graph[Any]", names: dict[Any, str]) -> None:
    if graph.is_directed() or graph.is_multigraph():
        raise NetworkError("averaging needs an undirected graph without parallel links, such as networkx.Graph(graph)")
    if not names:
        raise NetworkError("averaging needs at least one agent, got none")
    loop = next(iter(nx.selfloop_edges(graph)), None)
    if loop is not None:
        raise NetworkError(f"{names[loop[0]]} is linked to itself: take the self-loop out")
    parts = [", ".join(names[node] for node in part) for part in nx.connected_components(graph)]
    if len(parts) > 1:
        raise NetworkError(f"the network falls into {len(parts)} parts that no link joins ({' | '.join(parts[:4])})")


def _checked(matrix: Matrix) -> Matrix:
    """A copy of P: symmetric, doubly stochastic, dense for few agents and sparse for many."""
    P: Matrix = sparse.csc_array(matrix) if sparse.issparse(matrix) else np.asarray(matrix, dtype=np.float64)
    if P.ndim != 2 or P.shape[0] != P.shape[1] or not P.shape[0]:
        raise AveragingError(f"an averaging matrix has one row and one column an agent, got shape {P.shape}")
    P = compact(P)
    rows, columns = (np.asarray(P.sum(axis=axis), dtype=float) for axis in (1, 0))
    if not max(np.abs(rows - 1.0).max(), np.abs(columns - 1.0).max()) <= _EXACT:
        raise AveragingError(
            f"the averaging matrix is not doubly stochastic: row sums {_range(rows)}, column sums {_range(columns)}, "
            f"expected 1 everywhere{_second_modulus(P)}"
        )
    skew = np.abs(sparse.csc_array(P - P.T).data).max(initial=0.0)
    if skew > _EXACT:
        raise AveragingError(f"the averaging matrix must be symmetric, it differs from its transpose by {skew:.3g}")
    return P


def _range(sums: Array) -> str:
    return f"{sums.min():.6g} to {sums.max():.6g}"


def _second_modulus(P: Matrix) -> str:
    if not isinstance(P, np.ndarray) or not 1 < len(P) <= DENSE or not np.isfinite(P).all():
        return ""
    return f" (SLEM {np.sort(np.abs(np.linalg.eigvals(P)))[-2]:.6g})"


def _whole(rounds: int) -> int:
    if isinstance(rounds, bool) or int(rounds) != rounds or rounds < 0:
        raise AveragingError(f"rounds must be a whole number of at least 0, got {rounds!r}")
    return int(rounds)
