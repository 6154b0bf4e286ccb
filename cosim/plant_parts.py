"""What a log holds of a plant besides its signals: the matrices that it moves by, the weights that it is judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import control as ct
import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Index
from dmpcrl_ctrl.cosim.layout import Axis, Variable
from dmpcrl_ctrl.cosim.units import per_second, ratio, unit_of
from dmpcrl_ctrl.plants.plant import Plant

Attributes = dict[str, Mapping[str, str | int | float]]


@dataclass(frozen=True, eq=False)
class Parts:
    """Axes, arrays and attributes (group -> name -> value) of a log."""

    axes: list[Axis]
    variables: list[Variable]
    attributes: Attributes


def plant_model(plant: Plant, group: str) -> Parts:
    """Matrices of a linear plant; nothing of a nonlinear one."""
    system = plant.system
    if not isinstance(system, ct.StateSpace):
        return Parts([], [], {})
    names = {
        "to_rate": plant.state_names,
        "to_output": plant.output_names,
        "of_state": plant.state_names,
        "of_input": tuple(system.input_labels),
    }
    shapes = {
        "A": ("to_rate", "of_state"),
        "B": ("to_rate", "of_input"),
        "C": ("to_output", "of_state"),
        "D": ("to_output", "of_input"),
    }
    rate = "rate" if plant.sample_time is None else "next state"
    meaning = {"A": f"{rate} by state", "B": f"{rate} by input", "C": "output by state", "D": "output by input"}
    axes = [Axis(f"{group}/{name}", labels) for name, labels in names.items()]
    units = {along: tuple(unit_of(plant, name) for name in labels) for along, labels in names.items()}
    if plant.sample_time is None:
        units["to_rate"] = tuple(per_second(unit) for unit in units["to_rate"])
    variables = [
        *(Variable(f"{group}/{along}_unit", (f"{group}/{along}",), "str", value=u) for along, u in units.items()),
        *(
            Variable(
                f"{group}/{name}",
                tuple(f"{group}/{along}" for along in shape),
                unit=ratio(units[shape[0]], units[shape[1]]),
                long_name=meaning[name],
                value=np.asarray(getattr(system, name), dtype=np.float64),
                units_along=" ".join(f"{along}_unit" for along in shape),
            )
            for name, shape in shapes.items()
        ),
    ]
    return Parts(axes, variables, {})


def plant_weights(plant: Plant, group: str) -> Parts:
    """Weights of a plant's stage cost, and whose share each signal is.

    Attributes of the group: `extra_stage_cost`, whether a function of the user adds to the cost.
    """
    task = plant.task
    names = {"state": plant.state_names, "input": plant.input_names}
    axes = [Axis(f"{group}/{prefix}{kind}", own) for kind, own in names.items() for prefix in ("", "to_")]
    weights = (
        ("Q", ("to_state", "state"), task.Q, "weight of the state"),
        ("R", ("to_input", "input"), task.R, "weight of the input"),
        ("violation_weight", ("state",), task.violation_weight, "price per unit outside the limits"),
        ("agent_of_state", ("state",), _owners(plant.state_index, len(plant.state_names)), "number of its agent"),
        ("agent_of_input", ("input",), _owners(plant.input_index, len(plant.input_names)), "number of its agent"),
    )
    variables = [
        Variable(f"{group}/{name}", tuple(f"{group}/{axis}" for axis in along), long_name=meaning, value=value)
        for name, along, value, meaning in weights
        if value.size
    ]
    return Parts(axes, variables, {group: {"extra_stage_cost": int(plant.extra_stage_cost is not None)}})


def _owners(indices: Sequence[Index], size: int) -> NDArray[np.int64]:
    """(size,): number of the agent whose index array holds each position."""
    owners = np.zeros(size, dtype=np.int64)
    for agent, index in enumerate(indices):
        owners[index] = agent
    return owners
