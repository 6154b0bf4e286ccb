"""The timed loop is the loop of `simulate`."""

from pathlib import Path

import numpy as np

from benchmarks.loop import looped
from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.cosim import open_log, simulate
from dmpcrl_ctrl.plants import chain


def test_its_log_is_that_of_a_run(tmp_path: Path) -> None:
    plant = chain(noise=True)
    block = LQR.for_plant(plant)
    done: list[int] = []
    assert looped(plant, block, 6, tmp_path / "run.h5", seed=3, at=done.append) > 0.0
    assert done == [1, 2, 3, 4, 5, 6]
    with open_log(tmp_path / "run.h5") as mine, simulate(plant, block, t_end=6.0, seed=3) as theirs:
        np.testing.assert_array_equal(mine.state, theirs.state)
        np.testing.assert_array_equal(mine.cost, theirs.cost)


def test_nothing_is_written_without_a_log(tmp_path: Path) -> None:
    plant = chain()
    looped(plant, LQR.for_plant(plant), 2)
    assert not list(tmp_path.iterdir())
