"""A plant inside a closed loop: what it publishes, what it holds, and how it moves between instants."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.clock import Clock, Schedule
from dmpcrl_ctrl.cosim.faults import stopped
from dmpcrl_ctrl.cosim.wiring import PlantPorts
from dmpcrl_ctrl.plants.plant import Plant

# How many instants' set points and measured disturbances are kept: the length of the longest usual preview.
_KEPT = 1024


@dataclass(frozen=True, eq=False)
class PlantState:
    """A plant at an instant.

    Parameters
    ----------
    x
        (n,).
    u, d, slope
        (m,), (nd,), (nd,): control inputs in effect, disturbances and their change per second; of a discrete plant as
        taken at its last sample.
    """

    x: Array
    u: Array
    d: Array
    slope: Array


class PlantRunner:
    """A plant on a clock.

    Parameters
    ----------
    plant, ports
        The plant, and its cells on the board.
    clock
        The loop's.
    seed
        Of the run; the plant's noise depends on it and on the plant's name.
    """

    def __init__(self, plant: Plant, ports: PlantPorts, clock: Clock, seed: int) -> None:
        self.ports = ports
        self.input_names = plant.input_names
        self.agents = len(plant.agents)
        self._plant, self._clock = plant, clock
        self._samples = None if plant.sample_time is None else Schedule(clock.ticks(plant.sample_time))
        own_seed = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(plant.name.encode()),))
        self._outside = plant.bind(clock.base, own_seed)
        self._span: Callable[[int], Fraction] = lru_cache(maxsize=256)(clock.exact)
        self.known: Callable[[int], Array] = lru_cache(maxsize=_KEPT)(self._known)
        # Disturbances and set points lie side by side on the board.
        self._told = slice(ports.disturbances.start, ports.setpoints.stop)

    def start(self, board: Array, initial: dict[str, float]) -> PlantState:
        """State at time zero; takes its own entries out of `initial` and puts them on the board."""
        u = np.array([initial.pop(name, 0.0) for name in self.input_names], dtype=np.float64)
        # The drivers too: a plant follows its driver, which may be silent until its delay is over.
        driven = self.ports.drivers > 0
        board[self.ports.drivers[driven]] = u[driven]
        u = self._plant.saturate(u)
        board[self.ports.inputs] = u
        nothing = np.zeros(len(self._plant.disturbance_names))
        return PlantState(np.array(self._plant.initial_state, dtype=np.float64), u, nothing, nothing)

    def publish(self, board: Array, tick: int, held: PlantState) -> PlantState:
        """Steps (1) and (2): put outputs, measured disturbances and set points on the board; take new disturbances."""
        time = self._clock.seconds(tick)
        try:
            if self._takes(tick):
                held = PlantState(held.x, held.u, self._outside.values(tick), self._outside.slopes(tick))
            board[self.ports.outputs] = self._plant.output(held.x, held.u, held.d, time=time)
            board[self._told] = self.known(tick)
        except Exception as error:
            raise stopped(time, self._plant.name, error) from error
        return held

    def hold(self, board: Array, tick: int, held: PlantState) -> PlantState:
        """Step (4): what is in effect from this instant on; a discrete plant changes at its own samples only."""
        if not self._takes(tick):
            return held
        u = self._plant.saturate(board[self.ports.drivers])
        board[self.ports.inputs] = u
        return PlantState(held.x, u, held.d, held.slope)

    def cost(self, board: Array, tick: int, held: PlantState) -> Array:
        """(M,): stage cost by agent of the state now and of what is in effect from now on."""
        try:
            return self._plant.stage_cost(held.x, held.u, board[self.ports.setpoints], held.d)
        except Exception as error:
            raise stopped(self._clock.seconds(tick), f"{self._plant.name}: stage cost", error) from error

    def next_event(self, tick: int) -> int | None:
        """Next edge of a disturbance, or the next own sample of a discrete plant."""
        return self._outside.next_edge(tick) if self._samples is None else self._samples.after(tick)

    def advance(self, held: PlantState, tick: int, until: int) -> PlantState:
        """Step (6): to the next instant."""
        if self._samples is not None and not self._samples.due(until):
            return held
        since = tick if self._samples is None else until - self._samples.period
        return PlantState(self._flow(held, since, self._span(until - since)), held.u, held.d, held.slope)

    def between(self, held: PlantState, tick: int, since: Fraction) -> Array:
        """(n,): state `since` seconds after `tick`, before the next instant."""
        return held.x if self._samples is not None or since == 0 else self._flow(held, tick, since)

    def _flow(self, held: PlantState, tick: int, duration: Fraction) -> Array:
        time = self._clock.seconds(tick)
        try:
            return self._plant.advance(held.x, duration, held.u, held.d, held.slope, start=time)
        except Exception as error:
            raise stopped(time, self._plant.name, error) from error

    def _takes(self, tick: int) -> bool:
        """Whether inputs and disturbances act on the plant from this instant on."""
        return self._samples is None or self._samples.due(tick)

    def _known(self, tick: int) -> Array:
        """(nd + n + m,): measured disturbances and set points."""
        return np.concatenate([self._outside.measured(tick), self._outside.setpoints(tick)])
