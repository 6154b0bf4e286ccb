"""A log that is as it was written passes; one in which a number was altered does not, and the fault is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import control as ct
import h5py
import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import LQR, CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.plants import Plant, Ramp, Steps, chain, power_network, quadruple_tank
from dmpcrl_ctrl.validation.log_check import verify_log
from dmpcrl_ctrl.validation.paper import chain_learning, chain_plant
from dmpcrl_ctrl.validation.verdict import Outcome, Verdict

Loop = tuple[Plant, Any, float]


def power() -> Loop:
    plant = power_network(1)
    return plant, DistributedMPC.for_plant(plant, 6, admm=ADMMOptions(iterations=30)), 8.0


def agents_in_a_chain() -> Loop:
    plant = chain()
    return plant, DistributedMPC.for_plant(plant, 6, discount=0.9, admm=ADMMOptions(iterations=30)), 10.0


def central() -> Loop:
    plant = power_network(1)
    return plant, CentralizedMPC.for_plant(plant, 6), 8.0


def cart(**options: Any) -> Plant:
    """Position and velocity; a ramp pushes it from 2.5 s on, and it is asked to go to and fro."""
    system = ct.ss(
        [[0, 1], [0, 0]], [[0, 0], [1, 1]], np.eye(2), 0, states=["p", "v"], outputs=["p", "v"], inputs=["F", "d"]
    )
    given: dict[str, Any] = {
        "disturbances": {"d": Ramp(2.5, 0.1, 6.0)},
        "setpoints": {"p": Steps((4.0, 9.0), (-3.0, 3.0), initial=3.0)},
    }
    return Plant(system, name="cart", **(given | options))


LOGS = {"power": power, "chain": agents_in_a_chain, "central": central}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Short logged runs."""
    folder, paths = tmp_path_factory.mktemp("logs"), {}
    for name, make in LOGS.items():
        plant, block, t_end = make()
        paths[name] = folder / f"{name}.h5"
        simulate(plant, block, t_end=t_end, seed=1, log=paths[name]).close()
    return paths


def failures(path: Path) -> list[Verdict]:
    return [verdict for verdict in verify_log(path) if verdict.outcome is Outcome.FAILED]


def altered(log: Path, folder: Path, path: str, alter: Callable[[np.ndarray], None]) -> Path:
    """A copy of a log with an array changed in place."""
    copy = folder / "altered.h5"
    shutil.copy(log, copy)
    with h5py.File(copy, "r+") as file:
        values = file[path][()]
        alter(values)
        file[path][...] = values
    return copy


def one_number(size: float, rng: np.random.Generator) -> Callable[[np.ndarray], None]:
    """Change one number that is not zero by a share of itself."""

    def alter(values: np.ndarray) -> None:
        places = np.argwhere(np.isfinite(values) & (values != 0.0))
        assert len(places)
        values[tuple(places[rng.integers(len(places))])] *= 1.0 + size

    return alter


@pytest.mark.parametrize("name", LOGS)
def test_a_log_as_it_was_written_passes(logs: dict[str, Path], name: str) -> None:
    told: list[float] = []
    verdicts = verify_log(logs[name], told.append)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.PASSED}, verdicts
    assert told == sorted(told) and told[-1] == 1.0
    assert len({verdict.check for verdict in verdicts}) == len(verdicts)


# What is altered, and a check that has to find it by computing.
ROWS = [
    ("plant/state", "states follow from states"),
    ("plant/output", "outputs"),
    ("plant/input", "inputs follow from outputs"),
    ("plant/disturbance", "states follow from states"),
    ("cost/stage", "stage costs"),
    ("controller/mpc/input", "mpc: measurements"),
    ("controller/mpc/output", "mpc: inputs follow from plans"),
    ("controller/mpc/previous_input", "mpc: previous inputs"),
    ("controller/mpc/value", "mpc: values"),
    ("controller/mpc/local_value", "mpc: values"),
    ("controller/mpc/agreed_value", "mpc: agreed values"),
    ("controller/mpc/certificate/lower", "mpc: bracket"),
    ("controller/mpc/certificate/relaxed", "mpc: bracket"),
    ("controller/mpc/certificate/value_lower", "mpc: bracket"),
    ("controller/mpc/certificate/value_upper", "mpc: bracket"),
    ("controller/mpc/certificate/agreed_lower", "mpc: agreed certificates"),
    ("controller/mpc/certificate/agreed_upper", "mpc: agreed certificates"),
]


