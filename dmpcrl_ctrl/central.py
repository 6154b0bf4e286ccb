"""The centralised evaluator: one program for the whole network, put together from the same local programs."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import numpy as np

from dmpcrl_ctrl.admm import ADMMState
from dmpcrl_ctrl.arrays import Array, BlockSum, Index, Matrix
from dmpcrl_ctrl.horizon import Horizon, build_horizon
from dmpcrl_ctrl.lagrangian import agent_points, plan_costs
from dmpcrl_ctrl.layout import Layout, layout_of
from dmpcrl_ctrl.network import coupling_components
from dmpcrl_ctrl.plan import read_duals, read_plan, rows_without_action
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QP, substitution
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.value import Evaluation, Question, failed_evaluation, invalid_agent, same_structure


class CentralEvaluator:
    """V and Q from one program, sparse where the network is large.

    With T_i the 0/1 matrix that takes agent i's variables, copies included, out of the network's, the program is
    H = sum T_i'H_i T_i, g = sum T_i'g_i, and the constraints of all agents one below the other. So its multipliers are
    the agents' own, and there is no consensus to multiply.

    Parameters
    ----------
    problem
        The network's problem; it need not be connected.
    solver
        Backend; for a large network one that works on sparse matrices is best.
    dense
        Up to how many variables the matrices are dense, which is quicker while they are small.
    """

    def __init__(self, problem: MPCProblem, solver: str = "piqp", dense: int = 300) -> None:
        self._dense = dense
        self._solvers = {given: CheckedSolver(solver) for given in (False, True)}
        self.components = coupling_components(problem)
        self._take(problem, [layout_of(problem, i) for i in range(len(problem.models))])

    def with_problem(self, problem: MPCProblem) -> Self:
        """An evaluator of the same network with other numbers in its models, with the workspaces of this one.

        Raises
        ------
        ModelError
            The problem differs in more than its numbers.
        """
        same_structure(self.problem, problem)
        other = copy.copy(self)
        other._take(problem, [horizon.layout for horizon in self.horizons])
        return other

    def _take(self, problem: MPCProblem, layouts: Sequence[Layout]) -> None:
        self.problem = problem
        self.horizons = tuple(build_horizon(problem, i, layout) for i, layout in enumerate(layouts))
        self._positions, self._size = _network_positions(self.horizons)
        self._matrices = self._assemble()
        self._first = np.concatenate([p[h.layout.u[0]] for p, h in zip(self._positions, self.horizons, strict=True)])
        starts = np.cumsum([0] + [horizon.layout.inequalities for horizon in self.horizons])
        self._rows = [np.arange(a, b) for a, b in pairwise(starts)]
        none = np.zeros(0, dtype=np.intp)
        kept = [r[rows_without_action(h.layout)] for r, h in zip(self._rows, self.horizons, strict=True)]
        self._cuts = {
            False: substitution(*self._matrices, none, np.arange(starts[-1])),
            True: substitution(*self._matrices, self._first, np.concatenate(kept)),
        }

    def agreed(self, shares: Array) -> Array:
        """The sum, which who computes for all knows."""
        return np.broadcast_to(shares.sum(axis=0), shares.shape).copy()

    def evaluate(
        self, data: Sequence[AgentData], action: Sequence[Array] | None = None, memory: ADMMState | None = None
    ) -> Evaluation:
        """Evaluate V, or Q where `action` is given; `memory` is not used."""
        bad = invalid_agent(data, action)
        if bad is not None:
            return failed_evaluation(len(data), Status.INVALID_DATA, bad)
        states = [d.state for d in data]
        programs = [horizon.program(d, states) for horizon, d in zip(self.horizons, data, strict=True)]
        given = np.zeros(0) if action is None else np.concatenate(list(action))
        cut = self._cuts[action is not None]
        solution = self._solvers[action is not None].solve(cut.remaining(self._network_program(programs), given))
        if not solution.status.ok:
            return failed_evaluation(len(data), solution.status, -1)
        variables = cut.full(solution.x, given)
        low, high = np.zeros((2, self._matrices[2].shape[0]))
        low[cut.rows], high[cut.rows] = solution.lower_dual, solution.upper_dual
        plans, duals, equality = [], [], 0
        for i, (horizon, program) in enumerate(zip(self.horizons, programs, strict=True)):
            layout, model = horizon.layout, horizon.model
            own = variables[self._positions[i]]
            plans.append(read_plan(layout, model, data[i], states, own))
            rows, equalities = self._rows[i], slice(equality, equality + len(program.b))
            duals.append(read_duals(layout, model, solution.equality_dual[equalities], low[rows], high[rows]))
            equality += len(program.b)
        values = plan_costs(agent_points(self.problem, data, plans, duals))
        total = float(values.sum())
        action_taken = tuple(plan.u[0] for plan in plans)
        agreed = np.full(len(data), total)
        asked = Question(self.problem, tuple(data), None if action is None else tuple(action), self.components)
        found = action_taken, tuple(plans), tuple(duals)
        return Evaluation(Status.OPTIMAL, -1, total, values, agreed, *found, question=asked)

    def shifted(self, memory: ADMMState | None) -> ADMMState | None:
        """Nothing is carried over."""
        return None

    def _assemble(self) -> tuple[Matrix, Matrix, Matrix]:
        # T_i'H_i T_i has the entries of H_i at other places; A_i T_i stand one below the other, and C_i T_i
        hessians = [(h.H, p, p) for h, p in zip(self.horizons, self._positions, strict=True)]
        return self._placed(hessians, self._size), self._stacked("A"), self._stacked("C")

    def _stacked(self, name: str) -> Matrix:
        parts, height = [], 0
        for horizon, positions in zip(self.horizons, self._positions, strict=True):
            matrix = getattr(horizon, name)
            parts.append((matrix, height + np.arange(matrix.shape[0]), positions))
            height += matrix.shape[0]
        return self._placed(parts, height)

    def _placed(self, parts: Sequence[tuple[Matrix, Index, Index]], height: int) -> Matrix:
        """(height, size): the sum of matrices whose rows and columns are put at given places."""
        total = BlockSum((height, self._size), self._size <= self._dense)
        for matrix, at, to in parts:
            total.put(matrix, at, to)
        return total.matrix()

    def _network_program(self, programs: Sequence[QP]) -> QP:
        g = np.zeros(self._size)
        for positions, program in zip(self._positions, programs, strict=True):
            np.add.at(g, positions, program.g)
        b, lower, upper = (np.concatenate([getattr(p, name) for p in programs]) for name in ("b", "lower", "upper"))
        H, A, C = self._matrices
        return QP(H, g, A, b, C, lower, upper, sum(program.constant for program in programs))


def _network_positions(horizons: Sequence[Horizon]) -> tuple[list[Index], int]:
    """Where each agent's variables stand in the network's: its own in turn, copies where the owner's are."""
    own = [h.layout.size - sum(c.size for c in h.layout.copied) for h in horizons]
    starts = np.cumsum([0, *own])
    positions = []
    for i, horizon in enumerate(horizons):
        layout = horizon.layout
        places = [np.arange(starts[i], starts[i + 1])]
        for held in layout.copies:
            owner = horizons[held.owner].layout
            places.append((starts[held.owner] + owner.x[: held.last_stage, held.columns]).ravel())
        positions.append(np.concatenate(places))
    return positions, int(starts[-1])
