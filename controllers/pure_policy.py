"""A controller as a pure function of numbers: what it is for tools that ask as often as they like.

State and measurement go in, state and output come out; workspaces of solvers are no part of what the answer depends on
(beyond the solver's tolerance). No problem is solved twice.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.block import block_seed
from dmpcrl_ctrl.model import LocalModel

Answer = TypeVar("Answer")

_SOLVES = 256


class PurePolicy:
    """The controller as a function of numbers: state and measurement -> state and output.

    The state is the last output; behind it, where there are plans, how many samples ago the last one was made, plus one
    (0: there is none yet), and that plan; and for noise that is drawn anew the number of the sample. Zeros are a start.

    Parameters
    ----------
    controller
        An MPC block, an LQR or a scenario MPC, without offset, delay and preview.
    count
        Called before every solve.
    seed
        Of the run whose noise a scenario MPC draws.

    Attributes
    ----------
    state_names
        Of the entries of the state.
    """

    def __init__(self, controller: Any, count: Callable[[], None], seed: int = 0) -> None:
        block: Any = copy.copy(controller)
        # what a log would like to know, and what a pure function must not remember
        block.certify, block.compare_central = 0, False
        if hasattr(block, "admm"):
            block.admm = replace(block.admm, warm_start=False)
        self._block, self._start = block, block.init(block_seed(block.name, seed))
        self._width, plan = len(block.outputs), 0
        if hasattr(self._start, "evaluator"):
            self._start = replace(self._start, evaluator=_Evaluator(self._start.evaluator, block.problem.models, count))
            plan = block.problem.horizon
        elif hasattr(self._start, "solver"):
            self._start = replace(self._start, solver=_ScenarioSolver(self._start.solver, block, count))
            plan = block.scenarios.horizon
        self._plan = plan, self._width
        self._counts = bool(getattr(block, "redraw", False))
        names = [f"sent_{name}" for name in block.outputs]
        if plan:
            names += ["plan_age", *(f"plan{k}_{name}" for k in range(plan) for name in block.outputs)]
        self.state_names = [*names, "sample"] if self._counts else names

    def step(self, state: Array, measurement: Array) -> tuple[Array, Array]:
        """One sample: state and measurement -> state and output, (len(outputs),), both read-only."""
        sent, rest = state[: self._width], state[self._width :]
        before, tick = self._start, int(rest[-1]) if self._counts else 0
        if rest.size and rest[0] >= 1.0:
            plan = rest[1 : 1 + self._plan[0] * self._width].reshape(self._plan)
            before = replace(before, plan=plan, age=int(rest[0]) - 1)
        after, output, _ = self._block.step(before, tick, measurement, sent, np.zeros(0))
        parts = [output]
        if self._plan[0]:
            made = getattr(after, "plan", None)
            parts += [np.zeros(1 + self._plan[0] * self._width)] if made is None else [[after.age + 1.0], made.ravel()]
        if self._counts:
            parts.append([tick + 1.0])
        return _frozen(np.concatenate(parts)), _frozen(np.array(output, dtype=np.float64))


class _Evaluator:
    """An evaluator that solves no problem twice; the last input counts only where the model limits its change."""

    def __init__(self, evaluator: Any, models: Sequence[LocalModel], count: Callable[[], None]) -> None:
        self._evaluator, self._count = evaluator, count
        self._limited = any(np.isfinite(model.du_max).any() for model in models)
        self._solves: Kept[Any] = Kept(_SOLVES)

    def evaluate(self, data: Sequence[Any], memory: None = None) -> Any:
        """V for what the agents know."""

        def solved() -> Any:
            self._count()
            return self._evaluator.evaluate(data)

        return self._solves.get(_key(data, self._limited), solved)


class _ScenarioSolver:
    """The same for the solver of a scenario MPC."""

    def __init__(self, solver: Any, block: Any, count: Callable[[], None]) -> None:
        self._solver, self._count = solver, count
        models = (model for problem in block.scenarios.problems for model in problem.models)
        self._limited = any(np.isfinite(model.du_max).any() for model in models)
        self._solves: Kept[Any] = Kept(_SOLVES)

    def solve(self, data: Sequence[Any], draws: Array, memory: None = None) -> Any:
        """The plan for what the agents know and the noise."""

        def solved() -> Any:
            self._count()
            return self._solver.solve(data, draws, None)

        return self._solves.get((*_key(data, self._limited), np.asarray(draws).tobytes()), solved)


class Kept(Generic[Answer]):
    """The answers to the last so many questions."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()

    def get(self, question: Hashable, answer: Callable[[], Answer]) -> Answer:
        """The answer that is kept, or a new one."""
        if question not in self._answers:
            self._answers[question] = answer()
        self._answers.move_to_end(question)
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)
        return self._answers[question]


def _key(data: Sequence[Any], limited: bool) -> tuple[bytes, ...]:
    known = (array for d in data for array in (d.state, d.disturbance, d.x_setpoint, d.u_setpoint))
    before = (d.previous_input for d in data if limited)
    return tuple(np.asarray(array).tobytes() for array in (*known, *before))


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
