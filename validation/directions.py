"""Random directions through the parameters of a network's problem, along which it stays a problem.

Weights stay positive semidefinite, prices do not become negative, and what is infinite stays so.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.parts import COUPLINGS, Field
from dmpcrl_ctrl.problem import AgentData, MPCProblem

_WEIGHTS = ("Q", "R", "P", "Q_c")
_NOT_NEGATIVE = ("slack_weight", "slack_quadratic", "du_max")
_OF_DATA = ("state", "disturbance", "previous_input", "x_setpoint", "u_setpoint")
_SWITCHES = ("terminal_equality", "declared")
_FLAT = 1e-9


@dataclass(frozen=True, eq=False)
class Case:
    """What is evaluated: a problem, data, and an action for Q."""

    problem: MPCProblem
    data: tuple[AgentData, ...]
    action: tuple[Array, ...] | None = None


@dataclass(frozen=True, eq=False)
class Direction:
    """A path through the values of one agent's parameter.

    Attributes
    ----------
    agent, parameter
        Such as "A", ("A_ij", 2), "state".
    tangent
        Of the parameter's shape and of norm one: its derivative at the start.
    size
        Largest entry of the parameter, or 1 where all are zero.
    inward
        The parameter lies on the edge of what is allowed (a weight is singular, a price zero), and the path leads
        inwards: only steps t >= 0 are allowed.
    congruence
        S of W(t) = (I + t S) W (I + t S)', which stays positive semidefinite; None: a straight path.
    """

    agent: int
    parameter: Field
    tangent: Array
    size: float
    inward: bool = False
    congruence: Array | None = None

    def moved(self, case: Case, t: float) -> Case:
        """The case with the parameter at t."""
        if self.parameter == "action":
            assert case.action is not None
            action = list(case.action)
            action[self.agent] = action[self.agent] + t * self.tangent
            return replace(case, action=tuple(action))
        if self.parameter in _OF_DATA:
            data, name = list(case.data), str(self.parameter)
            told = data[self.agent]
            data[self.agent] = replace(told, **{name: getattr(told, name) + t * self.tangent})
            return replace(case, data=tuple(data))
        models = list(case.problem.models)
        models[self.agent] = self._model(models[self.agent], t)
        return replace(case, problem=replace(case.problem, models=tuple(models)))

    def _model(self, model: LocalModel, t: float) -> LocalModel:
        if isinstance(self.parameter, tuple):
            name, j = self.parameter
            blocks = getattr(model, name)
            changed: dict[str, Any] = {name: {**blocks, j: blocks[j] + t * self.tangent}}
            return replace(model, **changed)
        start = getattr(model, self.parameter)
        if self.congruence is None:
            return replace(model, **{self.parameter: start + t * self.tangent})
        step = np.eye(len(start)) + t * self.congruence
        return replace(model, **{self.parameter: step @ start @ step.T})


def directions(case: Case, rng: np.random.Generator) -> Iterator[Direction]:
    """One random direction for every parameter array that can move."""
    for i, model in enumerate(case.problem.models):
        for parameter, value, may_move in _parameters(case, i):
            z = np.where(may_move, rng.normal(size=value.shape), 0.0)
            size = float(np.abs(value[may_move]).max(initial=0.0)) or 1.0
            if parameter in _WEIGHTS:
                made = _weight_direction(i, str(parameter), getattr(model, str(parameter)), size, rng)
            elif parameter in _NOT_NEGATIVE:
                at_zero = may_move & (value == 0.0)
                inward = np.where(at_zero, np.abs(z), np.where(may_move, value, 0.0) * z)
                made = Direction(i, parameter, inward, size, inward=bool(at_zero.any()))
            else:
                made = Direction(i, parameter, z, size)
            norm = float(np.linalg.norm(made.tangent))
            if norm > 0.0:
                yield _normalised(made, norm)


def _parameters(case: Case, i: int) -> Iterator[tuple[Field, Array, NDArray[np.bool_]]]:
    """Name, value (for data that vary over the horizon: of the first stage) and which entries may move."""
    model, data = case.problem.models[i], case.data[i]
    for field in fields(model):
        if field.name in COUPLINGS:
            for j, block in getattr(model, field.name).items():
                held = np.zeros(block.shape, dtype=bool)
                # a bound's block of zeros is no bound on x_j: its last stage is not held
                if field.name != "C_ij" or block.any():
                    held[:, model.coupled_columns(j)] = True
                yield (field.name, j), block, held
        elif field.name not in (*_SWITCHES, *_OF_DATA):
            value = np.asarray(getattr(model, field.name))
            soft_only = field.name == "slack_quadratic"
            yield field.name, value, np.isfinite(value) & (model.soft if soft_only else True)
    for name in _OF_DATA:
        value = getattr(data, name)
        value = value[0] if name.endswith("setpoint") else value  # a set point moves at all stages
        yield name, value, np.ones(value.shape, dtype=bool)
    if case.action is not None:
        yield "action", case.action[i], np.ones(case.action[i].shape, dtype=bool)


def _weight_direction(i: int, name: str, W: Array, size: float, rng: np.random.Generator) -> Direction:
    n = len(W)
    S, z = rng.normal(size=(n, n)), rng.normal(size=n)
    if not n or np.linalg.eigvalsh(W)[0] <= _FLAT * size:
        return Direction(i, name, np.outer(z, z), size, inward=True)
    return Direction(i, name, S @ W + W @ S.T, size, congruence=S)


def _normalised(direction: Direction, norm: float) -> Direction:
    S = direction.congruence
    return replace(direction, tangent=direction.tangent / norm, congruence=None if S is None else S / norm)
