"""Learners that are compared: what is kept of a training, and of one that is lost."""

from collections.abc import Callable

import pytest

from dmpcrl_ctrl.controllers.learning_block import LearnerState
from dmpcrl_ctrl.errors import SimulationError
from dmpcrl_ctrl.validation import learners
from dmpcrl_ctrl.validation.learners import COMPARED, EXPLORING, FIRST, SECOND


def test_one_change_leads_from_each_learner_to_the_next() -> None:
    first, exploring, second = (COMPARED[name]() for name in (FIRST, EXPLORING, SECOND))
    assert exploring.exploration.probability(1_000_000) == second.exploration.probability(1_000_000) == 0.5
    assert first.step_size(7) == exploring.step_size(7) == pytest.approx(6e-5 * 0.9996**7)
    assert (first.update_every, exploring.update_every, second.update_every) == (2, 2, 5)


def test_of_a_learner_that_runs_away_there_is_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs_away(*given: object, observe: Callable[[int, None, LearnerState], None], **options: object) -> None:
        observe(49, None, COMPARED[SECOND]().init(0))
        raise SimulationError("the state of the plant is no number any more")

    monkeypatch.setattr(learners, "train", runs_away)
    marks, skipped = learners.learned(SECOND, 2000, 0)
    assert (list(marks), skipped) == ([50], 0)
    monkeypatch.setattr(learners, "MARKS", (100,))  # lost before anything is kept: the start is what it has
    assert list(learners.learned(SECOND, 2000, 0)[0]) == [0]
