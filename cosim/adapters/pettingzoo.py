"""Any plant as a `pettingzoo.ParallelEnv`: each agent acts by its own inputs, and pays its own share of the cost.

PettingZoo comes with the extra `gym`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import control as ct
import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Block
from dmpcrl_ctrl.cosim.adapters.driven import measurable
from dmpcrl_ctrl.cosim.adapters.episode import SEEDS, Episodes, Outcome, checked_seed
from dmpcrl_ctrl.cosim.adapters.gym import free_space, input_space
from dmpcrl_ctrl.cosim.adapters.policy import ControllerPolicy, JointPolicy
from dmpcrl_ctrl.cosim.clock import Seconds
from dmpcrl_ctrl.errors import SimulationError, WiringError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant

try:
    from pettingzoo import ParallelEnv
except ImportError as missing:
    raise WiringError("PettingZoo is not installed: pip install 'dmpcrl-ctrl[gym]'") from missing

Observed = Literal["own", "neighbours", "all"] | Mapping[str, Sequence[str]]


class PlantParallelEnv(ParallelEnv):
    """A plant with one player an agent; otherwise as :class:`dmpcrl_ctrl.cosim.adapters.gym.PlantEnv`.

    Parameters
    ----------
    plant, sample_time, steps, t_end, failure_cost
        As for `PlantEnv`; the agents share `failure_cost` evenly, and their episodes end together.
    observe
        "own": outputs that are made of the agent's own states, what is measured of its disturbances, its set points.
        "neighbours": also those of the agents whose states act on it. "all": every signal, each agent the same. Or
        agent -> names of signals, as a controller may ask for (`{"area_1": controller.inputs, ...}`).

    Attributes
    ----------
    possible_agents
        Names of the plant's agents, those without inputs included: their action is empty and may be left out.
    signals, inputs
        Agent -> names of the entries of observation and action.
    plant, sample_time
        As given; Fraction of a second.

    Raises
    ------
    ClockError, WiringError, SimulationError
        As `PlantEnv`; an agent that is not there.

    Notes
    -----
    The reward is minus the agent's share of the stage cost; the shares add up to `PlantEnv`'s. Each agent's `info` has
    "time" (seconds), "applied" (own inputs), "cost" (own share), "violation" (of its own states); after `reset` also
    "signals", "inputs" and "states".

    Examples
    --------
    >>> from dmpcrl_ctrl.plants import chain
    >>> env = PlantParallelEnv(chain(), steps=50)
    >>> observations, infos = env.reset(seed=0)
    >>> env.agents, env.signals["agent_1"]
    (['agent_1', 'agent_2', 'agent_3'], ('x1_1', 'x2_1', 'x1_1_ref', 'x2_1_ref', 'u_1_ref'))
    >>> observations, rewards, terminated, truncated, infos = env.step({agent: [0.1] for agent in env.agents})
    """

    metadata: dict[str, Any] = {"name": "dmpcrl_ctrl_plant", "render_modes": []}  # noqa: RUF012  (as PettingZoo has it)
    render_mode = None

    def __init__(
        self,
        plant: Plant,
        sample_time: Seconds | None = None,
        *,
        observe: Observed = "own",
        steps: int | None = None,
        t_end: Seconds | None = None,
        failure_cost: float | None = None,
    ) -> None:
        self.signals = _observed(plant, observe)
        joint = tuple(dict.fromkeys(name for names in self.signals.values() for name in names))
        self._episodes = Episodes(
            plant, sample_time, signals=joint, steps=steps, t_end=t_end, failure_cost=failure_cost
        )
        self.plant, self.sample_time = plant, self._episodes.sample_time
        self.possible_agents = [agent.name for agent in plant.agents]
        self.agents: list[str] = []
        self.inputs = {agent.name: agent.inputs for agent in plant.agents}
        self._seen = {name: np.array([joint.index(s) for s in own], dtype=int) for name, own in self.signals.items()}
        self._held = dict(zip(self.possible_agents, plant.input_index, strict=True))
        self._states = dict(zip(self.possible_agents, plant.state_index, strict=True))
        self._action_spaces = {name: input_space(plant, own) for name, own in self._held.items()}
        self._observation_spaces = {name: free_space(len(own)) for name, own in self.signals.items()}
        self._random = np.random.default_rng()

    def observation_space(self, agent: str) -> Any:
        """Box without bounds."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """Box of the limits of the agent's inputs, infinite where there are none."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, dict[str, Any]]]:
        """Begin an episode, as :meth:`PlantEnv.reset`; options "initial_state" is that of the whole plant."""
        if seed is None:
            chosen = int(self._random.integers(SEEDS))
        else:
            chosen = checked_seed(seed)
            self._random = np.random.default_rng(chosen)
        begun = self._episodes.begin(chosen, options)
        self.agents = list(self.possible_agents)
        infos = self._infos(begun)
        for agent in self.plant.agents:
            names = {"signals": self.signals[agent.name], "inputs": agent.inputs, "states": agent.states}
            infos[agent.name].update(names)
        return self._observations(begun), infos

    def step(
        self, actions: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Hold the agents' actions over one sample.

        Raises
        ------
        SimulationError
            Names an agent that is missing or unknown, or whose action has another shape, or an input that is not finite
            (nothing has changed then); or why the plant cannot go on; no episode is running.
        """
        found = self._episodes.follow(self._joined(actions))
        present = self.agents
        if found.terminated or found.truncated:
            self.agents = []
        rewards = {name: -float(cost) for name, cost in zip(present, found.cost, strict=True)}
        terminated, truncated = dict.fromkeys(present, found.terminated), dict.fromkeys(present, found.truncated)
        return self._observations(found), rewards, terminated, truncated, self._infos(found)

    def state(self) -> Array:
        """(n,): of the plant; of an episode that is over its last."""
        last = self._episodes.last
        return self._episodes.sample.state.copy() if last is None else last.state.copy()

    def policy(self, controller: Block, agent: str | None = None, *, seed: int = 0) -> Any:
        """A controller as policy.

        Parameters
        ----------
        controller
            Whose outputs are all inputs, or those of one agent.
        agent
            None: a :class:`JointPolicy`, `actions = policy(observations)`, for all agents together. A name: a
            :class:`ControllerPolicy`, `action = policy(observation)`, for this one by what it observes itself.
        seed
            That of the run that is to be repeated.

        Raises
        ------
        ClockError, WiringError
            Another sample time; an agent that is not there; a signal that is not observed; outputs that are not the
            inputs.
        """
        options = {**self._episodes.policy_options(controller), "seed": seed}
        if agent is None:
            return JointPolicy(controller, self.signals, self.inputs, **options)
        if agent not in self.inputs:
            raise WiringError(unknown(agent, self.possible_agents, f"{self.plant.name}: agent"))
        return ControllerPolicy(controller, self.signals[agent], self.inputs[agent], agents=1, **options)

    def _joined(self, actions: Mapping[str, Array]) -> Array:
        """(m,): of all agents."""
        time = self._episodes.sample.time
        for name in actions:
            if name not in self._held:
                raise SimulationError(f"t = {time:.9g} s: {unknown(name, self.possible_agents, 'agent')}")
        u = np.zeros(len(self.plant.input_names))
        for name, own in self._held.items():
            if name not in actions:
                if own.size:
                    names = ", ".join(self.inputs[name])
                    raise SimulationError(f"t = {time:.9g} s: {name} has no action; its inputs are {names}")
                continue
            try:
                action = np.asarray(actions[name], dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise SimulationError(
                    f"t = {time:.9g} s: the action of {name} is no array of numbers: {error}"
                ) from error
            if action.shape != own.shape:
                raise SimulationError(
                    f"t = {time:.9g} s: the action of {name} has shape {action.shape}, expected {own.shape}: "
                    f"{', '.join(self.inputs[name])}"
                )
            u[own] = action
        return u

    def _observations(self, found: Outcome) -> dict[str, Array]:
        return {name: found.sample.measurement[seen] for name, seen in self._seen.items()}

    def _infos(self, found: Outcome) -> dict[str, dict[str, Any]]:
        whole = found.info(self.plant)
        return {
            name: {
                **whole,
                "applied": whole["applied"][self._held[name]],
                "cost": float(cost),
                "violation": whole["violation"][self._states[name]],
            }
            for name, cost in zip(self.possible_agents, whole["cost"], strict=True)
        }


def _observed(plant: Plant, observe: Observed) -> dict[str, tuple[str, ...]]:
    """Agent -> names of what it observes."""
    names = [agent.name for agent in plant.agents]
    if isinstance(observe, Mapping):
        for name in (*observe, *names):
            if name not in names:
                raise WiringError(unknown(name, names, f"observe: {plant.name}: agent"))
            if name not in observe:
                raise WiringError(f"observe: nothing is said of {name!r}: write {name!r}: () for one that sees nothing")
        return {name: tuple(observe[name]) for name in names}
    if observe == "all":
        return dict.fromkeys(names, measurable(plant))
    own = {agent.name: _own(plant, number, agent) for number, agent in enumerate(plant.agents)}
    if observe == "own":
        return own
    if observe == "neighbours":
        around = {agent.name: (agent.name, *(agent.neighbours or ())) for agent in plant.agents}
        return {name: tuple(dict.fromkeys(s for who in near for s in own[who])) for name, near in around.items()}
    raise WiringError(f"observe must be 'own', 'neighbours', 'all' or a mapping agent -> signals, got {observe!r}")


def _own(plant: Plant, number: int, agent: Agent) -> tuple[str, ...]:
    """Outputs made of an agent's own states alone, the measured ones of its disturbances, its set points."""
    mine = set(plant.state_index[number].tolist())
    made_of = [_states_of(plant, k) for k in range(len(plant.output_names))]
    outputs = [name for name, states in zip(plant.output_names, made_of, strict=True) if states and states <= mine]
    measured = [name for name in agent.disturbances or () if name in plant.measured_names]
    setpoints = [f"{name}_ref" for name in (*agent.states, *agent.inputs)]
    return tuple(dict.fromkeys((*outputs, *measured, *setpoints)))


def _states_of(plant: Plant, output: int) -> set[int]:
    """States of which an output is made; of a nonlinear plant only where it is one of them, else all."""
    state = plant.state_of_output[output]
    if state is not None:
        return {state}
    if isinstance(plant.system, ct.StateSpace):
        return set(np.flatnonzero(np.asarray(plant.system.C)[output]).tolist())
    return set(range(len(plant.state_names)))
