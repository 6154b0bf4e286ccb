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

# by what a row may leave its interval, relative to its own terms
_ALLOWED = 1e-13
# multipliers that do not follow another one; what is left of equations that are solved
_STILL, _SOLVED = 1e-9, 1e-12
# by what shared numbers may differ from those of the checked solution
_AGREES = 1e-8
_MOVES, _PATIENCE, _REFINEMENTS = 20, 3, 2
Directions = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class _Base:
    """A pattern in one program.

    Attributes
    ----------
    pattern
        Where the rows are.
    y
        (p,): multipliers, as far as they are known without solving.
    target
        (active,): what (D_UU + 1/c) y_U is to be, less the values of the rows where y = 0.
    """

    pattern: Pattern
    y: Array
    target: Array


@dataclass(frozen=True, eq=False)
class _Watched:
    """What is watched at one linear term: of each row its multiplier where it is active, else its value.

    Attributes
    ----------
    y, values
        (p,): multipliers; what is watched.
    low, high
        (p,): intervals.
    """

    y: Array
    values: Array
    low: Array
    high: Array

    @property
    def direction(self) -> Directions:
        """(p,): 1 where it lies above, -1 where it lies below its interval."""
        return (self.values > self.high).astype(np.int8) - (self.values < self.low)


@dataclass(frozen=True, eq=False)
class Point:
    """A solution found.

    Attributes
    ----------
    program, linear, pattern
        Of what, where, and where its rows are.
    shared, watched
        (a,), (p,): the shared numbers; of each row, in its units, its multiplier where it is active, else its value.
    low, high
        (p,): between which `watched` may move while the pattern stays what it is.
    """

    program: "Reduced"
    linear: Array
    pattern: Pattern
    shared: Array
    watched: Array
    low: Array
    high: Array


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
        units, terminal = reduction.row_units, qp.b[roles.terminal]
        low = np.where(roles.lower < 0, -np.inf, qp.lower[roles.lower])
        high = np.where(roles.upper < 0, np.inf, qp.upper[roles.upper])
        self._low = units * np.concatenate([terminal, low, qp.lower[roles.hard]])
        self._high = units * np.concatenate([terminal, high, qp.upper[roles.hard]])
        self._price = np.full(p, np.inf)
        self._price[roles.soft] = qp.g[roles.slacks] / units[roles.soft]
        self.possible = bool((self._low <= self._high).all() and np.isfinite(point).all())
        self._pinned = self._low == self._high
        self._intervals = self._all_intervals()
        self._terms = reduction.magnitudes[0] @ np.abs(point)
        self._last: _Base | None = None

    def at(self, linear: Array, states: States) -> Point | None:
        """The solution for a linear term, looked for from rows in certain states on, or from the last solution.

        None where it is not found: rows depend on each other, or contradict each other.
        """
        with np.errstate(all="ignore"):
            return self._found(linear, states)

    def _found(self, linear: Array, states: States) -> Point | None:
        """The solution, from pattern to pattern."""
        values = self._values - self.reduction.G @ linear
        terms = self._terms + self.reduction.magnitudes[1] @ np.abs(linear)
        base = self._last or self._based(states) or self._based(np.zeros_like(states))
        fewest, patience = len(values) + 1, _PATIENCE
        for _ in range(_MOVES):
            watched = None if base is None else self._watched(base, values, terms)
            if base is None or watched is None:
                return None
            direction = watched.direction
            left = int(np.count_nonzero(direction))
            if not left:
                shared = self._shared - self.reduction.F @ linear - watched.y @ self.reduction.G
                # not a number is on no side of anything
                if not (np.isfinite(watched.values).all() and np.isfinite(shared).all()):
                    return None
                self._last = base
                return Point(self, linear, base.pattern, shared, watched.values, watched.low, watched.high)
            # all at once, which is quick, for as long as there are fewer and fewer; else one by one, which ends
            fewest, patience = (left, _PATIENCE) if left < fewest else (fewest, patience - 1)
            after = None if patience < 0 else self._based(self._moved(base, watched, direction))
            if after is None:
                direction[: np.flatnonzero(direction)[-1]] = 0
                after = self._based(self._moved(base, watched, direction))
            base = after
        return None

    def _watched(self, base: _Base, values: Array, terms: Array) -> _Watched | None:
        """What is watched, where the rows have certain values at y = 0; None where that is lost in rounding."""
        pattern, D = base.pattern, self.reduction.D
        active, y = pattern.active, base.y.copy()
        # (D_UU + 1/c) y_U = r_U - G_U linear - D_UK y_K + e w/c - bound_U
        right = base.target + values[active]
        found = pattern.inverse @ right
        terms_of_right = np.abs(right)
        size = pattern.magnitudes @ terms_of_right
        for _ in range(_REFINEMENTS):
            found = found + pattern.inverse @ (right - pattern.inner @ found)
        if not (np.abs(right - pattern.inner @ found) <= _SOLVED * terms_of_right.max(initial=0.0)).all():
            return None
        y[active] = found
        watched = values - D @ y
        watched[active] = found
        low, high, below, above = self._intervals[:, pattern.interval]
        allowed = terms + below, terms + above
        for one in allowed:
            one[active] = size
        return _Watched(y, watched, low - _ALLOWED * allowed[0], high + _ALLOWED * allowed[1])

    def _based(self, states: States) -> _Base | None:
        """A pattern in this program; None where its active rows depend on each other."""
        red, pattern = self.reduction, self.reduction.pattern(states)
        if pattern is None:
            return None
        active, told = pattern.active, pattern.told
        e, y = np.sign(states), np.zeros(len(states))
        if len(told):
            y[told] = e[told] * self._price[told]
            if not np.isfinite(y).all():
                return None
        target = -np.where(states > 0, self._high, self._low)[active]
        if len(told):
            target -= red.D[active[:, None], told] @ y[told]
        if pattern.springs.any():
            beyond = active[pattern.springs]
            target[pattern.springs] += e[beyond] * self._price[beyond] / red.curvature[beyond]
        return _Base(pattern, y, target) if np.isfinite(target).all() else None

    def _moved(self, base: _Base, watched: _Watched, direction: Directions) -> States:
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

    def _exchanged(self, base: _Base, watched: _Watched, r: np.intp, d: np.int8) -> States:
        active, states = base.pattern.active, base.pattern.states
        # y_j follows y_r by k_j
        k = -d * (base.pattern.inverse @ self.reduction.D[active, r])
        follows = np.abs(k) > _STILL
        ends = np.where(k > 0.0, watched.high[active], watched.low[active])
        free = self._pinned[active] & (np.abs(states[active]) == 1)
        ends[free] = np.copysign(self._price[active], k)[free]
        far = np.full(len(active), np.inf)
        far[follows] = np.maximum((ends - watched.values[active])[follows] / k[follows], 0.0)
        new = states.copy()
        if len(active) and far.min() < self._price[r]:
            first = int(np.argmin(far))
            way = np.int8(np.sign(k[first]))
            new[active[first]] = 2 * way if free[first] else new[active[first]] + way
            new[r] += d
        else:
            new[r] += 2 * d
        return new

    def _all_intervals(self) -> Array:
        """(4, 5 p): in each state of each row, from where to where what is watched of it keeps it there, and the sizes
        of the bounds among these ends."""
        price, low, high = self._price, self._low, self._high
        curved, none, endless = self.reduction.curvature > 0.0, np.zeros(len(price)), np.full(len(price), np.inf)
        lows = [-endless, -price, low, none, np.where(curved, price, high)]
        highs = [np.where(curved, -price, low), none, high, price, endless]
        size_low, size_high = np.abs(existing(low)), np.abs(existing(high))
        below, above = [none, none, size_low, none, size_high], [size_low, none, size_high, none, none]
        return np.array([np.concatenate(parts) for parts in (lows, highs, below, above)])

    def agrees(self, point: Point, solution: QPSolution) -> bool:
        """Whether the shared numbers of a point are those of a solution that has been checked.

        In units of what costs move them, and relative to their terms: at rest large inputs cancel in them.
        """
        red, own = self.reduction, np.sqrt(self.reduction.F.diagonal())
        moved, found = own > 0.0, solution.x[red.held]
        off = np.abs(found - point.shared)[moved] / own[moved]
        terms = np.abs(red.basis[red.held]) @ np.abs(solution.x[red.roles.free]) + np.abs(self._start[red.held])
        size = np.maximum(terms, np.abs(self._shared))[moved] / own[moved]
        pushed = np.linalg.norm(red.Y[:, : len(own)] @ point.linear)
        return bool((off <= _AGREES * (size.max(initial=0.0) + pushed)).all())

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
        """All variables and multipliers at a point, refined once."""
        with np.errstate(all="ignore"):
            return self._solution(point)

    def _solution(self, point: Point) -> QPSolution:
        red, qp, roles = self.reduction, self.qp, self.reduction.roles
        pattern, soft = point.pattern, roles.soft
        states, active, told = pattern.states, pattern.active, pattern.told
        e, a = np.sign(states), len(red.held)
        y = np.zeros(roles.rows)
        y[active] = point.watched[active]
        y[told] = e[told] * self._price[told]
        # v = v_0 - P^-1 (E'linear + S'y)
        x = self._start + red.basis @ (self._v - self._back(red.Y @ np.concatenate([point.linear, y])))
        # what stationarity and the active rows still miss, and the step that makes up for it
        g = qp.g.copy()
        g[red.held] += point.linear
        slope = red.units * (red.basis.T @ (red.H @ x + g + y @ red.rows))
        lacking = lapack.dtrtrs(red.factor, slope, lower=1)[0]
        missed = (red.rows @ x)[active] - np.where(e[active] > 0, self._high[active], self._low[active])
        curved = active[np.abs(states[active]) == 2]
        if len(curved):
            missed[np.searchsorted(active, curved)] -= (y - e * self._price)[curved] / red.curvature[curved]
        of_active = red.Y[:, a + active]
        dy = pattern.inverse @ (missed - of_active.T @ lacking)
        y[active] += dy
        x -= red.basis @ self._back(lacking + of_active @ dy)
        values = red.rows[soft] @ x
        away = np.maximum(values - self._high[soft], self._low[soft] - values) / red.row_units[soft]
        x[roles.slacks] = np.where(np.abs(states[soft]) == 2, np.maximum(away, 0.0), 0.0)
        y *= red.row_units
        low, high = np.zeros((2, len(qp.lower)))
        down, up = np.maximum(-y, 0.0), np.maximum(y, 0.0)
        low[roles.hard], high[roles.hard] = down[soft.stop :], up[soft.stop :]
        for bound, side, part in ((roles.lower, low, down), (roles.upper, high, up)):
            there = bound >= 0
            side[bound[there]] = part[soft][there]
        price = qp.g[roles.slacks] + red.H[roles.slacks, roles.slacks] * x[roles.slacks]
        low[roles.priced] = np.maximum(price - np.abs(y[soft]), 0.0)
        equality = np.zeros(len(qp.b))
        equality[roles.terminal] = y[: soft.start]
        # the adjoint recursion: A_x'lambda = -(H x + g + what the rows push)_x
        push = red.H @ x + g + equality @ red.A + (high - low) @ red.C
        equality[roles.dynamics] = -lapack.dtrtrs(red.dynamics, push[roles.states], lower=1, trans=1)[0]
        return QPSolution(x, equality, low, high, Status.OPTIMAL)

    def _back(self, w: Array) -> Array:
        """L^-T w, in units of v."""
        found: Array = self.reduction.units * lapack.dtrtrs(self.reduction.factor, w, lower=1, trans=1)[0]
        return found


def posed(reduction: Reduction | None, qp: QP) -> Reduced | None:
    """The program, reduced; None where it cannot be, or a soft row's lower bound lies above its upper one."""
    if reduction is None:
        return None
    with np.errstate(all="ignore"):
        program = Reduced(reduction, qp)
    return program if program.possible else None
