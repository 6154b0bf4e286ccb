"""What runs inside an FMU that was exported from here: a controller, or a plant, behind the functions of FMI 2.0.

The FMU holds `SPEC`, a JSON file that says which function makes the block or plant. States go in and come out, so that
to keep one is to keep a reference. A plant goes back exactly, a predictive controller to rounding: workspaces of its
solvers remember where they were last, and no state holds them. An error of ours becomes a message to the master's
logger, and the step is refused with everything as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from pythonfmu import DefaultExperiment, Fmi2Causality, Fmi2Initial, Fmi2Slave, Fmi2Variability, Integer, Real
from pythonfmu.enums import Fmi2Status

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.adapters.communication import CLOSE, Communication
from dmpcrl_ctrl.cosim.adapters.driven import Answer, DrivenBlock, DrivenPlant, Sample
from dmpcrl_ctrl.cosim.adapters.factory import Factory
from dmpcrl_ctrl.cosim.adapters.fmu_spec import SPEC, read_spec
from dmpcrl_ctrl.errors import DmpcrlError, FMUError
from dmpcrl_ctrl.messages import one_line


@dataclass(frozen=True, eq=False)
class Heard:
    """Where a slave is, and what its master has set: by port, zeros at first."""

    time: float
    inputs: Array
    fresh: bool = False  # whether something was set since the last step


class Slave(Fmi2Slave):
    """Ports, time and messages; what is inside is for :class:`ControllerSlave` and :class:`PlantSlave`.

    Attributes
    ----------
    input_ports, output_ports
        Names of the real variables, in the order in which `_values` has them.
    """

    direct = True  # whether outputs depend on inputs at once

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = read_spec(Path(self.resources) / SPEC)
        self.modelName, self.guid = self.spec["identifier"], self.spec["guid"]
        self.description = self.spec["description"]
        self.seed = int(self.spec["seed"])
        self.input_ports, outputs = self._made(Factory(**self.spec["factory"]))
        # an observer reads and tells a state
        self.output_ports = tuple(f"{name}_out" if name in self.input_ports else name for name in outputs)
        self.default_experiment = DefaultExperiment(start_time=0.0, step_size=self.communication.sample_time)
        self._heard = Heard(0.0, np.zeros(len(self.input_ports)))
        self._fault = ""
        self._begin()
        require_different_ports([*self.input_ports, *self.output_ports, "seed"])
        self._declare()

    def _made(self, factory: Factory) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Build what is inside, and `communication`; returns names of inputs and outputs."""
        raise NotImplementedError

    communication: Communication

    def _begin(self) -> None:
        """To the beginning, for `seed`."""
        raise NotImplementedError

    def _values(self) -> Array:
        """Of the outputs."""
        raise NotImplementedError

    def _step(self, time: float, step: float) -> None:
        """One communication step; raises before anything changes."""
        raise NotImplementedError

    # what pythonfmu calls

    def setup_experiment(
        self, start_time: float, stop_time: float | None = None, tolerance: float | None = None
    ) -> None:
        """The master's time at which the first sample is."""
        self.communication = replace(self.communication, start=start_time)
        self._heard = replace(self._heard, time=start_time)

    def exit_initialization_mode(self) -> None:
        """The seed is known from here on."""
        if self.seed < 0:
            self._refuse(f"seed must not be negative, got {self.seed}")

    def do_step(self, current_time: float, step_size: float) -> bool:
        """One communication step; False, and a message, where it cannot be made."""
        heard = self._heard
        try:
            if self._fault:
                raise FMUError(self._fault)
            if abs(current_time - heard.time) > CLOSE * self.communication.sample_time:
                raise FMUError(f"t = {current_time:.9g} s: the last step ended at {heard.time:.9g} s")
            self._step(current_time, step_size)
        except DmpcrlError as error:
            self.log(f"{self.instance_name}: {one_line(error)}", Fmi2Status.error)
            return False
        self._heard = Heard(current_time + step_size, heard.inputs)
        return True

    def set_real(self, vrs: Sequence[int], values: Sequence[float]) -> None:
        """Values of inputs."""
        inputs = self._heard.inputs.copy()
        for vr, value in zip(vrs, values, strict=True):
            if vr < len(inputs):
                inputs[vr] = value
            else:
                self._refuse(f"variable {vr} is no input")
        self._heard = replace(self._heard, inputs=inputs, fresh=True)

    def get_real(self, vrs: Sequence[int]) -> list[float]:
        """Values of inputs and outputs."""
        first = len(self.input_ports)
        values = self._values() if any(vr >= first for vr in vrs) else self._heard.inputs
        return [float(values[vr - first] if vr >= first else self._heard.inputs[vr]) for vr in vrs]

    def to_xml(self, model_options: Mapping[str, str] | None = None) -> Element:
        """The model description, with what pythonfmu leaves out: initial unknowns, and what depends on what."""
        root = super().to_xml(dict(model_options or {}))
        root.set("variableNamingConvention", "flat")  # our names may be any text
        structure = root.find("ModelStructure")
        assert structure is not None
        unknowns = [unknown.get("index") for unknown in structure.iter("Unknown")]
        for unknown in structure.iter("Unknown"):
            if not self.direct:
                unknown.set("dependencies", "")
        initial = SubElement(structure, "InitialUnknowns")
        for index in unknowns:
            SubElement(initial, "Unknown", {"index": str(index)})
        return root

    def _declare(self) -> None:
        kind = Fmi2Variability.continuous if self.communication.whole else Fmi2Variability.discrete
        for name in self.input_ports:
            self.register_variable(Real(name, causality=Fmi2Causality.input, variability=kind), nested=False)
        for name in self.output_ports:
            output = Real(name, causality=Fmi2Causality.output, variability=kind, initial=Fmi2Initial.calculated)
            self.register_variable(output, nested=False)
        seed = Integer(
            "seed",
            causality=Fmi2Causality.parameter,
            variability=Fmi2Variability.fixed,
            getter=lambda: self.seed,
            setter=self._set_seed,
        )
        self.register_variable(seed, nested=False)

    def _set_seed(self, seed: int) -> None:
        if self._heard.time != self.communication.start:
            self._refuse(f"seed is set before the first step, not at {self._heard.time:.9g} s")
            return
        self.seed = seed
        if seed >= 0:
            self._begin()

    def _refuse(self, fault: str) -> None:
        """No step any more, for a fault of the master's.

        Raising would end the instance, and some masters free it then, which the bridge does not survive.
        """
        self._fault = fault
        self.log(f"{self.instance_name}: {fault}", Fmi2Status.error)


