"""A plant, or a controller, that somebody else's tool moves on sample by sample, bit for bit as `simulate` would.

The tool's turn is a block of an ordinary loop whose output is what the tool said: time, wiring, noise, saturation and
cost come from the scheduler, and there is no second account of them. States go in and come out; an old one can be
followed again, in another direction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
from dmpcrl_ctrl.plants.exact_time import exact_seconds
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.signals import unknown

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
        What the future depends on.
    """

    number: int
    time: float
    state: Array
    measurement: Array
    applied: Array
    cost: Array
    loop: LoopState


class _Hand:
    """The block that says what the tool has said."""

    name = "outside"

    def __init__(self, sample_time: Seconds, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        self.sample_time, self.inputs, self.outputs = exact_seconds(sample_time), inputs, outputs

    def init(self, seed: int) -> Array:
        """Nothing was said yet."""
        return np.zeros(len(self.outputs))

    def step(
        self, state: Array, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[Array, Array, dict[str, Any]]:
        """The output is the state."""
        return state, state, {}


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
    (1.0, [0.0419, 0.1605], 1)
    """

    def __init__(
        self, plant: Plant, sample_time: Seconds, *, signals: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        self.plant, self.inputs = plant, plant.input_names
        self.sample_time = exact_seconds(sample_time)
        every = (*plant.output_names, *plant.measured_names, *plant.setpoint_names)
        self.signals = tuple(dict.fromkeys(every)) if signals is None else tuple(signals)
        hand = _Hand(self.sample_time, self.signals, self.inputs)
        who = Participants.of(plant, hand, self.sample_time * _FOREVER)
        self._period = who.blocks[0].schedule.period
        self._scheduler = Scheduler(who, wire(who), seed)

    def start(self) -> Sample:
        """The first sample, at time zero."""
        return self._looked_at(self._scheduler.start(), 0, np.zeros(len(self.plant.agents)))

    def follow(self, sample: Sample, u: ArrayLike) -> Sample:
        """The next sample, where `u` (m,) is held until then, after saturation.

        Raises
        ------
        SimulationError
            Names an input that is not finite, or the time, the plant and the reason for which it cannot go on.
        """
        loop, cost = self._held(sample, u)
        until = sample.loop.tick + self._period
        while loop.tick < until:
            loop = self._scheduler.advance(loop, self._scheduler.next_instant(loop))
            if loop.tick < until:
                loop, _ = self._scheduler.instant(loop)
        return self._looked_at(loop, sample.number + 1, cost)

    def _held(self, sample: Sample, u: ArrayLike) -> tuple[LoopState, Array]:
        """The loop after the instant of a sample at which `u` was said, and the stage cost of it."""
        after, row = self._scheduler.instant(
            _told(sample.loop, _finite(f"t = {sample.time:.9g} s: the input", self.inputs, u))
        )
        assert row is not None  # the hand is due
        return after, row.cost

    def _looked_at(self, loop: LoopState, number: int, cost: Array) -> Sample:
        """A sample: what the hand would measure; the instant itself is for `follow`."""
        _, row = self._scheduler.instant(_told(loop, np.zeros(len(self.inputs))))
        assert row is not None  # the hand is due
        measured = row.steps[0].measurement
        return Sample(number, row.time, row.state, measured, loop.plants[0].u, cost, loop)


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
        self._period, self._agents = timed.schedule.period, agents
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
        time = before.block.count * float(self.sample_time)
        board = np.zeros(self._cells[2].stop)
        taken = np.clip(before.output, self._lower, self._upper) if applied is None else applied
        for what, cells, names, given in (
            ("measurement", self._cells[0], self.inputs, measurement),
            ("applied", self._cells[1], self.outputs, taken),
        ):
            board[cells] = _finite(f"t = {time:.9g} s: {self.name}: {what}", names, given)
        state = before.block
        if cost is not None:
            state = replace(state, cost=np.array(cost, dtype=np.float64))
        after, step = self._runner.step(board, state.count * self._period, state, _nothing_ahead)
        return Answer(step.output, step.record, after)


def _finite(what: str, names: tuple[str, ...], given: ArrayLike) -> Array:
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SimulationError(f"{what} is no array of numbers: {error}") from error
    if values.shape != (len(names),):
        raise SimulationError(f"{what} has shape {values.shape}, expected ({len(names)},): {', '.join(names)}")
    if not np.isfinite(values).all():
        k = int(np.flatnonzero(~np.isfinite(values))[0])
        raise SimulationError(f"{what}: {names[k]!r} is {values[k]}, expected a finite number")
    return values


def _told(loop: LoopState, u: Array) -> LoopState:
    """The loop whose hand will say `u`."""
    return replace(loop, blocks=(replace(loop.blocks[0], inner=u),))


def _nothing_ahead(plant: int, tick: int) -> Array:
    raise SimulationError("nothing is known ahead from outside")


class _NoPlant:
    """Stands for the plant that the outside has."""

    name = "the plant outside"
    state_names = input_names = ()
    clock_times = ()
    advance = output = bind = None
