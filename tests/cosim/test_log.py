from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dmpcrl_ctrl.cosim import Run, open_log, simulate
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.plants import Steps, Trajectory

Make = Callable[..., Any]


@pytest.fixture
def plants(make_plant: Make) -> list[Any]:
    wind = {"d": Steps((1,), (0.5,))}
    limits = {"x": (-1.0, 1.0)}
    north = make_plant(0.0, [[1.0, 1.0]], signals="x; u d", name="north", disturbances=wind, initial_state=[2.0])
    south = make_plant(0.0, 1.0, signals="x; u; y", name="south", initial_state=[-3.0], state_limits=limits)
    return [north, south]


@pytest.fixture
def path(plants: list[Any], make_block: Make, tmp_path: Path) -> Path:
    block = make_block("north.x south.x", "north.u south.u", lambda k, y: -0.5 * y, name="p")
    simulate(plants, block, t_end=4, log=tmp_path / "run.h5", experiment='title = "Two tanks"').close()
    return tmp_path / "run.h5"


def test_a_run_has_names_shapes_and_units(path: Path) -> None:
    with open_log(path) as run:
        assert run.state_names == ("north.x", "south.x") and run.output_names == ("north.x", "south.y")
        assert run.input_names == ("north.u", "south.u") and run.disturbance_names == ("north.d",)
        assert run.setpoint_names == ("north.x_ref", "north.u_ref", "south.x_ref", "south.u_ref")
        assert run.agent_names == ("north.agent_0", "south.agent_0") == run.names["agent"]
        shapes = [
            array.shape
            for array in (run.time, run.state, run.output, run.input, run.disturbance, run.setpoint, run.cost)
        ]
        assert shapes == [(5,), (5, 2), (5, 2), (4, 2), (4, 1), (4, 4), (4, 2)]
        assert run.plants == ("north", "south") and run.units["south.x"] == "1"
        assert run.attributes["title"] == "Two tanks" and run.complete and run.samples == 4
        assert repr(run) == f"<Run 'Two tanks': 4 samples in {path}>"


def test_signals_are_found_by_name(path: Path) -> None:
    with open_log(path) as run:
        np.testing.assert_allclose(run["south.x"], -3.0 * 0.5 ** np.arange(5))
        assert run["north.d"].tolist() == [0.0, 0.5, 0.5, 0.5] and run["south.u_ref"].tolist() == [0.0] * 4
        with pytest.raises(LogError, match=r"signal 'south\.z' does not exist; did you mean"):
            run["south.z"]


def test_violations_are_what_sticks_out_of_the_limits(path: Path) -> None:
    with open_log(path) as run:
        np.testing.assert_allclose(
            run.violations, np.column_stack([np.zeros(5), [2.0, 0.5, 0.0, 0.0, 0.0]]), atol=1e-15
        )


def test_a_trajectory_holds_one_plant(path: Path, plants: list[Any]) -> None:
    with open_log(path) as run:
        for given in (plants[1], "south"):
            trajectory = run.trajectory(given)
            assert isinstance(trajectory, Trajectory) and trajectory.state_names == ("x",)
            assert np.array_equal(trajectory.state, run.state[:, 1:]) and trajectory.setpoint.shape == (4, 2)
            assert trajectory.disturbance.shape == (4, 0) and np.array_equal(trajectory.input, run.input[:, 1:])
        for wrong in ("east", None):
            with pytest.raises(LogError, match=f"plant {wrong!r} does not exist; there are north, south"):
                run.trajectory(wrong)


def test_of_a_single_plant_nothing_need_be_said(make_plant: Make, make_block: Make) -> None:
    run = simulate(make_plant(0.0, 1.0, name="only"), make_block("x0", "u0", lambda k, y: -y), t_end=2)
    assert run.trajectory().state_names == run.trajectory("only").state_names == ("x0",)


def test_arrays_cannot_be_changed_and_outlive_the_run(path: Path) -> None:
    with open_log(path) as run:
        state = run.state
        with pytest.raises(ValueError, match="read-only"):
            state[0, 0] = 7.0
    assert state[0, 0] == 2.0 and run.state is state
    with pytest.raises(LogError, match=r"run\.h5: the log is closed"):
        _ = run.input


def test_a_log_of_another_schema_is_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 2
    with pytest.raises(LogError, match=r"run\.h5: schema_version: expected 1, found 2"):
        open_log(path)
    with h5py.File(path, "w"):
        pass
    with pytest.raises(LogError, match=r"schema_version: expected 1, found None"):
        open_log(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("plant/state", np.zeros((5, 3)), r"plant/state: expected shape \(any, 2\), found shape \(5, 3\)"),
        ("plant/state", np.zeros(5), r"plant/state: expected shape \(any, 2\), found shape \(5,\)"),
        ("plant/output", None, r"plant/output: expected an array, found nothing"),
        ("plant/input_name", np.zeros(2), r"plant/input_name: expected a list of names, found type float64"),
        ("cost/stage", np.zeros((4, 9)), r"cost/stage: expected shape \(any, 2\), found shape \(4, 9\)"),
        ("time", np.zeros(0), r"time: expected at least one row, found none yet"),
        ("time", None, r"time: expected an array, found nothing"),
        ("plant", None, r"plant/state_name: expected an array, found nothing"),
    ],
)
def test_what_is_missing_or_misshapen_is_named(path: Path, name: str, value: Any, message: str) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value
    with pytest.raises(LogError, match=message):
        open_log(path)


def test_a_log_without_rows_is_not_a_run_yet(make_plant: Make, make_block: Make, tmp_path: Path) -> None:
    def stop(k: int, y: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(make_plant(0.0, 1.0), make_block("x0", "u0", stop), t_end=2, log=tmp_path / "run.h5")
    with pytest.raises(LogError, match="expected at least one row, found none yet"):
        open_log(tmp_path / "run.h5")


def test_run_is_what_open_log_returns(path: Path) -> None:
    with open_log(str(path)) as run:
        assert isinstance(run, Run) and run.dense is None
