"""A part of an experiment runs as an FMU as it runs in the experiment."""

from pathlib import Path

import numpy as np
import pytest

from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.adapters.fmu_plant import FMUPlant
from dmpcrl_ctrl.errors import ExperimentError, WiringError
from dmpcrl_ctrl.validation.experiment import Override, load_experiment, parse_experiment
from dmpcrl_ctrl.validation.experiment_fmu import export_part, made_controller, made_observer, made_plant
from dmpcrl_ctrl.validation.runner import blocks_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TEXT = """
title = "chain"
[plant]
kind = "chain"
[controller]
kind = "lqr"
[observer]
[simulation]
t_end = 3.0
seed = 3
"""


def test_plant_observer_and_controller(tmp_path: Path) -> None:
    experiment = parse_experiment(TEXT, "test")
    for part in ("plant", "observer", "controller"):
        assert export_part(experiment, part, tmp_path / f"{part}.fmu") == tmp_path / f"{part}.fmu"
    native = experiment.plant.build()
    run = simulate(native, blocks_of(experiment, native), t_end=3.0, seed=3)
    with FMUPlant(
        tmp_path / "plant.fmu", input_limits=dict(zip(native.input_names, native.input_limits, strict=True))
    ) as plant:
        assert plant.description.variables["seed"].causality == "parameter"
        blocks = made_observer(TEXT), made_controller(TEXT)
        unmeasured = {f"observer.{name}": None for name in native.disturbance_names}
        other = simulate(plant, blocks, t_end=3.0, seed=3, connections=unmeasured)
        assert np.array_equal(other.state[:, : len(native.state_names)], run.state[:])
    with FMUPlant(tmp_path / "controller.fmu") as controller:
        assert controller.output_names == blocks_of(experiment, native)[-1].outputs
    assert made_plant(TEXT).name == native.name


def test_learned_parameters_travel_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dmpcrl_ctrl.parameter_file import save_parameters
    from dmpcrl_ctrl.validation.learning_setup import learning_of

    base = load_experiment(EXAMPLES / "chain_learning.toml", [Override(("controller", "horizon"), 3)])
    learning = learning_of(base, base.plant.build())
    theta = [{name: 1.01 * value for name, value in own.items()} for own in learning.init(0).theta]
    names = learning.controller().problem.names
    save_parameters(tmp_path / "learned.json", names, theta)
    overrides = [
        Override(("controller", "horizon"), 3),
        Override(("controller", "parameters"), str(tmp_path / "learned.json")),
    ]
    experiment = load_experiment(EXAMPLES / "chain_learning.toml", overrides)
    expected = blocks_of(experiment, experiment.plant.build())[-1].problem.models  # type: ignore[attr-defined]
    export_part(experiment, "controller", tmp_path / "learned.fmu")
    (tmp_path / "learned.json").unlink()
    export_part(experiment, "plant", tmp_path / "plant.fmu")  # which nobody teaches
    monkeypatch.chdir(tmp_path)
    import json
    import zipfile

    with zipfile.ZipFile(tmp_path / "learned.fmu") as archive:
        arguments = json.loads(archive.read("resources/dmpcrl_ctrl.json"))["factory"]["arguments"]
    models = made_controller(**arguments).problem.models  # type: ignore[attr-defined]
    assert all(np.array_equal(one.A, other.A) for one, other in zip(models, expected, strict=True))


def test_what_there_is_not(tmp_path: Path) -> None:
    experiment = parse_experiment(TEXT.replace("[observer]", ""), "test")
    with pytest.raises(ExperimentError, match="--part controler: did you mean controller?"):
        export_part(experiment, "controler", tmp_path / "x.fmu")
    with pytest.raises(ExperimentError, match="--part observer: 'chain' has no section .observer."):
        export_part(experiment, "observer", tmp_path / "x.fmu")
    late = parse_experiment(TEXT.replace('kind = "lqr"', 'kind = "lqr"\ndelay = 1.0'), "test")
    with pytest.raises(WiringError, match="its delay is 1.0; a block that is asked from outside has none"):
        export_part(late, "controller", tmp_path / "x.fmu")
    missing = parse_experiment(
        (EXAMPLES / "chain_learning.toml").read_text(), "x", [Override(("learning", "start"), "no")]
    )
    with pytest.raises(ExperimentError, match="learning.start: no cannot be read: No such file"):
        export_part(missing, "controller", tmp_path / "x.fmu")
    assert not list(tmp_path.iterdir())
