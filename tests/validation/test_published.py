"""The published numbers are in order, and those of them that stand in two places are the same."""

from dmpcrl_ctrl.validation import published


def test_tables_are_in_order() -> None:
    for table in (published.DUAL_DISTANCE, published.LEARNED_COST):
        assert list(table) == sorted(table)
    assert all(len(values) == 10 for values in (*published.STAGE_COST.values(), *published.TD_ERROR.values()))


def test_medians_lie_between_their_quartiles() -> None:
    for episodes in published.POWER_COST.values():
        if episodes.quartiles is not None:
            low, high = episodes.quartiles
            assert low < episodes.median < high
            assert low < episodes.mean < high
        assert 0 <= episodes.clean <= 100
