"""Which signal feeds which: names become positions on one board, so that the inner loop only copies numbers.

The board is a vector with one cell for every signal that anyone may read. Like python-control's `interconnect`, wiring
goes by name: equal names are connected, "plant.signal" says which one is meant where several are called the same.

A *block* that asks for a name gets, in this order, what exists:
1. a control input of a plant of that name that a block drives: the value in effect just before the instant, after
   saturation;
2. an output of another block (so an observer's estimate goes before a measurement of the same name);
3. an output of a plant, by its own name or by that of the state that it is;
4. a disturbance (its measured part; zero where nothing is measured) or a set point ("<signal>_ref") of a plant, of an
   input only where a block drives it;
5. a control input that no block drives. (Where a plant's output of that name drives it, that output is read, by 3.)
A *control input* of a plant is driven by the block output of that name, or by another plant's output.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import gcd

import numpy as np

from dmpcrl_ctrl.arrays import Index
from dmpcrl_ctrl.cosim.participants import Participants, TimedBlock
from dmpcrl_ctrl.cosim.signal_table import GROUND, Signal, SignalTable
from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.plant import Plant

Connections = Mapping[str, str | None]


@dataclass(frozen=True, eq=False)
class PlantPorts:
    """Where a plant's signals are on the board.

    Parameters
    ----------
    outputs, inputs, disturbances, setpoints
        Cells of its ny outputs, m control inputs (as in effect), nd measured disturbances, n + m set points.
    drivers
        (m,): cell that drives each control input; cell 0 is always zero.
    """

    outputs: slice
    inputs: slice
    disturbances: slice
    setpoints: slice
    drivers: Index


@dataclass(frozen=True, eq=False)
class Known:
    """Columns of a block's measurement that are known ahead, because one plant's sources know them.

    Parameters
    ----------
    plant
        Number of the plant.
    columns
        Of the measurement.
    sources
        Positions in the plant's (measured disturbances, set points), one a column.
    """

    plant: int
    columns: Index
    sources: Index


@dataclass(frozen=True, eq=False)
class BlockPorts:
    """Where a block's signals are on the board.

    Parameters
    ----------
    inputs
        Cell of each input.
    outputs
        Cells of its outputs.
    applied
        Cell that tells what took effect of each output: the plant input that it drives, else the output itself.
    known
        What a preview can read ahead.
    """

    inputs: Index
    outputs: slice
    applied: Index
    known: tuple[Known, ...]


@dataclass(frozen=True, eq=False)
class Wiring:
    """The board's size, everybody's cells, and the order in which blocks that are due at one instant compute."""

    size: int
    plants: tuple[PlantPorts, ...]
    blocks: tuple[BlockPorts, ...]
    order: tuple[int, ...]


def wire(who: Participants, connections: Connections | None = None) -> Wiring:
    """Connect plants and blocks.

    Parameters
    ----------
    who
        Plants and blocks.
    connections
        Where names do not say enough: "owner.signal" of a reader -> "owner.signal" that it reads, or None for a
        constant zero; or the name of a block -> the name of the only plant that it has to do with.

    Raises
    ------
    WiringError
        A name that nobody offers or several do, a control input that nobody or two drive, states that are not measured,
        a loop of continuous plants, blocks that wait for each other at one instant.
    """
    table = SignalTable(who)
    links = _checked(connections or {}, who, table)
    drivers = [[_driver(who, i, name, table, links) for name in p.input_names] for i, p in enumerate(who.plants)]
    for plant, driver in zip(who.plants, drivers, strict=True):
        table.take_drivers(plant.name, driver)
    _require_no_loop(who.plants, drivers)
    _require_sampled(who.plants, drivers)
    sources = [_sources(block, who.plants, table, links) for block in who.blocks]
    plants = tuple(_plant_ports(p.name, driver, table) for p, driver in zip(who.plants, drivers, strict=True))
    blocks = tuple(
        _block_ports(block, source, table, drivers, plants) for block, source in zip(who.blocks, sources, strict=True)
    )
    return Wiring(table.size, plants, blocks, _order(who.blocks, sources))


def _checked(connections: Connections, who: Participants, table: SignalTable) -> Connections:
    """`connections`, every key and value of which exists."""
    plants, blocks = [plant.name for plant in who.plants], [block.name for block in who.blocks]
    readers = [f"{p.name}.{name}" for p in who.plants for name in p.input_names]
    readers += [f"{b.name}.{name}" for b in who.blocks for name in b.inputs]
    for reader, source in connections.items():
        if reader in blocks:
            if source not in plants:
                raise WiringError(unknown(source, plants, f"connections: {reader}: plant"))
        elif reader not in readers:
            raise WiringError(unknown(reader, [*readers, *blocks], "connections: reader"))
        elif source is not None:
            table.named(source, f"connections: {reader}")
    return connections


def _driver(who: Participants, plant: int, name: str, table: SignalTable, links: Connections) -> Signal:
    """What drives a control input."""
    own = who.plants[plant].name
    reader = f"{own}.{name}"
    if reader in links:
        source = links[reader]
        return GROUND if source is None else table.named(source, reader)
    offers = [
        signal
        for signal in (*table.called(name), *table.called(reader))
        if signal.drives
        and signal.owner != own
        and signal.name in (name, reader)
        and links.get(signal.owner, own) == own
    ]
    if not offers:
        known = [signal.name for signal in table.signals if signal.kind == "block"]
        near = unknown(name, known, "block output")
        raise WiringError(f"nothing drives {reader}: {near} (connections={{{reader!r}: None}} holds the input at zero)")
    if len({signal.cell for signal in offers}) > 1:
        names = " and ".join(signal.qualified for signal in offers)
        raise WiringError(f"{reader}: {names} drive the same input; choose one in connections")
    return offers[0]


def _sources(block: TimedBlock, plants: Sequence[Plant], table: SignalTable, links: Connections) -> list[Signal]:
    """What a block reads, input by input."""
    scope = links.get(block.name)
    found, unmeasured = [], []
    for name in block.inputs:
        reader = f"{block.name}.{name}"
        if reader in links:
            source = links[reader]
            found.append(GROUND if source is None else table.named(source, reader))
            continue
        signal = table.offered(name, block.name, links)
        if signal is not None:
            found.append(signal)
        elif any(name in plant.state_names for plant in plants if scope in (None, plant.name)):
            unmeasured.append(name)
        else:
            raise WiringError(unknown(name, table.names_for(block.name), f"{block.name}: signal"))
    if unmeasured:
        names = ", ".join(repr(name) for name in unmeasured)
        raise WiringError(
            f"{block.name}: no output is the state {names}; "
            "measure it, or add an Observer block that puts out an estimate under that name"
        )
    return found


def _plant_ports(plant: str, driver: list[Signal], table: SignalTable) -> PlantPorts:
    outputs, inputs, disturbances, setpoints = table.cells[plant]
    return PlantPorts(outputs, inputs, disturbances, setpoints, _positions(driver))


def _block_ports(
    block: TimedBlock,
    sources: list[Signal],
    table: SignalTable,
    drivers: list[list[Signal]],
    plants: tuple[PlantPorts, ...],
) -> BlockPorts:
    (outputs,) = table.cells[block.name]
    applied = np.arange(outputs.start, outputs.stop)
    for driver, ports in reversed(list(zip(drivers, plants, strict=True))):
        for k, signal in enumerate(driver):
            if outputs.start <= signal.cell < outputs.stop:
                applied[signal.cell - outputs.start] = ports.inputs.start + k
    return BlockPorts(_positions(sources), outputs, applied, _known(sources, plants))


def _known(sources: list[Signal], plants: tuple[PlantPorts, ...]) -> tuple[Known, ...]:
    """The columns of a measurement that come from disturbances and set points, plant by plant."""
    cells, found = _positions(sources), []
    for number, ports in enumerate(plants):
        # A plant's disturbances and set points lie side by side on the board.
        first, last = ports.disturbances.start, ports.setpoints.stop
        columns = np.flatnonzero((cells >= first) & (cells < last))
        if columns.size:
            found.append(Known(number, columns, cells[columns] - first))
    return tuple(found)


def _order(blocks: Sequence[TimedBlock], sources: list[list[Signal]]) -> tuple[int, ...]:
    """Blocks so that everyone computes after those whose new outputs it reads at the same instant."""
    number = {block.name: k for k, block in enumerate(blocks)}
    before: dict[int, set[int]] = {
        k: {
            number[signal.owner]
            for signal in source
            if signal.kind == "block" and _at_once(blocks[number[signal.owner]], blocks[k])
        }
        for k, source in enumerate(sources)
    }
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError as error:
        cycle = " -> ".join(blocks[k].name for k in error.args[1])
        raise WiringError(
            f"blocks wait for each other at the same instant: {cycle}; give one of them a delay or another offset"
        ) from error


def _at_once(first: TimedBlock, second: TimedBlock) -> bool:
    """Whether `second` may read, at an instant at which both are due, what `first` computes at that instant."""
    shift = first.schedule.offset - second.schedule.offset
    return first.delay == 0 and shift % gcd(first.schedule.period, second.schedule.period) == 0


def _require_no_loop(plants: Sequence[Plant], drivers: list[list[Signal]]) -> None:
    """Only continuous systems that feed each other through their D at one instant are an algebraic loop."""
    driven_by: dict[str, set[str]] = {}
    for plant, driver in zip(plants, drivers, strict=True):
        for k, signal in enumerate(driver):
            if plant.sample_time is None and signal.kind == "output":
                driven_by.setdefault(f"{plant.name}.{plant.input_names[k]}", set()).add(signal.label)
        if plant.sample_time is None:
            for i, k in np.argwhere(plant.feedthrough):
                output = f"{plant.name}.{plant.output_names[i]}"
                driven_by.setdefault(output, set()).add(f"{plant.name}.{plant.input_names[k]}")
    try:
        TopologicalSorter(driven_by).prepare()
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise WiringError(f"algebraic loop of continuous plants: {cycle}; put a state or a sample between") from error


def _require_sampled(plants: Sequence[Plant], drivers: list[list[Signal]]) -> None:
    """A continuous output that drives a continuous input changes all the time: holding it would not be exact."""
    kinds = {plant.name: plant.sample_time for plant in plants}
    for plant, driver in zip(plants, drivers, strict=True):
        for k, signal in enumerate(driver):
            if plant.sample_time is None and signal.kind == "output" and kinds[signal.owner] is None:
                raise WiringError(
                    f"{signal.label} drives {plant.name}.{plant.input_names[k]}, and both are continuous: join the "
                    "systems with control.interconnect into one plant (only sampled signals connect plants exactly)"
                )


def _positions(signals: Sequence[Signal]) -> Index:
    return np.array([signal.cell for signal in signals], dtype=np.intp)
