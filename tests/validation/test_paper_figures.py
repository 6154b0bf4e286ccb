"""Figures by name, and the table of deployment."""

import numpy as np

from dmpcrl_ctrl.validation.paper_figures import deployment

Array = np.ndarray


def test_deployment_is_told_by_iterations() -> None:
    tried = {
        "iterations": np.array([5, 50]),
        "cost": np.array([[3.0, 5.0], [2.0, 2.0]]),
        "violations": np.zeros((2, 2)),
    }
    rows = deployment({"chain-deployed-0": tried, "power-deployed-0": tried})
    assert rows["chain"] == {
        5: {"mean cost": 4.0, "samples outside the limits": 0.0},
        50: {"mean cost": 2.0, "samples outside the limits": 0.0},
    }
