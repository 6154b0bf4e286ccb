"""A plant in episodes, as environments of Gymnasium and PettingZoo have it: begun by a seed, over after some steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import Block, BlockOptions
from dmpcrl_ctrl.cosim.adapters.driven import DrivenPlant, Sample
from dmpcrl_ctrl.cosim.clock import Seconds
from dmpcrl_ctrl.errors import ClockError, SimulationError
from dmpcrl_ctrl.plants.exact_time import exact_seconds
from dmpcrl_ctrl.plants.plant import Plant

_STATE = "initial_state"
# that are drawn from where nobody names one
SEEDS = 2**32


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a step led to.

    Attributes
    ----------
    sample
        The next one; the last one again where the plant could not go on.
    applied, cost
        (m,): what was held, after saturation. (M,): cost of the step by agent.
    terminated, truncated
        Whether the plant cannot go on; whether the episode is at its end.
    reason
        Why it cannot go on.
    """

    sample: Sample
    applied: Array
    cost: Array
    terminated: bool = False
    truncated: bool = False
    reason: str = ""

    def info(self, plant: Plant) -> dict[str, Any]:
        """Time, applied input, cost by agent and violation of the state limits; all of it the caller's own."""
        told: dict[str, Any] = {
            "time": self.sample.time,
            "applied": self.applied.copy(),
            "cost": self.cost.copy(),
            "violation": plant.violation(self.sample.state),
        }
        return {**told, "reason": self.reason} if self.reason else told


class Episodes:
    """A plant that is begun again and again.

    Parameters
    ----------
    plant
        Any.
    sample_time
        Seconds; None: the plant's own, of a discrete one.
    signals
        As for :class:`DrivenPlant`.
    steps, t_end
        Length of an episode in steps or in seconds; neither: without end.
    failure_cost
        Cost of the step at which the plant cannot go on, or costs more than a number can say, split evenly among the
        agents: the episode is terminated. None: where the plant cannot go on the step is an error.

    Raises
    ------
    ClockError, WiringError, SimulationError
        Times that do not fit; a signal that is not there; a number outside its range.
    """

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
        every = plant.sample_time if sample_time is None else sample_time
        if every is None:
            raise ClockError(f"{plant.name} is continuous: say how often it is sampled, as in sample_time=1.0")
        self._outside = DrivenPlant(plant, every, signals=signals)
        self.plant, self.sample_time, self.signals = plant, self._outside.sample_time, self._outside.signals
        self.steps = _length(steps, t_end, self._outside)
        if failure_cost is not None and not (_number(failure_cost) and np.isfinite(failure_cost)):
            raise SimulationError(f"failure_cost must be a finite number or None, got {failure_cost!r}")
        self.failure_cost = failure_cost
        self.last: Sample | None = None
        self._running = False

    @property
    def sample(self) -> Sample:
        """Where the episode is; `last` has it when it is over, too.

        Raises
        ------
        SimulationError
            No episode was begun, or it is over.
        """
        if self.last is None or not self._running:
            raise SimulationError(f"{self.plant.name}: no episode is running: call reset()")
        return self.last

    def begin(self, seed: int, options: Mapping[str, Any] | None = None) -> Outcome:
        """Start an episode, with the noise of `simulate(seed=seed)`.

        Parameters
        ----------
        seed
            Whole, at least 0.
        options
            "initial_state": where it starts, instead of the plant's own. Other keys may be for others, such as a
            wrapper; one that is nearly this is an error.
        """
        given = dict(options or {})
        for key in given:
            if key != _STATE and get_close_matches(str(key), [_STATE], cutoff=0.8):
                raise SimulationError(f"options: {key!r} does not exist; did you mean {_STATE!r}?")
        checked_seed(seed)
        # before another loop is made: a plant that is an FMU knows one at a time, and forgets the episode that runs
        x = None if given.get(_STATE) is None else self._outside.checked_state(given[_STATE])
        outside = self._outside.with_seed(int(seed))
        first = outside.start(x)
        self._outside, self.last, self._running = outside, first, True
        return Outcome(first, first.applied, first.cost)

    def follow(self, action: ArrayLike) -> Outcome:
        """One step; after one that is terminated or truncated the episode is over.

        Raises
        ------
        SimulationError
            Names an input that is not finite, and nothing has changed; the plant cannot go on, and there is no
            `failure_cost`; no episode is running.
        """
        sample = self.sample
        try:
            after = self._outside.follow(sample, action)
            if self.failure_cost is not None and not np.isfinite(after.cost).all():
                raise SimulationError(f"t = {sample.time:.9g} s: {self.plant.name}: stage cost is {after.cost.sum()}")
        except SimulationError as error:
            u = self._outside.checked(sample, action)
            if self.failure_cost is None:
                raise
            cost = np.full(len(self.plant.agents), self.failure_cost / len(self.plant.agents))
            self._running = False
            return Outcome(sample, self.plant.saturate(u), cost, terminated=True, reason=str(error))
        self.last, over = after, after.number == self.steps
        self._running = not over
        return Outcome(after, after.applied, after.cost, truncated=over)

    def policy_options(self, block: Block) -> dict[str, Any]:
        """What a policy has to know of the plant: limits, same and unmeasured of :class:`ControllerPolicy`.

        Raises
        ------
        ClockError
            The controller samples at other times.
        """
        plant = self.plant
        if exact_seconds(block.sample_time) != self.sample_time:
            raise ClockError(
                f"{BlockOptions.of(block).name}: its sample time is {block.sample_time} s, that of the environment "
                f"{self.sample_time} s"
            )
        outputs = zip(plant.state_of_output, plant.output_names, strict=True)
        return {
            "limits": dict(zip(plant.input_names, plant.input_limits.tolist(), strict=True)),
            "same": {plant.state_names[k]: name for k, name in outputs if k is not None},
            "unmeasured": [name for name in plant.disturbance_names if name not in plant.measured_names],
        }


def checked_seed(seed: object) -> int:
    """A whole number of at least 0; SimulationError for anything else."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or int(seed) < 0:
        raise SimulationError(f"seed must be a whole number of at least 0, got {seed!r}")
    return int(seed)


def _length(steps: object, t_end: Seconds | None, outside: DrivenPlant) -> int | None:
    if steps is not None and t_end is not None:
        raise ClockError(f"the length of an episode is steps ({steps}) or t_end ({t_end} s), not both")
    if t_end is not None:
        count = exact_seconds(t_end) / outside.sample_time
        if count.denominator != 1 or count < 1:
            raise ClockError(f"t_end is {t_end} s, expected a multiple of the sample time {outside.sample_time} s")
        return int(count)
    if steps is None:
        return None
    if isinstance(steps, bool) or not isinstance(steps, Integral) or int(steps) < 1:
        raise ClockError(f"steps must be a whole number of at least 1, got {steps!r}")
    return int(steps)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
