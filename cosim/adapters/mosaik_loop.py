"""A plant and its controllers connected in a mosaik scenario by the names of their signals."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from dmpcrl_ctrl.errors import ClockError, WiringError
from dmpcrl_ctrl.messages import unknown


def close_loop(world: Any, plant: Any, *controllers: Any, initial_input: Mapping[str, float] | None = None) -> None:
    """Connect a plant and its controllers by the names of their signals, as `simulate` does.

    Parameters
    ----------
    world
        `mosaik.World` or `AsyncWorld`.
    plant, controllers
        Entities of `PlantSimulator` and `ControllerSimulator`. A controller may read another one's outputs; in a circle
        mosaik refuses that, unless you connect them yourself, time-shifted. The plant's cost goes to those who sample
        as often as the plant.
    initial_input
        Control input -> value in effect before the first sample; others zero.

    Raises
    ------
    WiringError
        A signal that nobody offers, or that two controllers do.
    ClockError
        A controller that samples between the plant's samples.
    """
    taken, given = plant.extra_info["inputs"], dict(initial_input or {})
    drivers: dict[str, Any] = {}
    for each in controllers:
        _require_multiple(each, plant)
        for name in _driven(each, taken):
            if name in drivers:
                raise WiringError(f"{plant.full_id}: {drivers[name].full_id} and {each.full_id} both drive {name!r}")
            drivers[name] = each
    for name in given:
        if name not in drivers:
            raise WiringError(unknown(name, drivers, "initial_input: control input that a controller drives"))
    sources = [_sources(reader, plant, controllers) for reader in controllers]
    for reader, read in zip(controllers, sources, strict=True):
        driven = _driven(reader, taken)
        if driven:
            before = {name: float(given.get(name, 0.0)) for name in driven}
            world.connect(reader, plant, *driven, time_shifted=True, initial_data=before)
        for name, other in read.items():
            if other is not plant:
                world.connect(other, reader, name)
        told = dict.fromkeys([*(name for name, other in read.items() if other is plant), *driven])
        if reader.extra_info["sample_time"] == plant.extra_info["sample_time"]:
            told["cost"] = None
        if told:
            world.connect(plant, reader, *told)


def _driven(controller: Any, taken: Sequence[str]) -> list[str]:
    """Control inputs that it drives, and of which it is told what took effect."""
    return [name for name in controller.extra_info["outputs"] if name in taken]


def _sources(reader: Any, plant: Any, controllers: Sequence[Any]) -> dict[str, Any]:
    """Who tells a controller each of its inputs: the plant its own inputs, another controller, the plant the rest."""
    found = {}
    for name in reader.extra_info["inputs"]:
        others = [other for other in controllers if other is not reader and name in other.extra_info["outputs"]]
        if name in plant.extra_info["inputs"] or (name in plant.extra_info["outputs"] and not others):
            found[name] = plant
        elif len(others) > 1:
            raise WiringError(f"{reader.full_id}: {' and '.join(o.full_id for o in others)} both offer {name!r}")
        elif others:
            found[name] = others[0]
        else:
            raise WiringError(unknown(name, plant.extra_info["outputs"], f"{reader.full_id}: signal"))
    return found


def _require_multiple(reader: Any, plant: Any) -> None:
    own, base = Fraction(reader.extra_info["sample_time"]), Fraction(plant.extra_info["sample_time"])
    if own % base:
        raise ClockError(
            f"{reader.full_id}: its sample time {own} s is no multiple of that of {plant.full_id}, {base} s; "
            "start the plant with a common divisor as sample_time"
        )
