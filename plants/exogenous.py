"""What acts on a plant from outside, and what its controllers are told: disturbances and set points on one clock."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.errors import ModelError, PlantError, SourceError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.bound_source import BoundSource, child_seed, earliest
from dmpcrl_ctrl.plants.disturbance import Constant, Source, as_source
from dmpcrl_ctrl.plants.exact_time import ticks_per_second
from dmpcrl_ctrl.plants.partition import SignalNames


@dataclass(frozen=True)
class Exogenous:
    """A plant's disturbances and set points, bound to a clock; every method is a pure function of the tick.

    Parameters
    ----------
    names
        Of the disturbances, and of the signals that have set points, for messages.
    disturbances, measured_parts
        nd signals each: what acts on the plant, and the part of it that controllers are told.
    references
        n + m signals: set points of the states, then of the control inputs, before `gain`.
    gain
        (n + m, nd): set point = reference + gain @ measured disturbance.
    """

    names: SignalNames
    disturbances: tuple[BoundSource, ...]
    measured_parts: tuple[BoundSource, ...]
    references: tuple[BoundSource, ...]
    gain: Array

    def values(self, tick: int) -> Array:
        """(nd,): disturbances at `tick`."""
        return _values(self.disturbances, self.names.disturbances, tick)

    def slopes(self, tick: int) -> Array:
        """(nd,): their change per second from `tick` to the next edge."""
        return np.array([source.slope(tick) for source in self.disturbances], dtype=np.float64)

    def measured(self, tick: int) -> Array:
        """(nd,): the measured part of the disturbances at `tick`; zero where a disturbance is not measured."""
        return _values(self.measured_parts, self.names.disturbances, tick)

    def setpoints(self, tick: int) -> Array:
        """(n + m,): set points of states and control inputs at `tick`."""
        return _values(self.references, self.names.steered, tick) + self.gain @ self.measured(tick)

    def next_edge(self, tick: int) -> int | None:
        """First tick after `tick` at which a disturbance jumps or changes its slope; None where none will.

        Set points do not act on the plant, so that their edges are not among these.
        """
        return earliest(source.next_edge(tick) for source in self.disturbances)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The sources of a plant's disturbances and set points, not yet on a clock.

    Parameters
    ----------
    names
        The plant's signals.
    disturbances, references
        nd and n + m sources, in the order of the signals.
    gain
        (n + m, nd): set point = reference + gain @ measured disturbance.
    """

    names: SignalNames
    disturbances: tuple[Source, ...]
    references: tuple[Source, ...]
    gain: Array

    @property
    def measured_names(self) -> tuple[str, ...]:
        """Disturbances of which controllers are told something."""
        return tuple(name for name, d in zip(self.names.disturbances, self.disturbances, strict=True) if d.measured)

    def instants(self) -> tuple[Fraction, ...]:
        """Seconds that a clock has to hit, ascending."""
        return tuple(sorted({t for source in (*self.disturbances, *self.references) for t in source.instants()}))

    def initial_setpoint(self) -> Array:
        """(n + m,): set points at time zero."""
        return self.bind(ticks_per_second(self.instants()), np.random.SeedSequence(0)).setpoints(0)

    def draw_noise(self, rng: np.random.Generator, size: int) -> Array:
        """(size, nd): independent draws of what is random in the disturbances and not measured."""
        draws = [source.draw_noise(rng, size) for source in self.disturbances]
        return np.column_stack(draws) if draws else np.zeros((size, 0))

    def bind(self, base: int, seed: np.random.SeedSequence) -> Exogenous:
        """Put everything on a clock of `base` ticks per second.

        A disturbance's noise depends on the seed and its name: adding another signal leaves it as it is.
        """
        seeds = [child_seed(seed, zlib.crc32(name.encode())) for name in self.names.disturbances]
        pairs = list(zip(self.disturbances, seeds, strict=True))
        return Exogenous(
            self.names,
            tuple(source.bind(base, own) for source, own in pairs),
            tuple(source.measured_part().bind(base, own) for source, own in pairs),
            tuple(source.bind(base, child_seed(seed, k)) for k, source in enumerate(self.references)),
            self.gain,
        )


def surroundings(
    names: SignalNames,
    disturbances: Mapping[str, Source | float | None],
    setpoints: Mapping[str, Source | float],
    rest: Array,
    gain: ArrayLike | None,
    plant: str,
) -> Surroundings:
    """Collect what a user wrote.

    Parameters
    ----------
    names
        The plant's signals.
    disturbances
        Signal -> source, number or None (zero, and not measured).
    setpoints
        State or control input -> source or number.
    rest
        (n + m,): set points of the signals that `setpoints` leaves out.
    gain
        (n + m, nd) or None (zero).
    plant
        Name for messages.

    Raises
    ------
    PlantError, SourceError
        A set point of an unknown signal, a gain of the wrong shape, something that is no source.
    """
    for signal in setpoints:
        if signal not in names.steered:
            raise PlantError(unknown(signal, names.steered, f"{plant}: set point of"))
    acting = [_source(disturbances[name], f"{plant}: disturbance {name}") for name in names.disturbances]
    references = [
        _source(setpoints.get(name, float(value)), f"{plant}: set point of {name}")
        for name, value in zip(names.steered, rest, strict=True)
    ]
    count = len(acting)
    matrix = np.zeros((len(names.steered), count)) if gain is None else gain
    try:
        matrix = checked("setpoint_gain", matrix, (len(names.steered), count))
    except ModelError as error:
        raise PlantError(f"{plant}: {error} (states and inputs by disturbances)") from error
    return Surroundings(names, tuple(acting), tuple(references), matrix)


def _source(value: Source | float | None, what: str) -> Source:
    if value is None:
        return Constant(0.0, measured=False)
    try:
        return as_source(value)
    except SourceError as error:
        raise SourceError(f"{what}: {error}") from error


def _values(sources: tuple[BoundSource, ...], names: tuple[str, ...], tick: int) -> Array:
    values = np.empty(len(sources))
    for k, source in enumerate(sources):
        try:
            values[k] = source.value(tick)
        except SourceError as error:
            raise SourceError(f"{names[k]}: {error}") from error
    return values
