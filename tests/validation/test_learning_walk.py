"""Programs of a walk are what they are said to be: solvable, or spoilt in the way that is named; and they do move."""

from itertools import islice, pairwise

import numpy as np
import pytest
from scipy.optimize import linprog

from dmpcrl_ctrl.qp import QP
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.learning_walk import FAULTS, learning_walks


def feasible(qp: QP) -> bool:
    above, below = np.isfinite(qp.upper), np.isfinite(qp.lower)
    G, h = np.vstack([qp.C[above], -qp.C[below]]), np.concatenate([qp.upper[above], -qp.lower[below]])
    answer = linprog(np.zeros(len(qp.g)), A_ub=G, b_ub=h, A_eq=qp.A, b_eq=qp.b, bounds=(None, None))
    assert answer.status in (0, 2)
    return bool(answer.status == 0)


def is_data(qp: QP) -> bool:
    numbers = all(np.isfinite(part).all() for part in (qp.H, qp.A, qp.C, qp.g, qp.b))
    bounds = np.stack([qp.lower, qp.upper])
    return bool(numbers and not np.isnan(bounds).any() and (qp.lower <= qp.upper).all() and (qp.lower < np.inf).all())


def falls(qp: QP) -> bool:
    return bool(np.linalg.eigvalsh(qp.H)[0] < -1e-9 * np.abs(qp.H).max())


@pytest.mark.parametrize("walk", range(6))
def test_programs_without_a_fault_have_a_solution(walk: int) -> None:
    for program in islice(learning_walks(3, bad=0.0)[walk], 30):
        qp = program.qp
        assert (program.fault, program.expected) == ("", Status.OPTIMAL)
        assert is_data(qp) and not falls(qp) and feasible(qp)
        # bounded: inputs have weight, copies a penalty, slacks a price, and the other variables follow from them
        assert (qp.g[np.diag(qp.H) == 0.0] >= 0.0).all()


@pytest.mark.parametrize("walk", range(6))
def test_a_planted_fault_is_what_it_is_called(walk: int) -> None:
    found = {}
    for program in islice(learning_walks(4, bad=0.8)[walk], 160):
        if not program.fault:
            continue
        found[program.fault] = qp = program.qp
        assert program.expected is FAULTS[program.fault][0]
        assert is_data(qp) is (program.expected is not Status.INVALID_DATA)
        if program.expected is Status.NONCONVEX:
            assert falls(qp)
        if program.expected is Status.PRIMAL_INFEASIBLE:
            assert not falls(qp) and not feasible(qp)
    assert found.keys() == FAULTS.keys()


@pytest.mark.parametrize("walk", range(6))
def test_matrices_drift_at_about_every_second_program_and_keep_their_size(walk: int) -> None:
    programs = [program.qp for program in islice(learning_walks(5, bad=0.0)[walk], 120)]
    for name in ("H", "A"):
        moved = [not np.array_equal(getattr(a, name), getattr(b, name)) for a, b in pairwise(programs)]
        assert 0.35 < np.mean(moved) < 0.65
        first, last = getattr(programs[0], name), getattr(programs[-1], name)
        assert 1e-3 < np.abs(last - first).max() / np.abs(first).max() < 10.0
    assert len({(qp.H.shape, qp.A.shape, qp.C.shape) for qp in programs}) == 1
    linear = np.array([qp.g for qp in programs])[:, np.diag(programs[0].H) > 0.0]  # all but the prices of slacks
    assert np.median(np.abs(np.diff(linear, axis=0)).max(axis=1)) > 0.3 * np.median(np.abs(linear).max(axis=1))


def test_a_seed_gives_the_same_walk() -> None:
    for one, other, different in zip(learning_walks(6), learning_walks(6), learning_walks(7), strict=True):
        for _ in range(20):
            a, b, c = next(one), next(other), next(different)
            assert a.fault == b.fault and np.array_equal(a.qp.H, b.qp.H, True) and np.array_equal(a.qp.g, b.qp.g, True)
        assert not np.array_equal(a.qp.g, c.qp.g)
