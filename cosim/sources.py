"""Who feeds whom, for the log: the path of an array and a column of it for everything that is read."""

from dmpcrl_ctrl.cosim.layout import Variable
from dmpcrl_ctrl.cosim.participants import Participants
from dmpcrl_ctrl.cosim.wiring import Wiring


def source_variables(who: Participants, wiring: Wiring) -> list[Variable]:
    """What drives each control input, and what each block reads; empty where nothing does."""
    cells = _cells(who, wiring)
    drivers = [cells[cell] for ports in wiring.plants for cell in ports.drivers.tolist()]
    meaning = "array and column that drives it"
    variables = [Variable("plant/input_source", ("plant/input_name",), "str", value=tuple(drivers), long_name=meaning)]
    for block, own in zip(who.blocks, wiring.blocks, strict=True):
        group, read = f"controller/{block.name}", tuple(cells[cell] for cell in own.inputs.tolist())
        path, along = f"{group}/input_source", (f"{group}/input_name",)
        variables.append(Variable(path, along, "str", value=read, long_name="array and column that it reads"))
    return variables


def _cells(who: Participants, wiring: Wiring) -> list[str]:
    """Array and column for each cell of the board."""
    cells = [""] * wiring.size
    for plant, ports in zip(who.plants, wiring.plants, strict=True):
        prefix = f"{plant.name}." if len(who.plants) > 1 else ""
        for kind, names, where in (
            ("output", plant.output_names, ports.outputs),
            ("input", plant.input_names, ports.inputs),
            ("disturbance", plant.disturbance_names, ports.disturbances),
            ("setpoint", plant.setpoint_names, ports.setpoints),
        ):
            cells[where] = [f"plant/{kind}/{prefix}{name}" for name in names]
    for block, own in zip(who.blocks, wiring.blocks, strict=True):
        cells[own.outputs] = [f"controller/{block.name}/output/{name}" for name in block.outputs]
    return cells
