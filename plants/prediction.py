"""From a plant's linear model to the agents' prediction models over one sample.

Two discretisations exist, and they differ (on the Hycon2 network at 1 s by more than 1 in an entry):

- per area: an agent discretises its own dynamics with everything that comes from outside held over the sample, its
  neighbours' states included: [A_ii | B_i A_ij E_i]. Sparse: it keeps the coupling graph.
- network: the whole coupled plant, as it really moves under held inputs. Dense, so that only one agent can have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.errors import ModelError, PlantError
from dmpcrl_ctrl.plants.dynamics import Dynamics
from dmpcrl_ctrl.plants.partition import Agent, Partition, SignalNames, SplitInputs
from dmpcrl_ctrl.plants.signals import Named, vector
from dmpcrl_ctrl.plants.zoh import zoh


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """State (n,), control inputs (m,) and disturbances (nd,) at which a plant is linearised."""

    state: Array
    input: Array
    disturbance: Array


@dataclass(frozen=True, eq=False)
class AffineModel:
    """rate = A (x - x0) + B (u - u0) + E (d - d0) + rate0, where rate is dx/dt, or the next state of a discrete plant.

    Parameters
    ----------
    A, B, E
        (n, n), (n, m), (n, nd).
    rate
        (n,): rate0.
    point
        x0, u0, d0.
    """

    A: Array
    B: Array
    E: Array
    rate: Array
    point: OperatingPoint

    @classmethod
    def around(cls, dynamics: Dynamics, point: OperatingPoint, inputs: SplitInputs) -> "AffineModel":
        """Linearise `dynamics` at `point`."""
        linear = dynamics.linearise(point.state, inputs.merged(point.input, point.disturbance))
        return cls(linear.A, linear.B[:, inputs.control], linear.B[:, inputs.acting], linear.rate, point)


def operating_point(
    given: Sequence[Named] | None, fallback: Named | None, names: SignalNames, plant: str
) -> OperatingPoint:
    """Read what a user wrote.

    Parameters
    ----------
    given
        (x, u) or (x, u, d), each a vector or a mapping by signal name; None: `fallback` with all inputs zero.
    fallback
        A state; None: zero.
    names
        The plant's signals.
    plant
        Name for messages.
    """
    parts = [fallback, None] if given is None else list(given)
    if len(parts) not in (2, 3):
        raise PlantError(f"{plant}: operating_point must be (x, u) or (x, u, d), got {len(parts)} parts")
    groups = (names.states, names.inputs, names.disturbances)
    vectors = [vector(*pair, f"{plant}: operating_point") for pair in zip([*parts, None][:3], groups, strict=True)]
    return OperatingPoint(*vectors)


@dataclass(frozen=True, eq=False)
class AgentDynamics:
    """x_i(k+1) = A x_i + B u_i + sum_j A_ij[j] x_j + E d_i + b over one sample, in absolute (not deviation) values."""

    A: Array
    B: Array
    A_ij: dict[int, Array]
    E: Array
    b: Array


def whole(names: SignalNames, plant: str) -> Partition:
    """Partition into one agent, named as the plant, that has every signal."""
    agent = Agent(plant, names.states, names.inputs, names.disturbances, ())
    indices = (np.arange(len(group)) for group in (names.states, names.inputs, names.disturbances))
    return Partition((agent,), *((index,) for index in indices))


def agent_dynamics(model: AffineModel, partition: Partition, sample_time: float | None) -> tuple[AgentDynamics, ...]:
    """Prediction models of the agents.

    Parameters
    ----------
    model
        The plant's.
    partition
        Who has what; couplings from agents that are not neighbours are left out, and so are disturbances that are not
        an agent's: a given list is a modelling choice.
    sample_time
        Seconds over which a continuous model is held; None: the model is discrete already.

    Raises
    ------
    ModelError
        An input acts on another agent's states (there is no such term in a local model), or growth beyond all floats.
    """
    _require_own_inputs(model.B, partition)
    return tuple(_one_agent(model, partition, i, sample_time) for i in range(len(partition.agents)))


def _one_agent(model: AffineModel, partition: Partition, i: int, sample_time: float | None) -> AgentDynamics:
    own, inputs, known = partition.state_index[i], partition.input_index[i], partition.disturbance_index[i]
    point = model.point
    A, B, E = model.A[np.ix_(own, own)], model.B[np.ix_(own, inputs)], model.E[np.ix_(own, known)]
    blocks = {j: model.A[np.ix_(own, partition.state_index[j])] for j in partition.neighbour_numbers(i)}
    blocks = {j: block for j, block in blocks.items() if block.any()}
    # The offset that makes absolute values of the deviations; of the couplings that are left out, the deviation is.
    offset = model.rate[own] - A @ point.state[own] - B @ point.input[inputs] - E @ point.disturbance[known]
    for j, block in blocks.items():
        offset = offset - block @ point.state[partition.state_index[j]]
    if sample_time is None:
        return AgentDynamics(A, B, blocks, E, offset)
    held = np.hstack([B, *blocks.values(), E, offset[:, None]])
    try:
        A, held = zoh(A, held, sample_time)
    except PlantError as error:
        raise ModelError(f"{partition.agents[i].name}: {error}") from error
    widths = [B.shape[1], *(block.shape[1] for block in blocks.values()), E.shape[1]]
    B, *couplings, E, offset = np.split(held, np.cumsum(widths), axis=1)
    return AgentDynamics(A, B, dict(zip(blocks, couplings, strict=True)), E, offset[:, 0])


def _require_own_inputs(B: Array, partition: Partition) -> None:
    owner = np.zeros(B.shape[1], dtype=np.intp)
    for j, inputs in enumerate(partition.input_index):
        owner[inputs] = j
    for i, own in enumerate(partition.state_index):
        foreign: Index = np.flatnonzero(B[own].any(axis=0) & (owner != i))
        if foreign.size:
            j = int(owner[foreign[0]])
            raise ModelError(
                f"input {partition.agents[j].inputs[list(partition.input_index[j]).index(foreign[0])]!r} of "
                f"{partition.agents[j].name} acts on states of {partition.agents[i].name}, which a local model cannot "
                "express; use hold='network' or another partition"
            )
