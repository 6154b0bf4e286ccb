"""Do the agents' local multipliers become those of the central problem? (Proposition 2 and Figure 1 of the paper.)"""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.plan import Duals
from dmpcrl_ctrl.problem import AgentData, MPCProblem


def dual_recovery(
    problem: MPCProblem, data: Sequence[AgentData], iterations: int, admm: ADMMOptions | None = None
) -> Array:
    """Distance of the local multipliers from the central ones, by ADMM iteration from a cold start.

    Parameters
    ----------
    problem
        The network's problem; the comparison is meant for states at which the multipliers are unique.
    data
        What every agent knows at one state.
    iterations
        Number of ADMM iterations.
    admm
        Penalty and relaxation; the default of the package where None.

    Returns
    -------
    Array
        (iterations,): sum over agents of |lambda - lambda*|_2 + |mu - mu*|_2.

    Raises
    ------
    SolverError
        The central problem or a local one has no solution.
    """
    central = CentralEvaluator(problem).evaluate(data)
    if not central.status.ok:
        raise SolverError(f"the central problem has no multipliers: {central.status.message}")
    iterates = DistributedEvaluator(problem, admm).iterates(data)
    return np.array([_distance(found.duals, central.duals) for found in islice(iterates, iterations)])


def _distance(found: Sequence[Duals], truth: Sequence[Duals]) -> float:
    total = 0.0
    for mine, theirs in zip(found, truth, strict=True):
        size = mine.dynamics.size + mine.terminal.size
        gap = mine.flat() - theirs.flat()
        total += float(np.linalg.norm(gap[:size]) + np.linalg.norm(gap[size:]))
    return total
