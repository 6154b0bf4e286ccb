"""A controller of this package as what learning tools call a policy: action = policy(observation)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Block, BlockOptions
from dmpcrl_ctrl.cosim.adapters.driven import DrivenBlock
from dmpcrl_ctrl.errors import SimulationError, WiringError
from dmpcrl_ctrl.messages import unknown

Limits = Mapping[str, tuple[float, float]]


class ControllerPolicy:
    """A controller that chooses actions by observations, one call for each of its samples.

    Parameters
    ----------
    block
        Any that sends out all inputs and nothing else, and that can be asked from outside (:class:`DrivenBlock`).
    signals
        Names of an observation's entries; the first of equal ones is read.
    inputs
        Names of an action's entries.
    limits
        Input -> (lower, upper): what of an action is taken to have been applied where `info` does not say it.
    same
        Name -> signal that it is: of outputs that are states.
    unmeasured
        Names that are read as zero where they are not observed: of disturbances that nobody measures.
    agents
        Number of costs that the block is told.
    seed
        That of the run that is to be repeated.

    Attributes
    ----------
    record
        What the block noted at its last sample (status, value, certificate ...).

    Raises
    ------
    WiringError
        A signal that is not observed; outputs that are not the inputs; a block that only a loop can run.

    Examples
    --------
    >>> from dmpcrl_ctrl.controllers import LQR, LocalModel
    >>> lqr = LQR([LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]])], sample_time=1.0)
    >>> policy = ControllerPolicy(lqr, signals=("u0_0_ref", "x0_0_ref", "x0_0"), inputs=("u0_0",))
    >>> policy([0.0, 0.0, 2.0]).round(4)
    array([-1.2361])
    """

    def __init__(
        self,
        block: Block,
        signals: Sequence[str],
        inputs: Sequence[str],
        *,
        limits: Limits | None = None,
        same: Mapping[str, str] | None = None,
        unmeasured: Sequence[str] = (),
        agents: int = 0,
        seed: int = 0,
    ) -> None:
        name, self.inputs = BlockOptions.of(block).name, tuple(inputs)
        if sorted(block.outputs) != sorted(self.inputs):
            odd = sorted(set(block.outputs) ^ set(self.inputs))
            raise WiringError(
                f"{name}: its outputs are not the actions {', '.join(self.inputs)}: {odd[0]!r} is one of these alone"
            )
        self._block, self._agents, self._seed = block, agents, seed
        self._no_cost = np.full(agents, np.nan)
        self._limits = {given: ends for given, ends in (limits or {}).items() if given in self.inputs}
        place: dict[str, int] = {}
        for k, signal in enumerate(signals):
            place.setdefault(signal, k)
        for also, signal in (same or {}).items():
            if signal in place:
                place.setdefault(also, place[signal])
        for signal in unmeasured:
            place.setdefault(signal, len(signals))
        for signal in block.inputs:
            if signal not in place:
                raise WiringError(
                    f"{unknown(signal, place, f'{name}: observed signal')} (an environment observes what its signals= "
                    "or observe= says)"
                )
        self._size, self._read = len(signals), np.array([place[signal] for signal in block.inputs], dtype=np.intp)
        self._write = np.array([block.outputs.index(given) for given in self.inputs], dtype=np.intp)
        self._applied = np.array([self.inputs.index(given) for given in block.outputs], dtype=np.intp)
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """Start anew, what the block has learned included; with the seed of before where none is given."""
        self._seed = self._seed if seed is None else seed
        self._asked = DrivenBlock(self._block, seed=self._seed, limits=self._limits, agents=self._agents)
        self._answer = self._asked.start()

    @property
    def record(self) -> Mapping[str, Any]:
        """Of the last sample."""
        return self._answer.record

    def __call__(self, observation: ArrayLike, info: Mapping[str, Any] | None = None) -> Array:
        """The action of the next sample.

        Parameters
        ----------
        observation
            (len(signals),).
        info
            What the environment gave with it: what was applied, and the cost. A block that learns needs it; without it
            the cost is NaN. Without it the last action is taken to have been applied, within its limits, which is not
            so of a discrete plant that is sampled between its own samples.

        Returns
        -------
        ndarray
            (len(inputs),).

        Raises
        ------
        SimulationError
            Names an entry that is not finite, or the time, the block and the reason; the policy is as it was.
        """
        measurement, applied, cost = self._measured(observation), None, None
        if info is not None:
            applied, cost = np.asarray(info["applied"])[self._applied], np.atleast_1d(info["cost"])
        elif self._agents and self._answer.block.count:
            cost = self._no_cost
        self._answer = self._asked.ask(self._answer, measurement, applied, cost)
        return self._answer.output[self._write]

    def _measured(self, observation: ArrayLike) -> Array:
        """(len(block.inputs),): behind the last entry stands the zero that is read of what is not measured."""
        what, row = f"{self._asked.name}: observation", np.zeros(self._size + 1)
        if np.shape(observation) != (self._size,):
            raise SimulationError(f"{what} has shape {np.shape(observation)}, expected ({self._size},)")
        try:
            row[: self._size] = observation
        except (TypeError, ValueError) as error:
            raise SimulationError(f"{what} is no array of numbers: {error}") from error
        return row[self._read]


class JointPolicy:
    """One controller for all agents: it reads what they observe together, and each gets its share of the action.

    Parameters
    ----------
    block
        As for :class:`ControllerPolicy`.
    signals, inputs
        Agent -> names of its observation's and its action's entries.
    **options
        Of :class:`ControllerPolicy`.
    """

    def __init__(
        self, block: Block, signals: Mapping[str, Sequence[str]], inputs: Mapping[str, Sequence[str]], **options: Any
    ) -> None:
        self._agents = tuple(signals)
        self._ends = np.cumsum([len(inputs[agent]) for agent in self._agents])[:-1]
        self.policy = ControllerPolicy(
            block,
            [name for agent in self._agents for name in signals[agent]],
            [name for agent in self._agents for name in inputs[agent]],
            **{**options, "agents": len(self._agents)},
        )

    def reset(self, seed: int | None = None) -> None:
        """As :meth:`ControllerPolicy.reset`."""
        self.policy.reset(seed)

    def __call__(
        self, observations: Mapping[str, Array], infos: Mapping[str, Mapping[str, Any]] | None = None
    ) -> dict[str, Array]:
        """Actions by agent, for observations (and what the environment told with them) by agent."""
        info = None
        if infos is not None:
            info = {
                "applied": np.concatenate([infos[agent]["applied"] for agent in self._agents]),
                "cost": np.array([infos[agent]["cost"] for agent in self._agents]),
            }
        action = self.policy(np.concatenate([observations[agent] for agent in self._agents]), info)
        return dict(zip(self._agents, np.split(action, self._ends), strict=True))
