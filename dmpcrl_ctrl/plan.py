"""What a solved program says about one agent: its plan and its multipliers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dmpcrl_ctrl.arrays import Array, Index, others
from dmpcrl_ctrl.layout import Layout
from dmpcrl_ctrl.model import LocalModel, States
from dmpcrl_ctrl.problem import AgentData


@dataclass(frozen=True, eq=False)
class Plan:
    """What one agent intends.

    Attributes
    ----------
    x, u, sigma
        (N + 1, n) with x[0] = s, (N, m), (N, p) with zeros in rows without a slack; sigma[k] belongs to x[k + 1].
    neighbours
        Neighbour number j -> (N + 1, n_j): what the agent takes for x_j. NaN where it does not know: in columns that do
        not couple, and at the last stage unless x_j enters a bound.
    """

    x: Array
    u: Array
    sigma: Array
    neighbours: Mapping[int, Array] = field(default_factory=dict)

    def flat(self) -> Array:
        """All numbers one after the other: x, u, sigma, then the neighbours in order."""
        return np.concatenate(
            [self.x.ravel(), self.u.ravel(), self.sigma.ravel(), *map(np.ravel, self.neighbours.values())]
        )


@dataclass(frozen=True, eq=False)
class Duals:
    """Multipliers of one agent's constraints; those of inequalities are nonnegative, and zero where no bound exists.

    Attributes
    ----------
    dynamics
        (N, n): lambda(k) of `prediction - x(k+1) = 0`.
    terminal
        (n,): of `x(N) - xbar(N) = 0`; zeros without a terminal equality.
    lower, upper
        (N, p): row k belongs to the bounds on x(k+1).
    slack
        (N, p): of sigma >= 0.
    u_min, u_max
        (N, m); zero at stage 0 where the action is given.
    du_min, du_max
        (N, m): of u(k) - u(k-1) >= -du_max and <= du_max.
    """

    dynamics: Array
    terminal: Array
    lower: Array
    upper: Array
    slack: Array
    u_min: Array
    u_max: Array
    du_min: Array
    du_max: Array

    def flat(self) -> Array:
        """All multipliers one after the other, in the order of the attributes."""
        return np.concatenate([getattr(self, name).ravel() for name in self.__dataclass_fields__])

    def without_first_input(self) -> "Duals":
        """The same without multipliers of the bounds on u(0) and on its first change, as where u(0) is given."""
        cleared = {name: getattr(self, name).copy() for name in ("u_min", "u_max", "du_min", "du_max")}
        for bound in cleared.values():
            bound[0] = 0.0
        return replace(self, **cleared)


def rows_without_action(layout: Layout) -> Index:
    """Inequality rows that remain once u(0) is given.

    The bounds on u(0) and on its first change go: fixing a variable that sits on its bound would make the multipliers
    ambiguous.
    """
    dropped = [kind.index[kind.stage == 0] for kind in (layout.input, layout.rate)]
    return others(layout.inequalities, np.concatenate(dropped))


def read_plan(layout: Layout, model: LocalModel, data: AgentData, states: States, variables: Array) -> Plan:
    """The plan in the full vector of variables (u(0) filled in); `states` holds at least the neighbours' s_j."""
    sigma = np.zeros((layout.horizon, len(model.lower)))
    sigma[:, layout.priced] = variables[layout.sigma]
    neighbours = {}
    for copy, places in zip(layout.copies, layout.copied, strict=True):
        known = np.full((layout.horizon + 1, len(states[copy.owner])), np.nan)
        known[0, copy.columns] = states[copy.owner][list(copy.columns)]
        known[1 : copy.last_stage + 1, copy.columns] = variables[places]
        neighbours[copy.owner] = known
    return Plan(np.vstack([data.state, variables[layout.x]]), variables[layout.u], sigma, neighbours)


def read_duals(layout: Layout, model: LocalModel, equality: Array, low: Array, high: Array) -> Duals:
    """The multipliers by constraint, from those of every equality row and of both sides of every inequality row."""
    N, n, m, p = layout.horizon, model.n, model.m, len(model.lower)
    lower, upper, slack = np.zeros((N, p)), np.zeros((N, p)), np.zeros((N, p))
    for rows in (layout.hard, layout.soft_lower):
        lower[rows.at] = low[rows.index]
    for rows in (layout.hard, layout.soft_upper):
        upper[rows.at] = high[rows.index]
    slack[layout.slack.at] = low[layout.slack.index]
    bounds = []
    for rows, multipliers in ((layout.input, low), (layout.input, high), (layout.rate, low), (layout.rate, high)):
        array = np.zeros((N, m))
        array[rows.at] = multipliers[rows.index]
        bounds.append(array)
    terminal = equality[layout.terminal] if layout.terminal.size else np.zeros(n)
    return Duals(equality[layout.dynamics], terminal, lower, upper, slack, *bounds)
