"""Which rows of a log are the samples of a plant: those at which the block that drives it decided anew.

A log has a row wherever *any* block samples. A cost that was summed over all of them would change when an observer
joins the loop, or a second plant, without the plant having moved otherwise.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.plants.trajectory import Trajectory

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import Run
    from dmpcrl_ctrl.cosim.trace import ControllerTrace


def sample_rows(run: "Run", plant: str) -> NDArray[np.bool_]:
    """Rows of `run` at which `plant` was sampled for control.

    Of several blocks that drive inputs of the plant, the fastest counts (the first in the log where two are equally
    fast), so that samples lie at equal distances. A plant that no block drives has a sample at every row.

    Parameters
    ----------
    run
        From :func:`simulate` or :func:`open_log`.
    plant
        Name of one of its plants.

    Returns
    -------
    Array
        (K,) of truth values.
    """
    driving = [trace for trace in run.controllers.values() if _drives(trace, run, plant) and trace.due.any()]
    if not driving:
        return np.ones(len(run.time) - 1, dtype=bool)
    return min(driving, key=lambda trace: trace.sample_time).due


def sampled(trajectory: Trajectory, rows: NDArray[np.bool_]) -> Trajectory:
    """The trajectory seen at some of its rows, and at its end.

    Parameters
    ----------
    trajectory
        K samples.
    rows
        (K,): which of them stay.
    """
    instants = np.append(rows, True)
    return Trajectory(
        trajectory.time[instants],
        trajectory.state[instants],
        trajectory.input[rows],
        trajectory.disturbance[rows],
        trajectory.setpoint[rows],
        trajectory.state_names,
        trajectory.input_names,
        trajectory.disturbance_names,
    )


def columns_of(names: tuple[str, ...], plant: str, run: "Run") -> NDArray[np.bool_]:
    """(len(names),): which of the run's signals, or agents, are the plant's."""
    if len(run.plants) == 1:
        return np.ones(len(names), dtype=bool)
    return np.array([name.startswith(f"{plant}.") for name in names], dtype=bool)


def _drives(trace: "ControllerTrace", run: "Run", plant: str) -> bool:
    mine = columns_of(run.input_names, plant, run)
    plain = {name.removeprefix(f"{plant}.") for name, own in zip(run.input_names, mine, strict=True) if own}
    return not (plain | {f"{plant}.{name}" for name in plain}).isdisjoint(trace.output_names)
