"""The solution of a reduced program, followed from one linear term to the next.

The multiplier of a row tells where it is: |y_r| <= w_r on a bound, y_r = +-(w_r + c_r sigma_r) beyond it. With `linear`
what is added to the cost of the shared numbers,

    shared = shared_0 - F linear - G'y,      values of the rows = r_0 - G linear - D y,

and all that is left to solve is as large as the number of rows on a bound. Which these are is found by looking who
leaves the interval that it has to be in, and moving it on (a primal-dual active set method).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from dmpcrl_ctrl.arrays import Array, existing
from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.reduction import Pattern, Reduction, States
from dmpcrl_ctrl.status import Status

# by what a row may leave its interval, relative to what its value is made of
_ALLOWED = 1e-11
# multipliers that do not follow another one
_STILL = 1e-10
_MOVES, _PATIENCE = 20, 3
Directions = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class _Base:
    """A pattern in one program.

    Attributes
    ----------
    pattern
        Where the rows are.
    y
        (p,): multipliers where `linear` is zero, as far as they are known without it.
    target
        (active,): what D_UU y_U + 1/c y_U is to be, less G linear.
    low, high
        (p,): intervals of what is watched.
    """

    pattern: Pattern
    y: Array
    target: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Point:
    """A solution found.

    Attributes
    ----------
    program, linear, pattern
        Of what, where, and where its rows are.
    shared, watched
        (a,), (p,): the shared numbers; of each row its multiplier where it is active, else its value.
    """

    program: "Reduced"
    linear: Array
    pattern: Pattern
    shared: Array
    watched: Array


class Reduced:
    """One program, reduced: all but its linear term is given.

    Parameters
    ----------
    reduction
        Of its matrices.
    qp
        The program.
    """

    def __init__(self, reduction: Reduction, qp: QP) -> None:
        self.reduction, self.qp = reduction, qp
        roles, p = reduction.roles, reduction.roles.rows
        # where v = 0, and where no row is on a bound
        self._start = np.zeros(len(qp.g))
        self._start[roles.states] = lapack.dtrtrs(reduction.dynamics, qp.b[roles.dynamics], lower=1)[0]
        pushed = reduction.units * (reduction.basis.T @ (reduction.H @ self._start + qp.g))
        self._v = -reduction.units * lapack.dpotrs(reduction.factor, pushed, lower=1)[0]
        point = self._start + reduction.basis @ self._v
        self._shared, self._values = point[reduction.held], reduction.rows @ point
        terminal = qp.b[roles.terminal]
        low = np.where(roles.lower < 0, -np.inf, qp.lower[roles.lower])
        high = np.where(roles.upper < 0, np.inf, qp.upper[roles.upper])
        self._low = np.concatenate([terminal, low, qp.lower[roles.hard]])
        self._high = np.concatenate([terminal, high, qp.upper[roles.hard]])
        self._price = np.full(p, np.inf)
        self._price[roles.soft] = qp.g[roles.slacks]
        self.possible = bool((self._low <= self._high).all() and np.isfinite(point).all())
        self._pinned = self._low == self._high
        self._intervals = self._all_intervals()
        size = np.maximum(np.abs(self._values), np.maximum(np.abs(existing(self._low)), np.abs(existing(self._high))))
        self._allowed = _ALLOWED * np.maximum(size, 1e-3 * size.max(initial=0.0))
        self._base: _Base | None = None
        self._at_zero: Array | None = None

    def at(self, linear: Array, states: States) -> Point | None:
        """The solution for a linear term, looked for from rows in certain states on, or from the last solution.

        None where it is not found: rows depend on each other, or contradict each other.
        """
        base = self._base
        if base is not None:
            point = self._followed(base, linear)
            if point is not None:
                return point
        values = self._values - self.reduction.G @ linear
        base = base or self._based(states) or self._based(np.zeros_like(states))
        fewest, patience = len(values) + 1, _PATIENCE
        for _ in range(_MOVES):
            if base is None:
                return None
            watched, y = self._watched(base, values, linear)
            above = watched > base.high
            direction = above.astype(np.int8) - (watched < base.low)
            left = int(np.count_nonzero(direction))
            if not left:
                # not a number is on no side of anything
                if not np.isfinite(watched).all():
                    return None
                self._base, self._at_zero = base, None
                shared = self._shared - self.reduction.F @ linear - y @ self.reduction.G
                return Point(self, linear, base.pattern, shared, watched)
            # all at once, which is quick, for as long as there are fewer and fewer; else one by one, which ends
            fewest, patience = (left, _PATIENCE) if left < fewest else (fewest, patience - 1)
            after = None if patience < 0 else self._based(self._moved(base, watched, direction))
            if after is None:
                direction[: np.flatnonzero(direction)[-1]] = 0
                after = self._based(self._moved(base, watched, direction))
            base = after
        return None

    def _followed(self, base: _Base, linear: Array) -> Point | None:
        """The solution while the pattern stays that of the last one: an affine function."""
        a = len(linear)
        if self._at_zero is None:
            watched, y = self._watched(base, self._values, np.zeros(a))
            self._at_zero = np.concatenate([self._shared - y @ self.reduction.G, watched])
        moved = self._at_zero + base.pattern.follow @ linear
        watched = moved[a:]
        if ((watched >= base.low) & (watched <= base.high)).all():
            return Point(self, linear, base.pattern, moved[:a], watched)
        return None

    def _watched(self, base: _Base, values: Array, linear: Array) -> tuple[Array, Array]:
        """(p,) each: what is watched, and the multipliers; `values` are those of the rows where y = 0."""
        active, D = base.pattern.active, self.reduction.D
        y = base.y.copy()
        # (D_UU + 1/c) y_U = r_U - G_U linear - D_UK y_K + e w/c - bound_U
        y[active] = base.pattern.inverse @ (base.target + values[active])
        watched = values - D @ y
        watched[active] = y[active]
        return watched, y

    def _based(self, states: States) -> _Base | None:
        """A pattern in this program; None where its active rows depend on each other."""
        red, pattern = self.reduction, self.reduction.pattern(states)
        if pattern is None:
            return None
        active, told = pattern.active, pattern.told
        e, y = np.sign(states), np.zeros(len(states))
        y[told] = e[told] * self._price[told]
        if not np.isfinite(y).all():
            return None
        target = -np.where(e[active] > 0, self._high[active], self._low[active])
        if len(told):
            target -= red.D[active[:, None], told] @ y[told]
        beyond = active[np.abs(states[active]) == 2]
        if len(beyond):
            target[np.searchsorted(active, beyond)] += e[beyond] * self._price[beyond] / red.curvature[beyond]
        if not np.isfinite(target).all():
            return None
        low, high = (edges[states + 2, np.arange(len(states))] for edges in self._intervals)
        allowed = self._allowed.copy()
        # multipliers are as large as what they have to move
        allowed[active] = _ALLOWED * np.abs(pattern.inverse @ (target + self._values[active])).max(initial=0.0)
        return _Base(pattern, y, target, low - allowed, high + allowed)

    def _moved(self, base: _Base, watched: Array, direction: Directions) -> States:
        """Rows one state on; those that are pinned are never between their bounds.

        A row that depends on the active ones cannot join them: it takes the place of the first whose multiplier comes
        to an end as its own grows, or goes on beyond its bound where its own comes first.
        """
        states = base.pattern.states
        new = states + direction
        skip = (direction != 0) & self._pinned & (new == 0)
        new[skip] += direction[skip]
        joins = np.flatnonzero((direction != 0) & (states % 2 == 0) & (new % 2 == 1))
        stuck = joins[base.pattern.stuck[joins]] if len(joins) else joins
        return new if not len(stuck) else self._exchanged(base, watched, stuck[-1], direction[stuck[-1]])

    def _exchanged(self, base: _Base, watched: Array, r: np.intp, d: np.int8) -> States:
        active = base.pattern.active
        # y_j follows y_r by k_j
        k = -d * (base.pattern.inverse @ self.reduction.D[active, r])
        follows = np.abs(k) > _STILL
        ends = np.where(k > 0.0, base.high[active], base.low[active])
        free = self._pinned[active]
        ends[free] = np.copysign(self._price[active], k)[free]
        far = np.full(len(active), np.inf)
        far[follows] = np.maximum((ends - watched[active])[follows] / k[follows], 0.0)
        new = base.pattern.states.copy()
        if len(active) and far.min() < self._price[r]:
            first = int(np.argmin(far))
            new[active[first]] += np.int8(np.sign(k[first]))
            new[r] += d
        else:
            new[r] += 2 * d
        return new

    def _all_intervals(self) -> tuple[Array, Array]:
        """(5, p) each: between what values what is watched of a row keeps it in each state."""
        price, low, high = self._price, self._low, self._high
        curved, none, endless = self.reduction.curvature > 0.0, np.zeros(len(price)), np.full(len(price), np.inf)
        lows = [-endless, -price, low, none, np.where(curved, price, high)]
        highs = [np.where(curved, -price, low), none, high, price, endless]
        return np.array(lows), np.array(highs)

    def states_at(self, solution: QPSolution) -> States:
        """Where the rows are in a solution, whoever found it: one with a multiplier is on a bound or beyond it."""
        roles = self.reduction.roles
        y, beyond = np.zeros(roles.rows), np.zeros(roles.rows, dtype=np.bool_)
        net = solution.upper_dual - solution.lower_dual
        y[: len(roles.terminal)] = solution.equality_dual[roles.terminal]
        for bound in (roles.lower, roles.upper):
            y[roles.soft] += np.where(bound < 0, 0.0, net[bound])
        y[roles.soft.stop :] = net[roles.hard]
        beyond[roles.soft] = solution.lower_dual[roles.priced] < solution.x[roles.slacks]
        return (np.sign(y) * np.where(beyond, 2, 1)).astype(np.int8)

    def solution(self, point: Point) -> QPSolution:
        """All variables and multipliers at a point."""
        red, qp, roles = self.reduction, self.qp, self.reduction.roles
        states, active, told, soft = point.pattern.states, point.pattern.active, point.pattern.told, roles.soft
        y = np.zeros(roles.rows)
        y[active] = point.watched[active]
        y[told] = np.sign(states[told]) * self._price[told]
        # v = v_0 - P^-1 (E'linear + S'y)
        back = lapack.dtrtrs(red.factor, red.Y @ np.concatenate([point.linear, y]), lower=1, trans=1)[0]
        x = self._start + red.basis @ (self._v - red.units * back)
        values = red.rows[soft] @ x
        away = np.maximum(values - self._high[soft], self._low[soft] - values)
        x[roles.slacks] = np.where(np.abs(states[soft]) == 2, np.maximum(away, 0.0), 0.0)
        low, high = np.zeros((2, len(qp.lower)))
        down, up = np.maximum(-y, 0.0), np.maximum(y, 0.0)
        low[roles.hard], high[roles.hard] = down[soft.stop :], up[soft.stop :]
        for bound, side, part in ((roles.lower, low, down), (roles.upper, high, up)):
            there = bound >= 0
            side[bound[there]] = part[soft][there]
        price = self._price[soft] + red.curvature[soft] * x[roles.slacks]
        low[roles.priced] = np.maximum(price - np.abs(y[soft]), 0.0)
        equality = np.zeros(len(qp.b))
        equality[roles.terminal] = y[: soft.start]
        # the adjoint recursion: A_x'lambda = -(H x + g + what the rows push)_x
        slope = red.H @ x + qp.g + equality @ red.A + (high - low) @ red.C
        slope[red.held] += point.linear
        equality[roles.dynamics] = -lapack.dtrtrs(red.dynamics, slope[roles.states], lower=1, trans=1)[0]
        return QPSolution(x, equality, low, high, Status.OPTIMAL)


def posed(reduction: Reduction | None, qp: QP) -> Reduced | None:
    """The program, reduced; None where it cannot be, or a soft row's lower bound lies above its upper one."""
    if reduction is None:
        return None
    program = Reduced(reduction, qp)
    return program if program.possible else None
