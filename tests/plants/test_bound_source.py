"""Signals on ticks: edges, the order of questions, seeds."""

import numpy as np
import pytest

from dmpcrl_ctrl.errors import SourceError
from dmpcrl_ctrl.plants.bound_source import Held, Piecewise, Total, child_seed, earliest, noise_sampler


def uniform(seed: np.random.SeedSequence) -> list[float]:
    sample = noise_sampler(lambda rng, size: rng.uniform(size=size), seed)
    return [sample(k) for k in range(1000)]


def test_a_piece_begins_with_its_value_and_runs_with_its_slope() -> None:
    signal = Piecewise(base=10, knots=(20, 40), values=(1.0, 3.0, -1.0), slopes=(0.0, 2.0, 0.0))
    assert [signal.value(t) for t in (0, 19, 20, 25, 39, 40, 99)] == pytest.approx([1, 1, 3, 4, 6.8, -1, -1])
    assert [signal.slope(t) for t in (0, 19, 20, 39, 40)] == [0.0, 0.0, 2.0, 2.0, 0.0]
    assert [signal.next_edge(t) for t in (0, 19, 20, 39, 40)] == [20, 20, 40, 40, None]


def test_held_samples_begin_late_and_end() -> None:
    signal = Held(base=1, period=3, start=4, sample=[5.0, 6.0].__getitem__, count=2, initial=-1.0)
    assert [signal.value(t) for t in range(12)] == [-1, -1, -1, -1, 5, 5, 5, 6, 6, 6, 6, 6]
    assert [signal.next_edge(t) for t in (0, 3, 4, 6, 7, 20)] == [4, 4, 7, 7, None, None]


def test_the_end_of_the_data_still_has_a_value_and_later_there_is_an_error() -> None:
    signal = Held(base=2, period=3, start=0, sample=[5.0, 6.0].__getitem__, count=2, refuse_after_end=True)
    assert signal.value(6) == 6.0
    with pytest.raises(SourceError, match=r"end at t = 3 s and do not reach t = 3\.5 s"):
        signal.value(7)


def test_endless_samples_have_an_edge_at_every_period() -> None:
    signal = Held(base=1, period=5, start=0, sample=float)
    assert [signal.next_edge(t) for t in (0, 4, 5, 1_000_000)] == [5, 5, 10, 1_000_005]
    assert signal.slope(3) == 0.0


def test_a_total_adds_values_and_slopes_and_has_every_edge() -> None:
    ramp = Piecewise(1, (2,), (0.0, 0.0), (0.0, 1.0))
    signal = Total((ramp, Held(1, 3, 0, float)))
    assert [signal.value(t) for t in (0, 2, 3, 7)] == [0.0, 0.0, 2.0, 7.0]
    assert [signal.slope(t) for t in (0, 2)] == [0.0, 1.0]
    assert [signal.next_edge(t) for t in (0, 2, 3)] == [2, 3, 6]
    assert Total(()).value(3) == 0.0


def test_the_earliest_of_no_edges_is_none() -> None:
    assert earliest([None, 4, 3]) == 3
    assert earliest([None]) is None


def test_noise_depends_on_the_seed_and_the_sample_alone() -> None:
    seed = np.random.SeedSequence(3)
    forward = uniform(seed)
    sample = noise_sampler(lambda rng, size: rng.uniform(size=size), seed)
    order = np.random.default_rng(0).permutation(1000)
    assert all(sample(int(k)) == forward[int(k)] for k in order)
    assert len(set(forward)) == 1000


def test_children_differ_from_each_other_and_do_not_count_calls() -> None:
    seed = np.random.SeedSequence(3)
    assert uniform(child_seed(seed, 1)) == uniform(child_seed(seed, 1))
    assert uniform(child_seed(seed, 1))[0] != uniform(child_seed(seed, 2))[0]
    assert seed.n_children_spawned == 0
