"""What happens at one instant, in which order, and how the plants get to the next one.

A minus marks what held just before the instant t, a plus what holds from t on.

    for t in the instants at which anything happens, from 0 to t_end:

      (1) plants publish        y       = h(x-, u-, d+)       u-: inputs in effect before t, so no loop through D
      (2) outside world         d+, r+  = their values at t   (right-continuous: at an edge the new value holds)
      (3) blocks due at t, each after those whose new outputs it reads:
            measure             m       = y, u-, d+ (measured part), r+, other blocks' outputs that are due by t
            compute             s+, o   = step(s-, m, what took effect of its last o, cost of its last sample)
            an output o is due at t + delay
      (4) hold                  u+      = saturate(outputs due by t)            held until the next change
            a discrete plant takes u+ and d+ only at its own sample instants
      (5) log                   if a block was due, or t = 0: time, x-, y, u+, d+, r+, cost l(x-, u+), records
      (6) integrate             x-(t')  = flow of x-(t) under u+, d+ to the next instant t';
            a discrete plant makes its step when its own sample ends

    At t_end only (1) and (2) happen, and the log gets its last state.

Instants are the samples of blocks and discrete plants, the arrivals of delayed outputs, and the edges of disturbances;
integrating from edge to edge is exact, and no pulse is too short to be seen. Set points act on nothing but controllers,
who read them at their own samples. States go in and come out: an instant that fails leaves the state before it alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.block_runner import BlockRunner, BlockState, Step
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.plant_runner import PlantRunner, PlantState
from dmpcrl_ctrl.cosim.wiring import Wiring
from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.messages import unknown


@dataclass(frozen=True, eq=False)
class LoopState:
    """Everything that the future of a closed loop depends on, besides its participants.

    Parameters
    ----------
    tick
        Where it is.
    board
        All signals, before the instant (see `wiring.py`).
    plants, blocks
        State of each.
    """

    tick: int
    board: Array
    plants: tuple[PlantState, ...]
    blocks: tuple[BlockState, ...]


@dataclass(frozen=True, eq=False)
class Row:
    """What the log keeps of an instant; all plants' signals one after the other.

    Parameters
    ----------
    time
        Seconds.
    state, output
        (n,), (ny,): before the instant.
    input, disturbance, slope, setpoint
        (m,), (nd,), (nd,), (n + m,): from the instant on; the slope is the disturbance's change per second.
    cost
        (M,): by agent, of this state and input.
    steps
        Of the blocks that were due, by number.
    steady
        Whether nothing happens before the next row: no edge of a disturbance, no arrival, no discrete plant's sample.
    """

    time: float
    state: Array
    output: Array
    input: Array
    disturbance: Array
    slope: Array
    setpoint: Array
    cost: Array
    steps: Mapping[int, Step]
    steady: bool = True


class Scheduler:
    """The pseudocode above, for given participants and wiring; nothing in it changes.

    Parameters
    ----------
    who, wiring
        From :class:`Participants` and :func:`wire`.
    seed
        Of all noise and all blocks.
    """

    def __init__(self, who: Participants, wiring: Wiring, seed: int) -> None:
        self.clock, self.end = who.clock, who.end
        self._size = wiring.size
        self._plants = [
            PlantRunner(plant, ports, who.clock, seed) for plant, ports in zip(who.plants, wiring.plants, strict=True)
        ]
        self._blocks = [
            BlockRunner(block, ports, who.clock, seed) for block, ports in zip(who.blocks, wiring.blocks, strict=True)
        ]
        self._order = wiring.order

    def start(self, initial_input: Mapping[str, float] | None = None) -> LoopState:
        """State at time zero.

        Parameters
        ----------
        initial_input
            Control input -> value in effect before its first driver speaks; others zero.
        """
        board = np.zeros(self._size)
        given = dict(initial_input or {})
        plants = tuple(plant.start(board, given) for plant in self._plants)
        if given:
            names = [name for plant in self._plants for name in plant.input_names]
            raise WiringError(unknown(next(iter(given)), names, "initial_input: control input"))
        blocks = tuple(block.start(sum(plant.agents for plant in self._plants)) for block in self._blocks)
        return LoopState(0, board, plants, blocks)

    def instant(self, state: LoopState) -> tuple[LoopState, Row | None]:
        """Steps (1) to (5) at the instant of `state`; the row is None where nothing is logged.

        Raises
        ------
        SimulationError
            Names time, plant or block, and reason; `state` is as it was.
        """
        return self.react(self.publish(state))

    @np.errstate(over="ignore")  # a state that is no number any more is named
    def publish(self, state: LoopState) -> LoopState:
        """Steps (1) and (2): what anybody may look at before the blocks compute.

        Raises
        ------
        SimulationError
            Names time, plant and reason.
        """
        board = state.board.copy()
        plants = tuple(
            plant.publish(board, state.tick, held) for plant, held in zip(self._plants, state.plants, strict=True)
        )
        return LoopState(state.tick, board, plants, state.blocks)

    @np.errstate(over="ignore")
    def react(self, state: LoopState) -> tuple[LoopState, Row | None]:
        """Steps (3) to (5), after `publish`; raises what `instant` does."""
        tick, board = state.tick, state.board.copy()
        if tick == self.end:
            return state, self._row(state, state.plants, board, np.zeros(0), {})
        blocks, steps = list(state.blocks), {}
        for k in self._order:
            blocks[k] = self._blocks[k].arrivals(board, tick, blocks[k])
        for k in self._order:  # (3)
            if self._blocks[k].due(tick):
                blocks[k], steps[k] = self._blocks[k].step(board, tick, blocks[k], self._ahead)
        after = self.hold(replace(state, blocks=tuple(blocks)), board)  # (4)
        if not steps and tick != 0:
            return after, None
        cost = self.cost(after)  # (5)
        for k in steps:
            blocks[k] = replace(blocks[k], cost=cost)
        after = replace(after, blocks=tuple(blocks))
        steady = self.next_instant(after) == self.next_row(tick)
        return after, self._row(state, after.plants, board, cost, steps, steady)

    def hold(self, state: LoopState, board: Array) -> LoopState:
        """Step (4): what stands on `board` takes effect, which is written there as well."""
        plants = tuple(
            plant.hold(board, state.tick, held) for plant, held in zip(self._plants, state.plants, strict=True)
        )
        return LoopState(state.tick, board, plants, state.blocks)

    @np.errstate(over="ignore")
    def cost(self, state: LoopState) -> Array:
        """(M,): stage cost by agent of the states and of what is in effect, after `hold`."""
        cost = np.concatenate(
            [p.cost(state.board, state.tick, held) for p, held in zip(self._plants, state.plants, strict=True)]
        )
        cost.flags.writeable = False
        return cost

    def next_instant(self, state: LoopState) -> int:
        """Tick of the next instant after `state`, at most the end."""
        tick = state.tick
        nexts: list[int | None] = [self.end, *(plant.next_event(tick) for plant in self._plants)]
        nexts += [block.next_event(tick, s) for block, s in zip(self._blocks, state.blocks, strict=True)]
        return min(event for event in nexts if event is not None)

    def next_row(self, tick: int) -> int:
        """Tick of the next instant after `tick` that is logged."""
        return min([self.end, *(block.next_sample(tick) for block in self._blocks)])

    @np.errstate(over="ignore")
    def advance(self, state: LoopState, until: int) -> LoopState:
        """Step (6): the plants to tick `until`, the next instant.

        Raises
        ------
        SimulationError
            Names time, plant and reason.
        """
        plants = tuple(
            plant.advance(held, state.tick, until) for plant, held in zip(self._plants, state.plants, strict=True)
        )
        return LoopState(until, state.board, plants, state.blocks)

    def between(self, state: LoopState, since: Fraction) -> Array:
        """(n,): states of all plants `since` seconds after `state`, before the next instant."""
        parts = [plant.between(held, state.tick, since) for plant, held in zip(self._plants, state.plants, strict=True)]
        return np.concatenate(parts)

    def _ahead(self, plant: int, tick: int) -> Array:
        """(nd + n + m,): measured disturbances and set points of a plant at a later tick, as known now."""
        return self._plants[plant].known(tick)

    def _row(
        self,
        state: LoopState,
        plants: Sequence[PlantState],
        board: Array,
        cost: Array,
        steps: Mapping[int, Step],
        steady: bool = True,
    ) -> Row:
        def joined(slices: Any) -> Array:
            return np.concatenate([board[cells] for cells in slices])

        ports = [plant.ports for plant in self._plants]
        return Row(
            time=self.clock.seconds(state.tick),
            state=np.concatenate([plant.x for plant in state.plants]),
            output=joined(port.outputs for port in ports),
            input=joined(port.inputs for port in ports),
            disturbance=np.concatenate([plant.d for plant in plants]),
            slope=np.concatenate([plant.slope for plant in plants]),
            setpoint=joined(port.setpoints for port in ports),
            cost=cost,
            steps=steps,
            steady=steady,
        )
