"""Which signal of a plant is which number of which agent."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.value import agent_data


@dataclass(frozen=True, eq=False)
class Signals:
    """Names of the network's states, inputs and disturbances, and each agent's share of them.

    Attributes
    ----------
    states, inputs, disturbances
        Names, in the order of the plant.
    state_index, input_index, disturbance_index
        One index array an agent, into these names.
    """

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    disturbances: tuple[str, ...]
    state_index: tuple[Index, ...]
    input_index: tuple[Index, ...]
    disturbance_index: tuple[Index, ...]

    @classmethod
    def of_plant(cls, plant: Any, models: Any) -> "Signals":
        """The names of a plant, split as its local models say."""
        names = tuple(plant.state_names), tuple(plant.input_names), tuple(plant.disturbance_names)
        return cls(*names, models.state_index, models.input_index, models.disturbance_index)

    @classmethod
    def of_names(
        cls,
        problem: MPCProblem,
        states: Sequence[Sequence[str]] | None = None,
        inputs: Sequence[Sequence[str]] | None = None,
        disturbances: Sequence[Sequence[str]] | None = None,
    ) -> "Signals":
        """Names given agent by agent; "x0_1" is state 1 of agent 0 where none are given, likewise "u0_0" and "d0_0".

        Raises
        ------
        ModelError
            An agent has another number of names than signals, or a name stands twice.
        """
        names: list[tuple[str, ...]] = []
        indices: list[tuple[Index, ...]] = []
        for letter, kind, given, sizes in (
            ("x", "states", states, [model.n for model in problem.models]),
            ("u", "inputs", inputs, [model.m for model in problem.models]),
            ("d", "disturbances", disturbances, [model.d for model in problem.models]),
        ):
            made_up = [[f"{letter}{i}_{c}" for c in range(size)] for i, size in enumerate(sizes)]
            parts = made_up if given is None else given
            if [len(part) for part in parts] != sizes:
                raise ModelError(f"{kind}: the agents need {sizes} names, got {[len(part) for part in parts]}")
            flat = tuple(name for part in parts for name in part)
            if len(set(flat)) != len(flat):
                raise ModelError(f"{kind}: a name stands twice in {flat}")
            ends = np.cumsum([0, *sizes])
            names.append(flat)
            indices.append(tuple(np.arange(a, b) for a, b in pairwise(ends)))
        return cls(names[0], names[1], names[2], indices[0], indices[1], indices[2])

    @property
    def measured(self) -> tuple[str, ...]:
        """What a controller asks for: states, disturbances, set points of states and of inputs ("name_ref")."""
        references = tuple(f"{name}_ref" for name in self.states + self.inputs)
        return self.states + self.disturbances + references

    def data(self, problem: MPCProblem, measurement: Array, applied: Array) -> tuple[AgentData, ...]:
        """Split a measurement, (len(measured),) or (N + 1, len(measured)) with row k known for stage k."""
        rows = np.atleast_2d(measurement)
        n, d = len(self.states), len(self.disturbances)
        states, disturbances, x_refs, u_refs = np.split(rows, np.cumsum([n, d, n]), axis=1)
        stages = slice(0, max(1, len(rows) - 1))
        return agent_data(
            problem,
            [states[0, index] for index in self.state_index],
            [disturbances[stages, index] for index in self.disturbance_index],
            [x_refs[:, index] for index in self.state_index],
            [u_refs[stages, index] for index in self.input_index],
            [applied[index] for index in self.input_index],
        )

    def joined(self, parts: Sequence[Array]) -> Array:
        """(..., m): inputs in the order of the plant, from (..., m_i) an agent."""
        joined = np.zeros((*np.shape(parts[0])[:-1], len(self.inputs)))
        for index, part in zip(self.input_index, parts, strict=True):
            joined[..., index] = part
        return joined

    def split(self, vector: Array) -> tuple[Array, ...]:
        """One input an agent, from one vector in the order of the plant."""
        return tuple(vector[index] for index in self.input_index)
