"""Global average consensus (GAC): agents agree on the mean of their numbers by talking to neighbours only.

One round is v <- P v with P doubly stochastic and zero where two agents do not talk. Each round leaves at most the
share SLEM of the distance to the mean, the second largest eigenvalue modulus of P; so what T rounds leave is known
beforehand. An acceleration takes other polynomials of P; what these leave is known as well.
"""

import itertools
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from dmpcrl_ctrl.arrays import Array, Matrix
from dmpcrl_ctrl.averaging_acceleration import ACCELERATIONS, Acceleration
from dmpcrl_ctrl.averaging_weights import WEIGHTS, doubly_stochastic, spectrum_ends
from dmpcrl_ctrl.channel import Kind, Message, Transport
from dmpcrl_ctrl.errors import AveragingError, NetworkError

_LEAST_GAP = 1e-12
# up to how many agents all rounds are taken at once
_FEW = 64


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
    acceleration
        "none" P^T; "chebyshev", some 1/sqrt(1 - slem) times fewer rounds for the same error; "finite_time", exact to
        rounding after as many rounds as P has distinct eigenvalues other than 1 (networks with hubs take somewhat
        more), for at most 400 agents.

    Attributes
    ----------
    slem
        Second largest eigenvalue modulus of P: the contraction of one round. 0 for a single agent.

    Raises
    ------
    AveragingError
        P is not square, finite, symmetric and doubly stochastic, or its SLEM is not below 1; there is no acceleration
        of this name, or the network is too large for it.

    Examples
    --------
    >>> ring = Averaging.from_edges(4, [(0, 1), (1, 2), (2, 3), (3, 0)])
    >>> round(ring.slem, 6)
    0.5
    >>> ring.average([4.0, 0.0, 0.0, 0.0], rounds=40).round(9).tolist()
    [1.0, 1.0, 1.0, 1.0]
    >>> exact = Averaging.from_edges(4, [(0, 1), (1, 2), (2, 3), (3, 0)], acceleration="finite_time")
    >>> exact.average([4.0, 0.0, 0.0, 0.0], rounds=2).round(9).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    matrix: Matrix
    names: tuple[str, ...] = ()
    acceleration: str = "none"
    slem: float = field(init=False)
    _accelerated: Acceleration = field(init=False, repr=False)
    _known: dict[int, Array] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        _require_known("acceleration", self.acceleration, ACCELERATIONS)
        P = doubly_stochastic(self.matrix)
        names = tuple(self.names) or tuple(f"agent {i}" for i in range(P.shape[0]))
        if len(names) != P.shape[0]:
            raise AveragingError(f"{P.shape[0]} agents need as many names, got {len(names)}")
        slem = max(map(abs, spectrum_ends(P))) if len(names) > 1 else 0.0
        if not slem < 1.0 - _LEAST_GAP:
            raise AveragingError(
                f"an averaging matrix that never reaches agreement: SLEM {slem:.12g}, expected less than 1"
            )
        accelerated = ACCELERATIONS[self.acceleration](P, slem)
        for name, value in (("matrix", P), ("names", names), ("slem", slem), ("_accelerated", accelerated)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_graph(
        cls, graph: "nx.Graph[Any]", weights: str = "laplacian", acceleration: str = "none", names: Sequence[str] = ()
    ) -> "Averaging":
        """Averaging over the links of an undirected graph; agents are numbered in the order of its nodes.

        Parameters
        ----------
        graph
            Who talks to whom; weights on its edges are not read.
        weights
            "laplacian" P = I - L/(2 d_max); "metropolis" P_ij = 1/(1 + max(d_i, d_j)), for which an agent needs to know
            its neighbours' degrees only; "best_constant" P = I - 2/(l_2 + l_n) L, the fastest with one weight for all.
        acceleration
            "none", "chebyshev" or "finite_time"; see :class:`Averaging`.
        names
            Agent names for messages; the graph's nodes where not given.

        Raises
        ------
        NetworkError
            The graph is empty, directed or not connected, or has parallel links or self-loops.
        AveragingError
            There are no weights or no acceleration of this name, or the network is too large for it.
        """
        _require_known("weights", weights, WEIGHTS)
        chosen = tuple(names) or tuple(f"agent {node}" if isinstance(node, int) else str(node) for node in graph)
        _require_connected(graph, dict(zip(graph, chosen, strict=True)))
        adjacency = sparse.csc_array(nx.adjacency_matrix(graph, weight=None, dtype=np.float64))
        return cls(WEIGHTS[weights](adjacency), chosen, acceleration)

    @classmethod
    def from_edges(
        cls,
        agents: int,
        edges: Iterable[tuple[int, int]],
        weights: str = "laplacian",
        acceleration: str = "none",
        names: Sequence[str] = (),
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
        return cls.from_graph(graph, weights, acceleration, names)

    @property
    def agents(self) -> int:
        """Number of agents M."""
        return int(self.matrix.shape[0])

    def average(self, values: ArrayLike, rounds: int, transport: Transport | None = None) -> Array:
        """Every agent's own belief of the mean after `rounds` rounds.

        Parameters
        ----------
        values
            (M,) or (M, k): row i is what agent i contributes.
        rounds
            T >= 0.
        transport
            Carries every agent's belief, (k,) numbers of the kind SCALARS, over every link in every round; what arrives
            is what counts. None: memory.

        Returns
        -------
        ndarray
            Of the same shape: row i is agent i's belief. The sum over the agents is that of `values`, and each
            column's distance to its mean (Euclidean norm) at most :meth:`predicted_error` times what it was, both up to
            rounding of the values themselves.

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
        rounds = _whole(rounds)
        if transport is None and rounds > self.agents and self.agents <= _FEW:
            # what all have in common stays as it is
            return beliefs[0] + self._of_all_rounds(rounds) @ (beliefs - beliefs[0])
        return self._mixed(beliefs, rounds, transport)

    def _of_all_rounds(self, rounds: int) -> Array:
        """(M, M): what so many rounds make of the agents' numbers; of few agents it is made once."""
        if rounds not in self._known:
            self._known[rounds] = self._mixed(np.eye(self.agents), rounds, None)
        return self._known[rounds]

    def _mixed(self, beliefs: Array, rounds: int, transport: Transport | None) -> Array:
        """Round by round."""
        before = beliefs
        for mix in itertools.islice(self._accelerated.mixes(), rounds):
            heard = self.matrix @ beliefs if transport is None else self._heard(beliefs, transport)
            # v(t+1) = h P v(t) + o v(t) + b v(t-1)
            beliefs, before = mix.heard * heard + mix.own * beliefs + mix.before * before, beliefs
        return beliefs

    def _heard(self, beliefs: Array, transport: Transport) -> Array:
        """P v, each product made by the agent that hears, from what has arrived there."""
        heard = (self.matrix.diagonal() * beliefs.T).T
        weights = sparse.coo_array(self.matrix)
        for i, j, weight in zip(*weights.coords, weights.data, strict=True):
            if i != j and weight != 0.0:
                message = Message(Kind.SCALARS, int(j), int(i), np.array(beliefs[j], ndmin=1))
                heard[i] += weight * transport.carry(message).reshape(beliefs[j].shape)
        return heard

    def predicted_error(self, rounds: int) -> float:
        """The share of the initial distance to the mean that may be left after `rounds` rounds.

        SLEM^T without acceleration; 2 s^T / (1 + s^2T) with s = (1 - sqrt(1 - SLEM^2)) / SLEM for "chebyshev". For
        "finite_time" the largest modulus of the partial product on the spectrum and what rounding makes of it: often
        far above 1 in the rounds before it is complete, at the level of rounding from then on.
        """
        return self._accelerated.error(_whole(rounds))

    def rounds_for(self, tolerance: float) -> int:
        """The least number of rounds whose predicted error is at most `tolerance`, a positive number.

        Raises
        ------
        AveragingError
            The tolerance is not positive, or below what rounding leaves of "finite_time" on this network.
        """
        rounds = self._rounds_for(tolerance)
        if rounds is None:
            raise AveragingError(self._unreachable(tolerance))
        return rounds

    def warn_if_short(self, rounds: int, tolerance: float) -> None:
        """Warn (:class:`AveragingWarning`) where `rounds` rounds do not reach `tolerance`.

        The prediction depends on the network and on `rounds` alone, so whoever chooses the rounds asks once;
        :meth:`average`, which runs in a control loop, never warns.
        """
        error = self.predicted_error(rounds)
        if error > tolerance:
            enough = self._rounds_for(tolerance)
            advice = (
                self._unreachable(tolerance)
                if enough is None
                else f"a tolerance of {tolerance:g} takes {enough} rounds"
            )
            message = (
                f"{rounds} rounds of averaging may leave {error:.2g} of the agents' initial disagreement (SLEM "
                f"{self.slem:.6g}): {advice}"
            )
            warnings.warn(message, AveragingWarning, stacklevel=2)

    def _rounds_for(self, tolerance: float) -> int | None:
        if not tolerance > 0.0:
            raise AveragingError(f"the tolerance of averaging must be positive, got {tolerance!r}")
        return self._accelerated.rounds_for(tolerance)

    def _unreachable(self, tolerance: float) -> str:
        return (
            f"rounding keeps {self.acceleration} from a tolerance of {tolerance:g} on this network: allow more, or "
            'choose acceleration="chebyshev"'
        )


def _require_known(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise AveragingError(f"{kind} must be one of {', '.join(sorted(known))}, got {name!r}")


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


def _whole(rounds: int) -> int:
    if isinstance(rounds, bool) or int(rounds) != rounds or rounds < 0:
        raise AveragingError(f"rounds must be a whole number of at least 0, got {rounds!r}")
    return int(rounds)
