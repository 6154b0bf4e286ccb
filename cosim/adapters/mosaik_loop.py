"""A plant and its controllers connected in a mosaik scenario by the names of their signals."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from dmpcrl_ctrl.errors import ClockError, WiringError
from dmpcrl_ctrl.plants.signals import unknown


def close_loop(world: Any, plant: Any, *controllers: Any, initial_input: Mapping[str, float] | None = None) -> None:
    """Connect a plant and its controllers by the names of their signals, as `simulate` does.

    Parameters
    ----------
    world
        `mosaik.World` or `AsyncWorld`.
    plant, controllers
        Entities of :class:`PlantSimulator` and :class:`ControllerSimulator`. A controller may read another one's
        outputs; in a circle mosaik refuses that, unless you connect them yourself, time-shifted.
    initial_input
        Control input -> value in effect before the first sample; others zero.

    Raises
    ------
    WiringError
        A signal that nobody offers, or two controllers do.
    ClockError
        A controller that samples between the plant's samples.
    """
    taken, offered = plant.extra_info["inputs"], plant.extra_info["outputs"]
    given = dict(initial_input or {})
    for reader in controllers:
        _require_multiple(reader, plant)
        driven = [name for name in reader.extra_info["outputs"] if name in taken]
        before = {name: float(given.pop(name, 0.0)) for name in driven}
        if driven:
            world.connect(reader, plant, *driven, time_shifted=True, initial_data=before)
        read = dict.fromkeys(driven)  # what took effect of them
        for name in reader.extra_info["inputs"]:
            others = [other for other in controllers if other is not reader and name in other.extra_info["outputs"]]
            if others and name not in taken:
                if len(others) > 1:
                    raise WiringError(
                        f"{reader.full_id}: {' and '.join(c.full_id for c in others)} both offer {name!r}"
                    )
                world.connect(others[0], reader, name)
            elif name in offered:
                read[name] = None
            else:
                raise WiringError(unknown(name, offered, f"{reader.full_id}: signal"))
        if reader.extra_info["sample_time"] == plant.extra_info["sample_time"]:
            read["cost"] = None
        if read:
            world.connect(plant, reader, *read)
    if given:
        raise WiringError(unknown(next(iter(given)), taken, "initial_input: control input that a controller drives"))


def _require_multiple(reader: Any, plant: Any) -> None:
    own, base = Fraction(reader.extra_info["sample_time"]), Fraction(plant.extra_info["sample_time"])
    if own % base:
        raise ClockError(
            f"{reader.full_id}: its sample time {own} s is no multiple of that of {plant.full_id}, {base} s; "
            "start the plant with a common divisor as sample_time"
        )
