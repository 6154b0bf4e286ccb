"""Performance indices: one number for a whole closed loop."""

from collections.abc import Callable

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.plants.trajectory import Trajectory

PerformanceIndex = Callable[[Trajectory], float]


def mean_deviation_cost(Q: Array, R: Array) -> PerformanceIndex:
    """Mean over k = 0..K-1 of |x(k) - xbar(k)|^2_Q + |u(k) - ubar(k)|^2_R: the benchmark's eta.

    Set points are those just after time k, so that a load that steps at k counts at k.

    Parameters
    ----------
    Q, R
        (n, n), (m, m): full weights, no factor 1/2.

    Returns
    -------
    callable
        Trajectory -> number; nan for a trajectory without a sample.
    """

    def eta(trajectory: Trajectory) -> float:
        n = len(trajectory.state_names)
        x = trajectory.state[:-1] - trajectory.setpoint[:, :n]
        u = trajectory.input - trajectory.setpoint[:, n:]
        return _mean(((x @ Q) * x).sum(axis=1) + ((u @ R) * u).sum(axis=1))

    return eta


def mean_tie_exchange(flows: Array) -> PerformanceIndex:
    """Mean over k = 0..K-1 of the energy moved over all ties in sample k, sum |P_ij (dtheta_i - dtheta_j)| Ts: Phi.

    Parameters
    ----------
    flows
        (ties, n): power on each tie [p.u.] as a linear function of the state; each tie once.

    Returns
    -------
    callable
        Trajectory -> number [p.u. s]; nan for a trajectory without a sample.
    """

    def phi(trajectory: Trajectory) -> float:
        exchanged = np.abs(trajectory.state[:-1] @ flows.T).sum(axis=1)
        return _mean(exchanged * np.diff(trajectory.time))

    return phi


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")
