"""Did the agents agree well enough for their inputs to be believed?

With a fixed number of ADMM iterations a solve counts as done when they are done, however far apart the agents' copies
of the shared states still are. Two measures tell: the last primal residual beside the size of what is shared, and,
where it was recorded, the difference of the inputs to those of the central solution beside the range of the inputs.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import DmpcrlError
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.record_fields import last_numbers, members, numbers

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import Run
    from dmpcrl_ctrl.cosim.trace import ControllerTrace
    from dmpcrl_ctrl.plants.plant import Plant

# Shares of the shared states and of the input range from which on agents count as not agreed.
WORST_SHARE = 1e-2


@dataclass(frozen=True)
class Agreement:
    """How far the agents of one controller were from agreeing.

    Attributes
    ----------
    doubtful_samples
        Samples at which one of the two shares was above one percent though the solve counts as done.
    apart
        Largest last primal residual, as a share of the largest shared state of the run; None where unknown.
    from_central
        Largest difference to the central inputs, as a share of the smallest input range; None where unknown.
    """

    doubtful_samples: int
    apart: float | None
    from_central: float | None


def agreement_of(trace: "ControllerTrace", run: "Run", plant: "Plant | None" = None) -> Agreement | None:
    """The agreement of a controller's agents; None where there are none, or nothing to measure it by.

    Parameters
    ----------
    trace, run
        From a log.
    plant
        Tells which states are shared; None: only the difference to the central inputs counts.
    """
    apart = _shares(last_numbers(trace, "admm/primal_residual"), trace, _size_of_shared(trace, run, plant))
    from_central = _shares(numbers(trace, "central_difference"), trace, _input_range(run, trace))
    known = [shares for shares in (apart, from_central) if shares is not None]
    if not known:
        return None
    doubtful = np.logical_or.reduce([shares > WORST_SHARE for shares in known])
    status = members(trace, "status", Status)
    if status is not None:  # what failed is told as a failure
        doubtful &= ~np.isin(status[trace.due], [s for s in Status if not s.ok])
    return Agreement(int(doubtful.sum()), _largest(apart), _largest(from_central))


def _shares(values: Array | None, trace: "ControllerTrace", size: float | None) -> Array | None:
    """(due samples,): values beside `size`, NaN where there is none; None if there is none at all."""
    if values is None or not size or not np.isfinite(values[trace.due]).any():
        return None
    return values[trace.due] / size


def _largest(shares: Array | None) -> float | None:
    return None if shares is None else float(np.nanmax(shares))


def _size_of_shared(trace: "ControllerTrace", run: "Run", plant: "Plant | None") -> float | None:
    """Largest absolute value over the run of the states that an agent needs of another."""
    if plant is None or "admm/primal_residual" not in trace.fields:
        return None
    try:
        models = plant.local_models(trace.sample_time)
    except DmpcrlError:  # no models by area: the controller has others, of which the log does not tell what is shared
        return None
    shared = {
        int(models.state_index[j][column])
        for model in models.models
        for j in model.neighbours
        for column in model.coupled_columns(j)
    }
    states = run.trajectory(plant).state[:, sorted(shared)]
    return float(np.abs(states).max()) if states.size else None


def _input_range(run: "Run", trace: "ControllerTrace") -> float | None:
    """Smallest range of the inputs: their limits, or what they covered where there are none."""
    named = [name.rpartition(".")[2] in {n.rpartition(".")[2] for n in trace.output_names} for name in run.input_names]
    low, high = run.input_limits[named].T
    ranges = high - low
    covered = np.ptp(run.input[:, named], axis=0) if len(run.input) else np.zeros(len(ranges))
    ranges = np.where(np.isfinite(ranges), ranges, covered)
    ranges = ranges[ranges > 0.0]
    return float(ranges.min()) if ranges.size else None
