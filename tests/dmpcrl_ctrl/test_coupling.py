"""A limit on a tie line's power and a price on its angle, from a plant to the closed loop."""

from dataclasses import replace

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.coupling import with_bound, with_cost
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants import power_network

STIFFNESS, LIMIT = 4.0, 0.005
ANGLE = np.array([1.0, 0.0, 0.0, 0.0])
CONVERGED = ADMMOptions(iterations=20000, tolerance=1e-8)
STATE = np.concatenate([[0.004, 0, 0, 0], [-0.004, 0, 0, 0], np.zeros(8)])


def limited(models: tuple[LocalModel, ...]) -> list[LocalModel]:
    """Bound the power from area 1 to area 2 (numbers 0 and 1)."""
    row = STIFFNESS * ANGLE
    return [with_bound(models[0], row, {1: -row}, lower=-LIMIT, upper=LIMIT, slack_weight=1e4), *models[1:]]


def priced(models: tuple[LocalModel, ...]) -> list[LocalModel]:
    """Pay for the difference of the angles."""
    return [with_cost(models[0], ANGLE, {1: -ANGLE}, weight=1e5), *models[1:]]


def flow(mpc: CentralizedMPC | DistributedMPC) -> np.ndarray:
    evaluation = mpc.evaluate(STATE)
    assert evaluation.status.ok
    return STIFFNESS * (evaluation.plans[0].x[1:, 0] - evaluation.plans[1].x[1:, 0])


def test_the_power_of_a_tie_line_is_limited_and_agents_agree_with_the_centre() -> None:
    plant = power_network(1)
    free = flow(CentralizedMPC.for_plant(plant, horizon=8))
    central = flow(CentralizedMPC.for_plant(plant, horizon=8, adapt=limited))
    distributed = flow(DistributedMPC.for_plant(plant, horizon=8, adapt=limited, admm=CONVERGED))
    assert np.abs(free).max() > 1.05 * LIMIT
    assert np.abs(central).max() < np.abs(free).max() - 1e-5
    assert np.allclose(distributed, central, atol=1e-6)


def test_a_price_on_the_angle_between_areas_makes_it_smaller() -> None:
    plant = power_network(1)
    free = flow(CentralizedMPC.for_plant(plant, horizon=8))
    central = flow(CentralizedMPC.for_plant(plant, horizon=8, adapt=priced))
    distributed = flow(DistributedMPC.for_plant(plant, horizon=8, adapt=priced, admm=CONVERGED))
    assert np.linalg.norm(central) < 0.95 * np.linalg.norm(free)
    assert np.allclose(distributed, central, atol=1e-6)


def test_rows_are_appended_beside_those_that_are_there() -> None:
    model = LocalModel(
        np.eye(2), np.ones((2, 1)), np.eye(2), np.eye(1), C=np.eye(2), lower=[-1, -1], upper=[1, 1], C_ij={3: np.eye(2)}
    )
    grown = with_bound(model, [1.0, 2.0], {1: [5.0]}, upper=7.0, slack_weight=9.0)
    assert grown.C.tolist() == [[1, 0], [0, 1], [1, 2]]
    assert grown.C_ij[1].tolist() == [[0], [0], [5]] and grown.C_ij[3].tolist() == [[1, 0], [0, 1], [0, 0]]
    assert grown.upper.tolist() == [1, 1, 7] and grown.soft.tolist() == [False, False, True]
    twice = with_cost(with_cost(model, [1.0, 0.0], weight=2.0), [0.0, 1.0], {0: [1.0]}, weight=3.0)
    assert twice.Q_c.tolist() == [[2, 0], [0, 3]] and twice.G_ij[0].tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: with_bound(m, [1.0]), r"own has shape \(1,\), expected \(2,\)"),
        (lambda m: with_bound(m, [1.0, 1.0], lower=1.0, upper=0.0), "lower = 1 exceeds upper = 0"),
        (lambda m: with_cost(m, [1.0, 1.0], weight=-1.0), "Q_c must be positive semidefinite"),
        (lambda m: with_cost(replace(m, G_ij={}), [1.0, np.nan], weight=1.0), r"own\[1\] is nan"),
    ],
)
def test_what_does_not_fit_is_named(call: object, message: str) -> None:
    model = LocalModel(np.eye(2), np.ones((2, 1)), np.eye(2), np.eye(1))
    assert callable(call)
    with pytest.raises(ModelError, match=message):
        call(model)
