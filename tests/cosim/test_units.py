from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.units import common, per_second, ratio

Make = Callable[..., Any]


@pytest.fixture
def path(make_plant: Make, make_block: Make, tmp_path: Path) -> Path:
    cart = make_plant(
        [[0, 1], [0, 0]], [[0], [1]], signals="p v; F", units={"p": "m", "v": "m/s", "F": "N"}, name="cart"
    )
    observer = make_block("p F", "v", lambda k, y: [0.0], name="observer")
    pid = make_block("p v p_ref F_ref", "F", lambda k, y: [0.0], name="pid")
    named = make_block("a", "thrust", lambda k, y: [0.0], name="named")
    simulate(
        cart, [observer, pid, named], t_end=3, dense=2, log=tmp_path / "run.h5",
        connections={"named.a": "cart.v", "cart.F": "named.thrust"},
    ).close()  # fmt: skip
    return tmp_path / "run.h5"


def test_what_blocks_read_and_send_has_the_unit_of_what_it_is_connected_to(path: Path) -> None:
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert np.asarray(tree["controller/pid/input_unit"]).tolist() == ["m", "m/s", "m", "N"]
        assert tree["controller/pid/input"].sel(input_name="v").input_unit.item() == "m/s"
        assert "units" not in tree["controller/pid/input"].attrs
        assert tree["controller/observer/output"].attrs["units"] == "m/s"
        assert tree["controller/named/input"].attrs["units"] == "m/s"
        assert tree["controller/named/output"].attrs["units"] == "N"
        assert tree["cost/stage"].attrs["units"] == "1"


def test_dense_states_and_models_tell_their_units_by_themselves(path: Path) -> None:
    with xr.open_dataset(path, group="plant/dense", engine="h5netcdf") as dense:
        assert dense.state.dims == ("dense_time", "state_name")
        assert dense.state.sel(state_name="v").state_unit.item() == "m/s" and dense.dense_time.attrs["units"] == "s"
    with xr.open_dataset(path, group="plant/model", engine="h5netcdf") as model:
        entry = model.A.sel(to_rate="p", of_state="v")
        assert (entry.to_rate_unit.item(), entry.of_state_unit.item()) == ("m/s", "m/s")
        assert model.to_rate_unit.values.tolist() == ["m/s", "(m/s)/s"]
    with xr.open_dataset(path, group="controller/pid", engine="h5netcdf") as pid:
        assert pid.input.sel(input_name="F_ref").input_unit.item() == "N"


def test_limits_have_units_and_versions_of_the_solvers_are_kept(path: Path) -> None:
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert tree["plant/input_limits"].attrs["units"] == "N"
        assert tree["plant/state_limits"].sel(state_name="v", bound="upper").state_unit.item() == "m/s"
        assert {f"{name}_version" for name in ("qpsolvers", "daqp", "piqp")} <= set(tree.attrs)


def test_a_missing_integer_is_missing_for_xarray_too(make_plant: Make, make_block: Make, tmp_path: Path) -> None:
    fields = (Field("count", dtype="i4"), Field("mode", dtype="u1", flags={0: "slow", 1: "fast"}))
    block = make_block(
        "x0", "u0", lambda k, y: ([0.0], {"count": k, "mode": 1} if k else {}), 1.0, fields=fields
    )  # fmt: skip
    simulate(make_plant(0.0, 1.0), block, t_end=3, log=tmp_path / "run.h5").close()
    with xr.open_dataset(tmp_path / "run.h5", group="controller/block", engine="h5netcdf") as shown:
        np.testing.assert_array_equal(shown["count"], [np.nan, 1, 2])
        np.testing.assert_array_equal(shown["mode"], [np.nan, 1, 1])
        assert shown["mode"].attrs["flag_values"].tolist() == [0, 1, 255]
        assert shown["mode"].attrs["flag_meanings"] == "slow fast missing"


def test_units_of_matrices() -> None:
    assert common(["m", "m"]) == "m" and common(["m", "s"]) == common([]) == ""
    assert ratio(["m"], ["1", "1"]) == "m" and ratio(["m/s"], ["m", "m"]) == "(m/s)/(m)" and ratio(["m"], ["m"]) == "1"
    assert ratio(["m", "s"], ["m"]) == ratio(["m"], []) == ""
    assert per_second("m") == "m/s" and per_second("m/s") == "(m/s)/s"
