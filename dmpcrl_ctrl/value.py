"""V, Q and the policy of a network's MPC problem: what an evaluation is, whoever computes it.

V(s)    = min sum_i F_i   with x_i(0) = s_i;                  the policy is pi_i(s) = u_i(0)
Q(s, a) = the same with u_i(0) = a_i given and its bounds gone
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.admm import ADMMState
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.certificate import Certificate, certify, optimality
from dmpcrl_ctrl.errors import EvaluationError, ModelError
from dmpcrl_ctrl.gradient import Gradient, gradients, parameter_gradient
from dmpcrl_ctrl.lagrangian import AgentPoint, agent_points, plan_costs
from dmpcrl_ctrl.layout import other_rows
from dmpcrl_ctrl.network import Components
from dmpcrl_ctrl.plan import Duals, Plan
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.status import Status


@dataclass(frozen=True, eq=False)
class Question:
    """What was evaluated.

    Attributes
    ----------
    problem, data
        The network's problem, and what each agent knew.
    action
        u_i(0) that were given, for Q; None for V.
    components
        Through which the agents tell each other what gradient and certificate need.
    """

    problem: MPCProblem
    data: tuple[AgentData, ...]
    action: tuple[Array, ...] | None
    components: Components


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """One evaluation of V or Q.

    Attributes
    ----------
    status, culprit
        Outcome, and the agent that is to blame where it is not well (else -1). Unless `status.ok` the values are NaN
        and action, plans and duals are empty. MAX_ITERATIONS says that the iterations which were asked for are done,
        and no more: how good the numbers are, whether the problem has a solution at all, is for `certificate` to say.
    value
        sum_i F_i, without any term of the augmented Lagrangian.
    local_values, agreed_values
        (M,): F_i; and each agent's own belief of the sum after averaging.
    action
        u_i(0), one array an agent.
    plans, duals
        One an agent.
    primal_residuals, dual_residuals
        (T,): of ADMM by iteration; empty for a central solve.
    memory
        What the next evaluation may start from; None for a central solve.
    question
        What was evaluated; None of a failed evaluation.
    """

    status: Status
    culprit: int
    value: float
    local_values: Array
    agreed_values: Array
    action: tuple[Array, ...] = ()
    plans: tuple[Plan, ...] = ()
    duals: tuple[Duals, ...] = ()
    primal_residuals: Array = field(default_factory=lambda: np.zeros(0))
    dual_residuals: Array = field(default_factory=lambda: np.zeros(0))
    memory: ADMMState | None = None
    question: Question | None = None

    def __repr__(self) -> str:
        of = "Q" if self.question is not None and self.question.action is not None else "V"
        return f"<Evaluation of {of}: {self.status.name.lower()}, value {self.value:.9g}, {self.iterations} iterations>"

    @cached_property
    def gradient(self) -> tuple[Gradient, ...]:
        """One an agent: derivative of the value by every parameter of its model, and by its data.

        Keys are the fields of :class:`~dmpcrl_ctrl.model.LocalModel` with values of their shapes, and "state",
        "action" (of Q), "disturbance", "previous_input"; see :func:`~dmpcrl_ctrl.gradient.parameter_gradient` for the
        conventions. It is the derivative where the multipliers are unique, and one of several where they are not.

        Raises
        ------
        EvaluationError
            The evaluation failed.
        """
        question = self._asked("gradient")
        return gradients(self._points, question.components, question.action is not None)

    @cached_property
    def own_gradient(self) -> tuple[Gradient, ...]:
        """`gradient` without "state" and "action": what each agent knows of it without a word from the others.

        Raises
        ------
        EvaluationError
            The evaluation failed.
        """
        self._asked("gradient")
        return tuple(parameter_gradient(point) for point in self._points)

    @cached_property
    def certificate(self) -> Certificate:
        """How far plans and multipliers are from solving the network's problem, and a bracket on its value.

        Raises
        ------
        EvaluationError
            The evaluation failed.
        """
        question = self._asked("certificate")
        return certify(self._points, question.components, question.action)

    @cached_property
    def residual(self) -> float:
        """The largest residual of the optimality conditions over all agents, as in `certificate`, without a bracket.

        Raises
        ------
        EvaluationError
            The evaluation failed.
        """
        question = self._asked("residual")
        return max(r.worst for r in optimality(self._points, question.components, question.action))

    def at_policy(self, data: Sequence[AgentData] | None = None) -> "Evaluation":
        """This evaluation of V(s) as one of Q(s, pi(s)), which has the same value.

        V's multipliers, without those of the bounds on u(0), satisfy the optimality conditions of Q. At a kink, where Q
        has many multipliers, they are the ones that belong to V.

        Parameters
        ----------
        data
            Where V was evaluated with another cost of u(0), to explore: what the agents knew without it. In Q u(0) is
            given, so that its cost moves no multiplier.

        Raises
        ------
        EvaluationError
            The evaluation failed, or is one of Q already.
        """
        question = self._asked("value of Q")
        if question.action is not None:
            raise EvaluationError("at_policy takes an evaluation of V, this one is of Q: an action was given")
        duals = tuple(own.without_first_input() for own in self.duals)
        if data is None:
            return replace(self, duals=duals, question=replace(question, action=self.action))
        values = plan_costs(agent_points(question.problem, data, self.plans, duals))
        asked = replace(question, data=tuple(data), action=self.action)
        return replace(
            self,
            value=float(values.sum()),
            local_values=values,
            agreed_values=np.full(len(data), np.nan),
            duals=duals,
            question=asked,
        )

    def _asked(self, what: str) -> Question:
        if self.question is None:
            raise EvaluationError(f"a failed evaluation has no {what}: {self.status.message}")
        return self.question

    @cached_property
    def _points(self) -> tuple[AgentPoint, ...]:
        question = self._asked("plan")
        return agent_points(question.problem, question.data, self.plans, self.duals)

    @property
    def iterations(self) -> int:
        """Number of ADMM iterations."""
        return len(self.primal_residuals)


class Evaluator(Protocol):
    """Evaluates V, or Q where an action is given."""

    problem: MPCProblem

    def evaluate(
        self, data: Sequence[AgentData], action: Sequence[Array] | None = None, memory: ADMMState | None = None
    ) -> Evaluation:
        """Evaluate for the data of every agent; `memory` is an earlier evaluation's."""
        ...

    def shifted(self, memory: ADMMState | None) -> ADMMState | None:
        """The memory one sample on."""
        ...

    def agreed(self, shares: Array) -> Array:
        """Each agent's belief of the sum over the agents: (M,) of one number, (M, k) of k."""
        ...

    def with_problem(self, problem: MPCProblem) -> Self:
        """An evaluator of the same network with other numbers in its models, with the workspaces of this one."""
        ...


