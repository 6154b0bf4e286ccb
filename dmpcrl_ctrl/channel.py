"""What agents tell each other, and the only way by which they do.

Every number that an agent knows of another one has crossed a :class:`Neighbourhood`: its owner scatters it to the
agents that hold a copy, or these send theirs to the owner, who gathers the sum. With a :class:`Transport` each such
piece is a message that can be watched, delayed, altered or lost; without one the same sums are taken in memory.

What the kinds of message reveal of an agent: docs/design.md, "Privacy".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index

EVERYBODY = -1


class Kind(StrEnum):
    """Why a message is sent."""

    STATE = "state"  # the components of a measured state that couple, once an evaluation
    PROPOSAL = "proposal"  # W xt + y of a copy, to its owner (15b)
    AGREED = "agreed"  # z, from the owner to those who hold copies (15b)
    RESPONSE = "response"  # how a proposal would follow if the agents went on in directions known to them
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

    @property
    def size(self) -> int:
        """Z."""
        return len(self.owner)

    def gather(self, kind: Kind, parts: Sequence[Array]) -> Array:
        """(Z, ...): for each entry the sum over its holders, for its owner; parts[i] is (len(held[i]), ...)."""
        total = np.zeros((self.size, *parts[0].shape[1:]))
        for i, (entries, part) in enumerate(zip(self.held, parts, strict=True)):
            if self.transport is None:
                total[entries] += part
                continue
            owners = self.owner[entries]
            for j in np.unique(owners):
                piece = part[owners == j]
                arrived = piece if j == i else self.transport.carry(Message(kind, i, int(j), piece))
                total[entries[owners == j]] += arrived
        return total

    def scatter(self, kind: Kind, values: Array) -> tuple[Array, ...]:
        """For each agent the entries that it holds, of an array (Z, ...) of what each owner knows of its own."""
        if self.transport is None:
            return tuple(values[entries] for entries in self.held)
        received = []
        for i, entries in enumerate(self.held):
            owners, mine = self.owner[entries], values[entries]
            for j in np.unique(owners[owners != i]):
                mine[owners == j] = self.transport.carry(Message(kind, int(j), i, mine[owners == j]))
            received.append(mine)
        return tuple(received)

    def total(self, parts: Array, kind: Kind = Kind.SCALARS) -> Array:
        """(k,): sum over the agents of (M, k) scalars, as exact averaging (finitely many rounds) gives it to all."""
        if self.transport is None:
            return np.asarray(parts.sum(axis=0))
        carried = [self.transport.carry(Message(kind, i, EVERYBODY, p)) for i, p in enumerate(np.asarray(parts))]
        return np.asarray(np.sum(carried, axis=0))
