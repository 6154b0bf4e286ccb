import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.cosim import open_log, simulate
from dmpcrl_ctrl.errors import LogError, SimulationError, WiringError
from dmpcrl_ctrl.plants import GaussianNoise, Plant, Steps, quadruple_tank
from dmpcrl_ctrl.status import Status

Make = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def plant(make_plant: Make) -> Plant:
    """x' = u from x = 1; u within [-2, 2]."""
    plant: Plant = make_plant(0.0, 1.0, initial_state=[1.0], input_limits={"u0": (-2.0, 2.0)}, name="tank")
    return plant


class Minimal:
    """A user's own controller: five names, nothing else."""

    sample_time = 0.5
    inputs = ("x0",)
    outputs = ("u0",)

    def init(self, seed: int) -> float:
        return 0.0

    def step(self, state: float, tick: int, measurement: Array, applied: Array, cost: Array) -> Any:
        return state + measurement[0], np.array([-measurement[0]]), {}


def test_a_plain_object_with_five_names_is_a_controller(plant: Plant) -> None:
    with simulate(plant, Minimal(), t_end=2) as run:
        assert run.time.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
        np.testing.assert_allclose(run["x0"], [1.0, 0.5, 0.25, 0.125, 0.0625])
        assert list(run.controllers) == ["minimal"] and run.controllers["minimal"].fields == ()
        assert run.complete


def test_the_file_and_the_memory_hold_the_same(plant: Plant, tmp_path: Path) -> None:
    with (
        simulate(plant, Minimal(), t_end=3) as memory,
        simulate(plant, Minimal(), t_end=3, log=tmp_path / "a.h5") as file,
    ):
        for what in (
            "time",
            "state",
            "output",
            "input",
            "disturbance",
            "setpoint",
            "cost",
            "state_limits",
            "input_limits",
        ):
            assert np.array_equal(getattr(memory, what), getattr(file, what))
        assert memory.names == file.names and memory.attributes == file.attributes


def test_equal_seeds_give_equal_runs_and_blocks_get_seeds_of_their_own(make_plant: Make, make_block: Make) -> None:
    noise = {"d": GaussianNoise(1.0, 0.1)}
    plant = make_plant(0.0, [[1.0, 1.0]], signals="x; u d", disturbances=noise)
    blocks = [make_block("x", "u" * (k == 0), lambda n, y, k=k: [0.0] * (k == 0), name=f"b{k}") for k in range(2)]
    first, again, other = (simulate(plant, blocks, t_end=3, seed=seed).state for seed in (7, 7, 8))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert blocks[0].seeds[0] == blocks[0].seeds[1] != blocks[0].seeds[2]
    assert blocks[0].seeds[0] != blocks[1].seeds[0]


def test_an_open_loop_needs_no_controller(make_plant: Make) -> None:
    plant = make_plant(
        -1.0, [[1.0, 1.0]], signals="x; u d", disturbances={"d": Steps((1,), (1.0,))}, initial_state=[1.0]
    )
    run = simulate(plant, t_end=3, connections={"plant.u": None}, dense=30)
    assert run.time.tolist() == [0.0, 3.0] and run.dense is not None
    time, state = run.dense
    exact = np.where(time < 1, np.exp(-time), np.exp(-time) + 1 - np.exp(1 - np.maximum(time, 1.0)))
    np.testing.assert_allclose(state[:, 0], exact, atol=1e-14)


def test_dense_points_are_exact_and_hit_the_samples(make_plant: Make, make_block: Make) -> None:
    A = np.array([[0.0, 1.0], [-9.0, -0.1]])
    plant = make_plant(A, [[0.0], [1.0]], initial_state=[1.0, 0.0])
    run = simulate(plant, make_block("x0", "u0", lambda k, y: [float(k % 2)], "3/10"), t_end=1, dense=7)
    assert run.dense is not None
    time, state = run.dense
    grid = [
        Fraction(3 * k, 10) + Fraction(j, 7) * min(Fraction(3, 10), 1 - Fraction(3 * k, 10))
        for k in range(4)
        for j in range(7)
    ]
    assert time.tolist() == [float(t) for t in [*grid, Fraction(1)]]
    assert np.array_equal(state[::7], run.state)
    augmented = np.zeros((3, 3))
    augmented[:2, :2], augmented[1, 2] = A, 1.0
    for k in range(4):
        start = np.append(run.state[k], float(k % 2))
        for j in range(7):
            exact = (expm(augmented * (time[7 * k + j] - time[7 * k])) @ start)[:2]
            np.testing.assert_allclose(state[7 * k + j], exact, atol=1e-13)


