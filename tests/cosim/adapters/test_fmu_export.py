"""An exported FMU under FMPy as its master: valid, and to the last bit what runs natively."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fmpy import extract, read_model_description
from fmpy.fmi1 import FMICallException
from fmpy.fmi2 import FMU2Slave
from fmpy.validation import validate_fmu

from dmpcrl_ctrl.cosim import Run, simulate
from dmpcrl_ctrl.cosim.adapters.fmu_export import export_controller, export_plant
from dmpcrl_ctrl.errors import ClockError, FMUError, WiringError
from dmpcrl_ctrl.plants import chain, power_network

ROOT = Path(__file__).resolve().parents[3]
POWER = ("dmpcrl_ctrl.plants:power_network", {"scenario": 1})
# What a user's module may hold.
MINE = """
from dmpcrl_ctrl.controllers import LQR, CentralizedMPC
from dmpcrl_ctrl.plants import power_network

def mpc(horizon):
    return CentralizedMPC.for_plant(power_network(1), horizon)

def lqr():
    return LQR.for_plant(power_network(1), sample_time=1.0)
"""
SAMPLES = 12  # the load steps at 5 s


class Slave:
    """FMPy's slave, by names."""

    def __init__(self, file: Path, folder: Path, seed: int | None = None, start: float = 0.0) -> None:
        self.description = read_model_description(str(file), validate=True)
        self.at = {v.name: v.valueReference for v in self.description.modelVariables}
        self.inputs, self.outputs = (
            [v.name for v in self.description.modelVariables if v.causality == kind] for kind in ("input", "output")
        )
        self.fmu = FMU2Slave(
            guid=self.description.guid,
            modelIdentifier=self.description.coSimulation.modelIdentifier,
            unzipDirectory=extract(str(file), str(folder)),
            instanceName=file.stem,
        )
        self.fmu.instantiate(loggingOn=True)
        self.fmu.setupExperiment(startTime=start)
        if seed is not None:
            self.fmu.setInteger([self.at["seed"]], [seed])
        self.fmu.enterInitializationMode()
        self.fmu.exitInitializationMode()

    def set(self, values: Mapping[str, float]) -> None:
        self.fmu.setReal([self.at[name] for name in values], list(values.values()))

    def get(self, names: Any) -> dict[str, float]:
        return dict(zip(names, self.fmu.getReal([self.at[name] for name in names]), strict=True))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("fmu")
    module = f"mine_{os.getpid()}"
    (folder / f"{module}.py").write_text(MINE, encoding="utf-8")
    native = power_network(1)
    limits = {name: tuple(map(float, pair)) for name, pair in zip(native.input_names, native.input_limits, strict=True)}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield {
            "folder": folder,
            "module": folder / f"{module}.py",
            "plant": export_plant(folder / "plant.fmu", *POWER, sample_time=1.0),
            "chain": export_plant(folder / "chain.fmu", chain),
            "mpc": export_controller(folder / "mpc.fmu", f"{module}:mpc", {"horizon": 5}, limits=limits),  # type: ignore[arg-type]
            "lqr": export_controller(folder / "lqr.fmu", f"{module}:lqr"),
        }


@pytest.fixture(scope="module")
def native(files: dict[str, Path]) -> Run:
    from importlib import import_module

    return simulate(power_network(1), import_module(files["module"].stem).mpc(5), t_end=float(SAMPLES))


@pytest.mark.parametrize("name", ["plant", "chain", "mpc", "lqr"])
def test_fmpy_finds_nothing_wrong(name: str, files: dict[str, Path]) -> None:
    assert validate_fmu(str(files[name])) == []
    found = read_model_description(str(files[name]))
    assert found.defaultExperiment.stepSize == "1.0"
    slave = found.coSimulation
    assert slave.canGetAndSetFMUstate and slave.canHandleVariableCommunicationStepSize
    assert not slave.canSerializeFMUstate


@pytest.mark.parametrize("first", ["read", "step"])
def test_the_round_trip_is_the_native_run(first: str, files: dict[str, Path], native: Run, tmp_path: Path) -> None:
    """Plant and controller as FMUs; the master reads the controller's outputs before, or after, its step."""
    plant, controller = Slave(files["plant"], tmp_path / "plant"), Slave(files["mpc"], tmp_path / "mpc")
    states, difference = power_network(1).state_names, 0.0
    for k in range(SAMPLES):
        x = plant.get(states)
        difference = max(difference, float(np.abs(np.array(list(x.values())) - native.state[k]).max()))
        controller.set(plant.get(controller.inputs))
        if first == "step":
            controller.fmu.doStep(float(k), 1.0)
        u = controller.get(controller.outputs)
        if first == "read":
            controller.fmu.doStep(float(k), 1.0)
        plant.set(u)
        plant.fmu.doStep(float(k), 1.0)
        applied = plant.get([f"{name}_applied" for name in u])
        difference = max(difference, float(np.abs(np.array(list(applied.values())) - native.input[k]).max()))
        assert plant.get(["stage_cost"])["stage_cost"] == pytest.approx(native.cost[k].sum(), rel=1e-12)
    assert difference <= 1e-9
    assert difference == 0.0  # the same operations in the same order
    for slave in (plant, controller):
        slave.fmu.terminate()
        slave.fmu.freeInstance()


@pytest.mark.parametrize("name", ["mpc", "lqr", "chain"])
def test_going_back_gives_the_same_bits(name: str, files: dict[str, Path], tmp_path: Path) -> None:
    slave, ends = Slave(files[name], tmp_path / "there", start=3.0), []
    slave.set({port: 1e-4 * (k % 4) for k, port in enumerate(slave.inputs)})
    slave.fmu.doStep(3.0, 1.0)
    state = slave.fmu.getFMUstate()
    for value in (2e-3, -2e-3, 2e-3):
        slave.fmu.setFMUstate(state)
        for k in (4.0, 5.0):
            slave.set({slave.inputs[0]: value})
            slave.fmu.doStep(k, 1.0)
        ends.append(slave.get(slave.outputs))
    slave.fmu.freeFMUstate(state)
    slave.fmu.freeInstance()
    assert ends[0] == ends[2] != ends[1]