class ControllerSlave(Slave):
    """A block that samples inside an FMU.

    Its outputs depend on its inputs directly at its own samples: read after the inputs were set at such an instant,
    they are new; the step then takes place with these. Between samples they hold. One solve a sample, however often
    they are read. A step over several samples takes them all with the same inputs, and says so.
    """

    def _made(self, factory: Factory) -> tuple[tuple[str, ...], tuple[str, ...]]:
        self._block = factory()
        self._limits = {name: _ends(pair) for name, pair in self.spec["limits"].items()}
        self._costs = tuple(self.spec["costs"])
        block = DrivenBlock(self._block, limits=self._limits, agents=len(self._costs))
        self._applied = bool(self.spec["applied"])
        self.communication = Communication(float(block.sample_time))
        applied = tuple(f"{name}_applied" for name in block.outputs) if self._applied else ()
        self._cuts = np.cumsum([len(block.inputs), len(applied)])
        return (*block.inputs, *applied, *self._costs), block.outputs

    def _begin(self) -> None:
        self._driven = DrivenBlock(self._block, seed=self.seed, limits=self._limits, agents=len(self._costs))
        self._said = self._driven.start()
        self._asked: tuple[Array, Answer] | None = None

    def _values(self) -> Array:
        heard = self._heard
        if heard.fresh and self.communication.due(self._said.block.count, heard.time):
            try:
                return self._ask(self._said).output
            except DmpcrlError as error:  # the step will be refused
                self.log(f"{self.instance_name}: {one_line(error)}", Fmi2Status.error)
        return self._said.output

    def _step(self, time: float, step: float) -> None:
        number = self.communication.samples(self._said.block.count, time, step)
        said = self._said
        for _ in range(number):
            said = self._ask(said)
        if number > 1:
            self.log(
                f"{self.instance_name}: t = {time:.9g} s: {number} samples saw the same inputs", Fmi2Status.warning
            )
        self._said, self._asked = said, None

    def _ask(self, before: Answer) -> Answer:
        inputs = self._heard.inputs
        if before is self._said and self._asked is not None and np.array_equal(self._asked[0], inputs):
            return self._asked[1]
        measured, applied, costs = np.split(inputs, self._cuts)
        answer = self._driven.ask(before, measured, applied if self._applied else None, costs if self._costs else None)
        if before is self._said:
            self._asked = (inputs, answer)
        return answer

    def _get_fmu_state(self) -> Any:
        return (self.seed, self.communication, self._heard, self._driven, self._said, self._asked)

    def _set_fmu_state(self, state: Any) -> None:
        self.seed, self.communication, self._heard, self._driven, self._said, self._asked = state


