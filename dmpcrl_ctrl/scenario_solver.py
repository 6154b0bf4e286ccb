"""Scenario problems solved centrally and fast: in the inputs alone, with a slack only where one is in doubt.

Each side of a soft bound costs phi(e) = w max(e, 0) + w2 max(e, 0)^2, where e is by how much it is exceeded, affine in
the inputs: a convex function of two smooth pieces, inside and beyond. Of thousands of sides most lie far from their
kink. So each is taken for one of its pieces, and only those in doubt get a slack:

    minimise  cost(u) + sum of the pieces taken + sum over sides in doubt of phi    with the bounds on u
    if at its solution a side is not on the piece that was taken for it: go there as far as the true cost falls, take
    the pieces of that point, put in doubt the sides that are nearest to their kinks, and solve again

That is exact. At the end every side is on the piece taken for it, where the derivative of the piece is one of phi's (at
the kink too, where phi has all derivatives between those of its pieces); so the optimality conditions of the small
program are those of the full one, and the full one is convex. Hard sides are taken to be inside, or are in doubt. Where
that goes on for long, or the true cost does not fall, sides once in doubt stay so: it ends, at the latest with all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.condensed import Condensed, Given
from dmpcrl_ctrl.qp import QP
from dmpcrl_ctrl.scenarios import Scenarios
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.status import Status

_ROUNDING = 1e-12
_PATIENCE, _BISECTIONS = 20, 30

Mask = NDArray[np.bool_]


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
        Programs that were solved, and rows in doubt in the last.
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
        How many rows are in doubt at first: those that are nearest to a kink under the inputs of last time, shifted by
        a stage. None: one an input.

    Raises
    ------
    ModelError
        A terminal equality, or bounds that cross.
    """

    def __init__(self, scenarios: Scenarios, solver: str = "daqp", doubtful: int | None = None) -> None:
        self.condensed = Condensed(scenarios)
        self._solver = CheckedSolver(solver)
        self._at_first = self.condensed.size if doubtful is None else doubtful
        self._guess: Array | None = None
        self._limits = _input_rows(self.condensed)

    def solve(self, given: Given) -> ScenarioPlan:
        """Solve for what is given."""
        condensed = self.condensed
        if not given.finite:
            return ScenarioPlan(Status.INVALID_DATA)
        free = condensed.free(given)
        program = _Program(condensed, condensed.gradient(given, free), condensed.bounded(free))
        guess = np.zeros(condensed.size) if self._guess is None else self._guess
        rounds, kept = 0, False
        while True:
            rounds += 1
            beyond, doubt = program.judged(guess, self._at_first)
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
            kept = kept | (wrong if rounds > _PATIENCE or step == 0.0 else wrong & program.hard)
        m = condensed.first.m
        self._guess = np.concatenate([u[m:], u[-m:]]) if m else u
        sigma, multipliers = program.answer(u, beyond)
        multipliers[doubt] = solution.upper_dual[: int(doubt.sum())]
        x = condensed.states(free, u)
        value, inputs = condensed.cost(given, x, u, sigma), u.reshape(condensed.scenarios.horizon, -1)
        upper, lower = multipliers
        return ScenarioPlan(Status.OPTIMAL, value, inputs, x, sigma, lower, upper, rounds, int(doubt.sum()))

    def _small(self, program: "_Program", beyond: Mask, doubt: Mask, given: Given) -> QP:
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


