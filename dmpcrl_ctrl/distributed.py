"""The distributed evaluator: a program an agent, made to agree by ADMM; values agreed by averaging."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from dmpcrl_ctrl.admm import ADMMOptions, ADMMResult, complete, iterate, sweeps
from dmpcrl_ctrl.arrays import Array, dense
from dmpcrl_ctrl.averaging import Averaging
from dmpcrl_ctrl.averaging_weights import DENSE
from dmpcrl_ctrl.channel import Kind, Neighbourhood, Transport
from dmpcrl_ctrl.consensus import ADMMState, Held, cold_state, held_by, shifted_state
from dmpcrl_ctrl.horizon import Horizon, build_horizon
from dmpcrl_ctrl.lagrangian import agent_points, plan_costs
from dmpcrl_ctrl.network import communication_graph, coupling_components, shared_states
from dmpcrl_ctrl.penalty import automatic_penalty
from dmpcrl_ctrl.plan import Duals, Plan, read_duals, read_plan, rows_without_action
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QP, QPSolution, Substitution, substitution
from dmpcrl_ctrl.reduced import Point, Reduced, posed
from dmpcrl_ctrl.reduction import Reduction, Roles, States, reduction, roles_of
from dmpcrl_ctrl.solver import CheckedSolver, require_installed
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.value import Evaluation, Question, failed_evaluation, invalid_agent, same_structure

_DIGITS, _AGREED, _ROUNDS = 1e-6, 1e-3, 1000


class DistributedEvaluator:
    """V and Q from local programs; agents exchange the states that they share with neighbours, and nothing else.

    Parameters
    ----------
    problem
        The network's problem; its communication graph must be connected.
    admm
        Iterations, tolerance, penalty.
    rounds
        Rounds of averaging behind `agreed_values`; None: enough for six digits, at most 1000. Too few are warned of
        (:class:`~dmpcrl_ctrl.averaging.AveragingWarning`).
    solver
        Backend of the local programs.
    transport
        Carries what the agents tell each other; None: memory.
    averaging, acceleration
        Weights and acceleration of :meth:`~dmpcrl_ctrl.averaging.Averaging.from_graph`; None: "finite_time", which is
        exact, for at most 400 agents, else "chebyshev".

    Raises
    ------
    NetworkError
        The network is not connected.
    SolverError
        The backend is not installed.
    """

    def __init__(
        self,
        problem: MPCProblem,
        admm: ADMMOptions | None = None,
        rounds: int | None = None,
        solver: str = "proxqp",
        transport: Transport | None = None,
        averaging: str = "laplacian",
        acceleration: str | None = None,
    ) -> None:
        self.problem = problem
        self.admm = ADMMOptions() if admm is None else admm
        few = len(problem.models) <= DENSE
        chosen = acceleration or ("finite_time" if few else "chebyshev")
        self.averaging = Averaging.from_graph(communication_graph(problem), averaging, chosen, problem.names)
        self.rounds = min(self.averaging.rounds_for(_DIGITS), _ROUNDS) if rounds is None else rounds
        self.averaging.warn_if_short(self.rounds, _AGREED)
        self.horizons = tuple(build_horizon(problem, i) for i in range(len(problem.models)))
        self.components = coupling_components(problem, transport)
        self.shared = shared_states(problem)
        self.held = held_by([horizon.layout for horizon in self.horizons], self.shared)
        self._neighbourhood = Neighbourhood(self.shared.owner, tuple(h.shared for h in self.held), transport)
        self.curvature = automatic_penalty(self.horizons, self.held, self.shared)
        given = self.admm.penalty
        self.weights = self.curvature if given == "auto" else np.full(self.shared.size, float(given))
        require_installed(solver)
        self._solver, self._transport = solver, transport
        self._programs: dict[bool, list[_LocalProgram]] = {}

    def with_problem(self, problem: MPCProblem) -> Self:
        """An evaluator of the same network with other numbers in its models, with the workspaces of this one.

        The penalty stays what it was: learning moves models by little from one update to the next.

        Raises
        ------
        ModelError
            The problem differs in more than its numbers.
        """
        same_structure(self.problem, problem)
        other = copy.copy(self)
        other.problem = problem
        other.horizons = tuple(build_horizon(problem, i, h.layout) for i, h in enumerate(self.horizons))
        other._programs = {}
        for q, programs in self._programs.items():
            parts = zip(other.horizons, self.held, programs, strict=True)
            fresh = [
                _local_program(horizon, h, self.weights[h.shared], q, self._solver, {**old.before, **old.met})
                for horizon, h, old in parts
            ]
            other._programs[q] = fresh
        return other

    def agreed(self, shares: Array) -> Array:
        """(M,): each agent's belief of the sum of the shares, after averaging."""
        return self.averaging.average(len(shares) * shares, self.rounds, self._transport)

    def evaluate(
        self, data: Sequence[AgentData], action: Sequence[Array] | None = None, memory: ADMMState | None = None
    ) -> Evaluation:
        """Evaluate V, or Q where `action` is given, starting ADMM from `memory` (cold where None)."""
        bad = invalid_agent(data, action)
        if bad is not None:
            return failed_evaluation(len(data), Status.INVALID_DATA, bad)
        agents = self._agents(data, action)
        start = cold_state(self.held, self.shared.size) if memory is None else memory
        result = iterate(agents, self.weights, self._neighbourhood, start, self.admm, self.curvature)
        if not result.status.ok:
            return failed_evaluation(len(data), result.status, result.culprit, result.primal, result.dual)
        return self._evaluation(agents, result, action)

    def iterates(
        self, data: Sequence[AgentData], action: Sequence[Array] | None = None, memory: ADMMState | None = None
    ) -> Iterator[Evaluation]:
        """What an evaluation would return after 1, 2, 3, ... iterations from `memory`, for as long as one asks.

        Raises
        ------
        LocalFailure
            A local program cannot be solved.
        """
        agents = self._agents(data, action)
        start = cold_state(self.held, self.shared.size) if memory is None else memory
        history: list[tuple[float, float]] = []
        for sweep in sweeps(agents, self.weights, self._neighbourhood, start, self.admm):
            history.append((sweep.primal, sweep.dual))
            primal, dual = np.array(history).T
            result = ADMMResult(sweep.state, complete(sweep), Status.MAX_ITERATIONS, -1, primal, dual)
            yield self._evaluation(agents, result, action)

    def _agents(self, data: Sequence[AgentData], action: Sequence[Array] | None) -> list["_Agent"]:
        given = [np.zeros(0)] * len(data) if action is None else action
        q = action is not None
        if q not in self._programs:  # V and Q keep their solvers apart; who never asks for Q does not pay for it
            self._programs[q] = [
                _local_program(horizon, h, self.weights[h.shared], q, self._solver)
                for horizon, h in zip(self.horizons, self.held, strict=True)
            ]
        return [
            _Agent(horizon, program, d, states, a, program.cut.remaining(horizon.program(d, states), a))
            for program, horizon, d, states, a in zip(
                self._programs[q], self.horizons, data, self._told_states(data), given, strict=True
            )
        ]

    def _told_states(self, data: Sequence[AgentData]) -> list[dict[int, Array]]:
        """For each agent the states of its neighbours, in the components that couple; zero elsewhere."""
        told = self.components.tell(Kind.STATE, [d.state for d in data])
        nothing = [{j: np.zeros(self.problem.models[j].n) for j in model.neighbours} for model in self.problem.models]
        return [
            none | {j: np.nan_to_num(state) for j, state in known.items()}
            for none, known in zip(nothing, told, strict=True)
        ]

    def _evaluation(self, agents: Sequence["_Agent"], result: ADMMResult, action: Sequence[Array] | None) -> Evaluation:
        pairs = list(zip(agents, result.solutions, strict=True))
        plans = tuple(agent.plan(solution) for agent, solution in pairs)
        duals = tuple(agent.duals(solution) for agent, solution in pairs)
        values = plan_costs(agent_points(self.problem, [agent.data for agent in agents], plans, duals))
        return Evaluation(
            result.status,
            -1,
            float(values.sum()),
            values,
            self.agreed(values),
            tuple(plan.u[0] for plan in plans),
            plans,
            duals,
            result.primal,
            result.dual,
            result.state,
            Question(
                self.problem,
                tuple(agent.data for agent in agents),
                None if action is None else tuple(action),
                self.components,
            ),
        )

    def shifted(self, memory: ADMMState | None) -> ADMMState | None:
        """The memory one sample on, to start the next evaluation from."""
        return None if memory is None else shifted_state(memory, self.held, self.shared.shifted())


