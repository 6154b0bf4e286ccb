"""Rows about loops, each on a few steps."""

import pytest

from benchmarks.loop_rows import chain_in_full, log_and_certificate, memory, memory_of_a_loop, scheduler_share


def test_the_share_of_the_scheduler_is_a_share() -> None:
    row = scheduler_share(steps=2, runs=1)
    assert 0.0 < row.value < 1.0
    assert "of it the evaluation" in row.note


def test_log_and_certificate_are_compared_with_the_bare_loop() -> None:
    row = log_and_certificate(steps=2, pairs=1)
    assert row.value < 1.0 and row.spread is not None
    assert "the log alone" in row.note


@pytest.mark.parametrize("distributed", [True, False])
def test_the_whole_chain_is_told_from_a_part(distributed: bool) -> None:
    row = chain_in_full(distributed=distributed, warm_up=1, steps=2)
    assert row.value > 0.0
    assert row.note.endswith("ms a sample over 2 after 1, times 20000")


def test_memory_is_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    first, last, seconds = memory_of_a_loop(5, 10)
    assert min(first, last, seconds) > 0.0
    monkeypatch.setattr("benchmarks.loop_rows.apart", lambda call, *args: (100.0, 101.0, 2.0))
    row = memory(steps=260, first=10)
    assert (row.value, row.reached) == (4000.0, False)
    assert row.note.startswith("100.0 MB after 10 steps, 101.0 MB after 260")