class _Program:
    """Both sides of every bound of one scenario problem.

    Side 0 has the excess v - high, side 1 the excess low - v: (2, S, N, p) together, with v = base + rows u.
    """

    def __init__(self, condensed: Condensed, g: Array, base: Array) -> None:
        self._condensed, self._g = condensed, g
        shape = (2, *base.shape)
        self._base = np.stack([base - condensed.high, condensed.low - base])
        self._size = np.abs(base)
        self.price, self.quadratic = (
            np.broadcast_to(part, shape) for part in (condensed.price, condensed.price_quadratic)
        )
        self.hard = ~np.isfinite(self.price)

    def judged(self, u: Array, count: int) -> tuple[Mask, Mask]:
        """Which sides are exceeded under inputs u, and which are in doubt: the `count` nearest to a kink.

        Distances are counted in what inputs of magnitude one change. Hard sides that are exceeded are in doubt as well.
        """
        excess = self._excess(u)
        beyond = excess > 0.0
        away = np.abs(excess) / self._condensed.reach
        doubt = self.hard & beyond
        if count and away.size:
            near = np.argpartition(away, min(count, away.size) - 1, axis=None)[:count]
            doubt.ravel()[near] = True
        return beyond, doubt & np.isfinite(away)

    def misjudged(self, u: Array, beyond: Mask) -> Mask:
        """(2, S, N, p): sides that are not on the piece that was taken for them, by more than rounding."""
        excess = self._excess(u)
        rounding = _ROUNDING * (self._size + self._expanded(np.abs(self._condensed.rows) @ np.abs(u)))
        return np.asarray(np.where(beyond, -excess, excess) > rounding)

    def step(self, start: Array, end: Array) -> float:
        """The t in [0, 1] at which start + t (end - start) costs least, by bisection of the derivative."""
        condensed, d = self._condensed, end - start
        soft, excess, along = ~self.hard, self._excess(start), self._moved(d)
        excess, along, price, quadratic = excess[soft], along[soft], self.price[soft], self.quadratic[soft]
        curvature, slope = float(d @ (condensed.hessian @ d)), float(d @ (condensed.hessian @ start + self._g))

        def derivative(t: float) -> float:
            at = np.maximum(excess + t * along, 0.0)
            return slope + t * curvature + float(((at > 0.0) * price + 2.0 * quadratic * at) @ along)

        low, high = 0.0, 1.0
        if derivative(high) <= 0.0:
            return high
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if derivative(middle) <= 0.0 else (low, middle)
        return low

    def pieces(self, taken: Mask) -> tuple[Array, Array]:
        """Hessian and linear term of the cost with w excess + w2 excess^2 of the sides that are taken as exceeded."""
        condensed = self._condensed
        linear, quadratic = np.where(taken, self.price, 0.0), np.where(taken, self.quadratic, 0.0)
        curved = bool(quadratic.any())
        if curved:
            linear = linear + 2.0 * quadratic * np.where(taken, self._base, 0.0)
        H, g = condensed.hessian, self._g + condensed.pushed(linear[0] - linear[1])
        if curved:
            total = quadratic.sum(axis=0)
            total = total.sum(axis=0) if condensed.shared else total
            H = H + 2.0 * (condensed.rows * total.reshape(-1, 1)).T @ condensed.rows
        return H, g

    def doubtful(self, doubt: Mask) -> tuple[Array, Array, Array, Array]:
        """Rows with excess = row u - most of the sides in doubt, `most`, and their two prices."""
        sides = np.flatnonzero(doubt)
        sign = np.where(sides < doubt.size // 2, 1.0, -1.0)
        rows = self._condensed.rows[sides % len(self._condensed.rows)]
        return sign[:, None] * rows, -self._base[doubt], self.price[doubt], self.quadratic[doubt]

    def answer(self, u: Array, beyond: Mask) -> tuple[Array, Array]:
        """(S, N, p), (2, S, N, p): slacks, and the multipliers of sides on the pieces that were taken."""
        excess = np.where(self.hard, 0.0, np.maximum(self._excess(u), 0.0))
        return excess.max(axis=0), np.where(beyond & ~self.hard, self.price + 2.0 * self.quadratic * excess, 0.0)

    def _excess(self, u: Array) -> Array:
        return self._base + self._moved(u)

    def _moved(self, d: Array) -> Array:
        moved = self._expanded(self._condensed.rows @ d)
        return np.broadcast_to(np.stack([moved, -moved]), self._base.shape)

    def _expanded(self, per_row: Array) -> Array:
        """(S, N, p), or (1, N, p) where all samples share one model."""
        return np.asarray(per_row.reshape(self._condensed.low.shape))


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