@dataclass(eq=False)
class _Penalised:
    """An agent's matrices at one scale of the penalty, and who solves for them.

    Attributes
    ----------
    H
        With factor E'W E added.
    reduction
        In inputs and copies alone, which is quickest; None where that does not go well.
    solver
        Checks what comes of that, and solves where nothing comes of it.
    states
        Where the rows were in the last solution.
    """

    H: Array
    reduction: Reduction | None
    solver: CheckedSolver
    states: States


@dataclass(frozen=True, eq=False)
class _LocalProgram:
    """What an agent keeps between evaluations: dense matrices, and more for each scale of the penalty met."""

    cut: Substitution
    roles: Roles
    held: Held
    weights: Array
    backend: str
    before: Mapping[float, _Penalised]
    met: dict[float, _Penalised] = field(default_factory=dict)

    def at(self, factor: float) -> _Penalised:
        """What there is for this scale of the penalty, with the solver of matrices before: it sees that they moved."""
        if factor not in self.met:
            H = self.cut.H.copy()
            H[self.held.local, self.held.local] += factor * self.weights
            alone = reduction(H, self.cut.A, self.cut.C, self.roles, self.held.local)
            old = self.before.get(factor)
            states = np.zeros(self.roles.rows, dtype=np.int8) if old is None else old.states
            self.met[factor] = _Penalised(H, alone, CheckedSolver(self.backend) if old is None else old.solver, states)
        return self.met[factor]


