"""Which transitions are remembered, and which an update learns from."""

import numpy as np
import pytest

from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.replay import Replay


def test_the_oldest_are_given_up() -> None:
    replay, kept = Replay(3, 1, 1), np.zeros((0, 2))
    for k in range(5):
        kept = replay.remembered(kept, np.array([k, -k]))
    assert kept.tolist() == [[2, -2], [3, -3], [4, -4]]
    assert replay.remembered(np.array([1.0, 2.0, 3.0]), 4.0).tolist() == [2.0, 3.0, 4.0]


def test_a_batch_is_the_newest_and_a_draw_from_the_older_without_replacement() -> None:
    replay, counts = Replay(100, 15, 10), np.zeros(100)
    for update in range(400):
        rows = replay.chosen(100, 3, update)
        assert sorted(rows)[-10:] == list(range(90, 100))
        assert len(set(rows.tolist())) == 15
        counts[rows] += 1
    # each of 90 older ones with probability 5 / 90: 22 of 400, with a standard deviation of 4.6
    assert counts[:90].min() > 4
    assert counts[:90].max() < 45


def test_few_stored_give_all_there_are() -> None:
    assert sorted(Replay(100, 15, 10).chosen(7, 0, 0).tolist()) == list(range(7))
    assert sorted(Replay(100, 15, 10).chosen(12, 0, 0).tolist()) == list(range(12))


def test_agents_that_share_a_seed_draw_the_same_and_updates_differ() -> None:
    replay = Replay(300, 150, 100)
    assert replay.chosen(300, 1, 5).tolist() == replay.chosen(300, 1, 5).tolist()
    assert replay.chosen(300, 1, 5).tolist() != replay.chosen(300, 1, 6).tolist()
    assert replay.chosen(300, 1, 5).tolist() != replay.chosen(300, 2, 5).tolist()


@pytest.mark.parametrize("numbers", [(10, 11, 1), (10, 5, 6), (10, 0, 0), (10, 5, -1)])
def test_numbers_that_do_not_fit_are_named(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(LearningError, match="newest <= batch <= capacity"):
        Replay(*numbers)
