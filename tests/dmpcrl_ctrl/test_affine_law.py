"""A law gives the solution of a program, until another row becomes active; then it says so."""

import numpy as np
from hypothesis import given, settings

from dmpcrl_ctrl.qp import QP
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.strategies import SolvedQP, solved_qps

INF = np.inf


def test_a_law_ends_where_a_bound_is_reached_or_let_go() -> None:
    """min 1/2 |x|^2 + g'x with x_0 <= 1 and x_1 >= -2, from g = (-3, 1): x = (1, -1)."""
    at, none = np.array([0, 1]), np.zeros(0)
    solver = CheckedSolver()
    solver.solve(QP(np.eye(2), np.array([-3.0, 1.0]), np.zeros((0, 2)), none, np.eye(2), np.array([-INF, -2.0]),
                    np.array([1.0, INF])))  # fmt: skip
    law = solver.law(at)
    assert law is not None
    for g, x in (((-3.0, 1.0), (1.0, -1.0)), ((-9.0, 1.5), (1.0, -1.5)), ((-1.01, -5.0), (1.0, 5.0))):
        found = law.at(np.array(g))
        assert found is not None
        assert np.allclose(found, x, atol=1e-12)
    for g in ((-0.99, 1.0), (-3.0, 2.01), (np.nan, 1.0)):
        assert law.at(np.array(g)) is None


@given(solved_qps())
@settings(max_examples=100)
def test_what_a_law_gives_is_what_a_solver_finds(case: SolvedQP) -> None:
    qp, rng = case.qp, np.random.default_rng(0)
    if not case.strictly_convex or not isinstance(qp.H, np.ndarray):
        return
    solver, at = CheckedSolver(), np.arange(0, len(qp.g), 2)
    assert solver.solve(qp).status is Status.OPTIMAL
    law = solver.law(at)
    if law is None:
        return
    size = 1.0 + np.abs(case.solution.x).max()
    for scale in (1e-3, 0.1, 1.0):
        g = qp.g.copy()
        g[at] += scale * rng.normal(size=len(at))
        found = law.at(g[at])
        if found is not None:
            other = CheckedSolver("daqp").solve(QP(qp.H, g, qp.A, qp.b, qp.C, qp.lower, qp.upper))
            assert np.allclose(found, other.x[at], atol=1e-6 * size)
