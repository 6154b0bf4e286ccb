"""What figures have in common."""

import numpy as np
import pytest

from dmpcrl_ctrl.validation.figure_parts import windows

Array = np.ndarray


def test_windows_leave_no_sample_out() -> None:
    values = np.arange(2500.0)
    assert windows(values, 1000) == pytest.approx([624.5, 1874.5])
    assert windows(values[:10], 1000) == pytest.approx([4.5])