def test_a_seed_gives_the_noise_of_that_run(files: dict[str, Path], tmp_path: Path) -> None:
    slave, plant = Slave(files["chain"], tmp_path / "there", seed=5), chain()
    run = simulate(plant, t_end=4.0, seed=5, connections={f"{plant.name}.{name}": None for name in plant.input_names})
    for k in range(4):
        slave.fmu.doStep(float(k), 1.0)
    assert list(slave.get(plant.state_names).values()) == run.state[-1].tolist()
    slave.fmu.freeInstance()


def test_a_reset_begins_anew(files: dict[str, Path], tmp_path: Path) -> None:
    slave, seen = Slave(files["chain"], tmp_path / "there"), []
    for _ in range(2):
        slave.fmu.doStep(0.0, 1.0)
        seen.append(slave.get(slave.outputs))
        slave.fmu.reset()
        slave.fmu.setupExperiment(startTime=0.0)
        slave.fmu.enterInitializationMode()
        slave.fmu.exitInitializationMode()
    assert seen[0] == seen[1]
    slave.fmu.freeInstance()


def test_many_instances_in_one_process(files: dict[str, Path], tmp_path: Path) -> None:
    """The bridge gives back, at each of them, a reference to the script's names that it does not have."""
    for k in range(40):
        slave = Slave(files["chain"], tmp_path / str(k))
        slave.fmu.doStep(0.0, 1.0)
        slave.fmu.freeInstance()


def test_nan_is_refused_and_forgotten(files: dict[str, Path], tmp_path: Path) -> None:
    slave = Slave(files["lqr"], tmp_path / "there")
    slave.set({slave.inputs[0]: float("nan")})
    assert slave.get(slave.outputs) == dict.fromkeys(slave.outputs, 0.0)
    with pytest.raises(FMICallException, match="discard"):
        slave.fmu.doStep(0.0, 1.0)
    slave.set({slave.inputs[0]: 0.1})
    slave.fmu.doStep(0.0, 1.0)
    assert slave.get(slave.outputs) != dict.fromkeys(slave.outputs, 0.0)
    slave.fmu.freeInstance()


def test_a_process_that_knows_nothing_of_this_one(files: dict[str, Path], tmp_path: Path) -> None:
    """FMPy's own master, in another folder, with no more on the path than package and module."""
    code = (
        "import sys, fmpy; start = {'seed': 2}; "
        "r = fmpy.simulate_fmu(sys.argv[1], stop_time=3.0, output_interval=1.0, start_values=start); "
        "print(*(repr(float(v)) for v in list(r[-1])[1:]))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", code, str(files["chain"])],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    plant = chain()
    run = simulate(plant, t_end=3.0, seed=2, connections={f"{plant.name}.{name}": None for name in plant.input_names})
    assert done.returncode == 0, done.stderr
    assert [float(text) for text in done.stdout.split()][: len(plant.output_names)] == run.output[-1].tolist()


@pytest.mark.parametrize(
    ("name", "factory", "options", "error", "message"),
    [
        ("x.zip", POWER, {"sample_time": 1.0}, FMUError, "x.zip: the name of an FMU ends in .fmu"),
        ("plant.fmu", POWER, {"sample_time": 1.0}, FMUError, "plant.fmu exists; give another name, or overwrite it"),
        ("no/x.fmu", POWER, {"sample_time": 1.0}, FMUError, "x.fmu cannot be written: No such file"),
        ("x.fmu", POWER, {}, FMUError, "a continuous plant needs a sample_time"),
        ("x.fmu", POWER, {"sample_time": -1.0}, ClockError, "must be positive"),
        ("x.fmu", POWER, {"sample_time": 1.0, "signals": ["domega_7"]}, WiringError, "domega_7"),
        ("x.fmu", POWER, {"sample_time": 1.0, "seed": -1}, FMUError, "seed must be a whole number from 0"),
        ("x.fmu", ("dmpcrl_ctrl.plants:power_network", {"scenario": 9}), {"sample_time": 1.0}, Exception, "9"),
        ("x.fmu", ("builtins:dict", {}), {"sample_time": 1.0}, WiringError, "is no plant"),
    ],
)
def test_nothing_is_written_of_what_is_wrong(
    name: str,
    factory: tuple[str, dict[str, Any]],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
    files: dict[str, Path],
) -> None:
    before = {path: path.stat().st_mtime_ns for path in files["folder"].iterdir()}
    path = list(sys.path)
    with pytest.raises(error, match=message) as caught:
        export_plant(files["folder"] / name, *factory, **options)
    assert "\n" not in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in files["folder"].iterdir()} == before and sys.path == path


def test_no_controller(tmp_path: Path) -> None:
    with pytest.raises(WiringError, match="is no block"):
        export_controller(tmp_path / "x.fmu", "builtins:dict")


def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythonfmu", None)
    with pytest.raises(FMUError, match=r"pythonfmu: pip install dmpcrl-ctrl\[fmi\]"):
        export_plant(tmp_path / "x.fmu", *POWER, sample_time=1.0)
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_when_asked_to(tmp_path: Path) -> None:
    file = tmp_path / "x.fmu"
    file.write_bytes(b"before")
    export_plant(file, chain, overwrite=True)
    assert validate_fmu(str(file)) == [] and [path.name for path in tmp_path.iterdir()] == ["x.fmu"]
