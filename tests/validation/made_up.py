"""A made-up training for figures."""

import numpy as np

from dmpcrl_ctrl.validation.paper_work import parameter_names

Array = np.ndarray
COUNT = len(parameter_names("chain"))


def trained(cost: Array, error: Array, state: Array, inputs: int) -> dict[str, Array]:
    count = cost.size
    theta = np.linspace(0.0, 1.0, 5)[:, None] * np.arange(COUNT)
    return {
        "cost": cost,
        "td_error": error,
        "violations": np.zeros(len(cost)),
        "limits": np.array([[-1.0] * state.shape[1], [1.0] * state.shape[1]]),
        "state": state,
        "input": np.zeros((count, inputs)),
        "theta": theta,
    }