def test_a_discrete_plant_is_constant_between_its_samples(make_plant: Make, make_block: Make) -> None:
    plant = make_plant(2.0, 1.0, dt=1.0, initial_state=[1.0])
    run = simulate(plant, make_block("x0", "u0", lambda k, y: [0.0]), t_end=2, dense=2)
    assert run.dense is not None and run.dense[1][:, 0].tolist() == [1.0, 1.0, 2.0, 2.0, 4.0]


def test_a_nonlinear_plant_at_rest_stays_at_rest(make_block: Make) -> None:
    plant = quadruple_tank()
    rest = dict(zip(plant.input_names, (3.0, 3.0), strict=True))
    block = make_block("h1", "v1 v2", lambda k, y: [3.0, 3.0], 10.0, delay=4.0)
    run = simulate(plant, block, t_end=50, initial_input=rest)
    np.testing.assert_allclose(run.state, np.tile(plant.initial_state, (6, 1)), rtol=1e-9)
    assert (run.input == 3.0).all()


def failing_at(sample: int, how: Callable[[], Any]) -> Callable[[int, Array], Any]:
    return lambda k, y: how() if k == sample else [1.0]


def stop(error: BaseException) -> Callable[[], Any]:
    def how() -> Any:
        raise error

    return how


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (stop(ValueError("bad luck")), "t = 300 s: pid: ValueError: bad luck"),
        (stop(SimulationError("pid: says so itself")), "t = 300 s: pid: says so itself"),
        (lambda: [float("nan")], "t = 300 s: pid: its output 'u0' is nan"),
        (lambda: [float("inf")], "t = 300 s: pid: its output 'u0' is inf"),
        (lambda: [1.0, 2.0], "t = 300 s: pid: its output has shape (2,), expected (1,): u0"),
        (
            lambda: ([1.0], {"valu": 1.0}),
            "t = 300 s: pid: its record: declared field 'valu' does not exist; did you mean 'value'?",
        ),
        (lambda: ([1.0], {"value": [1.0]}), "t = 300 s: pid: its record: 'value' has shape (1,), expected ()"),
        (lambda: ([1.0], {"count": 300}), "t = 300 s: pid: its record: 'count' is 300, which type 'i1' cannot hold"),
        (lambda: ([1.0], {"count": 0.5}), "t = 300 s: pid: its record: 'count' is 0.5, which type 'i1' cannot hold"),
        (lambda: ([1.0], {"count": None}), "t = 300 s: pid: its record: 'count' is None, which type 'i1' cannot hold"),
    ],
)
def test_a_step_that_fails_leaves_a_log_of_what_came_before(
    plant: Plant, make_block: Make, tmp_path: Path, how: Callable[[], Any], message: str
) -> None:
    fields = (Field("value"), Field("count", dtype="i1"))
    block = make_block("x0", "u0", failing_at(300, how), name="pid", fields=fields)
    with pytest.raises(SimulationError) as caught:
        simulate(plant, block, t_end=1000, log=tmp_path / "run.h5")
    assert str(caught.value) == message
    with open_log(tmp_path / "run.h5") as run:
        assert run.time.tolist() == list(range(300)) and not run.complete
        assert run.state[:, 0].tolist() == [1.0 + k for k in range(300)]
        assert len(run.input) == 299


