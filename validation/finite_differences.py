"""Derivatives of V and Q by differences of the value: what a gradient is held against.

Every parameter array of every agent is moved along one random direction, and the whole network's problem is solved anew
on both sides. V and Q have kinks, at which there is no derivative: there the active constraints on the two sides are
not the same, or the slopes are not. That is looked at in the solutions alone, never in the gradient under test; a kink
is counted and not compared.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.errors import EvaluationError, ModelError
from dmpcrl_ctrl.gradient import Gradient
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.parts import Field, label
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.validation.directions import Case, Direction, directions
from dmpcrl_ctrl.value import Evaluation

# steps, relative to the parameter's size: the first at which nothing changes but the value
_STEPS = (1e-3, 1e-4, 1e-5, 1e-6)
# relative to the largest entry of the gradient: by how much halving the step may change the slope (the extrapolated
# one is then good to about its square), and by how much the slopes of the two sides may differ
_CURVED, _JUMP = 1e-5, 1e-6
_ROUNDING = 1e-9


class _Nearby(CentralEvaluator):
    """The evaluator of a problem that differs from others in numbers alone: it goes on from their last active rows."""

    def __init__(self, problem: MPCProblem, solvers: dict[bool, CheckedSolver]) -> None:
        super().__init__(problem)
        self._solvers = solvers

    def for_problem(self, problem: MPCProblem) -> "_Nearby":
        """An evaluator of a problem with the same layout."""
        return self if problem is self.problem else _Nearby(problem, self._solvers)


@dataclass(frozen=True, eq=False)
class _Start:
    """The case that is moved from, its evaluation, the rounding of its value, and the solvers that know it."""

    case: Case
    evaluation: Evaluation
    active: NDArray[np.bool_]
    noise: float
    evaluator: _Nearby

    def gained(self, case: Case) -> float | None:
        """What the value gains; None where there is none, or where other constraints are active."""
        nearby = self.evaluator.for_problem(case.problem)
        there = nearby.evaluate(case.data, case.action)
        if not there.status.ok or not np.array_equal(active_constraints(there), self.active):
            return None
        return there.value - self.evaluation.value


@dataclass(frozen=True, eq=False)
class Slope:
    """The derivative of the value along one direction.

    Attributes
    ----------
    direction
        Along which.
    slope
        The derivative; NaN at a kink.
    largest
        Largest entry of the agent's gradient at the central solution.
    """

    direction: Direction
    slope: float
    largest: float


@dataclass(frozen=True)
class Comparison:
    """A gradient beside the slopes of the value.

    Attributes
    ----------
    compared, kinks
        Number of directions that were compared; and of those without a derivative.
    error, where
        Largest difference relative to the largest entry of the agent's gradient; the agent and parameter it belongs to.
    expected, found
        The slope there, and what the gradient says of it.
    """

    compared: int
    kinks: int
    error: float = 0.0
    where: str = ""
    expected: float = 0.0
    found: float = 0.0


def slopes(
    problem: MPCProblem,
    data: Sequence[AgentData],
    action: Sequence[Array] | None = None,
    *,
    seed: int = 0,
    parameters: Collection[str] | None = None,
) -> tuple[Slope, ...]:
    """Derivative of V (or Q) along one random direction for each parameter of each agent.

    Weights move along congruences, prices and `du_max` by factors, everything else by sums; see :class:`Direction`. Of
    `A_ij`, `C_ij`, `G_ij` the columns move that the agent holds. Infinite bounds and prices do not move.

    Parameters
    ----------
    problem, data, action
        What is evaluated.
    seed
        Of the directions.
    parameters
        Names of the parameters; all where None.

    Raises
    ------
    EvaluationError
        The central problem has no solution.
    """
    case = Case(problem, tuple(data), None if action is None else tuple(action))
    evaluator = _Nearby(problem, {given: CheckedSolver("piqp") for given in (False, True)})
    found = evaluator.evaluate(case.data, case.action)
    if not found.status.ok:
        raise EvaluationError(f"the value has no slopes where the central problem fails: {found.status.message}")
    points = agent_points(problem, case.data, found.plans, found.duals)
    noise = float(np.finfo(float).eps) * sum(abs(term) for point in points for term in point.costs())
    start = _Start(case, found, active_constraints(found), noise, evaluator)
    largest = [max(float(np.abs(entries).max(initial=0.0)) for entries in _entries(own)) for own in found.gradient]
    return tuple(
        Slope(direction, _slope(start, direction, largest[direction.agent]), largest[direction.agent])
        for direction in directions(case, np.random.default_rng(seed))
        if parameters is None or _name(direction.parameter) in parameters
    )


def compare(reference: Sequence[Slope], gradient: Sequence[Gradient], names: Sequence[str]) -> Comparison:
    """A gradient, one mapping an agent, beside the slopes; `names` are those of the agents.

    A NaN in the gradient is an infinite error.
    """
    worst = Comparison(0, sum(bool(np.isnan(one.slope)) for one in reference))
    for one in reference:
        if np.isnan(one.slope):
            continue
        direction = one.direction
        entries = np.asarray(_entry(gradient[direction.agent], direction.parameter))
        moves = direction.tangent != 0.0
        found = float(np.sum(entries[moves] * direction.tangent[moves]))
        error = abs(found - one.slope) / one.largest if np.isfinite(found) else np.inf
        worst = replace(worst, compared=worst.compared + 1)
        if error > worst.error or not worst.where:
            where = f"{names[direction.agent]}: {label(direction.parameter)}"
            worst = replace(worst, error=float(error), where=where, expected=one.slope, found=found)
    return worst


def active_constraints(evaluation: Evaluation) -> NDArray[np.bool_]:
    """For every inequality of every agent whether its multiplier exceeds its distance from the bound."""
    question, flags = evaluation.question, []
    assert question is not None
    for point in agent_points(question.problem, question.data, evaluation.plans, evaluation.duals):
        model, plan, duals, rows, changes = point.model, point.plan, point.duals, point.bounded, point.changes
        pairs = (
            (duals.lower, rows + plan.sigma - model.lower - model.x_lb),
            (duals.upper, model.upper + model.x_ub + plan.sigma - rows),
            (duals.slack, plan.sigma),
            (duals.u_min, plan.u - model.u_min),
            (duals.u_max, model.u_max - plan.u),
            (duals.du_min, changes + model.du_max),
            (duals.du_max, model.du_max - changes),
        )
        flags += [(multiplier > distance).ravel() for multiplier, distance in pairs]
    return np.concatenate(flags)


def _slope(start: _Start, direction: Direction, largest: float) -> float:
    """The derivative along a direction, NaN where there is none."""
    # a step so small that rounding of the value would show is none
    least = start.noise / (_ROUNDING * largest)
    for step in _STEPS:
        h = max(step * direction.size, least)
        if direction.inward:
            values = _values(start, direction, (h, 0.75 * h, 0.5 * h, 0.25 * h))
            if values is not None:
                v4, v3, v2, v1 = values
                coarse = (4.0 * v2 - v4) / h
                # five points, one-sided, exact for polynomials of degree four
                fine = (48.0 * v1 - 36.0 * v2 + 16.0 * v3 - 3.0 * v4) / (3.0 * h)
                if abs(fine - coarse) <= _CURVED * largest:
                    return fine
        else:
            values = _values(start, direction, (h, -h, 0.5 * h, -0.5 * h))
            if values is not None:
                above, below, near_above, near_below = values
                coarse, fine = (above - below) / (2.0 * h), (near_above - near_below) / h
                # each side's own slope, by a parabola: they agree to third order where there is a derivative
                right, left = (4.0 * near_above - above) / h, (below - 4.0 * near_below) / h
                if abs(fine - coarse) <= _CURVED * largest and abs(right - left) <= _JUMP * largest:
                    return (4.0 * fine - coarse) / 3.0
    return float("nan")


def _values(start: _Start, direction: Direction, steps: Sequence[float]) -> list[float] | None:
    """What the value gains at each step; None where it has none at one of them, or where constraints change."""
    gained = []
    for t in steps:
        try:
            moved = direction.moved(start.case, t)
        except ModelError:  # beyond what a model may be: bounds that cross
            return None
        gain = start.gained(moved)
        if gain is None:
            return None
        gained.append(gain)
    return gained


def _entry(gradient: Gradient, parameter: Field) -> Any:
    return gradient[parameter[0]][parameter[1]] if isinstance(parameter, tuple) else gradient[parameter]


def _entries(gradient: Gradient) -> Iterator[Array]:
    """All arrays of an agent's gradient, zeros for what it does not know."""
    for value in gradient.values():
        for part in value.values() if isinstance(value, Mapping) else (value,):
            yield np.nan_to_num(np.asarray(part, dtype=float))


def _name(parameter: Field) -> str:
    return parameter if isinstance(parameter, str) else parameter[0]