@pytest.mark.parametrize("size", [1e-3, 1e-6])
@pytest.mark.parametrize(("path", "check"), ROWS)
def test_an_altered_number_of_a_row_is_found(
    logs: dict[str, Path], tmp_path: Path, path: str, check: str, size: float
) -> None:
    for number, name in enumerate(LOGS):
        rng = np.random.default_rng([number, len(path)])
        if path == "plant/disturbance" and name == "chain":
            size = 1e-3
        if path == "controller/mpc/previous_input" and name == "chain":
            continue  # it stands at zero
        found = failures(altered(logs[name], tmp_path, path, one_number(size, rng)))
        assert check in [verdict.check for verdict in found], (name, found)


@pytest.mark.parametrize("size", [1e-3, 1e-6])
@pytest.mark.parametrize("name", LOGS)
def test_an_altered_plan_or_multiplier_is_found(logs: dict[str, Path], tmp_path: Path, name: str, size: float) -> None:
    """States, inputs and copies of neighbours' states in plans; multipliers."""
    rng = np.random.default_rng(5)
    with h5py.File(logs[name]) as file:
        agents = list(file["controller/mpc/model"])
    paths = [f"controller/mpc/{kind}/{agent}" for kind in ("plan", "dual") for agent in agents]
    for path in paths:
        found = failures(altered(logs[name], tmp_path, path, one_number(size, rng)))
        assert "rows" in [verdict.check for verdict in found], path


