"""A reduced program has the states of the whole one, and says where it cannot be relied on."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.arrays import Array, dense
from dmpcrl_ctrl.horizon import Horizon, build_horizon
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plan import rows_without_action
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.reduction import Reduction, Roles, reduction, roles_of
from dmpcrl_ctrl.validation.random_problems import FEATURES, Blueprint, random_problem

NOTHING = np.zeros(0, dtype=np.intp)


def alone(horizon: int = 4, **changes: Any) -> Horizon:
    model = {
        "A": [[1.0, 0.2], [0.0, 0.9]],
        "B": [[0.1], [1.0]],
        "Q": np.diag([1.0, 0.1]),
        "R": [[0.5]],
        "C": np.eye(2),
        "lower": [-1.0, -np.inf],
        "upper": [1.0, 2.0],
        "slack_weight": [10.0, np.inf],
        "u_min": [-1.0],
        "u_max": [1.0],
    }
    return build_horizon(MPCProblem((LocalModel(**{**model, **changes}),), horizon), 0)


def of(horizon: Horizon) -> Reduction | None:
    H, A, C = (dense(M) for M in (horizon.H, horizon.A, horizon.C))
    return reduction(H, A, C, roles_of(horizon.layout), NOTHING)


def test_each_variable_and_row_has_one_role() -> None:
    blueprint = Blueprint(((2, 1), (3, 2), (1, 1)), ((0, 1), (1, 2), (2, 1)), 3, frozenset(FEATURES), 3)
    problem, _ = random_problem(blueprint)
    for i in range(3):
        layout = build_horizon(problem, i).layout
        roles = roles_of(layout)
        variables = np.concatenate([roles.states, roles.free, roles.slacks])
        assert sorted(variables) == list(range(layout.size))
        bounds = [of[of >= 0] for of in (roles.lower, roles.upper)]
        assert sorted(np.concatenate([*bounds, roles.priced, roles.hard])) == list(range(layout.inequalities))
        equalities = np.concatenate([roles.dynamics, roles.terminal])
        assert sorted(equalities) == list(range(layout.dynamics.size + layout.terminal.size))
        assert roles.rows == len(roles.terminal) + len(roles.slacks) + len(roles.hard)


def test_a_cut_program_has_the_roles_that_remain() -> None:
    layout = alone(du_max=[0.3]).layout
    rows = rows_without_action(layout)
    free = np.setdiff1d(np.arange(layout.size), layout.u[0])
    whole, cut = roles_of(layout), roles_of(layout).cut(free, rows)
    assert np.array_equal(free[cut.states], whole.states) and np.array_equal(free[cut.slacks], whole.slacks)
    assert np.array_equal(free[cut.free], layout.u[1:].ravel())
    assert np.array_equal(rows[cut.priced], whole.priced)
    for mine, theirs in ((cut.lower, whole.lower), (cut.upper, whole.upper)):
        assert np.array_equal(mine < 0, theirs < 0)
        assert np.array_equal(rows[mine[mine >= 0]], theirs[theirs >= 0])
    assert set(rows[cut.hard]) == set(whole.hard) & set(rows)
    assert len(cut.hard) == len(whole.hard) - 2  # bound and rate of u(0)


@pytest.mark.parametrize(
    "changes",
    [
        {"R": [[0.0]], "Q": np.zeros((2, 2))},  # inputs that cost nothing
        {"A": [[50.0, 0.0], [0.0, 1.0]], "horizon": 12},  # predictions that grow out of all bounds
        {"B": np.zeros((2, 0)), "R": np.zeros((0, 0)), "u_min": [], "u_max": []},  # nothing to decide
    ],
)
def test_what_cannot_be_reduced_well_is_not(changes: dict[str, Any]) -> None:
    assert of(alone()) is not None
    assert of(alone(**changes)) is None


def quadratic(found: Reduction, v: Array) -> float:
    x = found.basis @ v
    return float(0.5 * x @ found.H @ x)


def test_the_basis_obeys_the_dynamics_and_its_factor_is_that_of_the_cost() -> None:
    horizon = alone()
    found = of(horizon)
    assert found is not None
    rng = np.random.default_rng(0)
    for v in rng.normal(size=(5, 4)):
        assert np.abs(dense(horizon.A) @ found.basis @ v).max() < 1e-14
        scaled = np.tril(found.factor).T @ (v / found.units)
        assert 0.5 * scaled @ scaled == pytest.approx(quadratic(found, v), rel=1e-12)
    # D is what a unit of each multiplier moves the rows by
    P = found.basis.T @ found.H @ found.basis
    S = found.rows @ found.basis
    assert np.allclose(found.D, S @ np.linalg.inv(P) @ S.T, rtol=1e-10)


def test_rows_that_depend_on_each_other_are_told() -> None:
    """x_0(1) and x_1(1) follow u(0) alone: with the input on its bound they are stuck, and no second one joins."""
    found = of(alone())
    assert found is not None
    roles: Roles = found.roles
    first_input = len(roles.slacks) + int(np.flatnonzero(found.rows[len(roles.slacks) :, found.roles.free[0]])[0])
    states = np.zeros(roles.rows, dtype=np.int8)
    none = found.pattern(states)
    assert none is not None and not none.stuck.any()
    states[first_input] = 1
    one = found.pattern(states)
    assert one is not None and one is found.pattern(states.copy())
    moves = np.abs(found.rows @ found.basis)
    by_first_input = (moves[:, 0] > 0.0) & (moves[:, 1:] == 0.0).all(axis=1)
    assert one.stuck.tolist() == by_first_input.tolist() and by_first_input.sum() >= 3
    states[np.flatnonzero(by_first_input)[0]] = 1
    assert found.pattern(states) is None
