"""Who takes part in a closed loop: plants and blocks with checked names, on one clock."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import control as ct

from dmpcrl_ctrl.controllers.block import Block, BlockOptions, Field
from dmpcrl_ctrl.cosim.clock import Clock, Schedule, Seconds
from dmpcrl_ctrl.errors import ClockError, WiringError
from dmpcrl_ctrl.plants.exact_time import exact_seconds
from dmpcrl_ctrl.plants.plant import Plant


@dataclass(frozen=True, eq=False)
class TimedBlock:
    """A block with its place on the clock.

    Parameters
    ----------
    block
        As the user made it.
    name
        Unique among plants and blocks.
    inputs, outputs
        Signal names.
    schedule
        When it samples.
    delay
        Ticks from a sample until its outputs take effect.
    preview
        Samples ahead of which known signals are read.
    fields
        What its record may hold.
    log_attributes
        Texts and numbers that the log keeps of it.
    """

    block: Block
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    schedule: Schedule
    delay: int = 0
    preview: int = 0
    fields: tuple[Field, ...] = ()
    log_attributes: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Participants:
    """The plants and blocks of a closed loop, the clock that serves them all, and the end of the run in ticks."""

    plants: tuple[Plant, ...]
    blocks: tuple[TimedBlock, ...]
    clock: Clock
    end: int

    @classmethod
    def of(cls, plants: Any, blocks: Any, t_end: Seconds) -> "Participants":
        """Check who takes part and find the clock.

        Parameters
        ----------
        plants, blocks
            One, or a sequence of them; at least one plant.
        t_end
            Seconds, positive.

        Raises
        ------
        WiringError
            Something is no plant or no block, or a name is unusable or stands twice.
        ClockError
            Times that share no tick, a sample time or an end that is not positive, a negative offset or delay.
        """
        _require_end(t_end)
        everyone = _sequence(plants)
        if not everyone:
            raise WiringError("a simulation needs at least one plant, got none")
        for plant in everyone:
            _require(plant, ("advance", "output", "bind", "state_names", "input_names"), "plant")
        for block in _sequence(blocks):
            _require(block, ("sample_time", "inputs", "outputs", "init", "step"), "block")
        options = [(block, BlockOptions.of(block)) for block in _sequence(blocks)]
        _require_names([plant.name for plant in everyone] + [option.name for _, option in options])
        clock = Clock.common(_times(everyone, options, t_end))
        timed = tuple(_timed(block, option, clock) for block, option in options)
        return cls(tuple(everyone), timed, clock, clock.ticks(t_end))


def _sequence(given: Any) -> Sequence[Any]:
    return given if isinstance(given, Sequence) else (given,)


def _require(candidate: Any, attributes: tuple[str, ...], what: str) -> None:
    kind = candidate.__name__ if isinstance(candidate, type) else type(candidate).__name__
    if isinstance(candidate, type):
        raise WiringError(f"{kind} is a class, not a {what}: make one, as in {kind}(...)")
    if what == "plant" and isinstance(candidate, ct.InputOutputSystem):
        raise WiringError(f"{candidate.name!r} ({kind}) is a system, not a plant: wrap it, as in Plant(system)")
    missing = [attribute for attribute in attributes if not hasattr(candidate, attribute)]
    if missing:
        raise WiringError(f"{' '.join(repr(candidate).split())} is no {what}: it has no {missing[0]!r}")


def _require_end(t_end: Seconds) -> None:
    try:
        end = exact_seconds(t_end)
    except ClockError as error:
        raise ClockError(f"t_end: {error}") from error
    if end <= 0:
        raise ClockError(f"t_end must be positive, got {t_end} s")


def _require_names(names: list[str]) -> None:
    for name in names:
        if not isinstance(name, str) or not name or "/" in name or "." in name or not name.isprintable():
            raise WiringError(f"{name!r} cannot name a plant or block: use printable text without '/' and '.'")
        if names.count(name) > 1:
            raise WiringError(f"two plants or blocks are called {name!r}: give one of them another name")


def _times(plants: Sequence[Plant], blocks: list[tuple[Block, BlockOptions]], t_end: Seconds) -> dict[str, Seconds]:
    """Every time that the clock must hit, by what it is called in messages."""
    times: dict[str, Seconds] = {}
    for block, option in blocks:
        times[f"{option.name}: sample time"] = block.sample_time
        times[f"{option.name}: offset"] = option.offset
        times[f"{option.name}: delay"] = option.delay
    for plant in plants:
        times |= {f"{plant.name}: time {time} s": time for time in plant.clock_times}
    return {name: time for name, time in times.items() if time != 0} | {"t_end": t_end}


def _timed(block: Block, option: BlockOptions, clock: Clock) -> TimedBlock:
    period, offset, delay = (clock.ticks(time) for time in (block.sample_time, option.offset, option.delay))
    if period < 1:
        raise ClockError(f"{option.name}: its sample time must be positive, got {block.sample_time} s")
    for what, value in (("offset", offset), ("delay", delay), ("preview", option.preview)):
        if value < 0:
            raise ClockError(f"{option.name}: its {what} must not be negative, got {getattr(option, what)}")
    both: dict[str, Any] = {"inputs": block.inputs, "outputs": block.outputs}
    for what, given in both.items():
        if isinstance(given, str):
            raise WiringError(f"{option.name}: its {what} must be names, got the text {given!r}: write ({given!r},)")
    names = tuple(block.inputs), tuple(block.outputs)
    for signals in names:
        for name, times in Counter(signals).items():
            if times > 1:
                raise WiringError(f"{option.name}: signal {name!r} stands twice in {', '.join(signals)}")
    return TimedBlock(
        block,
        option.name,
        *names,
        Schedule(period, offset),
        delay,
        option.preview,
        option.fields,
        option.log_attributes,
    )
