import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.averaging import Averaging
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.problem_reader import read_problem
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.validation.logged_averaging import LoggedAveraging, logged_averaging


def where(index: tuple[int, ...]) -> str:
    return f"agent {index[0]}"


def test_the_averaging_of_a_controller_is_in_its_log() -> None:
    plant = power_network(1)
    options = {"averaging": "metropolis", "acceleration": "chebyshev", "averaging_rounds": 20}
    mpc = DistributedMPC.for_plant(plant, 3, admm=ADMMOptions(iterations=5), **options)
    run = simulate(plant, [mpc], t_end=1)
    reader = run._reader
    problem = read_problem(reader, "mpc")
    found = logged_averaging(problem, reader, "mpc")
    assert found.rounds == 20 and found.averaging is not None
    # a path of four agents: the second largest eigenvalue is (1 + 2 cos(pi/4)) / 3
    assert found.averaging.slem == pytest.approx((1.0 + np.sqrt(2.0)) / 3.0)
    reader._file["controller/mpc"].attrs["averaging"] = "guessed"
    with pytest.raises(LogError, match="weights must be one of"):
        logged_averaging(problem, reader, "mpc")


def test_one_that_computes_for_all_has_none() -> None:
    plant = power_network(1)
    run = simulate(plant, CentralizedMPC.for_plant(plant, 3), t_end=1)
    assert logged_averaging(read_problem(run._reader, "mpc"), run._reader, "mpc").averaging is None


def test_beliefs_may_be_as_far_off_as_the_rounds_leave_them() -> None:
    averaging = Averaging.from_edges(3, [(0, 1), (1, 2)])
    shares = np.array([1.0, -2.0, 5.0])
    for rounds in (5, 100):
        told = LoggedAveraging(averaging, rounds)
        beliefs = averaging.average(3.0 * shares, rounds)
        assert not told.beliefs(where, beliefs, shares).faults
        assert told.beliefs(where, beliefs + 20.0 * averaging.predicted_error(rounds) + 1e-9, shares).faults
    assert LoggedAveraging(None).beliefs(where, np.full(3, 4.0 + 1e-9), shares).faults == 3
    assert not LoggedAveraging(averaging, 5).beliefs(where, np.full(3, np.inf), np.array([1.0, np.inf, 0.0])).faults
