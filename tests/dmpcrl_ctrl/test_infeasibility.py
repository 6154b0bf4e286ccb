"""The linear programs measure what bounds lack, and find the direction in which a cost falls without end."""

from dataclasses import replace

import numpy as np
import pytest

from dmpcrl_ctrl.infeasibility import falls_forever, least_violation
from dmpcrl_ctrl.qp import QP

INF = np.inf
# x_0 + x_1 = 4 and |x| <= 1; the largest of these numbers is 4
BOUND = QP(np.eye(2), np.zeros(2), np.ones((1, 2)), np.array([4.0]), np.eye(2), -np.ones(2), np.ones(2))


def test_least_violation_is_the_distance_that_bounds_lack() -> None:
    assert least_violation(BOUND) == pytest.approx(1.0 / 4.0)
    assert least_violation(replace(BOUND, b=np.array([2.0 + 2e-4]))) == pytest.approx(1e-4 / 2.0, rel=1e-3)
    assert least_violation(replace(BOUND, A=np.zeros((1, 2)))) == INF
    assert least_violation(replace(BOUND, b=np.array([2.0]))) == 0.0


def test_a_cost_falls_forever_where_nothing_holds_it() -> None:
    free = replace(BOUND, H=np.diag([1.0, 0.0]), g=np.array([0.0, -1.0]), A=np.zeros((0, 2)), b=np.zeros(0))
    assert not falls_forever(free)
    assert falls_forever(replace(free, upper=np.array([1.0, INF])))
    assert not falls_forever(replace(free, upper=np.array([1.0, INF]), g=np.array([0.0, 1.0])))
    assert not falls_forever(replace(free, upper=np.array([1.0, INF]), H=np.eye(2)))
