"""Figures of made-up results: the numbers beside the pictures are those of the arrays, and checks can fail."""

import numpy as np
import pytest

from dmpcrl_ctrl.validation.learners import FIRST, SECOND
from dmpcrl_ctrl.validation.paper_figures import FIGURES

Array = np.ndarray


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
