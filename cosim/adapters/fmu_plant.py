"""An FMU from another tool (FMI 2.0, co-simulation) as a plant of a closed loop.

Only its outputs are known; they are the plant's states, together with the number of the FMU's own, hidden state. It
moves in communication steps of one sample time, with its inputs held, so that here it is a discrete plant.

An FMU is machine code. Loading one runs it with all rights of the user: take them from people whom you trust.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, Literal

import control as ct
import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.adapters.fmu_file import Description, Variable, describe
from dmpcrl_ctrl.cosim.adapters.fmu_instance import FMUInstance
from dmpcrl_ctrl.cosim.clock import Seconds
from dmpcrl_ctrl.errors import FMUError, ModelError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.exact_time import exact_seconds
from dmpcrl_ctrl.plants.exogenous import Exogenous
from dmpcrl_ctrl.plants.local_models import LocalModels
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.prediction import AgentDynamics

# The state that says which of the FMU's own states belongs to the outputs.
STEP = "fmu_step"
Names = Sequence[str] | Mapping[str, str]


class FMUPlant(Plant):
    """A plant that an FMU moves.

    Parameters
    ----------
    path
        The FMU. It is unpacked into a temporary folder, and run, at once.
    inputs
        Its real inputs that are driven: names, or a mapping from names here to variables of the FMU. None: all. The
        others keep their start values.
    outputs
        Its outputs: real, integer or boolean ones, all as numbers. None: all that are real.
    sample_time
        Seconds: its communication step. None: what the FMU declares.
    start_values
        Variable of the FMU -> value that it starts from: parameters (such as a `seed`) and inputs.
    name
        None: that of the FMU.
    history
        How many of its states are kept, for who wants to go back. An FMU that cannot (`canGetAndSetFMUstate`) only goes
        on from where it is, or begins anew; a run of `simulate` asks for no more.
    validate
        Whether its description has to follow schema and text of FMI to the letter; many do not, and run.
    **options
        As for :class:`Plant`, with outputs in place of states: agents, input_limits, disturbances, Q, R ...; weights
        are zero by default. Names with dots get "_" for them.

    Attributes
    ----------
    description
        What the FMU says of itself.

    Raises
    ------
    FMUError
        Names file and thing: what is wrong with the file, a variable that is not there or of a wrong kind, no sample
        time.
    PlantError, ClockError
        As for :class:`Plant`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from dmpcrl_ctrl.cosim.adapters.fmu_export import export_plant
    >>> from dmpcrl_ctrl.plants import chain
    >>> with TemporaryDirectory() as folder:
    ...     file = export_plant(Path(folder) / "chain.fmu", chain)
    ...     with FMUPlant(file, start_values={"seed": 1}) as plant:
    ...         print(plant.input_names, plant.sample_time)
    ('u_1', 'u_2', 'u_3') 1

    Notes
    -----
    A predictive controller needs a model, which an FMU does not give: make the controller for a `Plant` of your own
    with the same names of inputs and measured states, `CentralizedMPC.for_plant(model, ...)`, and let it drive this
    one.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        inputs: Names | None = None,
        outputs: Names | None = None,
        sample_time: Seconds | None = None,
        start_values: Mapping[str, Any] | None = None,
        name: str | None = None,
        history: int = 16,
        validate: bool = True,
        **options: Any,
    ) -> None:
        self.description = describe(path, validate)
        self._driven = _variables(self.description, inputs, "input", ("Real",))
        self._read = _variables(self.description, outputs, "output", ("Real", "Integer", "Boolean"))
        seconds = self.description.step_size if sample_time is None else sample_time
        if seconds is None:
            raise FMUError(f"{self.description.file} declares no step size; give a sample_time")
        self._duration = float(exact_seconds(seconds))
        self._history = history
        self._fmu = FMUInstance(self.description, start_values or {})
        try:
            # number -> outputs, and the FMU's state where it can keep it; where it is (None: nobody knows); the latest
            self._kept: OrderedDict[int, tuple[Array, Any]] = OrderedDict()
            self._at: int | None = 0
            self._last = 0
            start = self._keep(0)
            super().__init__(
                _system(self, seconds),
                name=name
                or "".join(c if c.isprintable() and c not in "./" else "_" for c in self.description.identifier),
                initial_state=[*start, 0.0],
                prediction=_stand_in(self, seconds),
                **{"Q": {}, "R": {}, **self._grouped(options)},
            )
        except BaseException:
            self._fmu.close()
            raise

    def close(self) -> None:
        """End the FMU, and remove what was unpacked."""
        with contextlib.suppress(FMUError):  # an FMU that has failed takes nothing back
            while self._kept:
                self._drop(self._kept.popitem()[1][1])
        self._fmu.close()

    def __enter__(self) -> "FMUPlant":
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def bind(self, base: int, seed: np.random.SeedSequence) -> Exogenous:
        """As for :class:`Plant`; a loop that begins is the only one from here on."""
        for number in [number for number in self._kept if number]:
            self._drop(self._kept.pop(number)[1])
        self._last = 0
        self._at = 0 if self._at == 0 else None
        return super().bind(base, seed)

    def local_models(self, sample_time: Any, hold: Literal["area", "network"] = "area", **mpc: Any) -> LocalModels:
        """There are none: see the notes above."""
        raise ModelError(
            f"{self.name}: an FMU gives no model to predict with; make the controller for a Plant of your own with the "
            "same names, and let it drive this one"
        )

    def agent_rates(self) -> tuple[AgentDynamics, ...]:
        """There are none."""
        raise ModelError(f"{self.name}: an FMU gives no model")

    def _grouped(self, options: dict[str, Any]) -> dict[str, Any]:
        """Whose state the number is: of the first agent."""
        given = options.get("agents")
        acting = options.get("disturbances") or {}
        if given is None:
            inputs = tuple(name for name in self._driven if name not in acting)
            agents = [Agent("fmu", (*self._read, STEP), inputs)]
        else:
            agents = [replace(agent, states=(*agent.states, STEP)) if not k else agent for k, agent in enumerate(given)]
        return {**options, "agents": agents}

    def _keep(self, number: int) -> Array:
        """Remember the FMU as it is under a number; returns its outputs."""
        outputs = self._fmu.read(list(self._read.values()))
        able = self.description.keeps_states and self._history > 0
        self._kept[number] = outputs, self._fmu.keep() if able else None
        later = [kept for kept in self._kept if kept]
        for old in later[: max(0, len(later) - max(self._history, 1))]:
            self._drop(self._kept.pop(old)[1])
        return outputs

    def _drop(self, state: Any) -> None:
        if state is not None:
            self._fmu.forget(state)

    def _go_to(self, number: int, outputs: Array) -> None:
        """Have the FMU in the state of that number."""
        there = self._kept.get(number)
        if there is None or not np.array_equal(there[0], outputs):
            raise FMUError(
                f"{self.description.file}: state {number} is not kept (any more); the last {self._history} of "
                "the latest run are; history=... keeps more"
            )
        if number == self._at:
            return
        self._at = None
        if there[1] is not None:
            self._fmu.restore(there[1])
        elif number == 0:
            self._fmu.restart()
        else:
            raise FMUError(
                f"{self.description.file} cannot go back to an earlier state (canGetAndSetFMUstate=false, or history=0)"
            )
        self._at = number

    def _moved(self, time: float, x: Array, w: Array) -> Array:
        """(n,): after a communication step from state `x` under inputs `w`."""
        self._go_to(round(x[-1]), np.asarray(x[:-1]))
        self._at, number = None, self._last + 1
        self._fmu.write(list(self._driven.values()), w)
        self._fmu.step(float(time), self._duration)
        outputs = self._keep(number)
        self._at = self._last = number
        return np.append(outputs, float(number))


