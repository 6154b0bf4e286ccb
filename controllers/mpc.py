"""Model predictive controllers as discrete-time blocks: what they have in common, and the centralised one.

At each sample the block solves V for what it measured and sends out u(0). Where the solve fails it applies its last
plan, shifted by one stage for every sample since; when that is used up it holds the input; and it says so.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.certificate import AgreedCertificate, Certificate
from dmpcrl_ctrl.consensus import ADMMState
from dmpcrl_ctrl.controllers.block import Field, checked_interval, checked_sample_time
from dmpcrl_ctrl.controllers.iosystem import AsIOSystem
from dmpcrl_ctrl.controllers.records import (
    certificate_fields,
    certificate_record,
    data_fields,
    data_record,
    mpc_fields,
    mpc_record,
)
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.status import Applied
from dmpcrl_ctrl.value import Evaluation, Evaluator, agent_data


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
    samples
        How many there have been.
    """

    evaluator: Evaluator
    reference: Evaluator | None
    memory: ADMMState | None = None
    sent: Array | None = None
    plan: Array | None = None
    age: int = 0
    samples: int = 0


class MPC(AsIOSystem):
    """What the MPC blocks have in common; use :class:`~dmpcrl_ctrl.controllers.DistributedMPC` or
    :class:`CentralizedMPC`.

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
    certify
        Record how far the solution is from being one, and a bracket on its value: at every sample (True), at the first
        and every n-th after it (n), or never (False).
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
        certify: bool | int = True,
        solver: str = "proxqp",
    ) -> None:
        self.problem = problem
        self.sample_time = checked_sample_time(sample_time)
        self.signals = Signals.of_names(problem) if signals is None else signals
        self.name = name
        self.offset = offset
        self.delay = delay
        self.preview = problem.horizon if preview else 0
        self.certify = checked_interval("certify", certify)
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
            coupling is slow against the sample time; "network": the exact hold of the whole network, as one agent. The
            default is "area" so that distributed and centralised MPC solve one problem; the LQR, which leaves
            couplings between agents out, takes "network".
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
            Of the class, such as `name`, `delay`, `preview`, `certify`, `solver`, `admm`.
        """
        given = {"soft": soft, "slack_weight": slack_weight, "slack_quadratic": slack_quadratic, "Q": Q, "R": R}
        chosen = {key: value for key, value in given.items() if value is not None}
        models = plant.local_models(sample_time, hold=hold, terminal=terminal, discount=discount, **chosen)
        local = tuple(models.models) if adapt is None else tuple(adapt(models.models))
        problem = MPCProblem(local, horizon, discount, models.names)
        return cls(problem, sample_time, Signals.of_plant(plant, models), **options)

    @property
    def log_attributes(self) -> dict[str, str | int | float]:
        """How often it certifies, for the log."""
        return {"certify": self.certify}

    @property
    def fields(self) -> tuple[Field, ...]:
        """What each step's record holds."""
        known = data_fields(self.problem) if self.preview else ()
        proved = certificate_fields(len(self.problem.models)) if self.certify else ()
        return mpc_fields(self.problem) + known + proved

    def with_problem(self, problem: MPCProblem) -> Self:
        """A copy of this controller with other numbers in its models.

        Raises
        ------
        ModelError
            The problem differs in more than its numbers.
        """
        other = copy.copy(self)
        other._own = self._own.with_problem(problem)
        other.problem = problem
        return other

    def init(self, seed: int) -> MPCState:
        """A state with workspaces of its own; nothing in it is random."""
        return MPCState(self._evaluator(), None)

    def step(
        self, state: MPCState, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[MPCState, Array, dict[str, Any]]:
        """Solve for what was measured; `applied` is the input that the plant took over the last sample."""
        before = self.followed(state, applied)
        after, output, record, _ = self.solve(state, self.signals.data(self.problem, measurement, before), before)
        return after, output, record

    def followed(self, state: MPCState, applied: Array) -> Array:
        """(m,): what the next input follows: the one applied, or the one that is still on its way."""
        return state.sent if self.delay and state.sent is not None else applied

    def solve(
        self, state: MPCState, data: Sequence[AgentData], before: Array
    ) -> tuple[MPCState, Array, dict[str, Any], Evaluation]:
        """The step for what the agents know; besides what a step returns, the evaluation of V behind it."""
        start = time.perf_counter()
        evaluation = state.evaluator.evaluate(data, memory=state.memory)
        elapsed = time.perf_counter() - start
        if evaluation.status.ok:
            output, kind = self.signals.joined(evaluation.action), Applied.FRESH
            plan = self.signals.joined([p.u for p in evaluation.plans])
            after = replace(state, memory=self._next_memory(state.evaluator, evaluation), plan=plan, age=0)
        else:
            output, kind = self._fallback(state, before)
            after = replace(state, memory=None, age=state.age + 1)
        record = self._record(evaluation, kind, elapsed, before)
        if self.preview:
            record |= data_record(self.problem, data)
        if self.certify and state.samples % self.certify == 0 and evaluation.status.ok:
            record |= certificate_record(evaluation.certificate, self._agreed(evaluation.certificate))
        self._compare(state, data, evaluation, record)
        return replace(after, sent=output, samples=state.samples + 1), output, record, evaluation

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
        state, previous_input
            (n,), (m,): vectors in the order of `signals.states` and `signals.inputs`.
        action
            (m,) in the order of `signals.inputs`; or a tuple of arrays (m_i,), one an agent, as in `Evaluation.action`.
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
        return self._own.evaluate(data, None if action is None else self._by_agent(action))

    def _by_agent(self, action: ArrayLike) -> tuple[Array, ...]:
        """The action by agent, from a vector or from one array an agent."""
        if not (isinstance(action, tuple) and any(np.ndim(part) for part in action)):
            return self.signals.split(checked("action", action, (len(self.signals.inputs),)))
        names, models = self.problem.names, self.problem.models
        if len(action) != len(models):
            raise ModelError(f"action has {len(action)} arrays, expected one for each of {len(models)} agents")
        parts = zip(names, action, models, strict=True)
        return tuple(checked(f"action of {name}", part, (model.m,)) for name, part, model in parts)

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

    def _agreed(self, certificate: Certificate) -> AgreedCertificate:
        """Who computes for all knows all."""
        four = (certificate.stationarity, certificate.feasibility, certificate.sign, certificate.complementarity)
        lower, upper = certificate.value_bounds
        found = lower, upper, float(np.linalg.norm(np.concatenate(four)))
        return AgreedCertificate(*np.repeat(np.array(found)[:, None], len(certificate.lower), axis=1))

    def _record(self, evaluation: Evaluation, kind: Applied, elapsed: float, before: Array) -> dict[str, Any]:
        return mpc_record(self.problem, evaluation, kind, elapsed, before)


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


def _horizon(name: str, value: ArrayLike, stages: int, width: int) -> Array:
    """(width,) or (stages, width), checked."""
    return checked(name, value, (stages, width) if np.ndim(value) == 2 else (width,))
