"""Figures of made-up results: the numbers beside the pictures are those of the arrays, and checks can fail."""

import numpy as np
import pytest

from dmpcrl_ctrl.validation import published
from dmpcrl_ctrl.validation.paper_figures import FIGURES
from tests.validation.made_up import COUNT, trained

Array = np.ndarray


def chain(better: bool) -> dict[str, dict[str, Array]]:
    """2,000 samples of which the first, or the last, fifth leaves the limits."""
    state = np.zeros((2000, 6))
    outside = slice(0, 400) if better else slice(1600, 2000)
    state[outside, 0] = -1.5
    fall = np.repeat([2.0, 1.0] if better else [1.0, 2.0], 1000)[None]
    return {f"chain-{learner}-0": trained(fall, -fall, state, 3) for learner in ("distributed", "central")}


@pytest.mark.parametrize("better", [True, False])
def test_checks_of_the_chain_follow_the_arrays(better: bool) -> None:
    found = chain(better)
    states = FIGURES["fig2"](found)
    shares = states.numbers["share of samples outside the limits"]
    assert (shares["first fifth"], shares["last fifth"]) == ((1.0, 0.0) if better else (0.0, 1.0))
    curves = FIGURES["fig3"](found)
    assert curves.numbers["cost"]["ours"]["central"] == ([2.0, 1.0] if better else [1.0, 2.0])
    assert curves.numbers["td_error"]["published"] == published.TD_ERROR
    assert len(curves.checks) == 4
    for shown in (states, curves):
        assert set(shown.checks.values()) == {better}
        assert shown.picture.svg.startswith("<svg")


def test_the_distance_of_the_learners_is_that_of_their_last_parameters() -> None:
    found = chain(True)
    found["chain-central-0"]["theta"] = 2.0 * found["chain-central-0"]["theta"]
    shown = FIGURES["fig4"](found)
    assert shown.numbers["final distance"] == pytest.approx(np.linalg.norm(np.arange(COUNT)))
    assert shown.numbers["of the way gone"] == pytest.approx(0.5)


def test_costs_stand_beside_the_published_ones() -> None:
    marks = np.array([0, 1000, 20000])
    found = {
        f"chain-learned-{learner}-0": {"samples": marks, "cost": np.array([[300.0, 310.0], [22.0, 22.3], [12.0, 14.0]])}
        for learner in ("distributed", "central")
    }
    found["chain: nominal, inexact model"] = {"cost": np.array([[360.0, 362.0]]), "violations": np.array([[70, 74]])}
    found["chain: clairvoyant"] = {"cost": np.array([[5.0, 6.0]])}
    shown = FIGURES["fig5"](found)
    nominal = shown.numbers["others"]["nominal, inexact model"]
    assert (nominal["mean"], nominal["published"], nominal["samples outside the limits"]) == (361.0, 360.2, 72.0)
    assert shown.numbers["others"]["clairvoyant"]["published"] is None
    assert shown.numbers["learned"]["central"][20000]["median"] == 13.0
    assert sorted(shown.checks.values()) == [False, False, True, True]


def test_a_training_that_diverged_counts_as_infinite() -> None:
    whole = {"samples": np.array([0, 1000, 20000]), "cost": np.array([[300.0], [20.0], [11.0]])}
    cut = {"samples": np.array([0, 1000]), "cost": np.array([[300.0], [10.0]])}
    shown = FIGURES["fig5"]({"chain-learned-central-0": cut, "chain-learned-central-1": whole})
    ours = shown.numbers["learned"]["central"]
    assert ours[1000] == {"median": 15.0, "by training seed": [10.0, 20.0]}
    assert ours[20000] == {"median": None, "by training seed": [None, 11.0]}
    assert shown.checks["all 2 central trainings end: none diverges"] is False
    assert shown.checks["learned (central) after 20,000 samples: at most 12.0"] is False
    good = FIGURES["fig5"]({"chain-learned-central-0": whole, "chain-learned-central-1": whole})
    assert all(good.checks.values())


def test_multipliers_that_do_not_meet_are_seen() -> None:
    falling = np.tile(10.0 ** -np.linspace(0.0, 9.0, 100), (3, 1))
    assert set(FIGURES["fig1"]({"duals": {"a": falling}}).checks.values()) == {True}
    shown = FIGURES["fig1"]({"duals": {"a": falling, "b": np.ones((3, 100))}})
    assert set(shown.checks.values()) == {False}
    assert shown.numbers["ours"]["b"][50 if 50 in shown.numbers["ours"]["b"] else 40] == 1.0
