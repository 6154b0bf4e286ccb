"""A problem refuses neighbours, horizons and names that do not fit, and names them."""

from typing import Any

import pytest

from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem


@pytest.mark.parametrize(
    ("coupling", "options", "message"),
    [
        ({0: [[1.0]]}, {}, "coupled to agent 0"),
        ({5: [[1.0]]}, {}, "coupled to agent 5"),
        ({1: [[1.0, 2.0]]}, {}, r"A_ij\[1\] has shape \(1, 2\), but agent 1 has 1 states"),
        ({}, {"horizon": 0}, "horizon must be a whole number of at least 1, got 0"),
        ({}, {"horizon": True}, "horizon"),
        ({}, {"discount": 1.5}, r"discount must lie in \(0, 1\], got 1.5"),
        ({}, {"discount": float("nan")}, "discount"),
        ({}, {"names": ("a", "a")}, "different names"),
    ],
)
def test_a_problem_names_what_does_not_fit(coupling: dict[int, Any], options: dict[str, Any], message: str) -> None:
    one = [[1.0]]
    models = (LocalModel(one, one, one, one, A_ij=coupling), LocalModel(one, one, one, one))
    with pytest.raises(ModelError, match=message):
        MPCProblem(models, **{"horizon": 3, **options})
