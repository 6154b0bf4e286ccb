"""A plant, or a controller, that somebody else's tool moves on sample by sample, bit for bit as `simulate` would.

The tool takes the place of a block of an ordinary loop: time, wiring, noise, saturation and cost come from the
scheduler, and there is no second account of them. States go in and come out; an old one can be followed again, in
another direction.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Block, BlockOptions
from dmpcrl_ctrl.cosim.block_runner import BlockRunner, BlockState
from dmpcrl_ctrl.cosim.clock import Seconds
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.scheduler import LoopState, Scheduler
from dmpcrl_ctrl.cosim.wiring import BlockPorts, wire
from dmpcrl_ctrl.errors import SimulationError, WiringError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.exact_time import exact_seconds
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.signals import Named, vector

# of samples: no tool stays so long
_FOREVER = 2**48


@dataclass(frozen=True, eq=False)
class Sample:
    """A plant at a sample, before its inputs are chosen.

    Attributes
    ----------
    number, time
        Of the sample, from zero; seconds.
    state, measurement
        (n,), and (len(signals),) in the order of `DrivenPlant.signals`.
    applied
        (m,): control inputs in effect just before, after saturation.
    cost
        (M,): stage cost by agent of the sample before, of its state and of what was applied; zeros at the first.
    loop
        What the future depends on, with what is published at this instant.
    """

    number: int
    time: float
    state: Array
    measurement: Array
    applied: Array
    cost: Array
    loop: LoopState


class _Hand:
    """The block whose place the tool takes: it is wired, and its turn is `DrivenPlant.follow`."""

    name = "outside"

    def __init__(self, sample_time: Seconds, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        self.sample_time, self.inputs, self.outputs = exact_seconds(sample_time), inputs, outputs

    def init(self, seed: int) -> None:
        """Nothing is kept."""

    def step(self, state: None, tick: int, measurement: Array, applied: Array, cost: Array) -> Any:
        """Never asked."""
        raise NotImplementedError


class DrivenPlant:
    """A plant whose control inputs are set from outside, and held over each sample.

    Parameters
    ----------
    plant
        Any plant; its disturbances and set points act as in `simulate`.
    sample_time
        Seconds.
    signals
        What is measured, by the names that a block may ask for: outputs, states that are outputs, measured
        disturbances, set points "<signal>_ref". None: all outputs, measured disturbances and set points.
    seed
        Of the noise: that of the run that is to be repeated.

    Raises
    ------
    ClockError, WiringError
        A sample time that does not fit the plant's; a signal that is not there.

    Examples
    --------
    >>> from dmpcrl_ctrl.plants import chain
    >>> outside = DrivenPlant(chain(noise=False), 1.0, signals=("x1_1", "x2_1"))
    >>> first = outside.start()
    >>> second = outside.follow(first, [0.1, 0.0, 0.0])
    >>> second.time, second.measurement.round(4).tolist(), outside.follow(first, [0.1, 0.0, 0.0]).number
    (1.0, [0.0606, 0.17], 1)
    """

    def __init__(
        self, plant: Plant, sample_time: Seconds, *, signals: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        self.plant, self.inputs = plant, plant.input_names
        self.sample_time = exact_seconds(sample_time)
        self.signals = measurable(plant) if signals is None else tuple(signals)
        hand = _Hand(self.sample_time, self.signals, self.inputs)
        self._who = Participants.of(plant, hand, self.sample_time * _FOREVER)
        self._wiring = wire(self._who)
        self._period = self._who.blocks[0].schedule.period
        self._scheduler = Scheduler(self._who, self._wiring, seed)

    def with_seed(self, seed: int) -> Self:
        """The same plant under other noise."""
        other = copy(self)
        other._scheduler = Scheduler(self._who, self._wiring, seed)
        return other

    def start(self, initial_state: Named | None = None, *, initial_input: Mapping[str, float] | None = None) -> Sample:
        """The first sample, at time zero.

        Parameters
        ----------
        initial_state
            (n,), or state -> value; what is left out starts where the plant does.
        initial_input
            As in `simulate`.

        Raises
        ------
        PlantError
            Names an entry that is no number, or no state.
        """
        loop = self._scheduler.start(initial_input)
        if initial_state is not None:
            x = self.checked_state(initial_state)
            loop = replace(loop, plants=(replace(loop.plants[0], x=x),))
        return self._looked_at(loop, 0, np.zeros(len(self.plant.agents)))

    def follow(self, sample: Sample, u: ArrayLike) -> Sample:
        """The next sample, where `u` (m,) is held until then, after saturation.

        Raises
        ------
        SimulationError
            Names an input that is not finite, or the time, the plant and the reason for which it cannot go on.
        """
        said = self.checked(sample, u)
        board = sample.loop.board.copy()
        board[self._wiring.blocks[0].outputs] = said
        loop = self._scheduler.hold(sample.loop, board)
        cost = self._scheduler.cost(loop)
        until = loop.tick + self._period
        while True:
            loop = self._scheduler.advance(loop, self._scheduler.next_instant(loop))
            if loop.tick == until:
                return self._looked_at(loop, sample.number + 1, cost)
            loop, _ = self._scheduler.instant(loop)

    def checked_state(self, initial_state: Named) -> Array:
        """(n,): where `start` would begin; PlantError names an entry that is no number, or no state."""
        names, given = self.plant.state_names, initial_state
        if isinstance(given, Mapping):
            given = {**dict(zip(names, self.plant.initial_state.tolist(), strict=True)), **given}
        return vector(given, names, f"{self.plant.name}: initial_state")

    def checked(self, sample: Sample, u: ArrayLike) -> Array:
        """(m,): `u` as an array of finite numbers; SimulationError names the time and the input where it is none."""
        return _finite(sample.time, "the input", self.inputs, u)

    def _looked_at(self, loop: LoopState, number: int, cost: Array) -> Sample:
        """A sample, as far as it goes before the hand is asked."""
        seen = self._scheduler.publish(loop)
        plant = seen.plants[0]
        measured = seen.board[self._wiring.blocks[0].inputs]
        return Sample(number, self._scheduler.clock.seconds(seen.tick), plant.x, measured, plant.u, cost, seen)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a controller said at its last sample.

    Attributes
    ----------
    output
        (len(outputs),): to be held until the next sample; zeros before the first.
    record
        Values of the block's fields.
    block
        What its future depends on.
    """

    output: Array
    record: Mapping[str, NDArray[Any]]
    block: BlockState


