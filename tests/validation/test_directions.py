"""Directions stay within what a model may be, and their tangent is the derivative of their path."""

from dataclasses import fields, replace

import numpy as np
import pytest

from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.directions import Case, Direction, directions
from dmpcrl_ctrl.validation.random_problems import FEATURES, Blueprint, random_problem
from tests.dmpcrl_ctrl.conftest import everything, everything_data

Array = np.ndarray


def full_case() -> Case:
    """A network with every feature, and an action."""
    return Case(everything(), everything_data(0), tuple(np.full(m.m, 0.1) for m in everything().models))


def read(case: Case, direction: Direction) -> Array:
    """The parameter that a direction moves."""
    i, name = direction.agent, direction.parameter
    if name == "action":
        assert case.action is not None
        return case.action[i]
    if isinstance(name, tuple):
        return np.asarray(getattr(case.problem.models[i], name[0])[name[1]])
    moves_data = name in ("state", "disturbance", "previous_input", "x_setpoint", "u_setpoint")
    return np.asarray(getattr(case.data[i] if moves_data else case.problem.models[i], name))


def found(case: Case, seed: int = 0) -> list[Direction]:
    return list(directions(case, np.random.default_rng(seed)))


def test_every_parameter_of_every_agent_has_a_direction() -> None:
    case = full_case()
    seen = {(d.agent, d.parameter if isinstance(d.parameter, str) else d.parameter[0]) for d in found(case)}
    names = {field.name for field in fields(LocalModel)} - {"terminal_equality", "declared"}
    assert {name for _, name in seen} == names | {"state", "action", "disturbance", "previous_input"}
    # agent 2 has no weight on couplings, agent 0 no bound on its states
    assert (2, "Q_c") not in seen and (0, "upper") not in seen and (1, "du_max") not in seen


def test_the_tangent_is_the_derivative_of_the_path_and_of_norm_one() -> None:
    case, h = full_case(), 1e-6
    for direction in found(case):
        assert np.linalg.norm(direction.tangent) == pytest.approx(1.0)
        start, there = read(case, direction), read(direction.moved(case, h), direction)
        finite = np.isfinite(start)
        change = np.broadcast_to(direction.tangent, start.shape)[finite]
        assert np.allclose((there[finite] - start[finite]) / h, change, atol=1e-5)
        assert np.array_equal(there[~finite], start[~finite])


def test_nothing_else_moves() -> None:
    case = full_case()
    every = found(case)
    for direction in every:
        moved = direction.moved(case, 1e-3)
        changed = [d for d in every if not np.array_equal(read(moved, d), read(case, d))]
        assert {(d.agent, d.parameter) for d in changed} == {(direction.agent, direction.parameter)}


@pytest.mark.parametrize("seed", range(10))
def test_models_stay_models(seed: int) -> None:
    """Weights stay semidefinite and prices positive, or the model would refuse; singular ones lead inwards only."""
    problem, data = random_problem(Blueprint(((3, 1), (2, 2)), ((0, 1),), 2, frozenset(FEATURES), seed))
    case = Case(problem, data)
    for direction in found(case, seed):
        size = 1e-2 * direction.size
        for t in (size,) if direction.inward else (size, -size):
            moved = direction.moved(case, t)
            assert len(moved.problem.models) == 2
        singular = direction.parameter in ("Q", "P") and np.linalg.eigvalsh(read(case, direction))[0] < 1e-9
        assert direction.inward or not singular


def test_columns_that_are_not_held_do_not_move() -> None:
    one = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], A_ij={1: [[0.0, 0.5]]}, C=[[1.0]], C_ij={1: [[0.0, 0.0]]})
    other = LocalModel(np.eye(2), np.ones((2, 1)), np.eye(2), [[1.0]])
    problem = MPCProblem((one, other), 2)
    data = random_problem(Blueprint(((1, 1), (2, 1)), (), 2))[1]
    by_name = {d.parameter: d for d in found(Case(problem, data)) if d.agent == 0}
    assert by_name["A_ij", 1].tangent[0, 0] == 0.0
    assert ("C_ij", 1) not in by_name
    declared = replace(problem, models=(replace(one, declared={1: (0,)}), other))
    assert {d.parameter: d for d in found(Case(declared, data))}["A_ij", 1].tangent.all()