def same_structure(before: MPCProblem, after: MPCProblem) -> None:
    """ModelError where a problem differs from another in more than its numbers, or shares other components."""
    if (before.horizon, before.names) != (after.horizon, after.names):
        raise ModelError("a problem with other models keeps its horizon and its agents")
    for name, old, new in zip(before.names, before.models, after.models, strict=True):
        for j in {*old.neighbours, *new.neighbours}:
            if old.coupled_columns(j) != new.coupled_columns(j):
                raise ModelError(
                    f"{name}: the components of {before.names[j]} that couple were {old.coupled_columns(j)}, now they "
                    f"are {new.coupled_columns(j)}; declare what may become zero or nonzero: declared={{{j}: (...)}}"
                )
        if (old.n, old.m, old.d, len(old.lower)) != (new.n, new.m, new.d, len(new.lower)):
            raise ModelError(f"{name}: other models keep the numbers of states, inputs, disturbances and bounded rows")
        other = other_rows(old, new)
        if other:
            raise ModelError(
                f"{name}: {other} differs in which entries there are; other models keep the bounds that exist, soft or "
                "hard: build a controller anew for others"
            )


def agent_data(
    problem: MPCProblem,
    states: Sequence[ArrayLike],
    disturbances: Sequence[ArrayLike] | None = None,
    x_setpoints: Sequence[ArrayLike] | None = None,
    u_setpoints: Sequence[ArrayLike] | None = None,
    previous_inputs: Sequence[ArrayLike] | None = None,
) -> tuple[AgentData, ...]:
    """Spread what is known now over the horizon, one entry an agent.

    Parameters
    ----------
    states
        (n_i,) each.
    disturbances, x_setpoints, u_setpoints
        One vector an agent (held over the horizon) or a whole horizon: (N, d_i), (N + 1, n_i), (N, m_i). None: no
        disturbance, and the set points of the models.
    previous_inputs
        (m_i,) each; zeros where None.
    """
    N, data = problem.horizon, []
    for i, model in enumerate(problem.models):
        d = np.zeros(model.d) if disturbances is None else disturbances[i]
        x_ref = model.x_setpoint if x_setpoints is None else x_setpoints[i]
        u_ref = model.u_setpoint if u_setpoints is None else u_setpoints[i]
        data.append(
            AgentData(
                np.asarray(states[i], dtype=float),
                _over_horizon(d, (N, model.d)),
                _over_horizon(x_ref, (N + 1, model.n)),
                _over_horizon(u_ref, (N, model.m)),
                np.zeros(model.m) if previous_inputs is None else np.asarray(previous_inputs[i], dtype=float),
            )
        )
    return tuple(data)


def _over_horizon(value: ArrayLike, shape: tuple[int, int]) -> Array:
    """A copy for every stage: sums over it are the same, bit by bit, however it was given."""
    return np.broadcast_to(np.asarray(value, dtype=float), shape).copy()


def invalid_agent(data: Sequence[AgentData], action: Sequence[Array] | None) -> int | None:
    """The first agent whose data or action hold a number that is not finite."""
    for i, d in enumerate(data):
        arrays = (d.state, d.disturbance, d.x_setpoint, d.u_setpoint, d.previous_input)
        if not all(np.isfinite(array).all() for array in arrays):
            return i
        if action is not None and not np.isfinite(action[i]).all():
            return i
    return None


def failed_evaluation(
    agents: int, status: Status, culprit: int, primal: Array | None = None, dual: Array | None = None
) -> Evaluation:
    """An evaluation that gave no numbers, and why."""
    nothing = np.full(agents, np.nan)
    none = np.zeros(0)
    return Evaluation(
        status,
        culprit,
        float("nan"),
        nothing,
        nothing,
        primal_residuals=none if primal is None else primal,
        dual_residuals=none if dual is None else dual,
    )
