"""The event order, instant by instant, against closed forms."""

import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.scheduler import Row, Scheduler
from dmpcrl_ctrl.cosim.wiring import wire
from dmpcrl_ctrl.errors import SimulationError, WiringError
from dmpcrl_ctrl.plants import Constant, Ramp, Sampled, Steps, UniformNoise

Make = Callable[..., Any]


def rows_of(
    plants: Any, blocks: Any, t_end: Any, *, seed: int = 0, connections: Any = None, initial: Any = None
) -> list[Row]:
    """All rows of a loop; the last one is the end."""
    who = Participants.of(plants, blocks, t_end)
    scheduler = Scheduler(who, wire(who, connections), seed)
    state, rows = scheduler.start(initial), []
    while True:
        state, row = scheduler.instant(state)
        rows += [row] if row is not None else []
        if state.tick == who.end:
            return rows
        state = scheduler.advance(state, scheduler.next_instant(state))


def column(rows: list[Row], what: str, k: int = 0) -> list[float]:
    return [float(getattr(row, what)[k]) for row in rows]


def test_the_input_is_held_from_sample_to_sample(make_plant: Make, make_block: Make) -> None:
    A, B = np.array([[0.0, 1.0], [-2.0, -0.3]]), np.array([[0.0], [1.5]])
    levels = [1.0, -0.5, 2.0, 0.25]
    rows = rows_of(
        make_plant(A, B, initial_state=[1.0, 0.0]), make_block("x0", "u0", lambda k, y: [levels[k]], 0.7), 2.8
    )
    # Independent: the exponential of the augmented matrix, step by step.
    step = expm(0.7 * np.block([[A, B], [np.zeros((1, 3))]]))
    x = np.array([1.0, 0.0])
    for row, u in zip(rows, levels, strict=False):
        np.testing.assert_allclose(row.state, x, rtol=0, atol=1e-14)
        assert row.input[0] == u
        x = step[:2, :2] @ x + step[:2, 2] * u
    np.testing.assert_allclose(rows[-1].state, x, rtol=0, atol=1e-14)
    assert [row.time for row in rows] == [0.0, 0.7, 1.4, 2.1, 2.8]


def test_the_last_interval_may_be_a_part_of_a_sample(make_plant: Make, make_block: Make) -> None:
    rows = rows_of(make_plant(0.0, 1.0), make_block("x0", "u0", lambda k, y: [k + 1.0]), "5/2")
    assert [row.time for row in rows] == [0.0, 1.0, 2.0, 2.5]
    assert column(rows, "state") == [0.0, 1.0, 3.0, 4.5]
    assert rows[-1].input.size == 1 and rows[-1].cost.size == 0


def test_an_output_with_feedthrough_uses_the_input_before_the_instant(make_plant: Make, make_block: Make) -> None:
    """y = x + 10 u, u = y + 1: no algebraic loop, because y at k has the u of k - 1."""
    block = make_block("y0", "u0", lambda k, y: y + 1.0)
    rows = rows_of(make_plant(0.0, 1.0, C=[1.0], D=10.0, signals="x0; u0; y0"), block, 3)
    x, u, seen = 0.0, 0.0, []
    for _ in range(3):
        y = x + 10.0 * u
        seen.append(y)
        u = y + 1.0
        x = x + u
    assert [float(entry[1][0]) for entry in block.seen] == seen
    assert column(rows, "output")[:3] == seen


