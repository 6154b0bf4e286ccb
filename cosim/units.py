"""Units of the signals of a closed loop; "1" where nobody has said one."""

from collections.abc import Sequence

from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.wiring import Wiring
from dmpcrl_ctrl.plants.plant import Plant

# Of a block: of its inputs, of its outputs.
BlockUnits = tuple[tuple[str, ...], tuple[str, ...]]


def unit_of(plant: Plant, name: str) -> str:
    """Unit of a plant's signal; that of an output that is a state, and of a set point, is the state's or input's."""
    if name not in plant.units and name in plant.output_names:
        state = plant.state_of_output[plant.output_names.index(name)]
        name = name if state is None else plant.state_names[state]
    return plant.units.get(name, plant.units.get(name.removesuffix("_ref"), "1"))


def common(units: Sequence[str]) -> str:
    """The unit that all of them are; empty where they differ, or there is none."""
    return units[0] if len(set(units)) == 1 else ""


def ratio(to: Sequence[str], of: Sequence[str]) -> str:
    """Unit of a matrix from signals with the units `of` to signals with the units `to`; empty where it differs."""
    above, below = common(to), common(of)
    if not above or not below or below == "1":
        return above if below else ""
    return "1" if above == below else f"({above})/({below})"


def per_second(unit: str) -> str:
    """Unit of a signal's rate."""
    return f"{unit}/s" if "/" not in unit else f"({unit})/s"


def block_units(who: Participants, wiring: Wiring | None) -> list[BlockUnits]:
    """Units of what every block reads and sends out, by what it is connected to; all "1" without a wiring.

    An output has the unit of the control input that it drives, else of the plants' signal of that name (an estimate).
    """
    if wiring is None:
        return [(("1",) * len(block.inputs), ("1",) * len(block.outputs)) for block in who.blocks]
    board = ["1"] * wiring.size
    for plant, ports in zip(who.plants, wiring.plants, strict=True):
        groups = (plant.output_names, plant.input_names, plant.disturbance_names, plant.setpoint_names)
        for names, cells in zip(
            groups, (ports.outputs, ports.inputs, ports.disturbances, ports.setpoints), strict=True
        ):
            board[cells] = [unit_of(plant, name) for name in names]
    for block, own in zip(who.blocks, wiring.blocks, strict=True):
        board[own.outputs] = [
            board[applied] if applied != cell else _estimated(name, who.plants)
            for name, cell, applied in zip(
                block.outputs, range(own.outputs.start, own.outputs.stop), own.applied.tolist(), strict=True
            )
        ]
    return [(tuple(board[cell] for cell in own.inputs.tolist()), tuple(board[own.outputs])) for own in wiring.blocks]


def _estimated(name: str, plants: Sequence[Plant]) -> str:
    """Unit of an output that drives nothing: of the signal that it is called like, where all plants agree on it."""
    units = [
        unit_of(plant, own)
        for plant in plants
        for own in (*plant.state_names, *plant.output_names)
        if name in (own, f"{plant.name}.{own}")
    ]
    return common(units) or "1"
