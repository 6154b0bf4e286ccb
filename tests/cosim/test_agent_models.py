from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dmpcrl_ctrl.controllers import LQR, DistributedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants import chain, power_network
from dmpcrl_ctrl.problem import MPCProblem

Make = Callable[..., Any]


def test_xarray_shows_every_local_model(tmp_path: Path) -> None:
    plant = power_network(1)
    mpc = DistributedMPC.for_plant(plant, 4, discount=0.9)
    simulate(plant, mpc, t_end=1, log=tmp_path / "run.h5").close()
    model = mpc.problem.models[1]
    with xr.open_datatree(tmp_path / "run.h5", engine="h5netcdf") as tree:
        models = tree["controller/mpc/model"]
        assert models.attrs == {"horizon": 4, "discount": 0.9} and set(models.children) == set(mpc.problem.names)
        own = models["area_2"]
        assert own.attrs == {"number": 1, "V0": 0.0, "terminal_equality": 0}
        for name in ("A", "B", "E", "b", "Q", "R", "P", "f", "C", "lower", "upper", "x_lb", "x_ub", "slack_weight",
                     "slack_quadratic", "u_min", "u_max", "du_max", "x_setpoint", "u_setpoint"):  # fmt: skip
            value = getattr(model, name)
            assert not value.size or np.array_equal(np.asarray(own[name]), value), name
        assert own["A"].sel(to_state="dtheta_2", state="domega_2").item() == model.A[0, 1]
        for j, block in model.A_ij.items():
            assert np.array_equal(np.asarray(own[f"A_ij/{j}"]), block)
        assert list(own["A_ij"].data_vars) == [str(j) for j in model.A_ij]
    with xr.open_dataset(tmp_path / "run.h5", group="controller/mpc/model/area_2", engine="h5netcdf") as alone:
        assert alone.B.dims == ("to_state", "input") and alone.input.values.tolist() == ["dPref_2"]
    with simulate(plant, mpc, t_end=1) as run:
        assert not [name for name in run.controllers["mpc"].fields if name.startswith("model")]
        assert run.samples == 1


def test_couplings_of_costs_bounds_and_shared_columns(make_plant: Make, make_block: Make) -> None:
    first = LocalModel(
        np.eye(2), np.ones((2, 1)), np.eye(2), np.eye(1), C=[[1.0, 0.0]], C_ij={1: [[3.0]]}, G=[[1.0, 2.0]],
        G_ij={1: [[5.0]]}, declared={1: (0,)}, V0=2.5, terminal_equality=True,
    )  # fmt: skip
    problem = MPCProblem((first, LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]])), 3)
    block = make_block("x0", "u0", lambda k, y: [0.0], problem=problem)
    run = simulate(make_plant(0.0, 1.0), block, t_end=1)
    group = "controller/block/model/agent 0"
    reader = run._reader
    for path, value in (
        ("C_ij/1", [[3.0]]), ("G", [[1.0, 2.0]]), ("G_ij/1", [[5.0]]), ("Q_c", [[1.0]]), ("declared/1", [0]),
    ):  # fmt: skip
        assert reader.array(f"{group}/{path}").tolist() == value
    assert reader.attributes(group) == {"number": 0, "V0": 2.5, "terminal_equality": 1}
    assert np.isinf(reader.array(f"{group}/slack_weight")).all()


@pytest.mark.parametrize("name", ["north/1", "."])
def test_an_agent_that_cannot_be_a_group_is_named(make_plant: Make, make_block: Make, name: str) -> None:
    problem = MPCProblem((LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]]),), 3, names=(name,))
    with pytest.raises(WiringError, match=f"block: agent '{name}': a log holds no such name"):
        simulate(make_plant(0.0, 1.0), make_block("x0", "u0", lambda k, y: [0.0], problem=problem), t_end=1)


def test_a_regulator_predicts_nothing() -> None:
    """Its log tells of no horizon, and its agents may be called anything."""
    plant = chain()
    own = LQR.for_plant(plant)
    for lqr in (own, LQR(own.regulated.models, 1.0, own.signals, agents=["a/b", *own.regulated.names[1:]])):
        with simulate(plant, lqr, t_end=2) as run:
            assert "model" not in run._reader.groups("controller/lqr")
