"""Figures of made-up results: the numbers beside the pictures are those of the arrays, and checks can fail."""

import numpy as np
import pytest

from dmpcrl_ctrl.validation.paper_figures import FIGURES
from tests.validation.made_up import trained

Array = np.ndarray


@pytest.mark.parametrize("better", [True, False])
def test_checks_of_the_power_network_follow_the_arrays(better: bool) -> None:
    episodes, level = 20, np.repeat([2.0, 1.0] if better else [1.0, 2.0], 10)[:, None]
    state = np.zeros((episodes * 100, 16))
    state[40 if better else -40, 12] = 0.12
    each = trained(np.broadcast_to(level, (episodes, 100)), np.broadcast_to(level, (episodes, 100)), state, 4)
    found = {f"power-{learner}-0": each for learner in ("distributed", "central")}
    for name in ("fig6", "fig7"):
        shown = FIGURES[name](found)
        assert set(shown.checks.values()) == {better}
    assert FIGURES["fig6"](found).numbers["central"]["cost"]["last ten"] == (100.0 if better else 200.0)


def test_episodes_stand_beside_the_published_ones() -> None:
    cost, outside = np.full((1, 100), 270.0), np.zeros((1, 100))
    found = {
        f"power-learned-{learner}-0": {"samples": np.array([10000]), "cost": cost, "violations": outside}
        for learner in ("distributed", "central")
    }
    found["power: nominal"] = {"cost": cost + 60.0, "violations": outside + 3.0}
    found["power: clairvoyant"] = {"cost": cost - 50.0}
    shown = FIGURES["fig8"](found)
    assert shown.numbers["learned, distributed"]["ours"]["clean"] == 100
    assert shown.numbers["nominal"]["ours"]["violations"] == 3.0
    assert shown.numbers["nominal"]["published"]["mean"] == 349.3
    assert shown.numbers["clairvoyant"]["ours"]["mean"] == 220.0
    assert set(shown.checks.values()) == {True}
    found["power-learned-distributed-0"] = {
        "samples": np.array([1]), "cost": cost + 10.0, "violations": np.pad([[1.0, 1.0]], ((0, 0), (0, 98)))
    }  # fmt: skip
    assert list(FIGURES["fig8"](found).checks.values()) == [False, False, True]
