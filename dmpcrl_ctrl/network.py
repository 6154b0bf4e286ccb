"""Who is coupled to whom, and which numbers the agents have to agree on.

Only the *components that couple* are shared: the columns of x_j that enter the prediction, the cost or the bounds of
another agent, at the stages where they enter. s_j(0) is sent once and is data, so stage 0 is never shared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import networkx as nx
import numpy as np

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.channel import Kind, Neighbourhood, Transport
from dmpcrl_ctrl.errors import NetworkError
from dmpcrl_ctrl.problem import MPCProblem


@dataclass(frozen=True)
class Copy:
    """What one agent holds of a neighbour's trajectory.

    Attributes
    ----------
    owner
        Number of the neighbour j whose state it is.
    columns
        Components of x_j, sorted.
    last_stage
        Copies run over the stages 1..last_stage: N - 1 where x_j enters dynamics or cost, N where it enters a bound.
    """

    owner: int
    columns: tuple[int, ...]
    last_stage: int


def copies_held(problem: MPCProblem, i: int) -> tuple[Copy, ...]:
    """The copies that agent i holds, one an in-neighbour whose state it needs."""
    model = problem.models[i]
    held = []
    for j in model.neighbours:
        columns = model.coupled_columns(j)
        # a block of zeros may be one that is to be learned
        bounded = j in model.C_ij
        if columns:
            held.append(Copy(j, columns, problem.horizon if bounded else problem.horizon - 1))
    return tuple(held)


def coupling_graph(problem: MPCProblem) -> "nx.DiGraph[int]":
    """Directed graph with an edge j -> i where agent j acts on agent i."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(problem.models)))
    graph.add_edges_from((copy.owner, i) for i in range(len(problem.models)) for copy in copies_held(problem, i))
    return graph


def communication_graph(problem: MPCProblem) -> "nx.Graph[int]":
    """Undirected graph of the agents that exchange messages: i and j talk if either acts on the other.

    Raises
    ------
    NetworkError
        The graph is not connected, so that no number could be agreed by all.
    """
    graph = coupling_graph(problem).to_undirected()
    parts = [sorted(part) for part in nx.connected_components(graph)]
    if len(parts) > 1:
        named = " | ".join(", ".join(problem.names[i] for i in part) for part in parts[:4])
        raise NetworkError(
            f"the network falls into {len(parts)} parts that do not talk to each other ({named}): "
            "give each part a controller of its own, or declare the missing coupling"
        )
    return graph


@dataclass(frozen=True, eq=False)
class SharedStates:
    """The global vector z of agreed states: one entry a shared component and stage.

    Attributes
    ----------
    owner, column, stage
        (Z,) each: entry e is component `column[e]` of x_owner[e] at stage `stage[e]`; sorted by owner, column, stage.
    """

    owner: Index
    column: Index
    stage: Index

    @property
    def size(self) -> int:
        """Number of agreed numbers Z."""
        return len(self.owner)

    def shifted(self) -> Index:
        """(Z,): for each entry the one a stage later, or itself at the last: `z[shared.shifted()]` warm-starts."""
        same = (self.owner[1:] == self.owner[:-1]) & (self.column[1:] == self.column[:-1])
        return np.arange(self.size) + np.append(same, False)[: self.size]


def shared_states(problem: MPCProblem) -> SharedStates:
    """Every component and stage that at least two agents hold."""
    last: dict[tuple[int, int], int] = {}
    for i in range(len(problem.models)):
        for copy in copies_held(problem, i):
            for column in copy.columns:
                last[copy.owner, column] = max(last.get((copy.owner, column), 0), copy.last_stage)
    keys = [(j, c, k) for (j, c), stages in sorted(last.items()) for k in range(1, stages + 1)]
    table = np.array(keys, dtype=np.intp).reshape(-1, 3)
    return SharedStates(table[:, 0], table[:, 1], table[:, 2])


@dataclass(frozen=True, eq=False)
class Components:
    """The state components that couple, whatever the stage: what agents tell each other of one instant.

    Attributes
    ----------
    column
        (K,): entry e is component `column[e]` of the state of agent `neighbourhood.owner[e]`.
    neighbourhood
        Who owns and who holds each entry.
    """

    column: Index
    neighbourhood: Neighbourhood

    @cached_property
    def own(self) -> tuple[tuple[Index, Index], ...]:
        """For each agent the entries that it owns, and the components of its state that they are."""
        # sorted by owner, so that a large network need not be searched
        ends = np.searchsorted(self.neighbourhood.owner, np.arange(len(self.neighbourhood.held) + 1))
        return tuple((np.arange(a, b), self.column[a:b]) for a, b in pairwise(ends))

    @cached_property
    def copied(self) -> tuple[dict[int, tuple[Index, Index]], ...]:
        """For each agent j -> where among the entries that it holds those of agent j stand, and the components of x_j
        that they are; without its own."""
        found: list[dict[int, tuple[Index, Index]]] = []
        for i, held in enumerate(self.neighbourhood.held):
            owners = self.neighbourhood.owner[held]
            places = {int(j): np.flatnonzero(owners == j) for j in np.unique(owners) if j != i}
            found.append({j: (at, self.column[held[at]]) for j, at in places.items()})
        return tuple(found)

    def tell(self, kind: Kind, own: Sequence[Array]) -> list[dict[int, Array]]:
        """For each agent j -> what neighbour j tells of own[j] (n_j, ...); NaN in components that do not couple."""
        shared = np.zeros((self.neighbourhood.size, *own[0].shape[1:]))
        for values, (entries, columns) in zip(own, self.own, strict=True):
            shared[entries] = values[columns]
        told = []
        for heard, copied in zip(self.neighbourhood.scatter(kind, shared), self.copied, strict=True):
            known = {j: np.full_like(own[j], np.nan) for j in copied}
            for j, (places, columns) in copied.items():
                known[j][columns] = heard[places]
            told.append(known)
        return told

    def collect(self, kind: Kind, told: Sequence[Mapping[int, Array]], own: Sequence[Array]) -> list[Array]:
        """For each agent the sum of what the others tell it, told[i][j] (n_j, ...) in the shape of own[j]."""
        parts = []
        for i, values in enumerate(told):
            part = np.zeros((len(self.neighbourhood.held[i]), *own[i].shape[1:]))
            for j, value in values.items():
                places, columns = self.copied[i][j]
                part[places] = value[columns]
            parts.append(part)
        total = self.neighbourhood.gather(kind, parts)
        sums = [np.zeros_like(values) for values in own]
        for mine, (entries, columns) in zip(sums, self.own, strict=True):
            mine[columns] = total[entries]
        return sums


def coupling_components(problem: MPCProblem, transport: Transport | None = None) -> Components:
    """Every component that an agent holds of a neighbour's state; `transport` carries the messages about them."""
    copies = [copies_held(problem, i) for i in range(len(problem.models))]
    keys = sorted({(copy.owner, column) for own in copies for copy in own for column in copy.columns})
    place = {key: e for e, key in enumerate(keys)}
    owner, columns = np.array(keys, dtype=np.intp).reshape(-1, 2).T
    held = []
    for i, own in enumerate(copies):
        first, last = np.searchsorted(owner, [i, i + 1])
        copied = [place[copy.owner, column] for copy in own for column in copy.columns]
        held.append(np.array([*range(first, last), *copied], dtype=np.intp))
    return Components(columns, Neighbourhood(owner, tuple(held), transport))
