"""The local models that a block predicts with, as arrays of the log: what its plans can be checked against.

/controller/<name>/model             attributes horizon, discount
/controller/<name>/model/<agent>     attributes number (from zero), V0, terminal_equality
    A, B, E, b, Q, R, P, f, ...      as :class:`dmpcrl_ctrl.model.LocalModel` calls them; none without entries
    A_ij/<j>, C_ij/<j>, G_ij/<j>     by the neighbour's number; declared/<j>: columns of its state
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.cosim.layout import Axis, Variable
from dmpcrl_ctrl.cosim.participants import TimedBlock
from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem

Attributes = dict[str, Mapping[str, str | int | float]]

# Array -> its axes and what it is.
ARRAYS: dict[str, tuple[tuple[str, ...], str]] = {
    "A": (("to_state", "state"), "next state by state"),
    "B": (("to_state", "input"), "next state by input"),
    "E": (("to_state", "disturbance"), "next state by known disturbance"),
    "b": (("to_state",), "offset of the next state"),
    "Q": (("to_state", "state"), "weight of the state"),
    "R": (("to_input", "input"), "weight of the input"),
    "P": (("to_state", "state"), "weight of the terminal state"),
    "f": (("state_and_input",), "linear stage cost"),
    "C": (("row", "state"), "bounded combinations of states"),
    "lower": (("row",), "lower bounds"),
    "upper": (("row",), "upper bounds"),
    "x_lb": (("row",), "learned offset of the lower bounds"),
    "x_ub": (("row",), "learned offset of the upper bounds"),
    "slack_weight": (("row",), "linear price of a violation, infinite of a hard bound"),
    "slack_quadratic": (("row",), "quadratic price of a violation"),
    "u_min": (("input",), "lower bounds of the inputs"),
    "u_max": (("input",), "upper bounds of the inputs"),
    "du_max": (("input",), "largest change of the inputs in one sample"),
    "x_setpoint": (("state",), "set point of the state"),
    "u_setpoint": (("input",), "set point of the input"),
    "G": (("cost_row", "state"), "combinations of states with a cost"),
    "Q_c": (("to_cost_row", "cost_row"), "weight of these combinations"),
}
COUPLINGS = {
    "A_ij": ("to_state", "next state by state of {}"),
    "C_ij": ("row", "bounded combinations with states of {}"),
    "G_ij": ("cost_row", "combinations with a cost, with states of {}"),
}


def agent_models(block: TimedBlock) -> tuple[list[Axis], list[Variable], Attributes]:
    """Axes, arrays and attributes of a block's models; nothing of a block without `problem`.

    Raises
    ------
    WiringError
        An agent has a name that a log cannot hold.
    """
    problem = getattr(block.block, "problem", None)
    if not isinstance(problem, MPCProblem):
        return [], [], {}
    group = f"controller/{block.name}/model"
    attributes: Attributes = {group: {"horizon": int(problem.horizon), "discount": float(problem.discount)}}
    axes: dict[str, Axis] = {}
    variables: list[Variable] = []
    labels = [_labels(block.block, i, problem) for i in range(len(problem.models))]
    for i, (name, model) in enumerate(zip(problem.names, problem.models, strict=True)):
        if "/" in name or name in (".", ".."):
            raise WiringError(f"{block.name}: agent {name!r}: a log holds no such name; call it otherwise, without '/'")
        own = f"{group}/{name}"
        attributes[own] = {"number": i, "V0": model.V0, "terminal_equality": int(model.terminal_equality)}
        for path, along, value, meaning in _arrays(model, problem.names):
            if not value.size:
                continue
            for axis, length in zip(along, value.shape, strict=True):
                at = f"{own}/{axis}"
                kind, _, neighbour = axis.removeprefix("to_").partition("_of_")
                texts = labels[int(neighbour) if neighbour else i].get(kind)
                axes[at] = Axis(at, texts) if texts is not None else Axis(at, size=length)
            variables.append(
                Variable(f"{own}/{path}", tuple(f"{own}/{axis}" for axis in along), long_name=meaning, value=value)
            )
    return list(axes.values()), variables, attributes


def _arrays(model: LocalModel, names: tuple[str, ...]) -> list[tuple[str, tuple[str, ...], Any, str]]:
    """Path, axes, value and meaning of every array of a model."""
    found: list[tuple[str, tuple[str, ...], Any, str]] = [
        (name, along, getattr(model, name), meaning) for name, (along, meaning) in ARRAYS.items()
    ]
    for name, (rows, meaning) in COUPLINGS.items():
        for j, value in getattr(model, name).items():
            found.append((f"{name}/{j}", (rows, f"state_of_{j}"), value, meaning.format(names[j])))
    for j, columns in model.declared.items():
        meaning = f"states of {names[j]} that are shared in any case, by number"
        found.append((f"declared/{j}", (f"column_of_{j}",), np.array(columns, dtype=np.int64), meaning))
    return found


def _labels(block: Any, agent: int, problem: MPCProblem) -> dict[str, tuple[str, ...]]:
    """Names along an agent's axes, where the block knows them."""
    signals = getattr(block, "signals", None)
    if not isinstance(signals, Signals):
        return {}
    states = tuple(signals.states[k] for k in signals.state_index[agent])
    inputs = tuple(signals.inputs[k] for k in signals.input_index[agent])
    disturbances = tuple(signals.disturbances[k] for k in signals.disturbance_index[agent])
    model = problem.models[agent]
    if (len(states), len(inputs), len(disturbances)) != (model.n, model.m, model.d):
        return {}
    return {"state": states, "input": inputs, "disturbance": disturbances, "state_and_input": states + inputs}
