"""Any plant as a `gymnasium.Env`: all control inputs are the action, what a controller would measure the observation.

Gymnasium is the extra `gym`. Importing this module registers the plants at hand, so that
`gymnasium.make("dmpcrl_ctrl.cosim.adapters.gym:dmpcrl_ctrl/PowerNetwork-v0")` needs no other import. There is no entry
point of Gymnasium's own: whoever imports Gymnasium would load this package.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dmpcrl_ctrl import plants
from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.controllers.block import Block
from dmpcrl_ctrl.cosim.adapters.episode import SEEDS, Episodes, checked_seed
from dmpcrl_ctrl.cosim.adapters.policy import ControllerPolicy
from dmpcrl_ctrl.cosim.clock import Seconds
from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.plant import Plant

try:
    import gymnasium
except ImportError as missing:
    raise WiringError("Gymnasium is not installed: pip install 'dmpcrl-ctrl[gym]'") from missing

# Plant -> its environment's name, and seconds between two samples.
_REGISTERED = {
    "chain": ("dmpcrl_ctrl/Chain-v0", 1.0),
    "power_network": ("dmpcrl_ctrl/PowerNetwork-v0", 1.0),
    "quadruple_tank": ("dmpcrl_ctrl/QuadrupleTank-v0", 5.0),
}


class PlantEnv(gymnasium.Env):
    """A plant whose control inputs are the action, and whose reward is minus the stage cost of all agents.

    Time, noise, saturation and cost are those of `simulate`: with the same seed and inputs the trajectory is the same
    to the last bit. The state at a step's beginning and the input held over it make its cost.

    Parameters
    ----------
    plant
        Any.
    sample_time
        Seconds that an action is held; None: the sample time of a discrete plant.
    signals
        What is observed, by the names that a controller may ask for (`signals=controller.inputs`). None: all outputs,
        measured disturbances and set points.
    steps, t_end
        Length of an episode, which is *truncated* there, in steps or in seconds; neither: without end.
    failure_cost
        None: where the plant cannot go on (an unstable one in finite time, say) the step raises SimulationError. A
        number: the episode is *terminated* there, with the last observation and minus this number as reward, which
        should be worse than all that going on could cost; `info["reason"]` has the error.

    Attributes
    ----------
    action_space
        Box of the input limits, infinite where there are none. An action outside is saturated, as the plant does.
    observation_space
        Box without bounds: noise and soft limits have none.
    signals, inputs
        Names of the entries of observation and action.
    plant, sample_time
        As given; Fraction of a second.

    Raises
    ------
    ClockError, WiringError, SimulationError
        Times that do not fit, a signal that is not there, a number outside its range.

    Notes
    -----
    `info` has "time" (seconds), "applied" (m,) after saturation, "cost" (M,) by agent of the step, "violation" (n,) of
    the state limits; after `reset` also the names "signals", "inputs", "states", "agents".

    Examples
    --------
    >>> from dmpcrl_ctrl.controllers import LQR
    >>> from dmpcrl_ctrl.plants import power_network
    >>> env = PlantEnv(power_network(1), 1.0, steps=100)
    >>> policy = env.policy(LQR.for_plant(env.plant))
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(policy(observation))
    >>> info["time"], env.inputs
    (1.0, ('dPref_1', 'dPref_2', 'dPref_3', 'dPref_4'))
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (as Gymnasium has it)

    def __init__(
        self,
        plant: Plant,
        sample_time: Seconds | None = None,
        *,
        signals: Sequence[str] | None = None,
        steps: int | None = None,
        t_end: Seconds | None = None,
        failure_cost: float | None = None,
    ) -> None:
        self._episodes = Episodes(
            plant, sample_time, signals=signals, steps=steps, t_end=t_end, failure_cost=failure_cost
        )
        self.plant, self.sample_time = plant, self._episodes.sample_time
        self.signals, self.inputs = self._episodes.signals, plant.input_names
        self.action_space = input_space(plant)
        self.observation_space = free_space(len(self.signals))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin an episode.

        Parameters
        ----------
        seed
            The plant's noise is that of `simulate(seed=seed)`; None: the next one that follows from the seed before.
        options
            "initial_state": (n,), or state -> value.

        Raises
        ------
        SimulationError, PlantError
            A seed or a state that is none.
        """
        super().reset(seed=None if seed is None else checked_seed(seed))
        begun = self._episodes.begin(int(self.np_random.integers(SEEDS)) if seed is None else seed, options)
        names = {
            "signals": self.signals,
            "inputs": self.inputs,
            "states": self.plant.state_names,
            "agents": tuple(agent.name for agent in self.plant.agents),
        }
        return begun.sample.measurement.copy(), {**begun.info(self.plant), **names}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Hold an action, (m,), over one sample.

        Raises
        ------
        SimulationError
            Names an input that is not finite (nothing has changed), or why the plant cannot go on; no episode is
            running.
        """
        found = self._episodes.follow(action)
        return (
            found.sample.measurement.copy(),
            -float(found.cost.sum()),
            found.terminated,
            found.truncated,
            found.info(self.plant),
        )

    def policy(self, controller: Block, *, seed: int = 0) -> ControllerPolicy:
        """A controller as policy: `action = policy(observation)`, or `policy(observation, info)`.

        `info` is needed by one that learns, and where the plant takes inputs less often than the environment samples:
        what was applied is then not the last action.

        With `reset(seed=seed)` the closed loop is `simulate(plant, controller, seed=seed)`, to the last bit.

        Raises
        ------
        ClockError, WiringError
            Another sample time; a signal that is not observed; outputs that are not the plant's inputs.
        """
        options = self._episodes.policy_options(controller)
        agents = len(self.plant.agents)
        return ControllerPolicy(controller, self.signals, self.inputs, agents=agents, seed=seed, **options)


def input_space(plant: Plant, which: Index | None = None) -> Any:
    """Box of the limits of a plant's control inputs, or of those at positions `which`."""
    low, high = (plant.input_limits if which is None else plant.input_limits[which]).T
    return gymnasium.spaces.Box(low, high, dtype=np.float64)


def free_space(size: int) -> Any:
    """Box (size,) without bounds."""
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,), dtype=np.float64)


def named_env(
    plant: str,
    sample_time: Seconds | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    **episodes: Any,
) -> PlantEnv:
    """The environment of a plant of this package.

    Parameters
    ----------
    plant
        "chain", "power_network" or "quadruple_tank".
    sample_time
        Seconds; None: 1, of the tanks 5.
    options
        Of the plant: {"scenario": 2}.
    **episodes
        Of :class:`PlantEnv`: signals, steps, t_end, failure_cost.
    """
    if plant not in _REGISTERED:
        raise WiringError(unknown(plant, _REGISTERED, "plant"))
    made = getattr(plants, plant)(**dict(options or {}))
    return PlantEnv(made, _REGISTERED[plant][1] if sample_time is None else sample_time, **episodes)


for _plant, (_name, _) in _REGISTERED.items():
    if _name not in gymnasium.registry:  # imported a second time
        gymnasium.register(_name, entry_point=f"{__name__}:named_env", kwargs={"plant": _plant})
