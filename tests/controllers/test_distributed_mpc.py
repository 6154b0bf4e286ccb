"""What only the distributed block has: messages that can be watched, and averaging that can be chosen."""

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.channel import Kind, Watched
from dmpcrl_ctrl.controllers import DistributedMPC
from dmpcrl_ctrl.plants import power_network
from tests.controllers.test_mpc import measurement, pair, run


def test_a_transport_carries_what_the_agents_tell_each_other() -> None:
    watched = Watched()
    mpc = DistributedMPC(pair(), 1.0, admm=ADMMOptions(iterations=10))
    carried = mpc.with_transport(watched)
    assert type(carried) is DistributedMPC and carried is not mpc and carried.problem is mpc.problem
    alone, found = mpc.evaluate([1.0, -1.0]), carried.evaluate([1.0, -1.0])
    assert found.value == pytest.approx(alone.value, rel=1e-12)
    assert {Kind.STATE, Kind.PROPOSAL, Kind.AGREED, Kind.SCALARS} <= {message.kind for message in watched.messages}
    watched.messages.clear()
    mpc.evaluate([1.0, -1.0])
    assert not watched.messages
    run(carried, measurement(carried, x0_0=1.0))
    assert Kind.PRICE in {message.kind for message in watched.messages}  # for the certificate


@pytest.mark.parametrize("acceleration", [None, "none", "chebyshev", "finite_time"])
@pytest.mark.parametrize("averaging", ["laplacian", "metropolis", "best_constant"])
def test_agents_agree_on_the_value_by_any_averaging(averaging: str, acceleration: str | None) -> None:
    plant = power_network(1)
    mpc = DistributedMPC.for_plant(plant, 3, averaging=averaging, acceleration=acceleration)
    evaluation = mpc.evaluate(np.linspace(-0.01, 0.01, 16))
    assert np.allclose(evaluation.agreed_values, evaluation.value, rtol=1e-5)
    chosen = mpc.log_attributes
    assert (chosen["averaging"], chosen["acceleration"]) == (averaging, acceleration or "finite_time")
    if chosen["acceleration"] == "finite_time":
        assert np.allclose(evaluation.agreed_values, evaluation.value, rtol=1e-12)
        assert int(chosen["averaging_rounds"]) <= 4
