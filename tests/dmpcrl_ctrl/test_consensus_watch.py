"""Constraints that contradict each other are told from slow convergence."""

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions, iterate
from dmpcrl_ctrl.consensus import cold_state
from dmpcrl_ctrl.status import Status
from tests.scalar_agents import ALL_SHARE_ONE, OneByOne, Scalar, circle


def test_constraints_that_contradict_each_other_stall_and_name_the_agent_at_odds() -> None:
    agents = [Scalar(1.0, 0.0, high=1.0), Scalar(1.0, 0.0, high=1.5), Scalar(1.0, 9.0, low=5.0)]
    result = iterate(
        OneByOne(agents),
        np.ones(1),
        circle(ALL_SHARE_ONE),
        cold_state(ALL_SHARE_ONE, 1),
        ADMMOptions(5000, tolerance=1e-8),
    )
    assert result.status is Status.CONSENSUS_STALLED
    assert result.culprit == 2
    assert len(result.primal) < 5000


@pytest.mark.parametrize("tolerance", [None, 1e-8])
def test_a_contradiction_that_holds_z_at_zero_is_found(tolerance: float | None) -> None:
    agents = [Scalar(1.0, 0.0, low=1.0), Scalar(1.0, 0.0, high=-1.0)]
    options = ADMMOptions(iterations=100, tolerance=tolerance)
    result = iterate(OneByOne(agents), np.ones(1), circle(ALL_SHARE_ONE[:2]), cold_state(ALL_SHARE_ONE[:2], 1), options)
    assert result.status is Status.CONSENSUS_STALLED
    assert result.state.z == pytest.approx([0.0])


@pytest.mark.parametrize("penalty", [1e-4, 1e-6])
def test_a_penalty_far_too_light_is_no_contradiction(penalty: float) -> None:
    agents = [Scalar(1.0, c, penalty) for c in (0.0, 1.0, 5.0)]
    options = ADMMOptions(iterations=300, tolerance=1e-9, penalty=penalty)
    start = cold_state(ALL_SHARE_ONE, 1)
    result = iterate(OneByOne(agents), np.full(1, penalty), circle(ALL_SHARE_ONE), start, options, curvature=np.ones(1))
    assert result.status is Status.NOT_CONVERGED
