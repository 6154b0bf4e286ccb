"""The study counts what happens: all is well with the solver as it is, and each kind of failure shows in its count."""

from dataclasses import replace

import numpy as np
import pytest

from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.solver_guard import guard_study

PROGRAMS = 120


def test_every_program_is_counted_once() -> None:
    study = guard_study(PROGRAMS, seed=1, bad=0.3)
    counts = study.counts
    assert study.programs == PROGRAMS == sum(study.statuses.values())
    assert study.well_posed + sum(study.planted.values()) == PROGRAMS
    by_last = counts.unchanged + counts.refactored
    assert by_last + counts.solved + counts.rebuilt + counts.fallback == study.statuses["OPTIMAL"] == study.well_posed
    assert counts.refused + counts.failed == sum(study.planted.values())
    assert (study.unsolved, study.poisoned, study.wrong) == (0, 0, 0)
    assert study.named == study.planted
    assert 0.0 < study.worst <= 1e-8


def broken(monkeypatch: pytest.MonkeyPatch, status: Status, shift: float) -> None:
    """After the first failure nothing goes as it should."""
    real = CheckedSolver.solve

    def solve(self: CheckedSolver, qp: QP) -> QPSolution:
        solution = real(self, qp)
        if self.counts.refused == 0:
            return solution
        return replace(solution, x=np.zeros(len(qp.g)) + shift, status=status)

    monkeypatch.setattr(CheckedSolver, "solve", solve)


def test_a_point_that_is_none_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, Status.OPTIMAL, 1.0)
    study = guard_study(PROGRAMS, seed=1, bad=0.3)
    assert study.wrong > PROGRAMS / 2 and study.worst > 1e-3


def test_a_claim_that_is_false_is_wrong_and_giving_up_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, Status.PRIMAL_INFEASIBLE, np.nan)
    study = guard_study(PROGRAMS, seed=1, bad=0.3)
    assert study.wrong >= study.unsolved > study.poisoned > 0
    broken(monkeypatch, Status.SOLVER_FAILED, np.nan)
    study = guard_study(PROGRAMS, seed=1, bad=0.3)
    assert study.unsolved > study.poisoned > study.wrong == 0
