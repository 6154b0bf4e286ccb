"""Figures of made-up results: the numbers beside the pictures are those of the arrays, and checks can fail."""

import numpy as np
import pytest

from dmpcrl_ctrl.validation import published
from dmpcrl_ctrl.validation.figure_parts import windows
from dmpcrl_ctrl.validation.learners import FIRST, SECOND
from dmpcrl_ctrl.validation.paper_figures import FIGURES, deployment
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


def test_multipliers_that_do_not_meet_are_seen() -> None:
    falling = np.tile(10.0 ** -np.linspace(0.0, 9.0, 100), (3, 1))
    assert set(FIGURES["fig1"]({"duals": {"a": falling}}).checks.values()) == {True}
    shown = FIGURES["fig1"]({"duals": {"a": falling, "b": np.ones((3, 100))}})
    assert set(shown.checks.values()) == {False}
    assert shown.numbers["ours"]["b"][50 if 50 in shown.numbers["ours"]["b"] else 40] == 1.0


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


def test_windows_leave_no_sample_out() -> None:
    values = np.arange(2500.0)
    assert windows(values, 1000) == pytest.approx([624.5, 1874.5])
    assert windows(values[:10], 1000) == pytest.approx([4.5])


def learner(costs: list[float]) -> dict[str, Array]:
    marks = np.array([100, 200, 400])[: len(costs)]
    return {"samples": marks, "cost": np.array(costs)[:, None] + [[-1.0, 1.0]], "skipped": np.array(0)}


def test_learners_are_compared_by_ranks_over_their_seeds() -> None:
    quick, slow = [30.0, 20.0, 9.0], [300.0, 25.0, 20.0]
    found = {f"learner {SECOND}-{k}": learner([c + k for c in quick]) for k in range(4)}
    found |= {f"learner {FIRST}-{k}": learner([c + k for c in slow]) for k in range(4)}
    found[f"learner {FIRST}-3"] = learner([300.0])  # it was lost
    shown = FIGURES["learners"](found)
    second, first = shown.numbers[SECOND], shown.numbers[FIRST]
    assert second["median"] == [31.5, 21.5, 10.5]
    assert first["by training seed"][3] == [300.0, None, None]
    assert second["samples until the cost is"] == {22.2: [200, 200, 200, 400], 12.5: [400, 400, 400, 400]}
    assert first["samples until the cost is"][22.2] == [400, 400, 400, None]
    # all 4 below all 4: one arrangement of 70
    assert shown.numbers[f"chance of as much by luck: {SECOND} below {FIRST}"] == pytest.approx(1 / 70)
    assert list(shown.checks.values()) == [True]
    same = {name.replace(SECOND, FIRST): run for name, run in found.items() if SECOND in name}
    assert list(FIGURES["learners"](found | same).checks.values()) == [False]


def test_trainings_that_are_all_lost_end_last() -> None:
    found = {f"learner {SECOND}-{k}": learner([30.0, 20.0, 10.0 + k]) for k in range(4)}
    found |= {f"learner {FIRST}-{k}": learner([5.0 + k]) for k in range(4)}  # good, and lost after 100 samples
    shown = FIGURES["learners"](found)
    assert shown.numbers[FIRST]["median"] == [6.5, None, None]
    assert shown.numbers[f"chance of as much by luck: {SECOND} below {FIRST}"] == pytest.approx(1 / 70)
    assert list(shown.checks.values()) == [True]


def test_of_few_seeds_nothing_is_asked_that_no_result_could_answer() -> None:
    found = {f"learner {SECOND}-{k}": learner([9.0 + k]) for k in range(3)}
    found |= {f"learner {FIRST}-{k}": learner([19.0 + k]) for k in range(3)}
    shown = FIGURES["learners"](found)
    assert shown.checks == {}
    assert shown.numbers[f"chance of as much by luck: {SECOND} below {FIRST}"] == pytest.approx(1 / 20)


def test_a_cost_that_rises_again_is_not_reached_for_good() -> None:
    shown = FIGURES["learners"]({"learner policy gradient-0": learner([12.0, 13.0, 12.0])})
    assert shown.numbers["policy gradient"]["samples until the cost is"] == {22.2: [100], 12.5: [400]}
    assert shown.checks == {}
