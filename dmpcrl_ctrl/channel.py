"""What agents tell each other, and the only way by which they do.

Every number that an agent knows of another one has crossed a :class:`Neighbourhood`: its owner scatters it to the
agents that hold a copy, or these send theirs to the owner, who gathers the sum. With a :class:`Transport` each such
piece is a message that can be watched, delayed, altered or lost; without one the same sums are taken in memory.

What the kinds of message reveal of an agent: docs/design.md, "Privacy".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from math import sqrt
from typing import Protocol

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index

EVERYBODY = -1


class Kind(StrEnum):
    """Why a message is sent."""

    STATE = "state"  # the components of a measured state that couple, once an evaluation
    PROPOSAL = "proposal"  # W xt + y of a copy, to its owner (15b)
    AGREED = "agreed"  # z, from the owner to those who hold copies (15b)
    RESPONSE = "response"  # directions known to the agents, and how a proposal would follow if they went on in them
    AGREED_RESPONSE = "agreed response"  # how z would
    PLAN = "plan"  # coupling components of a planned trajectory, for the certificate
    PRICE = "price"  # what a copy costs its holder: A_ij'lambda_i and the like, for the certificate
    SCALARS = "scalars"  # numbers that are summed or averaged over the whole network
    PRODUCTS = "products"  # inner products of directions and what they lead to, summed over the whole network


@dataclass(frozen=True, eq=False)
class Message:
    """Numbers on their way from one agent to another; `receiver` is EVERYBODY for a share of a network-wide sum."""

    kind: Kind
    sender: int
    receiver: int
    values: Array


class Transport(Protocol):
    """Carries messages."""

    def carry(self, message: Message) -> Array:
        """What arrives, in the shape of `message.values`."""
        ...


@dataclass
class Watched:
    """A transport that delivers everything and keeps a list."""

    messages: list[Message] = field(default_factory=list)

    def carry(self, message: Message) -> Array:
        """Note the message and deliver it as it is."""
        self.messages.append(Message(message.kind, message.sender, message.receiver, message.values.copy()))
        return message.values


@dataclass(frozen=True, eq=False)
class Scaled:
    """A diagonal weight of the shared numbers at one scale.

    Attributes
    ----------
    weights
        (Z,): at scale 1.
    shared, held, root
        (Z,), (H,), (H,): the weight, of each entry and of what each agent holds, and the root of that.
    mean
        (Z,): 1 over its sum over the holders of an entry.
    """

    weights: Array
    shared: Array
    held: Array
    root: Array
    mean: Array


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Who owns each number of a shared vector, and who else holds it.

    Parameters
    ----------
    owner
        (Z,): number of the agent that owns each entry.
    held
        For each agent the entries that it holds, its own among them.
    transport
        What carries the messages; None: memory.
    """

    owner: Index
    held: tuple[Index, ...]
    transport: Transport | None = None
    _scaled: dict[float, Scaled] = field(default_factory=dict, init=False, repr=False)

    @property
    def size(self) -> int:
        """Z."""
        return len(self.owner)

    @cached_property
    def entries(self) -> Index:
        """(H,): what the agents hold, one agent after the other."""
        return np.concatenate([np.zeros(0, dtype=np.intp), *self.held])

    @cached_property
    def parts(self) -> tuple[slice, ...]:
        """Where each agent's entries stand in `entries`."""
        ends = np.cumsum([0, *map(len, self.held)]).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @cached_property
    def holders(self) -> Array:
        """(Z,): how many agents hold each entry."""
        return np.bincount(self.entries, minlength=self.size).astype(float)

    @cached_property
    def _by_entry(self) -> tuple[Index, Index, Index]:
        """An order in which the holders of an entry follow each other; where each begins; which entries there are."""
        order = np.argsort(self.entries, kind="stable")
        there, starts = np.unique(self.entries[order], return_index=True)
        return order, starts, there

    def scaled(self, weights: Array, factor: float) -> "Scaled":
        """Weights (Z,) times a factor, as an iteration needs them; made once."""
        known = self._scaled.get(factor)
        if known is None or known.weights is not weights:
            W = factor * weights
            held = W[self.entries]
            known = self._scaled[factor] = Scaled(weights, W, held, np.sqrt(held), 1.0 / (self.holders * W))
        return known

    def norm(self, stacked: Array) -> float:
        """Of an array (H,), which all come to know."""
        if self.transport is None:
            return sqrt(stacked @ stacked)
        # what arrives of a sum of squares may be altered
        return sqrt(max(self.summed(lambda own: np.array([stacked[own] @ stacked[own]]))[0], 0.0))

    def apart(self, stacked: Array) -> tuple[Array, ...]:
        """One array an agent, of an array (H, ...) of all of them."""
        return tuple(stacked[part] for part in self.parts)

    def gather(self, kind: Kind, parts: Sequence[Array]) -> Array:
        """(Z, ...): for each entry the sum over its holders, for its owner; parts[i] is (len(held[i]), ...)."""
        if self.transport is None:
            return self.gathered(kind, np.concatenate(parts))
        total = np.zeros((self.size, *parts[0].shape[1:]))
        for i, (entries, part) in enumerate(zip(self.held, parts, strict=True)):
            owners = self.owner[entries]
            for j in np.unique(owners):
                piece = part[owners == j]
                arrived = piece if j == i else self.transport.carry(Message(kind, i, int(j), piece))
                total[entries[owners == j]] += arrived
        return total

    def gathered(self, kind: Kind, stacked: Array) -> Array:
        """The same of all agents' parts in one array (H, ...)."""
        if self.transport is not None:
            return self.gather(kind, self.apart(stacked))
        if stacked.ndim == 1:
            return np.asarray(np.bincount(self.entries, stacked, self.size))
        order, starts, there = self._by_entry
        total = np.zeros((self.size, *stacked.shape[1:]))
        if len(order):
            total[there] = np.add.reduceat(stacked[order], starts, axis=0)
        return total

    def scatter(self, kind: Kind, values: Array) -> tuple[Array, ...]:
        """For each agent the entries that it holds, of an array (Z, ...) of what each owner knows of its own."""
        return self.apart(self.scattered(kind, values))

    def scattered(self, kind: Kind, values: Array) -> Array:
        """(H, ...): the same in one array."""
        received = values[self.entries]
        if self.transport is None:
            return received
        for i, (entries, mine) in enumerate(zip(self.held, self.apart(received), strict=True)):
            owners = self.owner[entries]
            for j in np.unique(owners[owners != i]):
                mine[owners == j] = self.transport.carry(Message(kind, int(j), i, mine[owners == j]))
        return received

    def total(self, parts: Array, kind: Kind = Kind.SCALARS) -> Array:
        """(k,): sum over the agents of (M, k) scalars, as exact averaging (finitely many rounds) gives it to all."""
        if self.transport is None:
            return np.asarray(parts.sum(axis=0))
        carried = [self.transport.carry(Message(kind, i, EVERYBODY, p)) for i, p in enumerate(np.asarray(parts))]
        return np.asarray(np.sum(carried, axis=0))

    def summed(self, share: Callable[[slice], Array], kind: Kind = Kind.SCALARS) -> Array:
        """(k,): the same sum of what `share` makes of an agent's slice of arrays (H, ...).

        Shares have to add up to what `share` makes of the whole arrays, as inner products do: in memory they are not
        taken apart.
        """
        if self.transport is None:
            return share(slice(None))
        return self.total(np.array([share(part) for part in self.parts]), kind)