def _system(plant: FMUPlant, sample_time: Seconds) -> ct.NonlinearIOSystem:
    """What moves as the FMU does, for python-control; of what is in front, only the step is hidden."""
    names = list(plant._read)

    def update(time: float, x: Array, w: Array, params: Any) -> Array:
        return plant._moved(time, x, w)

    def output(time: float, x: Array, w: Array, params: Any) -> Array:
        return x[:-1]

    signals = {"states": [*names, STEP], "outputs": names, "inputs": list(plant._driven)}
    return ct.NonlinearIOSystem(update, output, dt=float(exact_seconds(sample_time)), **signals)


def _stand_in(plant: FMUPlant, sample_time: Seconds) -> ct.StateSpace:
    """A linear system of the same signals, so that nobody linearises by trying the FMU out."""
    n, m = len(plant._read) + 1, len(plant._driven)
    signals = {"states": [*plant._read, STEP], "inputs": list(plant._driven)}
    A, B, C, D = np.zeros((n, n)), np.zeros((n, m)), np.zeros((1, n)), np.zeros((1, m))
    return ct.ss(A, B, C, D, float(exact_seconds(sample_time)), remove_useless_states=False, **signals)


def _variables(
    description: Description, given: Names | None, causality: str, kinds: tuple[str, ...]
) -> dict[str, Variable]:
    """Names here -> variables of the FMU."""
    if isinstance(given, str):
        raise FMUError(f"{causality}s must be names, got the text {given!r}: write ({given!r},)")
    there = [v.name for v in description.variables.values() if v.causality == causality]
    chosen = description.names(causality) if given is None else given
    table = dict(chosen) if isinstance(chosen, Mapping) else {name.replace(".", "_"): name for name in chosen}
    if len(table) < len(chosen):
        raise FMUError(
            f"{description.file}: two {causality}s would have one name here; give a mapping name -> variable"
        )
    for variable in table.values():
        if variable not in there:
            raise FMUError(unknown(variable, there, f"{description.file}: {causality}"))
        if description.variables[variable].kind not in kinds:
            kind = description.variables[variable].kind
            raise FMUError(f"{description.file}: {causality} {variable!r} is {kind}, expected {' or '.join(kinds)}")
    if not table and causality == "output":
        raise FMUError(f"{description.file} has no output that is a real number")
    return {name: description.variables[variable] for name, variable in table.items()}
