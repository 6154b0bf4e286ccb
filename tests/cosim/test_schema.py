import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.schema import layout_of
from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.plants import power_network, quadruple_tank
from dmpcrl_ctrl.status import Status

Make = Callable[..., Any]

FIELDS = (
    Field("status", dtype="i1", long_name="outcome", flags={s: s.name.lower() for s in Status}),
    Field("solve_time", unit="s", long_name="time spent"),
    Field("local_value", (4,), dims=("agent",)),
    Field("plan/area_1", (6,)),
    Field("admm/primal_residual", (3,), dims=("iteration",)),
    Field("admm/gain", (3, 2), dims=("iteration", "agent")),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, make_block: Make) -> Path:
    plant = power_network(1)
    record = {"status": 0, "solve_time": 0.5, "local_value": [1, 2, 3, 4], "plan/area_1": np.arange(6.0)}
    record |= {"admm/primal_residual": [3, 2, 1], "admm/gain": np.ones((3, 2))}
    names = " ".join((*plant.state_names, *plant.disturbance_names))
    block = make_block(
        names, " ".join(plant.input_names), lambda k, y: (np.full(4, 0.1 * k), record), name="mpc", fields=FIELDS
    )
    other = make_block("dtheta_1", "", lambda k, y: ([], {}), 2.0, name="watch")
    log: Path = tmp_path_factory.mktemp("schema") / "run.h5"
    text = 'title = "Four areas"\n[plant]\nkind = "power_network"\n'
    simulate(plant, [block, other], t_end=7.5, log=log, seed=3, dense=4, experiment=text).close()
    return log


def test_xarray_shows_a_group_with_names_and_units(path: Path) -> None:
    with xr.open_dataset(path, group="plant", engine="h5netcdf") as plant:
        assert plant.state.dims == ("time", "state_name") and plant.input.dims == ("sample", "input_name")
        assert plant.time.attrs == {"units": "s", "long_name": "time"}
        assert plant.time.values.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7.5]
        assert plant.sample.values.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
        assert plant.state.sel(state_name="domega_2").state_unit.item() == "rad/s"
        assert plant.input.attrs["units"] == "p.u." and "units" not in plant.state.attrs
        assert plant.input.sel(input_name="dPref_3", sample=4.0).item() == 0.4
        assert plant.state_limits.sel(state_name="dtheta_1", bound="upper").item() == 0.1


def test_xarray_shows_the_tree(path: Path) -> None:
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert {"plant", "controller", "cost"} <= set(tree.children)
        assert tree["controller/mpc/status"].attrs["flag_values"].tolist() == sorted(Status)
        assert tree["controller/mpc/status"].attrs["flag_meanings"].split() == [s.name.lower() for s in Status]
        assert tree["controller/mpc/status"].dtype == np.int8
        assert tree["controller/mpc/solve_time"].attrs == {"units": "s", "long_name": "time spent"}
        assert tree["controller/mpc/admm/primal_residual"].dims == ("sample", "iteration")
        assert tree["controller/mpc/admm/gain"].dims == ("sample", "iteration", "agent_")
        assert tree["controller/mpc/local_value"].dims == ("sample", "agent")
        assert tree["controller/mpc/output"].sel(output_name="dPref_2", sample=3.0).item() == pytest.approx(0.3)
        assert tree["controller/watch/due"].values.tolist() == [1, 0, 1, 0, 1, 0, 1, 0]
        assert tree["cost/stage"].dims == ("sample", "agent") and tree["cost/agent"].values[3] == "area_4"
        assert tree["plant/dense/state"].sizes["dense_time"] == 4 * 8 + 1
        assert tree["plant/model/A"].sel(to_rate="dtheta_1", of_state="domega_1").item() == 1.0
        assert tree.attrs["Conventions"] == "CF-1.11" and tree.attrs["schema_version"] == 1
        assert tree.attrs["title"] == "Four areas" and tree.attrs["seed"] == 3 and tree.attrs["t_end"] == 7.5
        assert tomllib.loads(tree.attrs["experiment"])["plant"]["kind"] == "power_network"
        assert {"numpy_version", "control_version", "h5py_version", "dmpcrl_ctrl_version"} <= set(tree.attrs)
        assert tree["controller/watch"].attrs == {
            "kind": "FunctionBlock",
            "sample_time": 2.0,
            "offset": 0.0,
            "delay": 0.0,
        }


