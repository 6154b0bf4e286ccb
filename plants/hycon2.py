"""The Hycon2 power network benchmark (Riverso and Ferrari-Trecate, arXiv:1207.2000): its numbers, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.disturbance import Steps
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.power import PowerArea, Tie, power_network_of

# Area: H [s], R, D, Tt [s], Tg [s], bound on |dPref| [p.u.] (that of area 5 is less sure).
_AREAS = {
    1: (12.0, 0.05, 0.7, 0.65, 0.1, 0.5),
    2: (10.0, 0.0625, 0.9, 0.4, 0.1, 0.65),
    3: (8.0, 0.08, 0.9, 0.3, 0.1, 0.65),
    4: (8.0, 0.08, 0.7, 0.6, 0.1, 0.55),
    5: (10.0, 0.05, 0.86, 0.8, 0.15, 0.5),
}
_TIES = {(1, 2): 4.0, (2, 3): 2.0, (3, 4): 2.0, (2, 5): 3.0, (4, 5): 3.0}
# Area: times [s], load levels from then on [p.u.].
_LOADS_1 = {1: ((5,), (0.15,)), 2: ((15,), (-0.15,)), 3: ((20, 40), (0.12, -0.12)), 4: ((40,), (0.28,))}
_LOADS_2 = {
    1: ((5, 20), (0.10, -0.22)),
    2: ((15, 20), (-0.16, 0.12)),
    3: ((20, 30), (-0.10, 0.10)),
    4: ((40,), (0.08,)),
    5: ((40,), (-0.10,)),
}
_SCENARIOS = {1: ((1, 2, 3, 4), _LOADS_1), 2: ((1, 2, 3, 4, 5), _LOADS_2), 3: ((1, 2, 3, 5), _LOADS_2)}
# Tighter bounds on |dPref| in the paper on learning (its power example has areas 1 to 4).
_LEARNING_LIMITS = {1: 0.2, 2: 0.1, 3: 0.3, 4: 0.1}


def power_network(
    scenario: Literal[1, 2, 3] = 1,
    *,
    input_limits: Literal["hycon2", "learning"] | Mapping[str, tuple[float, float]] = "hycon2",
    load_noise: float = 0.0,
    **options: Any,
) -> Plant:
    """The Hycon2 benchmark network.

    Parameters
    ----------
    scenario
        1: areas 1-2-3-4 in a line. 2: area 5 tied to 2 and 4. 3: as 2 with area 4 unplugged (its published loads are
        not at hand; it takes those of scenario 2).
    input_limits
        "hycon2"; "learning": the tighter 0.2, 0.1, 0.3, 0.1 of the learning paper for areas 1 to 4, with which the
        terminal equality of the benchmark's controller becomes infeasible; or limits by input name.
    load_noise
        Amplitude [p.u.] of uniform noise on every load, drawn anew each second, unknown to controllers.
    **options
        As :func:`power_network_of`.

    Raises
    ------
    PlantError
        No such scenario; "learning" limits with area 5.

    Examples
    --------
    >>> power_network(scenario=3).agents[3].neighbours
    ('area_2',)
    """
    if scenario not in _SCENARIOS or isinstance(scenario, bool):
        raise PlantError(f"power_network has scenarios 1, 2 and 3, got {scenario!r}")
    numbers, loads = _SCENARIOS[scenario]
    areas = [PowerArea(k, *_AREAS[k], load=Steps(*loads[k])) for k in numbers]
    ties = [Tie(*ends, stiffness) for ends, stiffness in _TIES.items() if set(ends) <= set(numbers)]
    limits = _named_limits(input_limits, numbers) if isinstance(input_limits, str) else input_limits
    return power_network_of(areas, ties, load_noise=load_noise, input_limits=limits, **options)


def _named_limits(name: str, numbers: Sequence[int]) -> dict[str, tuple[float, float]]:
    if name == "hycon2":
        return {}
    if name != "learning":
        raise PlantError(f"input_limits must be 'hycon2', 'learning' or a mapping by input name, got {name!r}")
    missing = [k for k in numbers if k not in _LEARNING_LIMITS]
    if missing:
        raise PlantError(
            f"the learning paper has no input limit for area {missing[0]}; give input_limits by input name"
        )
    return {f"dPref_{k}": (-_LEARNING_LIMITS[k], _LEARNING_LIMITS[k]) for k in numbers}
