"""Every signal of a closed loop that anyone may read, with its cell on the board, to be found by name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.plant import Plant

Kind = Literal["input", "block", "output", "known", "ground"]
# What a block prefers where several signals have the name that it asks for (see wiring.py).
_RANK: dict[Kind, int] = {"input": 0, "block": 1, "output": 2, "known": 3}
# An input that no block drives: what drives it goes by that name, and is up to date.
_LAST = 4


@dataclass(frozen=True)
class Signal:
    """Something that can be read.

    Parameters
    ----------
    owner
        Plant or block.
    name
        By which it is asked for; an output that is a state answers to the state's name as well.
    cell
        On the board.
    kind
        "input" of a plant as in effect; output of a "block"; "output" of a plant; "known": disturbance or set point.
    label
        "owner.signal" by the signal's own name.
    """

    owner: str
    name: str
    cell: int
    kind: Kind
    label: str

    @property
    def qualified(self) -> str:
        """Name with its owner."""
        return f"{self.owner}.{self.name}"

    @property
    def drives(self) -> bool:
        """Whether a control input may be driven by it."""
        return self.kind in ("block", "output")


GROUND = Signal("", "0", 0, "ground", "0")


class SignalTable:
    """The signals of all participants.

    Attributes
    ----------
    signals
        In the order of plants and blocks.
    cells
        Owner -> its slices of the board: (outputs, inputs, disturbances, setpoints) of a plant, (outputs,) of a block.
    size
        Of the board.
    """

    def __init__(self, who: Participants) -> None:
        self.cells: dict[str, tuple[slice, ...]] = {}
        self.size = 1  # cell 0 is the ground
        self._plants = {plant.name: plant for plant in who.plants}
        signals: list[Signal] = []
        for plant in who.plants:
            groups = (plant.output_names, plant.input_names, plant.disturbance_names, plant.setpoint_names)
            self.cells[plant.name] = tuple(self._allocate(len(group)) for group in groups)
            signals += _signals_of(plant, self.cells[plant.name])
        for block in who.blocks:
            outputs = self._allocate(len(block.outputs))
            self.cells[block.name] = (outputs,)
            signals += _named(block.name, block.outputs, outputs, "block")
        self.signals = tuple(signals)
        # A network has thousands of signals, and each of its readers asks by name.
        self._called: dict[str, list[Signal]] = {}
        for signal in self.signals:
            for name in (signal.name, signal.qualified):
                self._called.setdefault(name, []).append(signal)
        # Inputs that no block drives, and their set points; none until `take_drivers`.
        self._passive: frozenset[int] = frozenset()

    def take_drivers(self, plant: str, drivers: Sequence[Signal]) -> None:
        """Learn what drives the control inputs of a plant, in their order.

        An input that another plant's output drives, or nothing, is no command of anyone's: under its plain name it is
        read only where nothing else is called so, and its set point not at all.
        """
        _, inputs, _, setpoints = self.cells[plant]
        # Set points of states come first, then those of inputs.
        first = setpoints.stop - len(drivers)
        passive = [k for k, driver in enumerate(drivers) if driver.kind != "block"]
        self._passive |= {inputs.start + k for k in passive} | {first + k for k in passive}

    def called(self, name: str) -> Sequence[Signal]:
        """All signals that answer to a name, with or without its owner, in the order of `signals`."""
        return self._called.get(name, ())

    def named(self, name: str, reader: str) -> Signal:
        """The signal that an explicit connection speaks of, qualified or with a name of its own."""
        found = {signal.cell: signal for signal in self.called(name)}
        if not found:
            raise WiringError(unknown(name, [signal.qualified for signal in self.signals], f"{reader}: signal"))
        return _only(list(found.values()), reader)

    def offered(self, name: str, reader: str, scopes: Mapping[str, str | None]) -> Signal | None:
        """What block `reader` gets when it asks for `name`; None where nobody offers it.

        Parameters
        ----------
        name
            With or without its owner.
        reader
            The block, whose own outputs are not offered to it.
        scopes
            Block -> the only plant that it has to do with, where there is one.
        """
        scope = scopes.get(reader)
        offers = [
            signal
            for signal in self.called(name)
            if signal.owner != reader
            and (scope is None or scope == scopes.get(signal.owner, scope if signal.kind == "block" else signal.owner))
        ]
        offers = [s for s in offers if s.kind != "known" or s.cell not in self._passive or name == s.qualified or scope]
        best = min((self._rank(signal) for signal in offers), default=None)
        chosen = {signal.cell: signal for signal in offers if self._rank(signal) == best}
        if not chosen:
            return None
        if best == _RANK["input"]:  # beside it, another plant may measure something of that name: nobody can tell
            owners = {signal.owner for signal in chosen.values()}
            chosen |= {s.cell: s for s in offers if s.kind == "output" and s.owner not in owners}
        signal = _only(list(chosen.values()), f"{reader}.{name}")
        self._require_state(signal, reader)
        return signal

    def names_for(self, reader: str) -> list[str]:
        """Names that block `reader` may ask for."""
        own = (s for s in self.signals if s.owner != reader and (s.kind != "known" or s.cell not in self._passive))
        return sorted({signal.name for signal in own})

    def _rank(self, signal: Signal) -> int:
        return _LAST if signal.cell in self._passive and signal.kind == "input" else _RANK[signal.kind]

    def _allocate(self, count: int) -> slice:
        self.size += count
        return slice(self.size - count, self.size)

    def _require_state(self, signal: Signal, reader: str) -> None:
        """An output that is called like a state must be that state: a reader cannot tell them apart."""
        if signal.kind != "output" or signal.label != signal.qualified:
            return
        plant = self._plants[signal.owner]
        own = plant.state_of_output[signal.cell - self.cells[signal.owner][0].start]
        if (own is None or plant.state_names[own] != signal.name) and signal.name in plant.state_names:
            raise WiringError(
                f"{reader}.{signal.name}: output {signal.label} is called like a state but is not that state; "
                f"rename it, or say connections={{'{reader}.{signal.name}': '{signal.label}'}}"
            )


def _only(signals: list[Signal], reader: str) -> Signal:
    if len(signals) > 1:
        names = ", ".join(signal.qualified for signal in signals)
        raise WiringError(f"{reader}: several signals have that name ({names}); choose one in connections")
    return signals[0]


def _signals_of(plant: Plant, cells: tuple[slice, ...]) -> Iterator[Signal]:
    outputs, inputs, disturbances, setpoints = cells
    yield from _named(plant.name, plant.output_names, outputs, "output")
    answered = set(plant.output_names)
    for k, state in enumerate(plant.state_of_output):
        if state is not None and plant.state_names[state] not in answered:
            answered.add(plant.state_names[state])
            label = f"{plant.name}.{plant.output_names[k]}"
            yield Signal(plant.name, plant.state_names[state], outputs.start + k, "output", label)
    yield from _named(plant.name, plant.input_names, inputs, "input")
    yield from _named(plant.name, plant.disturbance_names, disturbances, "known")
    yield from _named(plant.name, plant.setpoint_names, setpoints, "known")


def _named(owner: str, names: tuple[str, ...], cells: slice, kind: Kind) -> Iterator[Signal]:
    for k, name in enumerate(names):
        yield Signal(owner, name, cells.start + k, kind, f"{owner}.{name}")
