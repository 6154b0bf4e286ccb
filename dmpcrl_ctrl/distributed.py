"""The distributed evaluator: a program an agent, made to agree by ADMM; values agreed by averaging."""

import copy
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np

from dmpcrl_ctrl.admm import ADMMOptions, ADMMResult, complete, iterate, sweeps
from dmpcrl_ctrl.agent_programs import AgentPrograms
from dmpcrl_ctrl.arrays import Array, or_zero
from dmpcrl_ctrl.averaging import Averaging
from dmpcrl_ctrl.averaging_weights import DENSE
from dmpcrl_ctrl.channel import Kind, Neighbourhood, Transport
from dmpcrl_ctrl.consensus import ADMMState, cold_state, held_by, places_later, shifted_state
from dmpcrl_ctrl.horizon import build_horizon
from dmpcrl_ctrl.lagrangian import agent_points, plan_costs
from dmpcrl_ctrl.local_program import AgentProgram, LocalProgram, local_program
from dmpcrl_ctrl.network import communication_graph, coupling_components, shared_states
from dmpcrl_ctrl.penalty import automatic_penalty
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.solver import require_installed
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
        later = self.shared.shifted()
        self._later = later, places_later(self.held, later)
        self.curvature = automatic_penalty(self.horizons, self.held, self.shared)
        given = self.admm.penalty
        self.weights = self.curvature if given == "auto" else np.full(self.shared.size, float(given))
        require_installed(solver)
        self._solver, self._transport = solver, transport
        self._programs: dict[bool, list[LocalProgram]] = {}

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
                local_program(horizon, h, self.weights[h.shared], q, self._solver, {**old.before, **old.met})
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

    def _agents(self, data: Sequence[AgentData], action: Sequence[Array] | None) -> AgentPrograms:
        given = [np.zeros(0)] * len(data) if action is None else action
        q = action is not None
        if q not in self._programs:  # V and Q keep their solvers apart; who never asks for Q does not pay for it
            self._programs[q] = [
                local_program(horizon, h, self.weights[h.shared], q, self._solver)
                for horizon, h in zip(self.horizons, self.held, strict=True)
            ]
        programs = tuple(
            AgentProgram(horizon, program, d, states, a, program.cut.remaining(horizon.program(d, states), a))
            for program, horizon, d, states, a in zip(
                self._programs[q], self.horizons, data, self._told_states(data), given, strict=True
            )
        )
        return AgentPrograms(programs, self._neighbourhood.parts)

    def _told_states(self, data: Sequence[AgentData]) -> list[dict[int, Array]]:
        """For each agent the states of its neighbours, in the components that couple; zero elsewhere."""
        told = self.components.tell(Kind.STATE, [d.state for d in data])
        nothing = [{j: np.zeros(self.problem.models[j].n) for j in model.neighbours} for model in self.problem.models]
        return [
            none | {j: or_zero(state) for j, state in known.items()} for none, known in zip(nothing, told, strict=True)
        ]

    def _evaluation(self, agents: AgentPrograms, result: ADMMResult, action: Sequence[Array] | None) -> Evaluation:
        pairs = list(zip(agents.programs, result.solutions, strict=True))
        plans = tuple(agent.plan(solution) for agent, solution in pairs)
        duals = tuple(agent.duals(solution) for agent, solution in pairs)
        values = plan_costs(agent_points(self.problem, [agent.data for agent in agents.programs], plans, duals))
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
                tuple(agent.data for agent in agents.programs),
                None if action is None else tuple(action),
                self.components,
            ),
        )

    def shifted(self, memory: ADMMState | None) -> ADMMState | None:
        """The memory one sample on, to start the next evaluation from."""
        return None if memory is None else shifted_state(memory, *self._later)
