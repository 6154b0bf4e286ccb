"""Sources: what each stands for, sums, what is measured, and the laws that every bound signal obeys."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmpcrl_ctrl.errors import ClockError, SourceError
from dmpcrl_ctrl.plants.bound_source import BoundSource
from dmpcrl_ctrl.plants.disturbance import (
    Constant,
    GaussianNoise,
    Ramp,
    Sampled,
    Source,
    Steps,
    UniformNoise,
    as_source,
)

BASE = 10
SEED = np.random.SeedSequence(7)
levels = st.floats(-5, 5)
tenths = st.integers(0, 100).map(lambda k: Fraction(k, 10))


def bound(source: Source) -> BoundSource:
    return source.bind(BASE, SEED)


@st.composite
def sources(draw: st.DrawFn) -> Source:
    """Any source on a clock of tenths of a second, or a sum of up to three."""

    def one() -> Source:
        kind = draw(st.sampled_from(["constant", "steps", "ramp", "sampled", "uniform", "gaussian"]))
        period = Fraction(draw(st.integers(1, 30)), 10)
        if kind == "constant":
            return Constant(draw(levels))
        if kind == "steps":
            times = sorted(draw(st.sets(tenths, min_size=1, max_size=4)))
            return Steps(tuple(times), tuple(draw(levels) for _ in times), draw(levels))
        if kind == "ramp":
            start = draw(tenths)
            return Ramp(start, draw(levels), draw(st.none() | st.just(start + period)), draw(levels))
        if kind == "sampled":
            return Sampled(tuple(draw(st.lists(levels, min_size=1, max_size=5))), period, draw(tenths))
        if kind == "uniform":
            return UniformNoise(-1.0, 2.0, period)
        return GaussianNoise(0.3, period)

    total = one()
    for _ in range(draw(st.integers(0, 2))):
        total = total + one()
    return total


@settings(max_examples=200)
@given(sources(), st.integers(0, 150))
def test_between_two_edges_a_signal_is_a_straight_line(source: Source, tick: int) -> None:
    signal = bound(source)
    edge = signal.next_edge(tick)
    assert edge is None or edge > tick
    last = tick + 40 if edge is None else min(edge - 1, tick + 40)
    for t in range(tick, last + 1):
        assert signal.slope(t) == signal.slope(tick)
        assert signal.value(t) == pytest.approx(signal.value(tick) + signal.slope(tick) * (t - tick) / BASE, abs=1e-9)


@settings(max_examples=200)
@given(sources(), sources(), st.integers(0, 150))
def test_a_measured_sum_is_the_sum_of_what_is_measured(one: Source, other: Source, tick: int) -> None:
    both = one + other
    assert both.measured == (one.measured or other.measured)
    parts = bound(one.measured_part()).value(tick) + bound(other.measured_part()).value(tick)
    assert bound(both.measured_part()).value(tick) == pytest.approx(parts)


def test_steps_are_levels_and_hold_from_their_time_on() -> None:
    signal = bound(Steps((0.5, 2), (0.3, -0.1), initial=1.0))
    assert [signal.value(t) for t in (0, 4, 5, 19, 20, 500)] == [1.0, 1.0, 0.3, 0.3, -0.1, -0.1]


def test_a_ramp_runs_per_second_and_stops() -> None:
    signal = bound(Ramp(1, 0.5, end=3, initial=2.0))
    assert [signal.value(t) for t in (0, 10, 20, 30, 99)] == [2.0, 2.0, 2.5, 3.0, 3.0]
    assert [signal.slope(t) for t in (9, 10, 29, 30)] == [0.0, 0.5, 0.5, 0.0]
    assert bound(Ramp(1, 0.5)).value(210) == 10.0


def test_a_pulse_shorter_than_any_sample_has_its_edges() -> None:
    signal = Steps(("0.500", "0.501"), (1.0, 0.0)).bind(1000, SEED)
    assert [signal.next_edge(t) for t in (0, 500, 501)] == [500, 501, None]


def test_data_hold_or_stop_after_their_end() -> None:
    assert bound(Sampled((1.0, 2.0), 0.5)).value(1000) == 2.0
    with pytest.raises(SourceError, match="after='hold'"):
        bound(Sampled((1.0, 2.0), 0.5, after="error")).value(1000)


def test_noise_is_unmeasured_and_has_the_distribution_it_says() -> None:
    uniform, normal = UniformNoise(-0.1, 0.3, 0.1), GaussianNoise(2.0, 0.1)
    assert not uniform.measured
    draws = np.array(list(map(bound(uniform).value, range(20_000))))
    assert draws.min() >= -0.1 and draws.max() < 0.3
    assert draws.mean() == pytest.approx(0.1, abs=4 * 0.4 / np.sqrt(12 * 20_000))
    draws = np.array(list(map(bound(normal).value, range(20_000))))
    assert draws.mean() == pytest.approx(0.0, abs=4 * 2.0 / np.sqrt(20_000))
    assert draws.std() == pytest.approx(2.0, rel=0.03)


def test_the_parts_of_a_sum_have_noise_of_their_own() -> None:
    noise = UniformNoise(-1.0, 1.0, 1)
    signal = bound(noise + noise)
    assert signal.value(0) != pytest.approx(2.0 * bound(noise).value(0))


def test_numbers_add_to_sources_on_either_side() -> None:
    assert bound(0.5 + Constant(1.0)).value(3) == bound(Constant(1.0) + 0.5).value(3) == 1.5
    assert bound(as_source(2)).value(0) == 2.0


def test_instants_are_what_the_clock_has_to_hit() -> None:
    source = Steps((5,), (1.0,)) + UniformNoise(0, 1, 0.25) + Ramp(1, 1.0, 2) + Sampled((0.0,), "1/3", start=4)
    assert sorted(source.instants()) == [Fraction(1, 4), Fraction(1, 3), 1, 2, 4, 5]
    with pytest.raises(ClockError, match="falls between two ticks"):
        bound(UniformNoise(0, 1, 0.25))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (Constant, {"level": np.nan}, "Constant: level must be a finite number, got nan"),
        (Steps, {"times": (1, 2), "values": (1.0,)}, "2 times, 1 values"),
        (Steps, {"times": (2, 1), "values": (1.0, 2.0)}, "times must increase, got 1 s after 2 s"),
        (Steps, {"times": (1,), "values": (np.inf,)}, r"values\[0\] must be a finite number"),
        (Steps, {"times": (np.pi,), "values": (1.0,)}, "Steps: times: 3.14159.*no simple fraction"),
        (Ramp, {"start": 2, "slope": 1.0, "end": 2}, "Ramp must end after its start 2 s, got end = 2 s"),
        (Sampled, {"values": (), "sample_time": 1}, "at least one value"),
        (
            Sampled,
            {"values": (1.0, np.nan), "sample_time": 1},
            r"values\[1\] must be a finite number, got nan",
        ),
        (Sampled, {"values": (1.0,), "sample_time": 0}, "sample_time must be positive, got 0 s"),
        (Sampled, {"values": (1.0,), "sample_time": 1, "after": "loop"}, "'hold' or 'error', got 'loop'"),
        (UniformNoise, {"low": 1.0, "high": 0.0, "sample_time": 1}, "low = 1 exceeds high = 0"),
        (GaussianNoise, {"std": -1.0, "sample_time": 1}, "std must not be negative, got -1"),
    ],
)
def test_bad_sources_are_refused_by_name_and_value(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        kind(**arguments)


@pytest.mark.parametrize("value", ["loud", None, True])
def test_what_is_no_signal_is_refused(value: Any) -> None:
    with pytest.raises(SourceError, match="a Source or a number"):
        as_source(value)


def test_draws_of_noise_have_its_range_and_leave_out_what_is_measured() -> None:
    rng = np.random.default_rng(0)
    uniform, normal = UniformNoise(-0.2, 0.4, 1), GaussianNoise(2.0, 1)
    drawn = uniform.draw_noise(rng, 2000)
    assert drawn.shape == (2000,) and -0.2 <= drawn.min() < -0.19 and 0.39 < drawn.max() <= 0.4
    both = (Steps((1,), (7.0,)) + uniform + normal + UniformNoise(5.0, 6.0, 1, measured=True)).draw_noise(rng, 20_000)
    assert both.mean() == pytest.approx(0.1, abs=0.1)
    assert both.std() == pytest.approx(np.sqrt(4.0 + 0.6**2 / 12.0), rel=0.05)
    for certain in (Constant(3.0), Ramp(0, 1.0), Sampled((1.0,), 1), GaussianNoise(1.0, 1, measured=True)):
        assert not certain.draw_noise(rng, 3).any()