def test_an_interruption_passes_on_and_leaves_a_log(plant: Plant, make_block: Make, tmp_path: Path) -> None:
    block = make_block("x0", "u0", failing_at(40, stop(KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        simulate(plant, block, t_end=1000, log=tmp_path / "run.h5")
    with open_log(tmp_path / "run.h5") as run:
        assert run.samples == 39 and not run.complete


def test_ctrl_c_at_any_time_leaves_a_log(tmp_path: Path) -> None:
    """A process of its own, interrupted by the signal that a terminal sends; again if it comes while Python is deaf."""
    done = subprocess.run(
        [sys.executable, "-c", script(tmp_path / "run.h5", "signal.setitimer(signal.ITIMER_REAL, 1.0, 10.0)")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout == "interrupted\n", done.stderr
    with open_log(tmp_path / "run.h5") as run:
        assert run.samples > 10
        np.testing.assert_array_equal(run.state[:, 0], 1.0 + 0.5 * np.arange(run.samples + 1))


def test_a_killed_run_is_readable_up_to_its_last_second(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", script(tmp_path / "run.h5", "")], cwd=ROOT)
    try:
        while not (tmp_path / "run.h5").exists() or (tmp_path / "run.h5").stat().st_size < 200_000:
            assert process.poll() is None
        with open_log(tmp_path / "run.h5") as growing:
            assert growing.samples > 0 and not growing.complete
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with open_log(tmp_path / "run.h5") as run:
        assert run.samples >= 255
        np.testing.assert_array_equal(run.state[:, 0], 1.0 + 0.5 * np.arange(run.samples + 1))
        np.testing.assert_array_equal(run.controllers["block"].value, np.arange(run.samples))


def script(path: Path, prepare: str) -> str:
    """A very long loop; says so when it is interrupted."""
    return textwrap.dedent(f"""
        import signal, control as ct
        from dmpcrl_ctrl.controllers.block import Field
        from dmpcrl_ctrl.cosim import simulate
        from dmpcrl_ctrl.plants import Plant

        class Block:
            name, sample_time, inputs, outputs, fields = "block", 0.5, ("x",), ("u",), (Field("value"),)
            def init(self, seed): return None
            def step(self, state, tick, *told): return None, [1.0], {{"value": tick}}

        def interrupt(*_): raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, interrupt)
        plant = Plant(ct.ss(0, 1, 1, 0, states="x", inputs="u", outputs="x"), initial_state=[1.0])
        {prepare}
        try:
            simulate(plant, Block(), t_end=10**8, log={str(path)!r})
        except KeyboardInterrupt:
            print("interrupted")
    """)


def test_nothing_is_overwritten_unasked(plant: Plant, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("precious")
    with pytest.raises(LogError, match=r"run\.h5: exists already; .*overwrite=True"):
        simulate(plant, Minimal(), t_end=1, log=path)
    assert path.read_text() == "precious"
    with simulate(plant, Minimal(), t_end=1, log=path, overwrite=True) as run:
        assert run.complete


def test_wiring_is_checked_before_a_file_is_replaced(plant: Plant, make_block: Make, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("precious")
    with pytest.raises(WiringError):
        simulate(plant, make_block("nonsense", "u0", lambda k, y: [0.0]), t_end=1, log=path, overwrite=True)
    broken = make_block("x0", "u0", lambda k, y: [0.0])
    broken.init = lambda seed: stop(RuntimeError("not ready"))()
    with pytest.raises(SimulationError, match="block.init: RuntimeError: not ready"):
        simulate(plant, broken, t_end=1, log=path, overwrite=True)
    assert path.read_text() == "precious"


def test_progress_goes_from_zero_to_one(plant: Plant) -> None:
    told: list[float] = []
    simulate(plant, Minimal(), t_end=50, progress=told.append)
    assert told[0] == 0.0 and told[-1] == 1.0 and told == sorted(told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be"),
        ({"seed": True}, "seed must be"),
        ({"dense": 0}, "dense must be"),
        ({"dense": 1.5}, "dense must be"),
        ({"dense": "a"}, "dense must be a number of points of at least 1, got 'a'"),
        ({"seed": 1.0}, "seed must be"),
    ],
)
def test_options_out_of_range_are_named(plant: Plant, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        simulate(plant, Minimal(), t_end=1, **options)


def test_any_integer_is_a_seed(plant: Plant) -> None:
    options: dict[str, Any] = {"seed": np.int64(3), "dense": np.int32(2)}
    run = simulate(plant, Minimal(), t_end=1, **options)
    assert run.attributes["seed"] == 3 and run.dense is not None and len(run.dense[0]) == 5


@pytest.mark.parametrize(
    ("answer", "found"), [(None, "NoneType"), ((0, [0.0]), "tuple of 2"), ((0, [0.0], None), "NoneType as record")]
)
def test_a_step_returns_three_things(plant: Plant, answer: Any, found: str) -> None:
    block = Minimal()
    block.__dict__["step"] = lambda *told: answer
    with pytest.raises(
        SimulationError, match=rf"^t = 0 s: minimal: step must return \(state, outputs, record\), got {found}"
    ):
        simulate(plant, block, t_end=1)


@pytest.mark.parametrize("extra", [np.zeros(3), np.zeros((1, 1)), 0.0])
def test_an_extra_cost_is_one_number_an_agent(make_plant: Make, extra: Any) -> None:
    plant = make_plant(0.0, 1.0, extra_stage_cost=lambda x, u, setpoint, d: extra)
    with pytest.raises(SimulationError) as caught:
        simulate(plant, Minimal(), t_end=1)
    reason = f"extra_stage_cost has shape {np.shape(extra)}, expected (1,): one number an agent"
    assert str(caught.value) == f"t = 0 s: plant: stage cost: {reason}"


def test_a_block_that_is_not_due_repeats_itself(make_plant: Make, make_block: Make) -> None:
    status = {int(s): s.name.lower() for s in Status}
    fields = (Field("status", dtype="i1", flags=status), Field("value"), Field("count", dtype="i4"))
    fast = make_block("x0", "u0", lambda k, y: [0.0], 0.5, name="fast")
    slow = make_block(
        "x0", "", lambda k, y: ([], {"status": 0, "value": k + 0.5} | ({"count": k} if k else {})), 1.0,
        name="slow", offset=0.5, fields=fields,
    )  # fmt: skip
    trace = simulate(make_plant(0.0, 1.0), [fast, slow], t_end=3).controllers["slow"]
    assert trace.due.tolist() == [False, True, False, True, False, True]
    assert trace.status.tolist() == [8, 0, 8, 0, 8, 0]
    np.testing.assert_array_equal(trace.value, [np.nan, 0.5, 0.5, 1.5, 1.5, 2.5])
    least = np.iinfo(np.int32).min
    assert trace["count"].tolist() == [least, least, least, 1, 1, 2]
    assert np.isnan(trace.input[0, 0]) and trace.sample_time == 1.0 and trace.offset == 0.5


def test_only_the_outcome_of_a_solve_says_idle(make_plant: Make, make_block: Make) -> None:
    modes = {1: "rise", 8: "fall"}
    fields = (
        Field("status", dtype="i1", unit="bar"),
        Field("mode", dtype="i1", flags=modes),
        Field("solve/outcome", dtype="i1", flags={int(s): s.name.lower() for s in Status}),
        Field("small", dtype="u1"),
    )
    record = {"status": 5, "mode": 1, "solve/outcome": 0, "small": 7}
    fast = make_block("x0", "u0", lambda k, y: [0.0], 0.5, name="fast")
    slow = make_block("x0", "", lambda k, y: ([], record), 1.0, name="slow", offset=0.5, fields=fields)
    trace = simulate(make_plant(0.0, 1.0), [fast, slow], t_end=2).controllers["slow"]
    assert trace.status.tolist() == [-128, 5, 5, 5] and trace.mode.tolist() == [-128, 1, 1, 1]
    assert trace["solve/outcome"].tolist() == [8, 0, 8, 0] and trace.small.tolist() == [255, 7, 7, 7]
    assert trace.flags("mode") == modes
    assert trace.flags("solve/outcome") == {int(s): s.name.lower() for s in Status}


@pytest.mark.long
def test_a_million_steps_through_the_whole_loop_end_exactly(plant: Plant, make_block: Make, tmp_path: Path) -> None:
    block = make_block("x0", "u0", lambda k, y: [0.0], 0.1)
    block.seen = type("Nothing", (), {"append": lambda self, entry: None})()
    with simulate(plant, block, t_end=100_000, log=tmp_path / "run.h5") as run:
        assert run.samples == 1_000_000 and run.time[-1] == 100_000.0
        assert np.array_equal(run.time, [k / 10 for k in range(1_000_001)])
