"""The central problem of a network by another road than the package's: CVXPY and Clarabel.

Written from the mathematics in the docstring of `dmpcrl_ctrl.model`: whole trajectories are the variables, x(0) among
them; there are no copies and no index layouts.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

from dmpcrl_ctrl.plan import Duals
from dmpcrl_ctrl.problem import AgentData, MPCProblem

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Reference:
    """The central solution: value (infinite where infeasible); x, u, sigma and all multipliers as in `plan.py`."""

    value: float
    x: tuple[Array, ...] = ()
    u: tuple[Array, ...] = ()
    sigma: tuple[Array, ...] = ()
    duals: tuple[Duals, ...] = ()

    @property
    def action(self) -> tuple[Array, ...]:
        """u_i(0)."""
        return tuple(u[0] for u in self.u)


def _solve(program: cp.Problem) -> str:
    """Clarabel, as tightly as it will: it gives up at the tightest tolerances where a constraint is all but redundant.

    Where it gives up altogether (everything is fixed by constraints that contradict each other), HiGHS is asked whether
    there is any point at all.
    """
    for tolerance in (1e-11, 1e-10, 1e-9, 1e-8):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "may be inaccurate": the next tolerance is tried then
            try:
                program.solve(
                    solver=cp.CLARABEL, **dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance)
                )
            except cp.SolverError:
                continue
        if program.status in ("optimal", "infeasible"):
            return str(program.status)
    anywhere = cp.Problem(cp.Minimize(0), program.constraints)
    anywhere.solve(solver=cp.SCIPY)
    return "infeasible" if anywhere.status == "infeasible" else "unsolved"


class CentralProgram:
    """The network's problem in CVXPY; solve() gives V, or Q where an action is given."""

    def __init__(self, problem: MPCProblem, data: Sequence[AgentData], action: Sequence[Array] | None = None) -> None:
        self.problem, self.data, self.action = problem, data, action
        N = problem.horizon
        self.x = [cp.Variable((N + 1, model.n)) for model in problem.models]
        self.u = [variable(N, model.m) for model in problem.models]
        self.sigma = [variable(N, int(model.soft.sum())) for model in problem.models]
        self.dynamics = [self._dynamics(i) for i in range(len(problem.models))]

    def solve(self) -> Reference:
        """Solve with Clarabel, to tight tolerances."""
        agents = range(len(self.problem.models))
        rows = [{**self._bounds(i), **self._inputs(i)} for i in agents]
        constraints = [row for own in rows for row in own.values()]
        program = cp.Problem(
            cp.Minimize(sum(self._cost(i) for i in agents)), [*self.dynamics, *self._given(), *constraints]
        )
        status = _solve(program)
        if status == "infeasible":
            return Reference(np.inf)
        assert status == "optimal", status
        return Reference(
            float(program.value),
            tuple(np.asarray(x.value) for x in self.x),
            tuple(np.asarray(u.value) for u in self.u),
            tuple(self._full_sigma(i) for i in agents),
            tuple(self._multipliers(i, own) for i, own in enumerate(rows)),
        )

    def _given(self) -> list[Any]:
        """The states now, and the action."""
        rows = [x[0] == d.state for x, d in zip(self.x, self.data, strict=True)]
        if self.action is not None:
            rows += [u[0] == a for u, a in zip(self.u, self.action, strict=True) if u.size]
        return rows

    def _dynamics(self, i: int) -> Any:
        model, data, x = self.problem.models[i], self.data[i], self.x[i]
        known = data.disturbance @ model.E.T + model.b
        prediction = x[:-1] @ model.A.T + self.u[i] @ model.B.T + known
        for j, block in model.A_ij.items():
            prediction += self.x[j][:-1] @ block.T
        return prediction - x[1:] == 0

    def _cost(self, i: int) -> Any:
        model, data, N = self.problem.models[i], self.data[i], self.problem.horizon
        root = np.sqrt(self.problem.discount ** np.arange(N + 1.0))[:, None]
        terms = [
            cp.Constant(model.V0),
            *weighted(self.x[i][:-1] - data.x_setpoint[:-1], model.Q, root[:N]),
            *weighted(self.u[i] - data.u_setpoint, model.R, root[:N]),
            *weighted(self.x[i][-1:] - data.x_setpoint[-1:], model.P, root[N:]),
            cp.sum(self.x[i][:-1] @ model.f[: model.n]),
        ]
        if model.m:
            terms.append(cp.sum(self.u[i] @ model.f[model.n :]))
        mixed = [self.x[j][:-1] @ block.T for j, block in model.G_ij.items()]
        if len(model.G):
            terms += weighted(sum(mixed, self.x[i][:-1] @ model.G.T), model.Q_c, root[:N])
        if model.soft.any():
            linear, quadratic = model.slack_weight[model.soft], model.slack_quadratic[model.soft]
            terms.append(cp.sum(cp.multiply(root[:N] ** 2 * linear, self.sigma[i])))
            terms.append(cp.sum_squares(cp.multiply(root[:N] * np.sqrt(quadratic), self.sigma[i])))
        return sum(terms)

    def _bounds(self, i: int) -> dict[tuple[str, int], Any]:
        """By the multiplier's name and the bounded row; sigma >= 0 is a constraint, so that it has a multiplier."""
        model, N = self.problem.models[i], self.problem.horizon
        rows: dict[tuple[str, int], Any] = {}
        if model.terminal_equality:
            rows["terminal", 0] = self.x[i][N] - self.data[i].x_setpoint[N] == 0
        mixed: Any = self.x[i][1:] @ model.C.T if len(model.C) else None
        for j, block in model.C_ij.items():
            mixed = mixed + self.x[j][1:] @ block.T
        place = np.cumsum(model.soft) - 1
        for r in range(len(model.C)):
            give = self.sigma[i][:, place[r]] if model.soft[r] else 0.0
            if np.isfinite(model.lower[r]):
                rows["lower", r] = mixed[:, r] >= model.lower[r] + model.x_lb[r] - give
            if np.isfinite(model.upper[r]):
                rows["upper", r] = mixed[:, r] <= model.upper[r] + model.x_ub[r] + give
            if model.soft[r]:
                rows["slack", r] = give >= 0
        return rows

    def _inputs(self, i: int) -> dict[tuple[str, int], Any]:
        model, data, u = self.problem.models[i], self.data[i], self.u[i]
        if not model.m:
            return {}
        first = 0 if self.action is None else 1
        changes = cp.diff(cp.vstack([data.previous_input[None, :], u]), axis=0)[first:]
        rows: dict[tuple[str, int], Any] = {}
        for c in range(model.m):
            if first == self.problem.horizon:
                break
            if np.isfinite(model.u_min[c]):
                rows["u_min", c] = u[first:, c] >= model.u_min[c]
            if np.isfinite(model.u_max[c]):
                rows["u_max", c] = u[first:, c] <= model.u_max[c]
            if np.isfinite(model.du_max[c]):
                rows["du_max", c] = changes[:, c] <= model.du_max[c]
                rows["du_min", c] = changes[:, c] >= -model.du_max[c]
        return rows

    def _multipliers(self, i: int, rows: dict[tuple[str, int], Any]) -> Duals:
        """CVXPY's multipliers of inequalities are nonnegative, that of `e == 0` belongs to +lambda'e, as ours."""
        model, N = self.problem.models[i], self.problem.horizon
        p, m = len(model.C), model.m
        widths = {"lower": p, "upper": p, "slack": p, "u_min": m, "u_max": m, "du_min": m, "du_max": m}
        found = {name: np.zeros((N, width)) for name, width in widths.items()}
        terminal = np.zeros(model.n)
        for (name, column), row in rows.items():
            value = np.asarray(row.dual_value).ravel()
            if name == "terminal":
                terminal = value
            else:
                found[name][N - len(value) :, column] = value
        return Duals(dynamics=np.asarray(self.dynamics[i].dual_value), terminal=terminal, **found)

    def _full_sigma(self, i: int) -> Array:
        model = self.problem.models[i]
        full = np.zeros((self.problem.horizon, len(model.C)))
        full[:, model.soft] = self.sigma[i].value
        return full


def variable(stages: int, width: int) -> Any:
    """A CVXPY variable, or a constant where it would be empty, which CVXPY does not know."""
    return cp.Variable((stages, width)) if width else cp.Constant(np.zeros((stages, 0)))


def weighted(difference: Any, weight: Array, root: Array) -> list[Any]:
    """[sum over the rows of difference of root^2 |row|^2_weight], or nothing where that is zero for sure."""
    values, vectors = np.linalg.eigh(weight) if weight.size else (np.zeros(0), np.zeros((0, 0)))
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    return [cp.sum_squares(cp.multiply(root, difference @ factor))] if factor.any() else []


def central_reference(
    problem: MPCProblem, data: Sequence[AgentData], action: Sequence[Array] | None = None
) -> Reference:
    """V, or Q where an action is given."""
    return CentralProgram(problem, data, action).solve()
