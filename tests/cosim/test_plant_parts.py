"""What a plant is and is judged by, as it stands in a log."""

import numpy as np
import xarray as xr

from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.plant_parts import plant_model, plant_weights
from dmpcrl_ctrl.plants import Plant, power_network, quadruple_tank


def test_the_weights_of_the_log_give_the_stage_cost(tmp_path: object) -> None:
    plant = power_network(1)
    run = simulate(plant, (), t_end=6, connections={f"power_network.{name}": None for name in plant.input_names})
    reader = run._reader
    Q, R, price = (reader.array(f"cost/weights/{name}") for name in ("Q", "R", "violation_weight"))
    e, v = run.state[:-1] - run.setpoint[:, :16], run.input - run.setpoint[:, 16:]
    total = np.einsum("ki,ij,kj->k", e, Q, e) + np.einsum("ki,ij,kj->k", v, R, v) + run.violations[:-1] @ price
    assert np.allclose(run.cost.sum(axis=1), total, rtol=1e-12)
    assert reader.array("cost/weights/agent_of_state").tolist() == np.repeat(range(4), 4).tolist()
    assert reader.array("cost/weights/agent_of_input").tolist() == [0, 1, 2, 3]
    assert reader.attributes("cost/weights") == {"extra_stage_cost": 0}


def test_only_linear_plants_have_matrices() -> None:
    assert plant_model(quadruple_tank(), "plant/model").variables == []
    named = {variable.path: variable.value for variable in plant_model(power_network(1), "plant/model").variables}
    assert np.array_equal(np.asarray(named["plant/model/A"]), power_network(1).system.A)


def test_a_cost_of_the_user_is_told() -> None:
    tank = quadruple_tank()
    own = Plant(
        tank.system, operating_point=[tank.initial_state, [3.0, 3.0]], agents=None,
        extra_stage_cost=lambda x, u, r, d: np.zeros(len(x)),
    )  # fmt: skip
    assert plant_weights(own, "cost/weights").attributes == {"cost/weights": {"extra_stage_cost": 1}}


def test_a_log_with_weights_is_read_by_xarray(tmp_path: object) -> None:
    plant = power_network(1)
    path = f"{tmp_path}/run.h5"
    nothing = {f"power_network.{name}": None for name in plant.input_names}
    simulate(plant, (), t_end=2, log=path, connections=nothing, dense=3).close()
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert tree["cost/weights"]["Q"].sel(to_state="dtheta_1", state="dtheta_1").item() == 500.0
        assert tree["plant"]["steady"].values.tolist() == [1] and tree["digest"]["of_time"].shape == (2, 32)
        assert tree["plant"]["disturbance_slope"].dims == ("sample", "disturbance_name")
