"""The agents' programs (15a) in one evaluation, each solved by itself and all of them followed together.

Between two iterations only the linear terms of the shared numbers move. While the rows of an agent's solution stay
where they are, its shared numbers and what is watched of its rows follow that term by one product
(:mod:`dmpcrl_ctrl.reduced`). The products are made agent by agent; what else there is to do is done for all at once.
Only those whose rows leave the intervals that they have to be in are solved anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.consensus import LocalFailure
from dmpcrl_ctrl.local_program import AgentProgram
from dmpcrl_ctrl.qp import QPSolution
from dmpcrl_ctrl.reduced import Point

_LARGEST = np.finfo(np.float64).max


class AgentPrograms:
    """See :class:`~dmpcrl_ctrl.consensus.Agents`.

    Parameters
    ----------
    programs
        One an agent.
    parts
        Where the shared numbers of each stand in arrays (H,).
    """

    def __init__(self, programs: Sequence[AgentProgram], parts: Sequence[slice]) -> None:
        self.programs, self.parts = tuple(programs), tuple(parts)
        self._followed: dict[float, _Followed] = {}

    def solve(self, linear: Array, factor: float) -> "AgentAnswers":
        """One solve of (15a) by each."""
        if factor not in self._followed:
            self._followed[factor] = _Followed(self.programs, self.parts)
        followed = self._followed[factor]
        moved, left = followed.at(linear)
        solved = {}
        for i in left:
            program, own = self.programs[i], linear[self.parts[i]]
            point = program.point(own, factor)
            if point is not None:
                followed.follow(i, point, moved)
                continue
            solution = program.solve(own, factor)
            if not solution.status.ok:
                raise LocalFailure(i, solution.status)
            followed.leave(i, solution.x[program.program.held.local], program.law(factor), moved)
            solved[i] = solution
        followed.settle()
        return AgentAnswers(self, linear, factor, moved, moved[followed.shared], followed.points, solved)

    def laws(self, factor: float) -> tuple[Array | None, ...]:
        """How the shared numbers of the last answers follow their linear terms."""
        return self._followed[factor].laws


@dataclass(eq=False)
class AgentAnswers:
    """See :class:`~dmpcrl_ctrl.consensus.Answers`; what is not shared is computed where somebody asks for it.

    Attributes
    ----------
    agents, linear, factor
        Of whom, and for what.
    moved, shared
        (R,) as of :class:`_Followed`, and the shared numbers among them.
    points
        Where each agent's rows are; None where its whole program was solved.
    solved
        The solutions of these.
    sound
        False once a check has found the shared numbers wanting.
    """

    agents: AgentPrograms
    linear: Array
    factor: float
    moved: Array
    shared: Array
    points: tuple[Point | None, ...]
    solved: dict[int, QPSolution]
    sound: bool = True
    _known: tuple[QPSolution, ...] | None = field(default=None, repr=False)

    def solutions(self) -> tuple[QPSolution, ...]:
        """All variables and multipliers, checked."""
        if self._known is None:
            self._known = tuple(self._solution(i) for i in range(len(self.points)))
        return self._known

    def _solution(self, i: int) -> QPSolution:
        if i in self.solved:
            return self.solved[i]
        program, part, point = self.agents.programs[i], self.agents.parts[i], self.points[i]
        assert point is not None
        followed = self.agents._followed[self.factor]
        moved, a = self.moved[followed.rows[i]], part.stop - part.start
        here = replace(point, linear=self.linear[part], shared=moved[:a], watched=moved[a:])
        solution, sound = program.checked(here, self.factor)
        if not sound:
            self.sound = False
            followed.alone.add(i)
        return solution


class _Followed:
    """The agents' solutions at one scale of the penalty, as functions of their linear terms.

    Of each agent there are a + p numbers in arrays (R,), one agent after the other: its shared numbers, and of each row
    of its program what is watched of it. With `there` the linear terms of the last solves, they are

        last + F (linear - there),      low <= . <= high while that holds.

    Those in `alone` are to be solved anew each time.
    """

    def __init__(self, programs: Sequence[AgentProgram], parts: Sequence[slice]) -> None:
        sizes = [part.stop - part.start for part in parts]
        ends = np.cumsum([0, *(a + p.program.roles.rows for a, p in zip(sizes, programs, strict=True))])
        self.rows = tuple(slice(int(a), int(b)) for a, b in pairwise(ends))
        places = [np.arange(rows.start, rows.start + a) for rows, a in zip(self.rows, sizes, strict=True)]
        self.shared = np.concatenate([np.zeros(0, dtype=np.intp), *places])
        self._point: list[Point | None] = [None] * len(sizes)
        self._law: list[Array | None] = [None] * len(sizes)
        self._changed = True
        self.settle()
        self._starts = ends[:-1]
        self._there, self._change = np.zeros((2, len(self.shared)))
        self._last, self._by = np.zeros((2, ends[-1]))
        self._low, self._high = np.full(ends[-1], -np.inf), np.full(ends[-1], np.inf)
        self.alone = set(range(len(sizes)))
        self._products: list[tuple[Array, Array, Array]] = [
            (np.zeros((rows.stop - rows.start, a)), self._change[part], self._by[rows])
            for rows, part, a in zip(self.rows, parts, sizes, strict=True)
        ]
        self._parts = parts

    def at(self, linear: Array) -> tuple[Array, list[int]]:
        """(R,): where the agents' solutions lead; and who is to be solved anew."""
        with np.errstate(all="ignore"):
            np.subtract(linear, self._there, out=self._change)
            for follow, change, by in self._products:
                np.dot(follow, change, out=by)
            moved = self._last + self._by
            inside = (moved >= self._low) & (moved <= self._high)
        if inside.all():
            return moved, sorted(self.alone)
        left = np.searchsorted(self._starts, np.flatnonzero(~inside), side="right") - 1
        return moved, sorted(self.alone.union(left.tolist()))

    def follow(self, i: int, point: Point, moved: Array) -> None:
        """From a solution of one agent on, which is put into `moved`."""
        rows, part = self.rows[i], self._parts[i]
        a = part.stop - part.start
        self._there[part] = point.linear
        for whole in (moved, self._last):
            whole[rows] = np.concatenate([point.shared, point.watched])
        # shared numbers have to be finite
        self._low[rows] = np.concatenate([np.full(a, -_LARGEST), point.low])
        self._high[rows] = np.concatenate([np.full(a, _LARGEST), point.high])
        self.alone.discard(i)
        self._put(i, point, np.ascontiguousarray(point.pattern.follow), point.pattern.response)

    def leave(self, i: int, shared: Array, law: Array | None, moved: Array) -> None:
        """One agent is to be solved anew each time; its shared numbers are put into `moved`."""
        rows = self.rows[i]
        moved[rows] = 0.0
        moved[rows][: len(shared)] = shared
        self._last[rows], self._low[rows], self._high[rows] = 0.0, -np.inf, np.inf
        self.alone.add(i)
        self._put(i, None, np.zeros((rows.stop - rows.start, len(shared))), law)

    def settle(self) -> None:
        """Make `points` and `laws` what they are now, the same objects where nothing has changed."""
        if self._changed:
            self.points, self.laws, self._changed = tuple(self._point), tuple(self._law), False

    def _put(self, i: int, point: Point | None, follow: Array, law: Array | None) -> None:
        self._point[i], self._law[i] = point, law
        self._changed = True
        self._products[i] = (follow, *self._products[i][1:])
