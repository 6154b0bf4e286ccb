"""Local multipliers become the central ones: the chain of the paper, 20 states, both models (its Figure 1)."""

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.plants import chain_model
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.dual_recovery import dual_recovery
from dmpcrl_ctrl.value import agent_data

PUBLISHED = ADMMOptions(penalty=0.5)


@pytest.mark.parametrize("true_model", [False, True])
@pytest.mark.parametrize("admm", [PUBLISHED, None], ids=["published penalty", "automatic penalty"])
def test_the_median_over_20_states_falls_as_published(true_model: bool, admm: ADMMOptions | None) -> None:
    rng = np.random.default_rng(0)
    problem = MPCProblem(chain_model(true_model), horizon=10, discount=0.9)
    states = [[rng.uniform([0.0, -0.5], [1.0, 0.5]) for _ in range(3)] for _ in range(20)]
    median = np.median([dual_recovery(problem, agent_data(problem, s), 100, admm) for s in states], axis=0)
    assert median[0] > 0.1
    assert median[49] < 1e-4
    assert median[99] < 1e-8


def test_without_a_central_solution_there_is_nothing_to_compare_with() -> None:
    problem = MPCProblem(chain_model(), horizon=10)
    with pytest.raises(SolverError, match="central problem has no multipliers"):
        dual_recovery(problem, agent_data(problem, [np.full(2, np.nan)] * 3), 3)