class PlantSlave(Slave):
    """A plant inside an FMU: inputs are taken at its samples and held, outputs are those of the last sample.

    A continuous plant's steps are whole samples; a discrete plant's may be parts of them.
    """

    direct = False
    # shown to the master, and the one at which inputs are taken next
    _shown: Sample
    _ahead: Sample

    def _made(self, factory: Factory) -> tuple[tuple[str, ...], tuple[str, ...]]:
        self._plant = factory()
        driven = self._driven_by(self.seed)
        whole = self._plant.sample_time is None
        self.communication = Communication(float(driven.sample_time), whole=whole)
        applied = tuple(f"{name}_applied" for name in driven.inputs)
        return driven.inputs, (*driven.signals, *applied, "stage_cost", *cost_ports(self._plant))

    def _driven_by(self, seed: int) -> DrivenPlant:
        signals = self.spec["signals"]
        return DrivenPlant(self._plant, self.spec["sample_time"], signals=signals, seed=seed)

    def _begin(self) -> None:
        self._driven = self._driven_by(self.seed)
        self._shown = self._ahead = self._driven.start()

    def _values(self) -> Array:
        shown = self._shown
        return np.concatenate([shown.measurement, shown.applied, [shown.cost.sum()], shown.cost])

    def _step(self, time: float, step: float) -> None:
        number = self.communication.samples(self._ahead.number, time, step)
        shown = ahead = self._ahead
        for _ in range(number):
            shown, ahead = ahead, self._driven.follow(ahead, self._heard.inputs)
        if self.communication.due(ahead.number, time + step):
            shown = ahead
        elif not number:
            shown = self._shown
        self._shown, self._ahead = shown, ahead

    def _get_fmu_state(self) -> Any:
        return (self.seed, self.communication, self._heard, self._driven, self._shown, self._ahead)

    def _set_fmu_state(self, state: Any) -> None:
        self.seed, self.communication, self._heard, self._driven, self._shown, self._ahead = state


def _ends(pair: Sequence[float | None]) -> tuple[float, float]:
    """JSON has no infinity."""
    low, high = pair
    return -np.inf if low is None else low, np.inf if high is None else high


def cost_ports(plant: Any) -> tuple[str, ...]:
    """Names of the outputs that tell each agent's stage cost."""
    return tuple(f"stage_cost_{agent.name}" for agent in plant.agents)


def require_different_ports(names: Sequence[str]) -> None:
    """Ports of an FMU share one list of names."""
    for name in names:
        if names.count(name) > 1:
            raise FMUError(f"two variables would be called {name!r}: rename the signal, or leave it out of `signals`")