def test_xarray_reads_several_plants_and_plants_without_matrices(
    make_plant: Make, make_block: Make, tmp_path: Path
) -> None:
    plants = [make_plant(np.zeros((2, 2)), [[1.0], [1.0]], name="a"), quadruple_tank(name="b")]
    block = make_block("a.x0", "a.u0 b.v1 b.v2", lambda k, y: [0.0, 3.0, 3.0])
    simulate(plants, block, t_end=2, log=tmp_path / "run.h5").close()
    with xr.open_datatree(tmp_path / "run.h5", engine="h5netcdf") as tree:
        assert tree["plant/state_name"].values.tolist() == ["a.x0", "a.x1", "b.h1", "b.h2", "b.h3", "b.h4"]
        assert tree["plant/state_unit"].values.tolist() == ["1", "1", "cm", "cm", "cm", "cm"]
        assert set(tree["plant/model"].children) == {"a"}
        assert tree["cost/agent"].values.tolist() == ["a.agent_0", "b.pump_1", "b.pump_2"]
        assert "disturbance" not in tree["plant"]


def test_units_of_outputs_and_set_points_are_those_of_their_states(make_plant: Make) -> None:
    plant = make_plant(
        np.eye(2), np.ones((2, 1)), C=[[0, 1], [1, 1]], signals="p v; F; speed mix", units={"v": "m/s", "F": "N"}
    )
    layout = layout_of(Participants.of(plant, (), 1), 0)
    units = {variable.path: variable.value for variable in layout.variables if variable.dtype == "str"}
    assert units["plant/output_unit"] == ("m/s", "1") and units["plant/setpoint_unit"] == ("1", "m/s", "N")


def test_a_run_without_experiment_is_called_by_who_took_part(make_plant: Make, make_block: Make) -> None:
    block = make_block("x0", "u0", lambda k, y: y, name="pid")
    for text, title in (("", "tank with pid"), ("title = 3", "tank with pid"), ("not toml =", "tank with pid")):
        who = Participants.of(make_plant(0.0, 1.0, name="tank"), block, 1)
        assert layout_of(who, 0, text).attributes[""]["title"] == title


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((Field("input"),), "no agent, can be called 'input'"),
        ((Field("a//b"),), "field 'a//b': .*called ''"),
        ((Field("../x"),), r"field '../x': .*called '\.\.'"),
        ((Field("a\0b"),), "no agent, can be called"),
        (
            (Field("plan/sample"),),
            "block: field 'plan/sample': nothing in a log, and so no agent, can be called 'sample'",
        ),
        ((Field("dual/time"),), "block: field 'dual/time': .*no agent, can be called 'time'"),
        ((Field("plan/."),), r"block: field 'plan/\.': .*no agent, can be called '\.'"),
        ((Field("model/a"),), "no agent, can be called 'model'"),
        ((Field("a"), Field("a")), "'a' stands twice"),
        ((Field("a"), Field("a/b")), "'a' stands twice, or is also the group"),
        ((Field("a", dtype="O"),), "type 'O', expected f4"),
        ((Field("a", (2,), dims=("x", "y")),), "disagree"),
        ((Field("a", (-1,)),), "disagree"),
    ],
)
def test_fields_that_a_log_cannot_hold_are_refused(
    make_plant: Make, make_block: Make, fields: tuple[Field, ...], message: str
) -> None:
    with pytest.raises(WiringError, match=message):
        simulate(make_plant(0.0, 1.0), make_block("x0", "u0", lambda k, y: y, fields=fields), t_end=1)


def test_axes_never_meet_other_names(make_plant: Make, make_block: Make) -> None:
    fields = (
        Field("agent"),
        Field("value", (2,), dims=("agent",)),
        Field("other", (3,), dims=("time",)),
        Field("d", (1,), dims=("due",)),
    )
    record = {"agent": 1.0, "value": [1.0, 2.0], "other": [1.0, 2.0, 3.0], "d": [4.0]}
    run = simulate(make_plant(0.0, 1.0), make_block("x0", "u0", lambda k, y: (y, record), fields=fields), t_end=2)
    for name, value in record.items():
        assert run.controllers["block"][name][0].tolist() == value
