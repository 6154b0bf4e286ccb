"""Which agent has which states, inputs and disturbances, and whose states act on it.

A partition is given as :class:`Agent` objects with signal names, or found from the sparsity of the matrices: one agent
an input, and every state with the input that reaches it in the fewest steps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import control as ct
import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.signals import signal_names


@dataclass(frozen=True)
class Agent:
    """One agent of a plant, by the names of its signals.

    Parameters
    ----------
    name
        What messages and logs call it.
    states, inputs
        Its own; every state and control input of a plant belongs to exactly one agent.
    disturbances
        Those that its prediction model has; None: all that act on its states.
    neighbours
        Names of the agents whose states act on this one; None: all whose states do, by the sparsity of A. A list is
        a modelling choice: what it leaves out, the agent's prediction model leaves out (the plant does not).
    """

    name: str
    states: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    disturbances: tuple[str, ...] | None = None
    neighbours: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Partition:
    """Agents with everything filled in, and their signals as index arrays (positions in the plant's vectors)."""

    agents: tuple[Agent, ...]
    state_index: tuple[Index, ...]
    input_index: tuple[Index, ...]
    disturbance_index: tuple[Index, ...]

    def neighbour_numbers(self, i: int) -> tuple[int, ...]:
        """Numbers of the agents whose states act on agent `i`, ascending."""
        numbers = {agent.name: k for k, agent in enumerate(self.agents)}
        return tuple(sorted(numbers[name] for name in self.agents[i].neighbours or ()))


@dataclass(frozen=True)
class SignalNames:
    """Names of a plant's states, control inputs and disturbances, in the order of its vectors."""

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    disturbances: tuple[str, ...]

    @property
    def steered(self) -> tuple[str, ...]:
        """States and control inputs: what has a set point."""
        return (*self.states, *self.inputs)


@dataclass(frozen=True, eq=False)
class SplitInputs:
    """Where the control inputs and the disturbances stand among the inputs of a system.

    Parameters
    ----------
    control, acting
        Positions of the m control inputs and of the nd disturbances; together all inputs.
    """

    control: Index
    acting: Index

    def merged(self, u: Array | float, d: Array | float) -> Array:
        """(m + nd,): all inputs in the system's order."""
        w = np.empty(self.control.size + self.acting.size)
        w[self.control] = u
        w[self.acting] = d
        return w


def split_signals(
    system: ct.InputOutputSystem, disturbances: Iterable[str], plant: str
) -> tuple[SignalNames, SplitInputs, tuple[str, ...]]:
    """Names of a system's signals, where its control inputs and its disturbances stand, and its output names.

    PlantError where a disturbance is not an input of the system, or two signals have one name.
    """
    states, inputs, outputs = signal_names(system, plant)
    acting = set(disturbances)
    for name in acting:
        if name not in inputs:
            raise PlantError(unknown(name, inputs, f"{plant}: disturbance"))
    positions = [[k for k, name in enumerate(inputs) if (name in acting) == kind] for kind in (False, True)]
    control, others = (np.array(group, dtype=np.intp) for group in positions)
    names = SignalNames(states, tuple(inputs[k] for k in control), tuple(inputs[k] for k in others))
    return names, SplitInputs(control, others), outputs


def make_partition(
    agents: Sequence[Agent] | None, names: SignalNames, A: Array, B: Array, E: Array, plant: str
) -> Partition:
    """Check given agents, or find them, and fill in disturbances and neighbours from the sparsity of the matrices.

    Parameters
    ----------
    agents
        As the user gave them; None: one agent an input.
    names
        The plant's signals.
    A, B, E
        (n, n), (n, m), (n, nd): dynamics, control inputs, disturbances; only their nonzeros matter.
    plant
        Name for messages.

    Raises
    ------
    PlantError
        A state or input in no agent or in two, an unknown name, agents of one name, an agent its own neighbour.
    """
    if agents is None:
        owner = owners(A, B)
        count = max(len(names.inputs), 1)
        agents = [
            Agent(
                f"agent_{k}",
                tuple(name for name, own in zip(names.states, owner, strict=True) if own == k),
                names.inputs[k : k + 1],
            )
            for k in range(count)
        ]
    agents = tuple(agents)
    _require_agent_names(agents, plant)
    state_index = _own(agents, "states", names.states, plant)
    input_index = _own(agents, "inputs", names.inputs, plant)
    disturbance_index, filled = [], []
    for i, agent in enumerate(agents):
        acting = _index(agent.disturbances, names.disturbances, f"{plant}: disturbance of {agent.name}")
        if agent.disturbances is None:
            acting = np.flatnonzero(np.any(E[state_index[i]] != 0.0, axis=0))
        neighbours = agent.neighbours
        if neighbours is None:
            coupled = np.any(A[state_index[i]] != 0.0, axis=0)
            neighbours = tuple(a.name for j, a in enumerate(agents) if j != i and coupled[state_index[j]].any())
        disturbance_index.append(acting)
        filled.append(replace(agent, disturbances=tuple(names.disturbances[k] for k in acting), neighbours=neighbours))
    return Partition(tuple(filled), state_index, input_index, tuple(disturbance_index))


def owners(A: Array, B: Array) -> NDArray[np.intp]:
    """Agent of each state, where every input is an agent: the input that reaches the state in the fewest steps.

    Parameters
    ----------
    A, B
        (n, n), (n, m): an edge from state r to state s where A[s, r] is not zero, from input k where B[s, k] is not.

    Returns
    -------
    ndarray
        (n,) of input numbers. Of several inputs at the same distance the most strongly coupled one wins (largest sum of
        moduli, then the first); states that no input reaches go with the states that they are coupled to; what is left
        goes to agent 0.
    """
    n, m = B.shape
    owner = np.full(n, -1, dtype=np.intp)
    if m == 0:
        return np.zeros(n, dtype=np.intp)
    strength = np.abs(A)
    _claim(owner, np.abs(B))
    for edges in (strength, strength + strength.T):
        while (owner < 0).any():
            members = np.zeros((n, m))
            members[np.flatnonzero(owner >= 0), owner[owner >= 0]] = 1.0
            if not _claim(owner, edges @ members):
                break
    owner[owner < 0] = 0
    return owner


def _claim(owner: NDArray[np.intp], strength: Array) -> bool:
    """Give each free state to the agent with the largest positive `strength` (n, m); whether any was given."""
    free = np.flatnonzero((owner < 0) & (strength > 0.0).any(axis=1))
    owner[free] = np.argmax(strength[free], axis=1)
    return free.size > 0


def _require_agent_names(agents: tuple[Agent, ...], plant: str) -> None:
    names = [agent.name for agent in agents]
    if not names:
        raise PlantError(f"{plant}: a plant needs at least one agent; leave agents out to have them found")
    for agent in agents:
        if not agent.name or "/" in agent.name or names.count(agent.name) > 1:
            raise PlantError(f"{plant}: agent names must differ and not be empty or contain '/', got {agent.name!r}")
        for neighbour in agent.neighbours or ():
            if neighbour == agent.name:
                raise PlantError(f"{plant}: agent {agent.name} cannot be its own neighbour")
            if neighbour not in names:
                raise PlantError(unknown(neighbour, names, f"{plant}: neighbour of {agent.name}"))
        if len(set(agent.neighbours or ())) != len(agent.neighbours or ()):
            raise PlantError(
                f"{plant}: agent {agent.name} lists a neighbour twice: {', '.join(agent.neighbours or ())}"
            )


def _own(agents: tuple[Agent, ...], kind: str, names: tuple[str, ...], plant: str) -> tuple[Index, ...]:
    """Index arrays of the agents' `kind`, each name of the plant in exactly one of them."""
    holder: dict[str, str] = {}
    for agent in agents:
        for name in getattr(agent, kind):
            if name not in names:
                raise PlantError(unknown(name, names, f"{plant}: agent {agent.name}: {kind[:-1]}"))
            if name in holder:
                raise PlantError(f"{plant}: {kind[:-1]} {name!r} belongs to both {holder[name]} and {agent.name}")
            holder[name] = agent.name
    missing = [name for name in names if name not in holder]
    if missing:
        raise PlantError(f"{plant}: {kind} {', '.join(missing[:8])} belong to no agent; add them to one")
    return tuple(_index(getattr(agent, kind), names, plant) for agent in agents)


def _index(members: tuple[str, ...] | None, names: tuple[str, ...], what: str) -> Index:
    for member in members or ():
        if member not in names:
            raise PlantError(unknown(member, names, what))
    return np.array([names.index(member) for member in members or ()], dtype=np.intp)
