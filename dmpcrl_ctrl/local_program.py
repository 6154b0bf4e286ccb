"""One agent's program (15a): what is kept between evaluations, its solution for one linear term after the other.

Between two iterations only the linear term of the shared numbers moves, which the reduced program is made for
(:mod:`dmpcrl_ctrl.reduced`). The whole program is solved where there is none or it has no answer, and checked at the
end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dmpcrl_ctrl.arrays import Array, dense, frozen
from dmpcrl_ctrl.consensus import Held
from dmpcrl_ctrl.horizon import Horizon
from dmpcrl_ctrl.plan import Duals, Plan, read_duals, read_plan, rows_without_action
from dmpcrl_ctrl.problem import AgentData
from dmpcrl_ctrl.qp import QP, QPSolution, Substitution, substitution
from dmpcrl_ctrl.reduced import Point, Reduced, posed
from dmpcrl_ctrl.reduction import Reduction, Roles, States, reduction, roles_of
from dmpcrl_ctrl.solver import CheckedSolver


@dataclass(eq=False)
class Penalised:
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
class LocalProgram:
    """What an agent keeps between evaluations.

    Attributes
    ----------
    cut, roles, held, weights, backend
        Its dense matrices without the penalty; what variables and rows are; what is shared, and its weights at scale 1;
        who solves the whole program.
    before, met
        By scale of the penalty: what there was of a program with other numbers, and what there is of this one.
    """

    cut: Substitution
    roles: Roles
    held: Held
    weights: Array
    backend: str
    before: Mapping[float, Penalised]
    met: dict[float, Penalised] = field(default_factory=dict)

    def at(self, factor: float) -> Penalised:
        """What there is for this scale of the penalty, with the solver of matrices before: it sees that they moved."""
        if factor not in self.met:
            H = dense(self.cut.H).copy()
            H[self.held.local, self.held.local] += factor * self.weights
            H = frozen(H)
            alone = reduction(H, self.cut.A, self.cut.C, self.roles, self.held.local)
            old = self.before.get(factor)
            states = np.zeros(self.roles.rows, dtype=np.int8) if old is None else old.states
            self.met[factor] = Penalised(H, alone, CheckedSolver(self.backend) if old is None else old.solver, states)
        return self.met[factor]


def local_program(
    horizon: Horizon,
    held: Held,
    weights: Array,
    action: bool,
    backend: str,
    before: Mapping[float, Penalised] | None = None,
) -> LocalProgram:
    """An agent's program V, or Q where its action is given.

    Parameters
    ----------
    horizon, held
        Its matrices; what it shares, in its own vector of variables.
    weights
        (held,): of the penalty, at scale 1.
    action
        Whether u(0) is given.
    backend
        Of the whole program.
    before
        What there was of a program that differs in its numbers, by scale of the penalty: solvers that stay warm.
    """
    layout = horizon.layout
    fixed = layout.u[0] if action else np.zeros(0, dtype=np.intp)
    rows = rows_without_action(layout) if action else np.arange(layout.inequalities)
    cut = substitution(dense(horizon.H), dense(horizon.A), dense(horizon.C), fixed, rows)
    local = Held(np.searchsorted(cut.free, held.local), held.shared)
    return LocalProgram(cut, roles_of(layout).cut(cut.free, rows), local, weights, backend, before or {})


@dataclass(frozen=True, eq=False)
class AgentProgram:
    """One agent's program (15a) in one evaluation, and how its solution reads.

    Attributes
    ----------
    horizon, program
        The agent's matrices, and what is kept of them.
    data, states, given
        What it knows; s_j of its neighbours; its action, of Q.
    qp
        The program without the penalty.
    posed
        By scale of the penalty: the reduced program.
    """

    horizon: Horizon
    program: LocalProgram
    data: AgentData
    states: Mapping[int, Array]
    given: Array
    qp: QP
    posed: dict[float, Reduced | None] = field(default_factory=dict)

    def point(self, linear: Array, factor: float) -> Point | None:
        """The solution of the reduced program for a linear term and a scale of the penalty; None where it has none."""
        penalised = self.program.at(factor)
        if factor not in self.posed:
            self.posed[factor] = posed(penalised.reduction, replace(self.qp, H=penalised.H))
        program = self.posed[factor]
        point = None if program is None else program.at(linear, penalised.states)
        if point is not None:
            penalised.states = point.pattern.states
        return point

    def solve(self, linear: Array, factor: float) -> QPSolution:
        """The solution of the whole program, after :meth:`point` has found none; it tells the next where to look."""
        penalised, program = self.program.at(factor), self.posed[factor]
        solution = penalised.solver.solve(self._whole(linear, factor))
        if program is not None and solution.status.ok:
            penalised.states = program.states_at(solution)
        return solution

    def checked(self, point: Point, factor: float) -> tuple[QPSolution, bool]:
        """All variables and multipliers at a point, and whether they are its own.

        A point that does not satisfy the whole program's conditions is the last of its kind.
        """
        penalised, offered = self.program.at(factor), point.program.solution(point)
        solution = penalised.solver.solve(self._whole(point.linear, factor), offered)
        sound = solution is offered and point.program.agrees(point, solution)
        if not sound:
            penalised.reduction = self.posed[factor] = None
        return solution, sound

    def _whole(self, linear: Array, factor: float) -> QP:
        g = self.qp.g.copy()
        g[self.program.held.local] += linear
        return replace(self.qp, H=self.program.at(factor).H, g=g)

    def law(self, factor: float) -> Array | None:
        """How shared numbers follow their linear term, its sign turned, after :meth:`solve`; None: not known."""
        return self.program.at(factor).solver.response(self.program.held.local)

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