def test_a_disturbance_that_acts_on_an_output_has_its_new_value(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(
        0.0, [[0.0, 0.0]], C=[1.0], D=[[0.0, 1.0]], signals="x; u v; y", disturbances={"v": Steps((1,), (5.0,))}
    )
    block = make_block("y", "u", lambda k, y: [0.0])
    rows_of(plant, block, 3)
    assert [float(entry[1][0]) for entry in block.seen] == [0.0, 5.0, 5.0]


def test_a_block_reads_what_another_computed_at_the_same_instant(make_plant: Make, make_block: Make) -> None:
    reader = make_block("estimate", "u0", lambda k, y: -y, name="reader")
    observer = make_block("x0", "estimate", lambda k, y: [100.0 * (k + 1)], name="observer")
    for order in ([reader, observer], [observer, reader]):
        reader.seen.clear()
        rows_of(make_plant(0.0, 1.0), order, 3)
        assert [float(entry[1][0]) for entry in reader.seen] == [100.0, 200.0, 300.0]


def test_between_samples_a_block_reads_what_is_held(make_plant: Make, make_block: Make) -> None:
    slow = make_block("x0", "target", lambda k, y: [float(k + 1)], 2.0, name="slow", offset=0.5)
    fast = make_block("target", "u0", lambda k, y: [0.0], 1.0, name="fast")
    rows_of(make_plant(0.0, 1.0), [fast, slow], 5)
    assert [float(entry[1][0]) for entry in fast.seen] == [0.0, 1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize("delay", ["1/10", "3/10", "7/10", 1, "5/4"])
def test_a_delayed_output_takes_effect_later(make_plant: Make, make_block: Make, delay: Any) -> None:
    block = make_block("x0", "u0", lambda k, y: [float(k + 1)], delay=Fraction(delay))
    rows = rows_of(make_plant(0.0, 1.0), block, 5, initial={"u0": 7.0})

    def effect(time: Fraction) -> float:
        """Integral of the held input: output k holds from k + delay to k + 1 + delay, and 7 before the first."""
        total, lag = Fraction(0), Fraction(delay)
        for k in range(-1, 5):
            begin, end = max(Fraction(0), k + lag) if k >= 0 else Fraction(0), max(Fraction(0), k + 1 + lag)
            total += max(Fraction(0), min(time, end) - begin) * (7 if k < 0 else k + 1)
        return float(total)

    np.testing.assert_allclose(column(rows, "state"), [effect(Fraction(k)) for k in range(6)], rtol=0, atol=1e-13)


def test_a_delayed_output_is_read_by_other_blocks_from_the_instant_of_its_arrival(
    make_plant: Make, make_block: Make
) -> None:
    observer = make_block("x0", "estimate", lambda k, y: [float(k + 1)], name="observer", delay=0.5)
    reader = make_block("estimate", "u0", lambda k, y: [0.0], name="reader", offset=0.5)
    rows_of(make_plant(0.0, 1.0), [reader, observer], 3)
    assert [float(entry[1][0]) for entry in reader.seen] == [1.0, 2.0, 3.0]


def test_blocks_are_told_what_took_effect_and_what_it_cost(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(0.0, 1.0, input_limits={"u0": (-1.0, 1.0)}, initial_state=[3.0], Q=[2.0], R=[10.0])
    block = make_block("x0", "u0", lambda k, y: [-4.0 if k < 2 else 0.5])
    rows = rows_of(plant, block, 4)
    assert column(rows, "input")[:4] == [-1.0, -1.0, 0.5, 0.5]
    assert [float(entry[2][0]) for entry in block.seen] == [0.0, -1.0, -1.0, 0.5]
    costs = [2.0 * 9 + 10.0, 2.0 * 4 + 10.0, 2.0 * 1 + 2.5]
    assert [float(entry[3][0]) for entry in block.seen] == [0.0, *costs]
    assert column(rows[:3], "cost") == costs
    assert [float(step.output[0]) for row in rows[:4] for step in row.steps.values()] == [-4.0, -4.0, 0.5, 0.5]


def test_costs_of_several_plants_follow_each_other(make_plant: Make, make_block: Make) -> None:
    plants = [make_plant(0.0, 1.0, name=name, initial_state=[x]) for name, x in (("a", 2.0), ("b", 3.0))]
    block = make_block("a.x0 b.x0", "a.u0 b.u0", lambda k, y: [1.0, 0.0])
    rows_of(plants, block, 2)
    assert block.seen[1][3].tolist() == [4.0 + 1.0, 9.0]


def test_cost_is_that_of_the_blocks_own_last_sample(make_plant: Make, make_block: Make) -> None:
    fast = make_block("x0", "u0", lambda k, y: [1.0], 0.5, name="fast")
    slow = make_block("x0", "", lambda k, y: [], 1.0, name="slow")
    rows_of(make_plant(0.0, 1.0), [slow, fast], 3)
    # x(t) = t with u = 1: cost at t is t^2 + 1.
    assert [float(entry[3][0]) for entry in slow.seen] == [0.0, 1.0, 2.0]
    assert [float(entry[3][0]) for entry in fast.seen[1:]] == [(k / 2) ** 2 + 1 for k in range(5)]


def test_a_pulse_of_a_millisecond_is_not_missed_in_a_thousand_seconds(make_plant: Make, make_block: Make) -> None:
    pulse = Steps(("500.0003", "500.0013"), (1000.0, 0.0))
    plant = make_plant(0.0, [[1.0, 1.0]], signals="x; u d", disturbances={"d": pulse})
    rows = rows_of(plant, make_block("x", "u", lambda k, y: [0.0], 100.0), 1000)
    np.testing.assert_allclose(column(rows, "state"), [0.0] * 6 + [1.0] * 5, rtol=1e-14)


def test_a_ramp_is_integrated_exactly(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(0.0, [[1.0, 1.0]], signals="x; u d", disturbances={"d": Ramp(0.5, 2.0, 2.5)})
    rows = rows_of(plant, make_block("x", "u", lambda k, y: [0.0]), 4)
    np.testing.assert_allclose(column(rows, "state"), [0.0, 0.25, 2.25, 6.0, 10.0], rtol=1e-14)
    assert column(rows[:4], "disturbance") == [0.0, 1.0, 3.0, 4.0]


def test_noise_has_its_own_rate_and_belongs_to_its_plant(make_plant: Make, make_block: Make) -> None:
    noise = {"d": UniformNoise(-1, 1, 0.25)}
    noisy = make_plant(0.0, [[1.0, 1.0]], signals="x; u d", disturbances=noise, name="noisy")
    other = make_plant(0.0, 1.0, name="other")

    def loop(plants: list[Any], seed: int) -> list[float]:
        links = {"other.u0": None} if other in plants else None
        rows = rows_of(plants, make_block("x", "u", lambda k, y: [0.0]), 3, seed=seed, connections=links)
        return column(rows, "state", len(plants) - 1)

    alone = loop([noisy], 3)
    assert alone != loop([noisy], 4)
    assert alone == loop([other, noisy], 3)
    # The state is the running sum of a quarter of each sample.
    source = noisy.bind(4, np.random.SeedSequence(3, spawn_key=(zlib.crc32(b"noisy"),)))
    samples = [float(source.values(tick)[0]) for tick in range(12)]
    np.testing.assert_allclose(alone, [0.0, *np.cumsum(samples)[3::4] / 4], atol=1e-15)


def test_a_discrete_plant_takes_its_inputs_at_its_own_samples(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(0.5, 1.0, dt=1.0, initial_state=[8.0])
    block = make_block("x0", "u0", lambda k, y: [float(k)], 0.25)
    rows = rows_of(plant, block, 3)
    # Its samples 0, 1, 2 fall on samples 0, 4, 8 of the block.
    by_second = [row for row in rows if row.time == int(row.time)]
    assert column(by_second, "state") == [8.0, 4.0, 2.0 + 4.0, 3.0 + 8.0]
    assert column(rows[:12], "input") == [0.0] * 4 + [4.0] * 4 + [8.0] * 4
    assert column(rows[:12], "state") == [8.0] * 4 + [4.0] * 4 + [6.0] * 4


def test_a_discrete_plant_holds_its_output_for_a_continuous_one(make_plant: Make, make_block: Make) -> None:
    source = make_plant(1.0, 1.0, dt=0.5, signals="level; step; flow", name="valve", initial_state=[1.0])
    tank = make_plant(0.0, 1.0, signals="volume; flow", name="tank")
    rows = rows_of([source, tank], make_block("volume", "step", lambda k, y: [1.0], 0.5), 2)
    assert column(rows, "state", 0) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert column(rows, "state", 1) == [0.0, 0.5, 1.5, 3.0, 5.0]


def test_a_continuous_plant_is_sampled_by_a_discrete_one(make_plant: Make, make_block: Make) -> None:
    ramp = make_plant(0.0, 1.0, signals="z; u", name="ramp", initial_state=[1.0])
    logger = make_plant(0.0, 1.0, dt=1.0, signals="last; z; kept", name="logger")
    rows = rows_of([ramp, logger], make_block("z", "u", lambda k, y: [1.0]), 3)
    assert column(rows, "state", 0) == [1.0, 2.0, 3.0, 4.0]
    assert column(rows, "state", 1) == [0.0, 1.0, 2.0, 3.0]


def test_two_discrete_plants_exchange_their_outputs_of_the_same_instant(make_plant: Make) -> None:
    first = make_plant(0.0, 1.0, dt=1.0, signals="a; b", name="first", initial_state=[1.0])
    second = make_plant(0.0, 1.0, dt=1.0, signals="b; a", name="second", initial_state=[2.0])
    who = Participants.of([first, second], (), 3)
    scheduler = Scheduler(who, wire(who), 0)
    state, seen = scheduler.start(), []
    for _ in range(4):
        seen.append([float(plant.x[0]) for plant in state.plants])
        state, _ = scheduler.instant(state)
        state = scheduler.advance(state, state.tick + 1)
    assert seen == [[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [2.0, 1.0]]


def test_rows_are_the_start_the_samples_and_the_end(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(0.0, [[1.0, 1.0]], signals="x; u d", disturbances={"d": Steps((0.1,), (1.0,))})
    blocks = [
        make_block("x", "u", lambda k, y: [0.0], 0.3, name="a", offset=0.2, delay=0.05),
        make_block("x", "", lambda k, y: [], 0.5, name="b", offset=0.5),
    ]
    rows = rows_of(plant, blocks, 1.4)
    assert [row.time for row in rows] == [0.0, 0.2, 0.5, 0.8, 1.0, 1.1, 1.4]
    assert [sorted(row.steps) for row in rows] == [[], [0], [0, 1], [0], [1], [0], []]


def test_a_step_that_fails_leaves_the_state_before_it(make_plant: Make, make_block: Make) -> None:
    broken = {"now": True}

    def law(k: int, y: Array) -> Any:
        if k == 2 and broken["now"]:
            raise ZeroDivisionError("no gain\nfor today")
        return -0.5 * y

    plant, block = make_plant(-1.0, 1.0, initial_state=[1.0]), make_block("x0", "u0", law, 0.5, name="pid")
    who = Participants.of(plant, block, 5)
    scheduler = Scheduler(who, wire(who), 0)
    state = scheduler.start()
    for _ in range(2):
        state, _ = scheduler.instant(state)
        state = scheduler.advance(state, scheduler.next_instant(state))
    before = (state.tick, state.board.copy(), state.plants[0].x.copy(), state.blocks[0].count)
    with pytest.raises(SimulationError, match=r"^t = 1 s: pid: ZeroDivisionError: no gain for today$") as caught:
        scheduler.instant(state)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    after = (state.tick, state.board, state.plants[0].x, state.blocks[0].count)
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(before, after, strict=True))
    # What failed can be tried again, and goes on as if nothing had been.
    broken["now"] = False
    _, row = scheduler.instant(state)
    assert row is not None and row.input[0] == -0.5 * row.state[0]


def test_previews_show_what_is_known_now(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(
        0.0, [[1.0, 1.0, 0.0]], signals="x; u d e", initial_state=[4.0],
        disturbances={"d": Steps((2,), (1.0,)), "e": Steps((1,), (9.0,), measured=False)},
        setpoints={"x": Ramp(0, 1.0)},
    )  # fmt: skip
    block = make_block("d x x_ref e u_ref", "u", lambda k, y: [0.0], preview=3)
    rows = rows_of(plant, block, 3)
    first, second = block.seen[0][1], block.seen[1][1]
    assert first.tolist() == [[0, 4, 0, 0, 0], [0, 4, 1, 0, 0], [1, 4, 2, 0, 0], [1, 4, 3, 0, 0]]
    assert second.tolist() == [[0, 4, 1, 0, 0], [1, 4, 2, 0, 0], [1, 4, 3, 0, 0], [1, 4, 4, 0, 0]]
    # The log keeps what was measured now.
    assert rows[1].steps[0].measurement.tolist() == [0, 4, 1, 0, 0]


def test_a_preview_beyond_recorded_data_repeats_the_last_that_is_known(make_plant: Make, make_block: Make) -> None:
    data = Sampled((1.0, 2.0, 3.0), 1.0, after="error")
    plant = make_plant(0.0, [[1.0, 0.0]], signals="x; u d", disturbances={"d": data})
    block = make_block("d", "u", lambda k, y: [0.0], preview=4)
    rows_of(plant, block, 3)
    assert block.seen[1][1][:, 0].tolist() == [2.0, 3.0, 3.0, 3.0, 3.0]
    with pytest.raises(SimulationError, match=r"^t = 4 s: plant: d: .*data end"):
        rows_of(plant, make_block("d", "u", lambda k, y: [0.0]), 6)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_diverging_plant_is_named_with_state_and_time(make_plant: Make, make_block: Make, weight: float) -> None:
    """Once, and without a warning at each sample before it: its cost is no number earlier than its state."""
    with pytest.raises(SimulationError, match=r"^t = 2 s: plant: state 'x0'.* is inf at t = 3 s"):
        rows_of(make_plant(250.0, 1.0, initial_state=[1.0], Q=[weight]), make_block("x0", "u0", lambda k, y: [0.0]), 5)


def test_an_unknown_initial_input_is_named(make_plant: Make, make_block: Make) -> None:
    with pytest.raises(WiringError, match=r"initial_input: control input 'u1' does not exist; there are u0"):
        rows_of(make_plant(0.0, 1.0), make_block("x0", "u0", lambda k, y: [0.0]), 1, initial={"u1": 1.0})


def test_a_plant_without_states_works(make_plant: Make, make_block: Make) -> None:
    import control as ct

    from dmpcrl_ctrl.plants import Plant

    gain = Plant(ct.ss([], [], [], [[2.0]], 0, inputs=["u"], outputs=["y"], name="gain"))
    block = make_block("y", "u", lambda k, y: [k + 1.0])
    rows = rows_of(gain, block, 3)
    assert column(rows, "output") == [0.0, 2.0, 4.0, 6.0]


rates = st.tuples(st.fractions("1/20", 2, max_denominator=20), st.fractions(0, 1, max_denominator=12))


@given(st.lists(rates, min_size=1, max_size=3), st.fractions("1/2", 4, max_denominator=30))
def test_every_block_samples_exactly_at_its_own_times(
    make_plant: Make, make_block: Make, rates: list[tuple[Fraction, Fraction]], t_end: Fraction
) -> None:
    """x' = 1 makes the state a clock; each block sees it at offset + k period, and at no other time."""
    plant = make_plant(0.0, [[0.0, 1.0]], signals="t; u one", disturbances={"one": Constant(1.0)})
    blocks = [
        make_block("t", "u" if k == 0 else "", lambda n, y, k=k: [0.0] * (k == 0), period, name=f"b{k}", offset=offset)
        for k, (period, offset) in enumerate(rates)
    ]
    rows = rows_of(plant, blocks, t_end)
    instants = {Fraction(0), t_end}
    for block, (period, offset) in zip(blocks, rates, strict=True):
        own = [offset + k * period for k in range(int((t_end - offset) / period) + 2) if offset + k * period < t_end]
        instants.update(own)
        assert [entry[0] for entry in block.seen] == list(range(len(own)))
        np.testing.assert_allclose([float(entry[1][0]) for entry in block.seen], [float(t) for t in own], atol=1e-12)
    assert [row.time for row in rows] == [float(t) for t in sorted(instants)]
