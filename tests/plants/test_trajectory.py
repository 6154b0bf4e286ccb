"""The arrays of a closed loop fit together."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.trajectory import Trajectory

FIELDS: dict[str, Any] = {
    "time": np.arange(5.0),
    "state": np.zeros((5, 2)),
    "input": np.zeros((4, 1)),
    "disturbance": np.zeros((4, 3)),
    "setpoint": np.zeros((4, 3)),
    "state_names": ("x", "y"),
    "input_names": ("u",),
    "disturbance_names": ("a", "b", "c"),
}


def test_k_samples_have_one_more_state() -> None:
    assert Trajectory(**FIELDS).samples == 4


@pytest.mark.parametrize("field", ["state", "input", "disturbance", "setpoint"])
@pytest.mark.parametrize("axis", [0, 1])
def test_each_size_is_checked_alone(field: str, axis: int) -> None:
    shape = list(FIELDS[field].shape)
    shape[axis] += 1
    with pytest.raises(PlantError, match=rf"trajectory: {field} has shape \({shape[0]}, {shape[1]}\), expected"):
        Trajectory(**FIELDS | {field: np.zeros(shape)})