@pytest.mark.parametrize("name", LOGS)
def test_the_largest_number_of_a_plan_or_multiplier_is_found_by_computing(
    logs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    def alter(values: np.ndarray) -> None:
        values[np.unravel_index(np.nanargmax(np.abs(values)), values.shape)] *= 1.0 + 1e-3

    with h5py.File(logs[name]) as file:
        agents = list(file["controller/mpc/model"])
    for path in [f"controller/mpc/{kind}/{agent}" for kind in ("plan", "dual") for agent in agents]:
        found = failures(altered(logs[name], tmp_path, path, alter))
        assert any(verdict.check.startswith("mpc: ") for verdict in found), path


def test_a_dual_of_the_other_sign_is_found_and_named(logs: dict[str, Path], tmp_path: Path) -> None:
    def flip(values: np.ndarray) -> None:
        values[3, np.argmax(np.abs(values[3]))] *= -1.0

    found = failures(altered(logs["chain"], tmp_path, "controller/mpc/dual/agent_2", flip))
    residual = next(verdict for verdict in found if verdict.check == "mpc: residuals")
    assert residual.example.startswith("t = 3 s, agent_") and "claimed" in residual.example


def test_a_copy_of_a_neighbours_state_is_found(logs: dict[str, Path], tmp_path: Path) -> None:
    def alter(values: np.ndarray) -> None:
        last = np.flatnonzero(np.isfinite(values[6]) & (values[6] != 0.0))[-1]
        values[6, last] *= 1.0 + 1e-6

    found = failures(altered(logs["power"], tmp_path, "controller/mpc/plan/area_1", alter))
    assert "mpc: residuals" in [verdict.check for verdict in found]


MODEL = ["A", "B", "E", "b", "Q", "R", "C", "lower", "upper", "x_lb", "x_ub", "f", "slack_weight", "u_min", "u_max",
         "A_ij", "P", "x_setpoint", "u_setpoint", "du_max", "slack_quadratic"]  # fmt: skip


@pytest.mark.parametrize("parameter", MODEL)
def test_every_altered_parameter_is_found(logs: dict[str, Path], tmp_path: Path, parameter: str) -> None:
    """Also one that nothing depends on, such as a bound that is never met: by its fingerprint."""

    def alter(values: np.ndarray) -> None:
        place = np.unravel_index(np.argmax(np.isfinite(values)), values.shape)
        values[place] = values[place] * (1.0 + 1e-6) + (
            1e-6 if values[place] == 0.0 or np.isinf(values[place]) else 0.0
        )
        if np.isinf(values[place]):
            values[place] = 1e6

    agents = {"power": "area_1", "central": "area_2", "chain": "agent_2"}
    for name, agent in agents.items():
        path = f"controller/mpc/model/{agent}/{parameter}"
        with h5py.File(logs[name]) as file:
            if path not in file:
                continue
            path = path if parameter != "A_ij" else next(f"{path}/{j}" for j in file[path] if j.isdecimal())
        assert failures(altered(logs[name], tmp_path, path, alter)), (name, parameter)


@pytest.mark.parametrize("parameter", ["A", "B", "A_ij", "Q", "R"])
def test_a_parameter_that_counts_is_found_by_computing(logs: dict[str, Path], tmp_path: Path, parameter: str) -> None:
    path = f"controller/mpc/model/area_1/{parameter}" + ("/1" if parameter == "A_ij" else "")

    def alter(values: np.ndarray) -> None:
        values[np.unravel_index(np.argmax(np.abs(values)), values.shape)] *= 1.0 + 1e-6

    found = failures(altered(logs["power"], tmp_path, path, alter))
    assert any(verdict.check.startswith("mpc: ") for verdict in found), found


PLANT = [f"plant/model/{name}" for name in "ABC"] + [f"cost/weights/{name}" for name in ("Q", "R", "agent_of_state")]


@pytest.mark.parametrize("path", [*PLANT, "plant/state_limits", "plant/input_limits"])
def test_an_altered_plant_is_found(logs: dict[str, Path], tmp_path: Path, path: str) -> None:
    def alter(values: np.ndarray) -> None:
        place = tuple(np.argwhere(np.isfinite(values) & (values != 0))[0])
        values[place] = values[place] * (1.0 + 1e-6) if values.dtype.kind == "f" else values[place] + 1

    assert failures(altered(logs["power"], tmp_path, path, alter))


def test_an_altered_attribute_is_found(logs: dict[str, Path], tmp_path: Path) -> None:
    copy = tmp_path / "attribute.h5"
    for group, name, value in (
        ("controller/mpc/model", "discount", 0.99), ("controller/mpc/model/area_1", "V0", 1e-3), ("/", "seed", 2),
        ("controller/mpc", "averaging_rounds", 1),
    ):  # fmt: skip
        shutil.copy(logs["power"], copy)
        with h5py.File(copy, "r+") as file:
            file[group].attrs[name] = value
        assert "parameters" in [verdict.check for verdict in failures(copy)], name


def test_a_model_that_is_none_is_a_failure_and_not_a_crash(logs: dict[str, Path], tmp_path: Path) -> None:
    def alter(values: np.ndarray) -> None:
        values[0, 0] = -1e3

    found = failures(altered(logs["power"], tmp_path, "controller/mpc/model/area_1/Q", alter))
    assert any("positive semidefinite" in verdict.detail for verdict in found)


def honest() -> dict[str, Callable[[], tuple[Any, Any, float]]]:
    """Loops in which something is special."""
    limited = {"rate_limits": {"F": 0.2}, "input_limits": {"F": (-0.5, 0.5)}}

    def power_with(kind: Any, **options: Any) -> tuple[Any, Any, float]:
        plant = power_network(1)
        return plant, kind.for_plant(plant, 4, **options), 7.0

    def carts() -> tuple[Any, Any, float]:
        plants = [
            cart(**limited),
            Plant(cart().system, name="other", initial_state=[1.0, 0.0], disturbances={"d": None}),
        ]
        blocks = [CentralizedMPC.for_plant(plants[0], 5, name="one", sample_time=0.5)]
        blocks.append(CentralizedMPC.for_plant(plants[1], 5, name="two"))
        return plants, blocks, 5.0

    def tank() -> tuple[Any, Any, float]:
        plant = quadruple_tank()
        return plant, DistributedMPC.for_plant(plant, 6, sample_time=3.0), 20.0

    def stuck() -> tuple[Any, Any, float]:
        system = ct.ss([[0.0]], [[1.0]], [[1.0]], 0, states=["x"], outputs=["x"], inputs=["u"])
        plant = Plant(
            system, name="stuck", initial_state=[3.0], input_limits={"u": (-1, 1)}, state_limits={"x": (-1, 1)}
        )
        return plant, CentralizedMPC.for_plant(plant, 5, soft=False), 6.0

    def regulated() -> tuple[Any, Any, float]:
        plant = power_network(1)
        return plant, LQR.for_plant(plant), 5.0

    def one_cart(**options: Any) -> tuple[Any, Any, float]:
        plant = cart(**limited)
        return plant, CentralizedMPC.for_plant(plant, 6, **options), 12.0

    return {
        "open loop": lambda: (cart(), (), 4.0),
        "a delay": lambda: power_with(DistributedMPC, delay=0.4),
        "a delay longer than a sample": lambda: one_cart(delay=1.5),
        "preview": lambda: power_with(DistributedMPC, preview=True),
        "the whole network": lambda: power_with(CentralizedMPC, hold="network", terminal="equality"),
        "far from agreed": lambda: power_with(DistributedMPC, admm=ADMMOptions(iterations=2)),
        "averaged as published": lambda: power_with(DistributedMPC, averaging_rounds=100, acceleration="none"),
        "certificates now and then": lambda: power_with(DistributedMPC, certify=3),
        "no certificates": lambda: power_with(DistributedMPC, certify=False),
        "ramps, limits of rates": one_cart,
        "two plants": carts,
        "a nonlinear plant": tank,
        "failed solves": stuck,
        "no predictive controller": regulated,
    }


@pytest.mark.parametrize("name", honest())
def test_honest_logs_of_all_kinds_pass(tmp_path: Path, name: str) -> None:
    plants, blocks, t_end = honest()[name]()
    links: dict[str, dict[str, str | None]] = {
        "open loop": {"cart.F": None},
        "two plants": {"one": "cart", "two": "other"},
    }
    simulate(plants, blocks, t_end=t_end, log=tmp_path / "run.h5", connections=links.get(name)).close()
    verdicts = verify_log(tmp_path / "run.h5")
    assert [verdict for verdict in verdicts if verdict.outcome is Outcome.FAILED] == []
    skipped = {verdict.check: verdict.detail for verdict in verdicts if verdict.outcome is Outcome.SKIPPED}
    if name == "a nonlinear plant":
        assert skipped == {"states follow from states": "the plant is not linear: its equations are not in the log"}
    if name == "no certificates":
        assert set(skipped) == {"mpc: residuals", "mpc: bracket", "mpc: agreed certificates"}
    if name == "no predictive controller":
        assert skipped == {"lqr: plans": "it wrote down no plans"}


def test_what_a_user_adds_to_the_cost_is_skipped(tmp_path: Path) -> None:
    plant = cart(extra_stage_cost=lambda x, u, r, d: np.array([x[0] ** 2]))
    simulate(plant, CentralizedMPC.for_plant(plant, 4), t_end=3, log=tmp_path / "run.h5").close()
    costs = next(verdict for verdict in verify_log(tmp_path / "run.h5") if verdict.check == "stage costs")
    assert costs.outcome is Outcome.SKIPPED and "function" in costs.detail


def test_what_is_no_log_is_refused(logs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5", encoding="utf-8")
    with pytest.raises(LogError, match="is no HDF5 file"):
        verify_log(tmp_path / "text.h5")
    with h5py.File(shutil.copy(logs["central"], tmp_path), "r+") as file:
        file.create_dataset("more", data=[1.0], maxshape=(None,))
    with pytest.raises(LogError, match="more: expected 8 rows, as many as in sample, found 1"):
        verify_log(tmp_path / logs["central"].name)


def test_a_log_of_learning_passes_and_says_what_is_not_recomputed(tmp_path: Path) -> None:
    simulate(chain_plant(), chain_learning(distributed=False), t_end=5.0, log=tmp_path / "learned.h5").close()
    verdicts = {verdict.check: verdict for verdict in verify_log(tmp_path / "learned.h5")}
    assert not [check for check, verdict in verdicts.items() if verdict.outcome is Outcome.FAILED]
    assert verdicts["states follow from states"].outcome is Outcome.PASSED
    assert verdicts["learning: plans"].outcome is Outcome.SKIPPED
    assert "moved as it learned" in verdicts["learning: plans"].detail
