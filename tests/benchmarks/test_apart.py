"""What runs apart answers, and memory that is taken is counted."""

import os

import numpy as np
import pytest

from benchmarks.apart import apart, peak, resident


def test_a_call_runs_in_another_process() -> None:
    assert apart(os.getpid) != os.getpid()
    assert apart(divmod, 7, 2) == (3, 1)


def test_an_error_of_a_call_arrives() -> None:
    with pytest.raises(ZeroDivisionError):
        apart(divmod, 1, 0)


def test_what_is_held_is_counted_and_stays_in_the_peak() -> None:
    before, taken = resident(), np.ones(2**23)
    held = resident()
    assert held - before > 0.9 * taken.nbytes / 1024**2
    del taken
    # the kernel adds its counters up now and then
    assert peak() > held - 1.0
