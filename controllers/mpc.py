"""Model predictive controllers as discrete-time blocks: distributed and centralised, with one interface.

At each sample the block solves V for what it measured and sends out u(0). Where the solve fails it applies its last
plan, shifted by one stage for every sample since; when that is used up it holds the input; and it says so.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.admm import ADMMOptions, ADMMState
from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.controllers.records import admm_fields, admm_record, mpc_fields, mpc_record
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import AgentData, LocalModel, MPCProblem
from dmpcrl_ctrl.status import Applied
from dmpcrl_ctrl.value import Evaluation, Evaluator, agent_data

_APART = 1e-2


@dataclass(frozen=True, eq=False)
class MPCState:
    """What an MPC block carries from sample to sample.

    Attributes
    ----------
    evaluator, reference
        With the solvers' workspaces, so that two loops share nothing; the central one where it is compared with. Loops
        that start from `init` are bit-identical; a step repeated from one state agrees to the solver's tolerance.
    memory
        Where ADMM starts from.
    sent
        (m,) last output, or None; with a computation delay it is not what the plant took yet.
    plan
        (N, m) inputs of the last plan that was solved, or None.
    age
        Samples since that plan.
    """

    evaluator: Evaluator
    reference: Evaluator | None
    memory: ADMMState | None = None
    sent: Array | None = None
    plan: Array | None = None
    age: int = 0


class MPC:
    """What the two MPC blocks have in common; use :class:`DistributedMPC` or :class:`CentralizedMPC`.

    Parameters
    ----------
    problem
        The network's MPC problem.
    sample_time
        Seconds between samples.
    signals
        Which signal is which number; default names where None.
    name, offset, delay
        Name in the log; time of the first sample and computation delay in seconds.
    preview
        Read known disturbances and set points over the whole horizon instead of holding their current values.
    solver
        Backend of the quadratic programs.
    """

    def __init__(
        self,
        problem: MPCProblem,
        sample_time: float | Fraction,
        signals: Signals | None = None,
        *,
        name: str = "mpc",
        offset: float = 0.0,
        delay: float = 0.0,
        preview: bool = False,
        solver: str = "proxqp",
    ) -> None:
        number = isinstance(sample_time, (int, float, Fraction)) and not isinstance(sample_time, bool)
        if not (number and 0.0 < sample_time < np.inf):
            raise ModelError(f"sample_time must be a positive number of seconds, got {sample_time!r}")
        self.problem = problem
        self.sample_time = sample_time
        self.signals = Signals.of_names(problem) if signals is None else signals
        self.name = name
        self.offset = offset
        self.delay = delay
        self.preview = problem.horizon if preview else 0
        self.solver = solver
        self.inputs = self.signals.measured
        self.outputs = self.signals.inputs
        self._own = self._evaluator()

    @classmethod
    def for_plant(
        cls,
        plant: Any,
        horizon: int,
        *,
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
        **options: Any,
    ) -> Self:
        """A controller for a plant, from the plant's own prediction models.

        Parameters
        ----------
        plant
            Anything with names and `local_models(sample_time, hold=...)`, such as :class:`dmpcrl_ctrl.plants.Plant`.
        horizon, sample_time, discount
            N, seconds, gamma.
        hold
            "area": every agent's own zero-order hold, with its neighbours held over the sample, which is good where the
            coupling is slow against the sample time; "network": the exact hold of the whole network, as one agent.
        terminal
            "none", "cost" (of the Riccati equation) or "equality" (x(N) = set point).
        soft, slack_weight, slack_quadratic
            Whether state limits have slacks, and their prices; the plant's own where None.
        Q, R
            Weights instead of the plant's.
        adapt
            Called with the plant's models; the controller takes those that it returns. The way in for what a plant
            does not know of, such as :func:`~dmpcrl_ctrl.coupling.with_bound` on the power of a tie line.
        **options
            Of the class, such as `name`, `delay`, `preview`, `solver`, `admm`.
        """
        given = {"soft": soft, "slack_weight": slack_weight, "slack_quadratic": slack_quadratic, "Q": Q, "R": R}
        chosen = {key: value for key, value in given.items() if value is not None}
        models = plant.local_models(sample_time, hold=hold, terminal=terminal, discount=discount, **chosen)
        local = tuple(models.models) if adapt is None else tuple(adapt(models.models))
        problem = MPCProblem(local, horizon, discount, models.names)
        return cls(problem, sample_time, Signals.of_plant(plant, models), **options)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What each step's record holds."""
        return mpc_fields(self.problem)

    def init(self, seed: int) -> MPCState:
        """A state with workspaces of its own; nothing in it is random."""
        return MPCState(self._evaluator(), None)

    def step(
        self, state: MPCState, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[MPCState, Array, dict[str, Any]]:
        """Solve for what was measured; `applied` is the input that the plant took over the last sample."""
        # an output that is still on its way is what the next one follows
        before = state.sent if self.delay and state.sent is not None else applied
        data = self.signals.data(self.problem, measurement, before)
        start = time.perf_counter()
        evaluation = state.evaluator.evaluate(data, memory=state.memory)
        elapsed = time.perf_counter() - start
        if evaluation.status.ok:
            output, kind = self.signals.joined(evaluation.action), Applied.FRESH
            stages = range(self.problem.horizon)
            plan = np.array([self.signals.joined([p.u[k] for p in evaluation.plans]) for k in stages])
            after = replace(state, memory=self._next_memory(state.evaluator, evaluation), plan=plan, age=0)
        else:
            output, kind = self._fallback(state, before)
            after = replace(state, memory=None, age=state.age + 1)
        record = self._record(evaluation, kind, elapsed)
        self._compare(state, data, evaluation, record)
        return replace(after, sent=output), output, record

    def evaluate(
        self,
        state: ArrayLike,
        action: ArrayLike | None = None,
        *,
        setpoint: tuple[ArrayLike, ArrayLike] | None = None,
        disturbance: ArrayLike | None = None,
        previous_input: ArrayLike | None = None,
    ) -> Evaluation:
        """V at a state, or Q where an action is given.

        Parameters
        ----------
        state, action, previous_input
            (n,), (m,), (m,): vectors in the order of `signals.states` and `signals.inputs`.
        setpoint
            Set points of states and inputs: current (n,) and (m,), or whole horizons (N + 1, n) and (N, m).
        disturbance
            (d,) now, or (N, d) over the horizon.

        Raises
        ------
        ModelError
            A shape does not fit, or an entry is not finite.
        """
        signals, N = self.signals, self.problem.horizon
        n, m, d = len(signals.states), len(signals.inputs), len(signals.disturbances)
        x = checked("state", state, (n,))
        before = np.zeros(m) if previous_input is None else checked("previous_input", previous_input, (m,))
        disturbances = _horizon("disturbance", np.zeros(d) if disturbance is None else disturbance, N, d)
        x_ref, u_ref = self._references() if setpoint is None else setpoint
        data = agent_data(
            self.problem,
            [x[index] for index in signals.state_index],
            [disturbances[..., index] for index in signals.disturbance_index],
            [_horizon("state set point", x_ref, N + 1, n)[..., index] for index in signals.state_index],
            [_horizon("input set point", u_ref, N, m)[..., index] for index in signals.input_index],
            [before[index] for index in signals.input_index],
        )
        given = None if action is None else signals.split(checked("action", action, (m,)))
        return self._own.evaluate(data, given)

    def _evaluator(self) -> Evaluator:
        raise TypeError("MPC is what the blocks have in common: use DistributedMPC or CentralizedMPC")

    def _next_memory(self, evaluator: Evaluator, evaluation: Evaluation) -> ADMMState | None:
        return None

    def _compare(
        self, state: MPCState, data: Sequence[AgentData], evaluation: Evaluation, record: dict[str, Any]
    ) -> None:
        """Nothing to compare with."""

    def _references(self) -> tuple[Array, Array]:
        models = self.problem.models
        x_ref = np.zeros(len(self.signals.states))
        for index, model in zip(self.signals.state_index, models, strict=True):
            x_ref[index] = model.x_setpoint
        return x_ref, self.signals.joined([model.u_setpoint for model in models])

    def _fallback(self, state: MPCState, before: Array) -> tuple[Array, Applied]:
        age = state.age + 1
        if state.plan is not None and age < len(state.plan):
            return state.plan[age], Applied.SHIFTED_PLAN
        return before.copy(), Applied.HELD

    def _record(self, evaluation: Evaluation, kind: Applied, elapsed: float) -> dict[str, Any]:
        return mpc_record(self.problem, evaluation, kind, elapsed)


class CentralizedMPC(MPC):
    """One MPC for the whole network: the reference that the distributed one is held against.

    `hold="network"` predicts with the exact zero-order hold of the whole network; `hold="area"` solves the very problem
    of :class:`DistributedMPC`. Parameters as for :class:`MPC`.
    """

    def __init__(
        self, problem: MPCProblem, sample_time: float | Fraction, signals: Signals | None = None, **options: Any
    ) -> None:
        super().__init__(problem, sample_time, signals, **{"solver": "piqp", **options})

    def _evaluator(self) -> Evaluator:
        return CentralEvaluator(self.problem, self.solver)


class DistributedMPC(MPC):
    """One MPC an agent; the agents agree by ADMM on the states that couple them, and by averaging on the value.

    Parameters
    ----------
    admm
        Iterations, tolerance, penalty, warm start.
    averaging_rounds
        Rounds of averaging behind `agreed_value`; None: enough for six digits, at most 1000.
    compare_central
        Also solve the same problem centrally at every step and record the largest difference of the inputs.
    **options
        As for :class:`MPC`.

    Raises
    ------
    NetworkError
        The network is not connected.

    Examples
    --------
    Two integrators, the second fed by the first:

    >>> from dmpcrl_ctrl.model import LocalModel
    >>> first = LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]])
    >>> second = LocalModel(A=[[1.0]], B=[[1.0]], Q=[[1.0]], R=[[1.0]], A_ij={0: [[0.5]]})
    >>> mpc = DistributedMPC(MPCProblem((first, second), horizon=5), sample_time=1.0)
    >>> evaluation = mpc.evaluate([1.0, 0.0])
    >>> evaluation.status.name
    'MAX_ITERATIONS'
    """

    def __init__(
        self,
        problem: MPCProblem,
        sample_time: float | Fraction,
        signals: Signals | None = None,
        *,
        admm: ADMMOptions | None = None,
        averaging_rounds: int | None = None,
        compare_central: bool = False,
        **options: Any,
    ) -> None:
        self.admm = ADMMOptions() if admm is None else admm
        self.averaging_rounds = averaging_rounds
        self.compare_central = compare_central
        super().__init__(problem, sample_time, signals, **options)

    @classmethod
    def for_plant(cls, plant: Any, horizon: int, **options: Any) -> Self:
        """As for :class:`MPC`; `hold="network"` makes one agent of the plant and is left to CentralizedMPC."""
        if options.get("hold") == "network" and len(plant.agents) > 1:
            raise ModelError('hold="network" makes one agent of the whole plant: use CentralizedMPC, or hold="area"')
        return super().for_plant(plant, horizon, **options)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What each step's record holds."""
        own = admm_fields(self.admm.iterations)
        if self.compare_central:
            own += (Field("central_difference", long_name="largest |u - u of the central solve|"),)
        return super().fields + own

    def init(self, seed: int) -> MPCState:
        """A state with workspaces of its own; nothing in it is random."""
        reference = CentralEvaluator(self.problem) if self.compare_central else None
        return replace(super().init(seed), reference=reference)

    def _evaluator(self) -> Evaluator:
        return DistributedEvaluator(self.problem, self.admm, self.averaging_rounds, self.solver)

    def _next_memory(self, evaluator: Evaluator, evaluation: Evaluation) -> ADMMState | None:
        memory = evaluation.memory
        if not self.admm.warm_start or memory is None:
            return None
        # agents that are far apart are no start: their multipliers would grow from sample to sample
        apart = evaluation.primal_residuals[-1] > _APART * np.abs(memory.z).max(initial=0.0)
        return None if apart else evaluator.shifted(memory)

    def _record(self, evaluation: Evaluation, kind: Applied, elapsed: float) -> dict[str, Any]:
        return super()._record(evaluation, kind, elapsed) | admm_record(evaluation, self.admm.iterations)

    def _compare(
        self, state: MPCState, data: Sequence[AgentData], evaluation: Evaluation, record: dict[str, Any]
    ) -> None:
        if state.reference is None:
            return
        central = state.reference.evaluate(data)
        pairs = zip(evaluation.action, central.action, strict=False)
        gaps = [float(np.abs(mine - theirs).max(initial=0.0)) for mine, theirs in pairs]
        record["central_difference"] = max(gaps) if gaps else float("nan")


def _horizon(name: str, value: ArrayLike, stages: int, width: int) -> Array:
    """(width,) or (stages, width), checked."""
    return checked(name, value, (stages, width) if np.ndim(value) == 2 else (width,))
