"""Numbers that fall geometrically from update to update."""

import pytest

from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.schedule import Geometric


def test_it_falls_by_one_factor_an_update() -> None:
    assert [Geometric(8.0, 0.5)(u) for u in range(4)] == [8.0, 4.0, 2.0, 1.0]
    assert Geometric(0.3)(10_000) == 0.3


@pytest.mark.parametrize(("start", "factor"), [(-1.0, 0.5), (float("nan"), 0.5), (1.0, 0.0), (1.0, 1.1)])
def test_numbers_out_of_range_are_named(start: float, factor: float) -> None:
    with pytest.raises(LearningError, match=r"got (-1.0|nan|0.0|1.1)"):
        Geometric(start, factor)
