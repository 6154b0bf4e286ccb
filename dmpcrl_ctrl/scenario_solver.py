"""Scenario problems solved centrally and fast: in the inputs alone, with a slack only where one is in doubt.

Each side of a soft bound costs phi(e) = w max(e, 0) + w2 max(e, 0)^2, where e is by how much it is exceeded, affine in
the inputs: a convex function of two smooth pieces, inside and beyond. Of thousands of sides most lie far from their
kink. So each is taken for one of its pieces, and only those in doubt get a slack:

    minimise  cost(u) + sum of the pieces taken + sum over sides in doubt of phi    with the bounds on u
    if at its solution a side is not on the piece that was taken for it: go there as far as the true cost falls, take
    the pieces of that point, put in doubt the sides that are nearest to their kinks, and solve again

The first pieces are those of the last solution, shifted by a stage. Where they are no good, a smoothed problem gives a
better start (`smoothed.py`), for the next few solves as well.

That is exact. At the end every side is on the piece taken for it, where the derivative of the piece is one of phi's (at
the kink too, where phi has all derivatives between those of its pieces); so the optimality conditions of the small
program are those of the full one, and the full one is convex. Hard sides are taken to be inside, or are in doubt. Where
that goes on for long, or the true cost does not fall, sides once in doubt stay so: it ends, at the latest with all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.condensed import Condensed, Given
from dmpcrl_ctrl.qp import QP
from dmpcrl_ctrl.scenario_program import Mask, ScenarioProgram
from dmpcrl_ctrl.scenarios import Scenarios
from dmpcrl_ctrl.smoothed import smoothed_minimiser
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.status import Status

_PATIENCE, _SMOOTHED = 20, 20


@dataclass(frozen=True, eq=False)
class ScenarioPlan:
    """One solved scenario problem.

    Attributes
    ----------
    status
        Unless `ok`, the arrays are empty and the value NaN.
    value
        The sum of the samples' costs.
    u
        (N, m): inputs of the network, those of the agents one after the other.
    x, sigma
        (S, N + 1, n), (S, N, p): states and slacks of every sample; sigma[:, k] belongs to x[:, k + 1].
    lower, upper
        (S, N, p): multipliers of the bounds.
    rounds, doubtful
        Programs that were solved, and sides in doubt in the last.
    """

    status: Status
    value: float = float("nan")
    u: Array = field(default_factory=lambda: np.zeros((0, 0)))
    x: Array = field(default_factory=lambda: np.zeros((0, 0, 0)))
    sigma: Array = field(default_factory=lambda: np.zeros((0, 0, 0)))
    lower: Array = field(default_factory=lambda: np.zeros((0, 0, 0)))
    upper: Array = field(default_factory=lambda: np.zeros((0, 0, 0)))
    rounds: int = 0
    doubtful: int = 0


class ScenarioSolver:
    """Solves the scenario problems of one set of samples, for one state and noise after the other.

    Parameters
    ----------
    scenarios
        The samples.
    solver
        Backend of the small programs.
    doubtful
        How many sides are in doubt at first: those that are nearest to a kink under the inputs of last time, shifted
        by a stage. None: one an input. From the second program on, half as many again.

    Raises
    ------
    ModelError
        A terminal equality, bounds that cross, or no input at all.
    """

    def __init__(self, scenarios: Scenarios, solver: str = "daqp", doubtful: int | None = None) -> None:
        self.condensed = Condensed(scenarios)
        self._solver = CheckedSolver(solver)
        self._at_first = self.condensed.size if doubtful is None else doubtful
        self._guess: Array | None = None
        # how many of the next solves begin with the smoothed problem
        self._smoothed = 0
        self._limits = _input_rows(self.condensed)
        first, N = self.condensed.first, scenarios.horizon
        self._box = np.tile(first.u_min, N), np.tile(first.u_max, N)

    def solve(self, given: Given) -> ScenarioPlan:
        """Solve for what is given."""
        condensed = self.condensed
        if not given.finite:
            return ScenarioPlan(Status.INVALID_DATA)
        free = condensed.free(given)
        program = ScenarioProgram(condensed, condensed.gradient(given, free), condensed.bounded(free))
        guess, smoothed = np.zeros(condensed.size) if self._guess is None else self._guess, self._smoothed > 0
        if smoothed:
            guess, self._smoothed = smoothed_minimiser(program, *self._box, guess), self._smoothed - 1
        rounds, kept = 0, np.zeros(program.hard.shape, dtype=bool)
        while True:
            rounds += 1
            beyond, doubt = program.judged(guess, 3 * self._at_first // 2 if smoothed else self._at_first)
            doubt |= kept
            solution = self._solver.solve(self._small(program, beyond, doubt, given))
            if not solution.status.ok:
                self._guess = None
                return ScenarioPlan(solution.status, rounds=rounds)
            u = solution.x[: condensed.size]
            wrong = program.misjudged(u, beyond) & ~doubt
            if not wrong.any():
                break
            step = program.step(guess, u)
            guess = guess + step * (u - guess)
            if not smoothed:
                guess, smoothed, self._smoothed = smoothed_minimiser(program, *self._box, guess), True, _SMOOTHED
            kept = kept | (wrong if rounds > _PATIENCE or step == 0.0 else wrong & program.hard)
        m, count = condensed.first.m, int(doubt.sum())
        self._guess = np.concatenate([u[m:], u[-m:]])
        sigma, multipliers = program.answer(u, beyond)
        multipliers[doubt] = solution.upper_dual[:count]
        upper, lower = multipliers
        x = condensed.states(free, u)
        value = condensed.cost(given, x, u, sigma)
        return ScenarioPlan(Status.OPTIMAL, value, u.reshape(-1, m), x, sigma, lower, upper, rounds, count)

    def _small(self, program: ScenarioProgram, beyond: Mask, doubt: Mask, given: Given) -> QP:
        """The program with a slack for the sides in doubt, and the pieces taken for the others."""
        v = self.condensed.size
        H, g = program.pieces(beyond & ~doubt)
        rows, most, price, quadratic = program.doubtful(doubt)
        soft = np.isfinite(price)
        count, slacks = len(rows), int(soft.sum())
        hessian = np.zeros((v + slacks, v + slacks))
        hessian[:v, :v] = H
        hessian[range(v, v + slacks), range(v, v + slacks)] = 2.0 * quadratic[soft]
        # excess - sigma <= 0, then the bounds on inputs, then sigma >= 0
        limits, low, high = self._limits(given)
        C = np.zeros((count + len(limits) + slacks, v + slacks))
        C[:count, :v], C[:count, v:] = rows, -np.eye(count)[:, soft]
        C[count : count + len(limits), :v] = limits
        C[count + len(limits) :, v:] = np.eye(slacks)
        return QP(
            hessian,
            np.concatenate([g, price[soft]]),
            np.zeros((0, v + slacks)),
            np.zeros(0),
            C,
            np.concatenate([np.full(count, -np.inf), low, np.zeros(slacks)]),
            np.concatenate([most, high, np.full(slacks, np.inf)]),
        )


def _input_rows(condensed: Condensed) -> Callable[[Given], tuple[Array, Array, Array]]:
    """Rows of the bounds on inputs and on their changes, with lower and upper bounds as a function of what is given."""
    model, N = condensed.first, condensed.scenarios.horizon
    m = model.m
    steered = np.tile(np.isfinite(model.u_min) | np.isfinite(model.u_max), N)
    rated = np.tile(np.isfinite(model.du_max), N)
    limits = np.eye(N * m)
    changes = limits - np.eye(N * m, k=-m)
    rows = np.vstack([limits[steered], changes[rated]])
    least, most, step = np.tile(model.u_min, N)[steered], np.tile(model.u_max, N)[steered], np.tile(model.du_max, N)

    def limits_of(given: Given) -> tuple[Array, Array, Array]:
        before = np.zeros(N * m)
        before[:m] = given.previous_input
        low, high = (before - step)[rated], (before + step)[rated]
        return rows, np.concatenate([least, low]), np.concatenate([most, high])

    return limits_of