class DrivenBlock:
    """A controller that is asked from outside, once for each of its samples.

    Parameters
    ----------
    block
        Any block without offset, computation delay and preview: of those a loop has to know.
    seed
        That of the run that is to be repeated.
    limits
        Output -> (lower, upper) of the actuator that takes it: what `applied` is where nobody says it.
    agents
        Number of costs that the block is told, for one that learns.

    Raises
    ------
    ClockError, WiringError
        It is no block, or one that only a loop can run.
    """

    def __init__(
        self,
        block: Block,
        *,
        seed: int = 0,
        limits: Mapping[str, tuple[float, float]] | None = None,
        agents: int = 0,
    ) -> None:
        options = BlockOptions.of(block)
        for what in ("offset", "delay", "preview"):
            value = getattr(options, what)
            if value:
                raise WiringError(f"{options.name}: its {what} is {value}; a block that is asked from outside has none")
        who = Participants.of(_NoPlant(), block, getattr(block, "sample_time", 1))
        timed, inputs, outputs = who.blocks[0], len(block.inputs), len(block.outputs)
        self.name, self.inputs, self.outputs = timed.name, timed.inputs, timed.outputs
        self.sample_time = exact_seconds(block.sample_time)
        self._seconds, self._period, self._agents = float(self.sample_time), timed.schedule.period, agents
        self._cells = slice(0, inputs), slice(inputs, inputs + outputs), slice(inputs + outputs, inputs + 2 * outputs)
        ports = BlockPorts(np.arange(inputs), self._cells[2], np.arange(inputs, inputs + outputs), ())
        self._runner = BlockRunner(timed, ports, who.clock, seed)
        given = dict(limits or {})
        ends = [given.pop(name, (-np.inf, np.inf)) for name in self.outputs]
        if given:
            raise WiringError(unknown(next(iter(given)), self.outputs, f"{self.name}: limits: output"))
        self._lower, self._upper = np.array(ends, dtype=np.float64).reshape(-1, 2).T

    def start(self) -> Answer:
        """Before the first sample."""
        return Answer(np.zeros(len(self.outputs)), {}, self._runner.start(self._agents))

    def ask(
        self,
        before: Answer,
        measurement: ArrayLike,
        applied: ArrayLike | None = None,
        cost: ArrayLike | None = None,
    ) -> Answer:
        """The controller's next sample.

        Parameters
        ----------
        before
            Of the sample before, or `start()`.
        measurement
            (len(inputs),).
        applied
            (len(outputs),): what took effect of the last output; None: that output within its limits.
        cost
            (agents,): stage costs of the last sample; None: zeros.

        Raises
        ------
        SimulationError
            Names an entry that is not finite, or the time, the block and the reason for which it had to stop.
        """
        state = before.block
        time = state.count * self._seconds
        board = np.zeros(self._cells[2].stop)
        board[self._cells[0]] = _finite(time, f"{self.name}: measurement", self.inputs, measurement)
        if applied is None:
            board[self._cells[1]] = np.clip(before.output, self._lower, self._upper)
        else:
            board[self._cells[1]] = _finite(time, f"{self.name}: applied", self.outputs, applied)
        if cost is not None:
            state = BlockState(state.inner, state.count, np.array(cost, dtype=np.float64))
        after, step = self._runner.step(board, state.count * self._period, state, _nothing_ahead)
        return Answer(step.output, step.record, after)


def measurable(plant: Plant) -> tuple[str, ...]:
    """All that a controller may ask a plant for: outputs, measured disturbances, set points; each name once."""
    return tuple(dict.fromkeys((*plant.output_names, *plant.measured_names, *plant.setpoint_names)))


def _finite(time: float, what: str, names: tuple[str, ...], given: ArrayLike) -> Array:
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SimulationError(f"t = {time:.9g} s: {what} is no array of numbers: {error}") from error
    if values.shape != (len(names),):
        expected = f"({len(names)},): {', '.join(names)}"
        raise SimulationError(f"t = {time:.9g} s: {what} has shape {values.shape}, expected {expected}")
    if not np.isfinite(values).all():
        k = int(np.flatnonzero(~np.isfinite(values))[0])
        raise SimulationError(f"t = {time:.9g} s: {what}: {names[k]!r} is {values[k]}, expected a finite number")
    return values


def _nothing_ahead(plant: int, tick: int) -> Array:
    raise SimulationError("nothing is known ahead from outside")


class _NoPlant:
    """Stands for the plant that the outside has."""

    name = "the plant outside"
    state_names = input_names = ()
    clock_times = ()
    advance = output = bind = None
