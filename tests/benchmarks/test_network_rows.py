"""Rows about large networks, on small ones."""

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.network_rows import iteration_memory, memory_of_an_iteration, thousand_areas, two_cores, two_workers
from dmpcrl_ctrl.validation.campaign import Campaign, Job, run_job


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would run in a process of its own runs in this one."""
    monkeypatch.setattr("benchmarks.network_rows.apart", lambda call, *args: call(*args))


@pytest.mark.usefixtures("here")
def test_a_small_grid_runs_to_its_end() -> None:
    row = thousand_areas(areas=4, seconds=2)
    assert row.reached and row.name.startswith("4 areas, 2 s closed loop")
    assert "s a sample" in row.note


@pytest.mark.parametrize("shape", ["ring", "grid"])
def test_an_iteration_takes_memory(shape: str) -> None:
    few, many = memory_of_an_iteration(shape, 4)[0], memory_of_an_iteration(shape, 64)[0]
    assert 0.0 < few < many


@pytest.mark.usefixtures("here")
def test_the_slope_of_memory_is_reported_with_its_sizes() -> None:
    row = iteration_memory("ring", (4, 16))
    assert row.value > 0.0
    assert "4: " in row.note and "more at 16" in row.note


def test_the_same_runs_are_made_on_one_worker_and_on_two(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Sequence[Job], int]] = []

    def run(jobs: Sequence[Job], workers: int, **options: Any) -> Campaign:
        asked.append((jobs, workers))
        return Campaign((), 0)

    monkeypatch.setattr("benchmarks.network_rows.run_campaign", run)
    assert two_cores(areas=3, seconds=1, pairs=1).goal == ">= 1.6"
    assert [workers for _, workers in asked] == [1, 2, 1, 2]
    jobs = asked[0][0]
    assert len(jobs) == 2 and all(other == jobs for other, _ in asked)
    assert run_job(jobs[0]).samples == 1


def test_a_campaign_on_two_workers_has_a_goal_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def run(jobs: Sequence[Job], workers: int, **options: Any) -> Campaign:
        asked.append((len(jobs), workers))
        return Campaign((), 0)

    monkeypatch.setattr("benchmarks.network_rows.run_campaign", run)
    row = two_workers(areas=3, seconds=1, runs=5, pairs=1)
    assert row.goal == ">= 1.7" and row.reached is (row.value >= 1.7)
    assert set(asked) == {(5, 1), (5, 2)}
