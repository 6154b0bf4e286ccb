"""One FMU as it runs: what it says reaches the error, and nothing of it stays behind."""

import gc
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pythonfmu import FmuBuilder

from dmpcrl_ctrl.cosim.adapters.fmu_file import Description, describe
from dmpcrl_ctrl.cosim.adapters.fmu_instance import FMUInstance
from dmpcrl_ctrl.errors import FMUError

# An FMU that was not written by this package.
TANK = """
from pythonfmu import Boolean, Fmi2Causality, Fmi2Slave, Fmi2Variability, Integer, Real, String

class Tank(Fmi2Slave):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.level, self.inflow, self.area, self.full, self.steps, self.label = 1.0, 0.0, 2.0, False, 0, "a"
        out, into, parameter = Fmi2Causality.output, Fmi2Causality.input, Fmi2Causality.parameter
        now = {"variability": Fmi2Variability.discrete}
        self.register_variable(Real("level", causality=out))
        self.register_variable(Boolean("full", causality=out, **now))
        self.register_variable(Integer("steps", causality=out, **now))
        self.register_variable(Real("inflow", causality=into))
        self.register_variable(Real("area", causality=parameter, variability=Fmi2Variability.fixed))
        self.register_variable(Boolean("lid", causality=into, **now, getter=lambda: False, setter=lambda v: None))
        self.register_variable(String("label", causality=parameter, variability=Fmi2Variability.fixed))

    def do_step(self, time, step):
        if self.inflow < -9.0:
            raise ValueError("a tank cannot be drained so fast")
        self.level, self.steps = self.level + step * self.inflow / self.area, self.steps + 1
        self.full = self.level > 2.0
        return True
"""


def built(folder: Path, name: str, **options: Any) -> Path:
    """The tank as an FMU; of a script name of its own, because the bridge imports by name."""
    script = folder / f"{name}.py"
    script.write_text(TANK, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        return Path(FmuBuilder.build_FMU(script, folder / f"{name}.fmu", **options))


@pytest.fixture(scope="module")
def tank(tmp_path_factory: pytest.TempPathFactory) -> Description:
    return describe(built(tmp_path_factory.mktemp("tank"), "tank_instance", canGetAndSetFMUstate=True), validate=False)


def test_it_moves_goes_back_and_begins_anew(tank: Description) -> None:
    path = list(sys.path)
    fmu = FMUInstance(tank, {"area": 4.0, "label": "b", "lid": True})
    shown = [tank.variables[name] for name in ("level", "full", "steps")]
    fmu.write([tank.variables["inflow"]], [6.0])
    assert fmu.read(shown).tolist() == [1.0, 0.0, 0.0]
    fmu.step(0.0, 0.5)
    kept = fmu.keep()
    fmu.step(0.5, 0.5)
    assert fmu.read(shown).tolist() == [2.5, 1.0, 2.0]
    fmu.restore(kept)
    assert fmu.read(shown).tolist() == [1.75, 0.0, 1.0]
    fmu.forget(kept)
    fmu.restart()
    assert fmu.read([*shown, tank.variables["area"]]).tolist() == [1.0, 0.0, 0.0, 4.0]
    folder = fmu._folder
    fmu.close()
    assert not folder.exists() and sys.path == path
    with pytest.raises(FMUError, match="the FMU is closed"):
        fmu.step(0.0, 0.5)
    fmu.close()


def test_many_instances_in_one_process(tank: Description) -> None:
    """Each takes a reference too many from the script's names."""
    script = sys.modules.get(Path(tank.file).stem)
    before = None if script is None else sys.getrefcount(script.__dict__)
    for _ in range(20):
        FMUInstance(tank, {}).close()
    gc.collect()
    script = sys.modules[Path(tank.file).stem]
    assert script.Tank.__name__ == "Tank" and sys.getrefcount(script.__dict__) >= (before or 1)


def test_what_it_says_is_the_error(tank: Description) -> None:
    fmu = FMUInstance(tank, {})
    fmu.write([tank.variables["inflow"]], [-10.0])
    with pytest.raises(FMUError, match=r"tank_instance.fmu: doStep: .*a tank cannot be drained so fast") as caught:
        fmu.step(0.0, 1.0)
    assert "\n" not in str(caught.value)
    with pytest.raises(FMUError, match="the FMU has failed"):  # a fatal error: it may not be called any more
        fmu.step(0.0, 1.0)
    fmu.restart()
    fmu.step(0.0, 1.0)
    fmu.close()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"aera": 1.0}, "variable 'aera' does not exist; did you mean 'area'?"),
        ({"area": "1"}, "'area' is Real, got '1'"),
        ({"area": True}, "'area' is Real, got True"),
        ({"area": float("inf")}, "'area' is Real, got inf"),
        ({"lid": 1}, "'lid' is Boolean, got 1"),
    ],
)
def test_values_to_start_from_that_are_none(values: dict[str, Any], message: str, tank: Description) -> None:
    with pytest.raises(FMUError, match=f"tank_instance.fmu: start_values: .*{message}"):
        FMUInstance(tank, values)


def test_a_binary_that_is_not_there_or_is_none(tank: Description, tmp_path: Path) -> None:
    here = Path.cwd()
    for name, content in (("none", None), ("text", b"no machine code")):
        file = tmp_path / f"{name}.fmu"
        with zipfile.ZipFile(tank.file) as whole, zipfile.ZipFile(file, "w") as part:
            for entry in whole.infolist():
                binary = entry.filename.startswith("binaries")
                if not binary or content is not None:
                    part.writestr(entry.filename, content if binary and content else whole.read(entry))
        with pytest.raises(FMUError, match=rf"{name}.fmu: its binary: .* shared library"):
            FMUInstance(describe(file, validate=False), {})
        assert Path.cwd() == here
