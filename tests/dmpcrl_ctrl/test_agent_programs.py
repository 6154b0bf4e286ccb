"""Agents that are followed together have the solutions that each has alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.consensus import LocalFailure
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.local_program import AgentProgram
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QPSolution
from dmpcrl_ctrl.reduced import Point, Reduced
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.strategies import mpc_problems
from dmpcrl_ctrl.value import agent_data

Case = tuple[MPCProblem, tuple[AgentData, ...]]


@given(mpc_problems(max_agents=4))
@settings(max_examples=40)
def test_followed_together_is_solved_alone(case: Case) -> None:
    """From one linear term to the next, small and large: the shared numbers of each agent's whole program."""
    problem, data = case
    evaluator, rng = DistributedEvaluator(problem), np.random.default_rng(0)
    agents, parts = evaluator._agents(data, None), evaluator._neighbourhood.parts
    W = np.concatenate([evaluator.weights[h.shared] for h in evaluator.held])
    alone = [CheckedSolver("daqp") for _ in problem.models]
    linear = np.zeros(len(W))
    for size in (0.0, 1e-3, 1.0, 1e-3, 1e-6, 10.0, 1e-3):
        linear = linear + size * W * rng.normal(size=len(W))
        try:
            found = agents.solve(linear, 1.0)
        except LocalFailure:
            return
        for i, (program, part, solver) in enumerate(zip(agents.programs, parts, alone, strict=True)):
            truth = solver.solve(program._whole(linear[part], 1.0))
            if truth.status.ok:
                mine, theirs = found.shared[part], truth.x[program.program.held.local]
                scale = 1.0 + np.abs(theirs).max(initial=0.0) + np.abs(linear[part] / W[part]).max(initial=0.0)
                assert np.abs(mine - theirs).max(initial=0.0) <= 1e-6 * scale, i
        assert all(solution.status.ok for solution in found.solutions())


def chained(*models: LocalModel) -> tuple[DistributedEvaluator, tuple[AgentData, ...]]:
    problem = MPCProblem(models, 3)
    return DistributedEvaluator(problem), agent_data(problem, [np.ones(model.n) for model in models])


def test_most_solves_are_a_product_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    tie: dict[str, Any] = {"u_min": [-1.0], "u_max": [1.0]}
    evaluator, data = chained(
        LocalModel([[0.9]], [[1.0]], [[1.0]], [[0.1]], A_ij={1: [[0.1]]}, **tie),
        LocalModel([[0.8]], [[1.0]], [[1.0]], [[0.1]], A_ij={0: [[0.1]]}, **tie),
    )
    solved, real = [], Reduced.at

    def counted(self: Reduced, *given: np.ndarray) -> object:
        solved.append(1)
        return real(self, *given)

    monkeypatch.setattr(Reduced, "at", counted)
    agents, size = evaluator._agents(data, None), len(evaluator._neighbourhood.entries)
    laws = []
    for k in range(20):
        agents.solve(np.full(size, 1e-6 * k), 1.0)
        laws.append(agents.laws(1.0))
    assert len(solved) == 2
    assert all(later is laws[0] for later in laws)


def test_an_agent_without_rows_and_without_neighbours_is_solved() -> None:
    evaluator, data = chained(LocalModel([[0.5]], [[1.0]], [[1.0]], [[1.0]]))
    agents = evaluator._agents(data, None)
    for _ in range(2):
        (solution,) = agents.solve(np.zeros(0), 1.0).solutions()
        assert solution.status is Status.OPTIMAL
    assert evaluator.evaluate(data).status is Status.OPTIMAL


def test_the_agent_that_has_no_solution_is_named() -> None:
    tie: dict[str, Any] = {"u_min": [-1.0], "u_max": [1.0]}
    evaluator, data = chained(
        LocalModel([[0.9]], [[1.0]], [[1.0]], [[0.1]], A_ij={1: [[0.1]]}, **tie),
        LocalModel([[0.8]], [[1.0]], [[1.0]], [[0.1]], A_ij={0: [[0.1]]}, C=[[1.0]], upper=[1.0], **tie),
    )
    far = (data[0], replace(data[1], state=np.array([1e3])))
    with pytest.raises(LocalFailure, match="agent 1: "):
        evaluator._agents(far, None).solve(np.zeros(len(evaluator._neighbourhood.entries)), 1.0)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_stale_whatever_has_happened_before(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points that are not found, whole programs that fail, checks that fail, other scales, answers asked for late."""
    rng = np.random.default_rng(seed)

    def model(*others: int) -> LocalModel:
        ties = {j: 0.2 * rng.normal(size=(2, 2)) for j in others}
        bounds: dict[str, Any] = {"C": [[1.0, 0.0]], "lower": [-0.5], "upper": [0.5], "slack_weight": [5.0]}
        A, B = [[1.0, 0.3], [-0.2, 0.9]], [[0.0], [1.0]]
        return LocalModel(A, B, np.eye(2), [[0.1]], A_ij=ties, u_min=[-0.6], u_max=[0.6], **bounds)

    problem = MPCProblem((model(1), model(0, 2), model(1)), 4)
    evaluator = DistributedEvaluator(problem)
    agents = evaluator._agents(agent_data(problem, list(rng.normal(size=(3, 2)))), None)
    W = np.concatenate([evaluator.weights[h.shared] for h in evaluator.held])
    real = AgentProgram.point, AgentProgram.solve, AgentProgram.checked

    def point(self: AgentProgram, linear: Array, factor: float) -> Point | None:
        found = real[0](self, linear, factor)
        return None if rng.random() < 0.15 else found

    def solve(self: AgentProgram, linear: Array, factor: float) -> QPSolution:
        found = real[1](self, linear, factor)
        return replace(found, status=Status.SOLVER_FAILED) if rng.random() < 0.1 else found

    def checked(self: AgentProgram, at: Point, factor: float) -> tuple[QPSolution, bool]:
        found, sound = real[2](self, at, factor)
        if rng.random() < 0.05:
            self.program.at(factor).reduction = self.posed[factor] = None
            return found, False
        return found, sound

    for name, patched in (("point", point), ("solve", solve), ("checked", checked)):
        monkeypatch.setattr(AgentProgram, name, patched)

    def truths(linear: Array, factor: float) -> list[Array]:
        parts = zip(agents.programs, agents.parts, strict=True)
        return [CheckedSolver("daqp").solve(program._whole(linear[part], factor)).x for program, part in parts]

    linear, earlier, failures = np.zeros(len(W)), [], 0
    for _ in range(30):
        factor = float(rng.choice([1.0, 1.0, 0.25, 8.0]))
        linear = linear + rng.choice([1e-6, 1e-3, 0.1, 1.0]) * W * rng.normal(size=len(W))
        try:
            found = agents.solve(linear, factor)
        except LocalFailure:
            failures += 1
            continue
        earlier.append((found, linear, factor))
        places = [program.program.held.local for program in agents.programs]
        expected = [x[at] for x, at in zip(truths(linear, factor), places, strict=True)]
        assert found.shared == pytest.approx(np.concatenate(expected), abs=1e-8)
        if rng.random() < 0.4:
            then, at, scale = earlier[int(rng.integers(len(earlier)))]
            for solution, x in zip(then.solutions(), truths(at, scale), strict=True):
                assert solution.x == pytest.approx(x, abs=1e-7)
    assert failures < 15
