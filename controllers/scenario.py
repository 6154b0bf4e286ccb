"""The scenario MPC as a block: one input sequence that has to serve many samples of the noise, and of the model.

Central, it solves the problem in its inputs alone (`scenario_solver.py`); distributed, the agents solve the very same
problem by ADMM, each with a copy of its states for every sample.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.condensed import Given
from dmpcrl_ctrl.consensus import ADMMState
from dmpcrl_ctrl.controllers.block import Field, checked_sample_time
from dmpcrl_ctrl.controllers.iosystem import AsIOSystem
from dmpcrl_ctrl.controllers.records import admm_fields, admm_record
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.scenario_solver import ScenarioSolver
from dmpcrl_ctrl.scenarios import Noise, Scenarios
from dmpcrl_ctrl.status import Applied, Status


@dataclass(frozen=True, eq=False)
class ScenarioState:
    """What the block carries from sample to sample.

    Attributes
    ----------
    solver
        With its workspaces.
    seed
        Of the run.
    memory
        Where ADMM starts from; None for a central solve.
    sent
        (m,) last output, or None.
    plan
        (N, m) inputs of the last plan that was solved, or None.
    age
        Samples since that plan.
    """

    solver: "_Central | _Agents"
    seed: int
    memory: ADMMState | None = None
    sent: Array | None = None
    plan: Array | None = None
    age: int = 0


@dataclass(frozen=True, eq=False)
class Solved:
    """One solve: its outcome, and where it is well the value and the inputs (N, m) in the order of the signals."""

    status: Status
    value: float
    inputs: Array
    record: dict[str, Any]
    memory: ADMMState | None = None


class ScenarioMPC(AsIOSystem):
    """Scenario (stochastic) MPC, central or distributed.

    Parameters
    ----------
    scenarios
        The samples of the model, and the noise.
    sample_time
        Seconds between samples.
    signals
        Which signal is which number; default names where None.
    redraw
        True: the noise is drawn anew at every sample, from (seed, seed of the run, sample). False: it is drawn once,
        from the seed.
    seed
        Of the noise.
    distributed
        Agents that solve the problem by ADMM, instead of one controller.
    admm
        Of the agents: iterations, tolerance, penalty.
    name, offset, delay
        Name in the log; time of the first sample and computation delay in seconds.
    solver
        Backend of the quadratic programs; None: "proxqp" of agents, "daqp" of one controller, whose programs are small.

    Raises
    ------
    ModelError
        A sample time that is no positive number, a seed that is no whole number.
    """

    def __init__(
        self,
        scenarios: Scenarios,
        sample_time: float | Fraction,
        signals: Signals | None = None,
        *,
        redraw: bool = True,
        seed: int = 0,
        distributed: bool = False,
        admm: ADMMOptions | None = None,
        name: str = "scenario_mpc",
        offset: float = 0.0,
        delay: float = 0.0,
        solver: str | None = None,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ModelError(f"seed must be a whole number of at least 0, got {seed!r}")
        self.scenarios = scenarios
        self.sample_time = checked_sample_time(sample_time)
        self.signals = Signals.of_names(scenarios.problems[0]) if signals is None else signals
        self.redraw, self.seed = redraw, seed
        self.distributed = distributed
        self.admm = ADMMOptions() if admm is None else admm
        self.name = name
        self.offset = offset
        self.delay = delay
        self.solver = solver or ("proxqp" if distributed else "daqp")
        self.inputs = self.signals.measured
        self.outputs = self.signals.inputs
        # a workspace of its own for `evaluate`, and the first to find out what is wrong with the problem
        self._own = self._workspace()

    @classmethod
    def for_plant(
        cls,
        plant: Any,
        horizon: int,
        *,
        samples: int,
        sample_time: float = 1.0,
        discount: float = 1.0,
        hold: str = "area",
        terminal: str = "none",
        soft: bool | None = None,
        slack_weight: ArrayLike | None = None,
        slack_quadratic: ArrayLike | None = None,
        Q: ArrayLike | None = None,
        R: ArrayLike | None = None,
        adapt: Callable[[tuple[LocalModel, ...]], Sequence[LocalModel]] | None = None,
        input_cost: str = "each",
        **options: Any,
    ) -> Self:
        """A controller for a plant with noise that it does not measure, of which the samples are drawn.

        Parameters
        ----------
        plant
            Anything with names, `local_models(sample_time, hold=...)` and `draw_noise(generator, size)`, such as
            :class:`dmpcrl_ctrl.plants.Plant`: what is random in its disturbances and not measured.
        horizon, sample_time, discount, hold, terminal, soft, slack_weight, slack_quadratic, Q, R, adapt
            As for :meth:`CentralizedMPC.for_plant <dmpcrl_ctrl.controllers.mpc.MPC.for_plant>`.
        samples
            How many.
        input_cost
            "each": the cost of the inputs counts in every sample; "once": once beside the sum over the samples.
        **options
            Of the class, such as `redraw`, `seed`, `distributed`, `admm`, `name`.
        """
        given = {"soft": soft, "slack_weight": slack_weight, "slack_quadratic": slack_quadratic, "Q": Q, "R": R}
        chosen = {key: value for key, value in given.items() if value is not None}
        models = plant.local_models(sample_time, hold=hold, terminal=terminal, discount=discount, **chosen)
        local = tuple(models.models) if adapt is None else tuple(adapt(models.models))
        problem = MPCProblem(local, horizon, discount, models.names)
        noise = Noise(tuple(model.E for model in local), tuple(models.disturbance_index), plant.draw_noise)
        scenarios = Scenarios((problem,), noise, samples, input_cost)
        return cls(scenarios, sample_time, Signals.of_plant(plant, models), **options)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What each step's record holds."""
        flags = {kind: {int(member): member.name.lower() for member in kind} for kind in (Status, Applied)}
        own = (
            Field("status", dtype="i1", long_name="outcome of the solve", flags=flags[Status]),
            Field("applied_kind", dtype="i1", long_name="where the input came from", flags=flags[Applied]),
            Field("value", long_name="optimal value, the sum over the samples"),
            Field("solve_time", unit="s", long_name="time spent in the solve"),
        )
        return own + self._own.fields

    @property
    def log_attributes(self) -> dict[str, str | int | float]:
        """The samples, for the log."""
        kind = "distributed" if self.distributed else "central"
        return {"samples": self.scenarios.samples, "seed": self.seed, "redraw": int(self.redraw), "kind": kind}

    def init(self, seed: int) -> ScenarioState:
        """A state with workspaces of its own; the noise is drawn from this seed as well, where it is drawn anew."""
        return ScenarioState(self._workspace(), seed)

    def step(
        self, state: ScenarioState, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[ScenarioState, Array, dict[str, Any]]:
        """Solve for what was measured and the noise of this sample."""
        before = state.sent if self.delay and state.sent is not None else applied
        data = self.signals.data(self.scenarios.problems[0], measurement, before)
        start = time.perf_counter()
        found = state.solver.solve(data, self.draws(state.seed, tick), state.memory)
        elapsed = time.perf_counter() - start
        if found.status.ok:
            output, kind = found.inputs[0], Applied.FRESH
            after = replace(state, memory=found.memory, plan=found.inputs, age=0)
        else:
            output, kind = _fallback(state, before)
            after = replace(state, memory=None, age=state.age + 1)
        record = {"status": int(found.status), "applied_kind": int(kind), "value": found.value, "solve_time": elapsed}
        return replace(after, sent=output), output, record | found.record

    def draws(self, run: int, tick: int) -> Array:
        """The noise of a sample of a run with that seed: (S, w), or (S, N, w)."""
        key = np.random.SeedSequence([self.seed, run], spawn_key=(tick,)) if self.redraw else self.seed
        return self.scenarios.noise.draw(np.random.default_rng(key), self.scenarios.samples)

    def solve(self, measurement: Array, draws: ArrayLike, previous_input: ArrayLike | None = None) -> Solved:
        """One solve outside of a loop.

        Parameters
        ----------
        measurement
            (len(inputs),): as for :meth:`step`.
        draws
            (S, w), or (S, N, w): the noise.
        previous_input
            (m,); zeros where None.
        """
        before = np.zeros(len(self.outputs)) if previous_input is None else np.asarray(previous_input, dtype=float)
        return self._own.solve(self.signals.data(self.scenarios.problems[0], measurement, before), draws, None)

    def _workspace(self) -> "_Central | _Agents":
        if self.distributed:
            return _Agents(self.scenarios, self.signals, self.admm, self.solver)
        return _Central(self.scenarios, self.signals, self.solver)


class _Central:
    """One controller, in the inputs alone."""

    fields = (
        Field("programs", dtype="i4", long_name="number of small programs"),
        Field("doubtful", dtype="i4", long_name="number of bounds with a slack in the last of them"),
    )

    def __init__(self, scenarios: Scenarios, signals: Signals, solver: str) -> None:
        self._scenarios, self._signals = scenarios, signals
        self._solver = ScenarioSolver(scenarios, solver)
        self._ends = np.cumsum([model.m for model in scenarios.problems[0].models])[:-1]

    def solve(self, data: Sequence[AgentData], draws: ArrayLike, memory: ADMMState | None) -> Solved:
        """Solve for what the agents know and the noise."""
        plan = self._solver.solve(Given.of(self._scenarios, data, draws))
        parts = np.split(plan.u, self._ends, axis=1) if plan.status.ok else []
        inputs = _joined(self._signals, parts)
        return Solved(plan.status, plan.value, inputs, {"programs": plan.rounds, "doubtful": plan.doubtful})


class _Agents:
    """One problem an agent, with the states of all samples; they agree by ADMM."""

    def __init__(self, scenarios: Scenarios, signals: Signals, admm: ADMMOptions, solver: str) -> None:
        self._scenarios, self._signals, self._admm = scenarios, signals, admm
        self._evaluator = DistributedEvaluator(scenarios.problem(), admm, solver=solver)
        self.fields = (
            Field("iterations", dtype="i4", long_name="number of ADMM iterations"),
            *admm_fields(admm.iterations),
        )

    def solve(self, data: Sequence[AgentData], draws: ArrayLike, memory: ADMMState | None) -> Solved:
        """Solve for what the agents know and the noise, from the last samples' agreement."""
        evaluation = self._evaluator.evaluate(self._scenarios.data(data, draws), memory=memory)
        inputs = _joined(self._signals, [plan.u for plan in evaluation.plans])
        record = {"iterations": evaluation.iterations, **admm_record(evaluation, self._admm.iterations)}
        after = self._evaluator.shifted(evaluation.memory) if self._admm.warm_start else None
        return Solved(evaluation.status, evaluation.value, inputs, record, after)


def _joined(signals: Signals, parts: Sequence[Array]) -> Array:
    """(N, m): inputs in the order of the plant, from (N, m_i) of each agent; nothing of a solve that failed."""
    stages = len(parts[0]) if parts else 0
    return np.array([signals.joined([part[k] for part in parts]) for k in range(stages)])


def _fallback(state: ScenarioState, before: Array) -> tuple[Array, Applied]:
    """The last plan, shifted to now; the last input where it is used up."""
    age = state.age + 1
    if state.plan is not None and age < len(state.plan):
        return state.plan[age], Applied.SHIFTED_PLAN
    return before.copy(), Applied.HELD