def _local_program(
    horizon: Horizon,
    held: Held,
    weights: Array,
    action: bool,
    backend: str,
    before: Mapping[float, _Penalised] | None = None,
) -> _LocalProgram:
    layout = horizon.layout
    fixed = layout.u[0] if action else np.zeros(0, dtype=np.intp)
    rows = rows_without_action(layout) if action else np.arange(layout.inequalities)
    cut = substitution(dense(horizon.H), dense(horizon.A), dense(horizon.C), fixed, rows)
    local = Held(np.searchsorted(cut.free, held.local), held.shared)
    return _LocalProgram(cut, roles_of(layout).cut(cut.free, rows), local, weights, backend, before or {})


@dataclass(frozen=True, eq=False)
class _Agent:
    """One agent's program (15a) in one evaluation, and how its solution reads.

    Only the linear term moves from one iteration to the next, which the reduced program is made for. Where there is
    none, or it has no answer, the whole program is solved.
    """

    horizon: Horizon
    program: _LocalProgram
    data: AgentData
    states: Mapping[int, Array]
    given: Array
    qp: QP
    posed: dict[float, Reduced | None] = field(default_factory=dict)
    responses: dict[float, Array | None] = field(default_factory=dict)

    def solve(self, linear: Array, factor: float) -> "_Answer":
        """One solve of (15a), see :class:`~dmpcrl_ctrl.consensus.Subproblem`."""
        penalised = self.program.at(factor)
        if factor not in self.posed:
            self.posed[factor] = posed(penalised.reduction, replace(self.qp, H=penalised.H))
        program = self.posed[factor]
        point = None if program is None else program.at(linear, penalised.states)
        if point is not None:
            penalised.states, self.responses[factor] = point.pattern.states, point.pattern.response
            return _Answer(self, linear, factor, Status.OPTIMAL, point.shared, point=point)
        solution, _ = self.checked(linear, factor, None)
        if program is not None and solution.status.ok:
            penalised.states = program.states_at(solution)
        at = self.program.held.local
        self.responses[factor] = penalised.solver.response(at)
        return _Answer(self, linear, factor, solution.status, solution.x[at], known=solution)

    def checked(self, linear: Array, factor: float, point: Point | None) -> tuple[QPSolution, bool]:
        """All variables and multipliers for a linear term, and whether they are those of the point, if there is one.

        A point that does not satisfy the whole program's conditions is the last of its kind.
        """
        qp, penalised = self.qp, self.program.at(factor)
        g = qp.g.copy()
        g[self.program.held.local] += linear
        whole = QP(penalised.H, g, qp.A, qp.b, qp.C, qp.lower, qp.upper)
        if point is None:
            return penalised.solver.solve(whole), True
        offered = point.program.solution(point)
        solution = penalised.solver.solve(whole, offered)
        sound = solution is offered and point.program.agrees(point, solution)
        if not sound:
            penalised.reduction = self.posed[factor] = None
        return solution, sound

    def law(self, factor: float) -> Array | None:
        """How the shared numbers follow their linear term, see :class:`~dmpcrl_ctrl.consensus.Subproblem`."""
        return self.responses.get(factor)

    def plan(self, solution: QPSolution) -> Plan:
        """The plan in a solution."""
        variables = self.program.cut.full(solution.x, self.given)
        return read_plan(self.horizon.layout, self.horizon.model, self.data, self.states, variables)

    def duals(self, solution: QPSolution) -> Duals:
        """The multipliers in a solution."""
        layout, rows = self.horizon.layout, self.program.cut.rows
        low, high = np.zeros((2, layout.inequalities))
        low[rows], high[rows] = solution.lower_dual, solution.upper_dual
        return read_duals(layout, self.horizon.model, solution.equality_dual, low, high)


@dataclass(eq=False)
class _Answer:
    """See :class:`~dmpcrl_ctrl.consensus.Answer`; what is not shared is computed where somebody asks for it."""

    agent: _Agent
    linear: Array
    factor: float
    status: Status
    shared: Array
    known: QPSolution | None = None
    point: Point | None = None
    sound: bool = True

    def solution(self) -> QPSolution:
        """All variables and multipliers, checked."""
        if self.known is None:
            self.known, self.sound = self.agent.checked(self.linear, self.factor, self.point)
        return self.known
