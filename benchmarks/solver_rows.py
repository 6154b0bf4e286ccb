"""Rows about one solve: the centralised step beside what solvers need for its quadratic program."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import qpsolvers
from scipy import sparse

from benchmarks.measure import Ratio, in_turn
from benchmarks.row import Row, most
from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.controllers import CentralizedMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.problem import AgentData
from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.solver import CheckedSolver

_DENSE = ("daqp",)
# Its answers are not close enough, and it prints.
_LEFT_OUT = {"highs"}
_TIGHT = {"eps_abs": 1e-8, "eps_rel": 0.0}
_OPTIONS: dict[str, dict[str, Any]] = {
    "proxqp": _TIGHT,
    "piqp": {**_TIGHT, "eps_duality_gap_abs": 1e-8, "eps_duality_gap_rel": 0.0},
    "osqp": {**_TIGHT, "max_iter": 20_000},
    "scs": {**_TIGHT, "max_iters": 20_000},
}
# an answer that is further off, relative to the largest entry, is not of the same quality
_CLOSE = 1e-5


@dataclass(frozen=True, eq=False)
class Step:
    """What one sample of a centralised MPC asks for: its data, its program, and the evaluator's answer."""

    data: tuple[AgentData, ...]
    program: QP
    answer: Array


def central_backend(samples: int = 40, pairs: int = 7) -> Row:
    """The central evaluator along a closed loop, against the quickest of qpsolvers on the same programs."""
    evaluator, steps = central_steps(samples)
    ours = partial(evaluated, evaluator, steps)
    found: dict[str, Ratio] = {}
    for name in sorted({*qpsolvers.available_solvers} - _LEFT_OUT):
        solver = backend(name, steps)
        if solver is not None:
            found[name] = in_turn(ours, solver, pairs)
    best = max(found, key=lambda name: found[name].median)
    others = ", ".join(f"{name} {1e3 * ratio.other:.2f}" for name, ratio in sorted(found.items()))
    note = f"{1e3 * found[best].one:.2f} ms, {best} is the best; ms by backend: {others}"
    return most("centralised MPC step / best backend of qpsolvers on its program", 1.2, found[best], note)


def central_steps(samples: int) -> tuple[CentralEvaluator, list[Step]]:
    """The samples of a closed loop of the power network, four areas, N = 15."""
    plant = power_network(1)
    mpc = CentralizedMPC.for_plant(plant, 15, terminal="equality", certify=False)
    with simulate(plant, mpc, t_end=float(samples)) as run:
        trace = run.controllers[mpc.name]
        told = zip(trace.input, trace["previous_input"], strict=True)
        data = [mpc.signals.data(mpc.problem, measured, before) for measured, before in told]
    heard: list[tuple[QP, QPSolution]] = []

    class Heard(CheckedSolver):
        def solve(self, qp: QP, *args: Any, **kwargs: Any) -> QPSolution:
            heard.append((qp, super().solve(qp, *args, **kwargs)))
            return heard[-1][1]

    with patch("dmpcrl_ctrl.central.CheckedSolver", Heard):
        listening = CentralEvaluator(mpc.problem, mpc.solver)
        for known in data:
            listening.evaluate(known)
    steps = [Step(known, qp, answer.x) for known, (qp, answer) in zip(data, heard, strict=True)]
    return CentralEvaluator(mpc.problem, mpc.solver), steps


def posed(qp: QP, dense: bool = False) -> qpsolvers.Problem:
    """A program as qpsolvers takes it: with sparse matrices or dense ones, and with one-sided inequalities."""
    above, below = np.isfinite(qp.upper), np.isfinite(qp.lower)
    H, A, C = (sparse.csc_matrix(matrix) for matrix in (qp.H, qp.A, qp.C))
    G = sparse.csc_matrix(sparse.vstack([C[above], -C[below]]))
    matrices: list[Any] = [matrix.toarray() for matrix in (H, G, A)] if dense else [H, G, A]
    h = np.concatenate([qp.upper[above], -qp.lower[below]])
    return qpsolvers.Problem(matrices[0], qp.g, matrices[1], h, matrices[2], qp.b)


def evaluated(evaluator: CentralEvaluator, steps: Sequence[Step]) -> float:
    """Mean seconds of an evaluation along the steps."""
    start = time.perf_counter()
    for step in steps:
        evaluator.evaluate(step.data)
    return (time.perf_counter() - start) / len(steps)


def backend(name: str, steps: Sequence[Step]) -> Callable[[], float] | None:
    """Mean seconds of a solve along the steps, warm where the backend can; None where its answers are not good."""
    problems = [posed(step.program, name in _DENSE) for step in steps]
    options = _OPTIONS.get(name, {})

    def solved() -> list[Array | None]:
        found: list[Array | None] = []
        for problem in problems:
            answer = qpsolvers.solve_problem(problem, name, found[-1] if found else None, **options)
            found.append(answer.x if answer.found else None)
        return found

    def measure() -> float:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solved()
        return (time.perf_counter() - start) / len(problems)

    with warnings.catch_warnings():
        # remarks of solvers about starts and statuses; the answers are looked at
        warnings.simplefilter("ignore")
        try:
            answers = solved()
        except (qpsolvers.SolverError, qpsolvers.ProblemError, ValueError, ArithmeticError):
            return None
    near = (
        x is not None and np.abs(x - step.answer).max() <= _CLOSE * max(1.0, np.abs(step.answer).max())
        for x, step in zip(answers, steps, strict=True)
    )
    return measure if all(near) else None
