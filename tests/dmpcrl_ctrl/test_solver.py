"""Solved problems for every backend; bad input and failing solvers end in a named status, never in a number."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from dmpcrl_ctrl import solver as module
from dmpcrl_ctrl.active_set import with_rows
from dmpcrl_ctrl.errors import SolverError
from dmpcrl_ctrl.qp import QP, QPSolution, kkt_residuals
from dmpcrl_ctrl.solver import CheckedSolver
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.strategies import SolvedQP, solved_qps
from tests.examples import examples

INF = np.inf
BACKENDS = ["proxqp", "piqp", "daqp"]


def qp(H: Any, g: Any, A: Any, b: Any, C: Any, lower: Any, upper: Any) -> QP:
    n = len(np.atleast_1d(g))
    A, C = np.asarray(A, dtype=float).reshape(-1, n), np.asarray(C, dtype=float).reshape(-1, n)
    vectors = (np.asarray(v, dtype=float).reshape(-1) for v in (b, lower, upper))
    b, lower, upper = vectors
    return QP(np.asarray(H, dtype=float), np.asarray(g, dtype=float), A, b, C, lower, upper)


# name: program, its solution found by hand
SOLVED = {
    "unconstrained": (qp([[2.0]], [-4.0], [], [], [], [], []), [2.0]),
    "equality": (qp(np.eye(2), [0, 0], [[1, 1]], [2], [], [], []), [1.0, 1.0]),
    "at its bound": (qp([[1.0]], [-3.0], [], [], [[1.0]], [-INF], [1.0]), [1.0]),
    "linear program": (qp(np.zeros((2, 2)), [1, 2], [[1, 1]], [1], np.eye(2), [0, 0], [INF, INF]), [1.0, 0.0]),
    "redundant rows": (qp(np.eye(2), [0, 0], [[1, 1], [1, 1]], [2, 2], [], [], []), [1.0, 1.0]),
    "pinned by its bounds": (qp(np.eye(2), [0, -1], [], [], [[1, 0]], [3.0], [3.0]), [3.0, 1.0]),
    "soft bound": (qp(np.diag([1.0, 0.0]), [-5.0, 2.0], [], [], [[1, -1], [0, 1]], [-INF, 0], [1, INF]), [3.0, 2.0]),
    "badly scaled": (qp(np.diag([1e6, 1e-2]), [-1e6, -1e-2], [], [], [[1, 0], [0, 1]], [-2, -2], [2, 2]), [1.0, 1.0]),
}
INFEASIBLE = {
    "contradicting equalities": qp(np.eye(1), [0], [[1.0], [1.0]], [0, 1], [], [], []),
    "bound against equality": qp(np.eye(2), [0, 0], [[1, 1]], [4], np.eye(2), [-1, -1], [1, 1]),
    "by a little": qp(np.eye(1), [0], [[1.0]], [1 + 1e-4], [[1.0]], [-1], [1]),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SOLVED)
def test_solved_problems(backend: str, name: str) -> None:
    program, expected = SOLVED[name]
    solver = CheckedSolver(backend)
    for _ in range(3):
        solution = solver.solve(program)
        assert solution.status is Status.OPTIMAL
        assert np.allclose(solution.x, expected, atol=1e-9)
        assert kkt_residuals(program, solution).worst < 1e-9


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", INFEASIBLE)
def test_infeasible_programs_are_called_so_and_give_no_numbers(backend: str, name: str) -> None:
    solution = CheckedSolver(backend).solve(INFEASIBLE[name])
    assert solution.status is Status.PRIMAL_INFEASIBLE
    assert np.isnan(solution.x).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "fault",
    [{"g": np.array([np.nan])}, {"lower": np.array([2.0])}, {"upper": np.array([np.nan])}, {"g": np.array([INF])}],
)
def test_bad_data_is_stopped_before_the_solver_and_leaves_it_well(backend: str, fault: dict[str, Any]) -> None:
    program, expected = SOLVED["at its bound"]
    solver = CheckedSolver(backend)
    assert solver.solve(replace(program, **fault)).status is Status.INVALID_DATA
    assert np.allclose(solver.solve(program).x, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_unbounded_cost_is_called_so(backend: str) -> None:
    for program in (
        qp([[0.0]], [1.0], [], [], [], [], []),
        qp(np.diag([1.0, 0.0]), [0.0, -1.0], [], [], [[1, 0], [0, 1]], [-1, 0], [1, INF]),
    ):
        solution = CheckedSolver(backend).solve(program)
        assert solution.status is Status.DUAL_INFEASIBLE
        assert np.isnan(solution.x).all()


def test_the_last_active_rows_solve_the_next_program_exactly_until_they_change() -> None:
    program = SOLVED["at its bound"][0]
    solver = CheckedSolver()
    for g, x, y in [(-3.0, 1.0, 2.0), (-2.0, 1.0, 1.0), (0.5, -0.5, 0.0)]:
        solution = solver.solve(replace(program, g=np.array([g])))
        assert solution.x == pytest.approx([x], abs=1e-15)
        assert solution.upper_dual == pytest.approx([y], abs=1e-15)
    assert (solver.counts.unchanged, solver.counts.solved) == (1, 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bound_that_has_become_inactive_is_let_go_beside_large_multipliers(backend: str) -> None:
    """x_1 <= 1 is active at first; then x_1 = 0.995, while x_0 has a multiplier of 1e7."""
    program = qp(np.eye(2), [-1e7, -2.0], [], [], np.eye(2), [-INF, -INF], [0.0, 1.0])
    solver = CheckedSolver(backend)
    assert solver.solve(program).x == pytest.approx([0.0, 1.0])
    assert solver.solve(replace(program, g=np.array([-1e7, -0.995]))).x == pytest.approx([0.0, 0.995], abs=1e-9)


@pytest.mark.parametrize("price", [5e2, 1e4, 1e6])
@pytest.mark.parametrize("r", [1.0, 1e-2, 1e-4])
def test_the_price_of_a_bound_that_is_far_away_changes_nothing(price: float, r: float) -> None:
    """min r u^2 + g u + price sigma, |x| <= 100 + sigma with x = u: u = -g / 2r inside |u| <= 1."""
    C = [[1, 1], [1, -1], [0, 1], [1, 0]]
    solver = CheckedSolver()
    for u in (1.0, 0.5, -0.3, -1.0, -0.0225):
        program = qp(np.diag([2 * r, 0.0]), [-2 * r * u, price], [], [], C, [-100, -INF, 0, -1], [INF, 100, INF, 1])
        assert solver.solve(program).x == pytest.approx([u, 0.0], abs=1e-8)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cost", [1e-12, 1e-6, 1e6])
@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e8])
def test_units_of_cost_and_variables_change_nothing(backend: str, cost: float, unit: float) -> None:
    plain = qp(
        np.diag([1.0, 2.0, 0.0]),
        [-3.0, 1.0, 5.0],
        [[1.0, 1.0, 0.0]],
        [0.5],
        [[1, 0, -1], [0, 0, 1]],
        [-INF, 0],
        [0.7, INF],
    )
    d = np.array([unit, 1.0, 1.0])
    e = np.array([1.0 / unit])
    other = replace(
        plain,
        H=cost * plain.H / d / d[:, None],
        g=cost * plain.g / d,
        A=e[:, None] * plain.A / d,
        b=e * plain.b,
        C=plain.C / d,
    )
    mine, theirs = CheckedSolver(backend).solve(plain), CheckedSolver(backend).solve(other)
    assert mine.status is theirs.status is Status.OPTIMAL
    assert theirs.x / d == pytest.approx(mine.x, rel=1e-7)
    assert theirs.upper_dual / cost == pytest.approx(mine.upper_dual, rel=1e-6, abs=1e-9)
    assert theirs.equality_dual * e / cost == pytest.approx(mine.equality_dual, rel=1e-6)


@given(solved_qps(), st.sampled_from(BACKENDS))
@settings(max_examples=examples(200))
def test_random_programs_end_at_a_point_that_satisfies_the_conditions(case: SolvedQP, backend: str) -> None:
    """The point is found where it is the only one; the value is that of the known solution in any case."""
    solution = CheckedSolver(backend).solve(case.qp)
    assert solution.status is Status.OPTIMAL
    assert kkt_residuals(case.qp, solution).worst < 1e-7
    value = case.qp.objective(case.solution.x)
    assert case.qp.objective(solution.x) == pytest.approx(value, rel=1e-7, abs=1e-7 * (1.0 + np.abs(case.qp.g).max()))
    if case.strictly_convex:
        assert np.allclose(solution.x, case.solution.x, atol=1e-6 * (1.0 + np.abs(case.solution.x).max()))


def clipped(h: Any, g: Any, c: Any, low: Any, high: Any) -> tuple[QP, np.ndarray]:
    """min 1/2 sum h x^2 + g x, low <= c x <= high: every x by itself, -g / h clipped."""
    n = len(h)
    program = QP(np.diag(h), np.array(g), np.zeros((0, n)), np.zeros(0), np.diag(c), np.array(low), np.array(high))
    return program, np.clip(-program.g / h, program.lower / c, program.upper / c)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("step", [1e-3, 0.1, 3.0])
def test_programs_whose_matrices_move_are_solved(backend: str, step: float) -> None:
    rng, solver = np.random.default_rng(3), CheckedSolver(backend)
    log_h, log_c = np.zeros((2, 6))
    for _ in range(60):
        log_h, log_c = log_h + step * rng.normal(size=6), log_c + step * rng.normal(size=6)
        log_h, log_c = np.clip(log_h, -10.0, 10.0), np.clip(log_c, -10.0, 10.0)
        program, expected = clipped(
            np.exp(log_h), np.exp(log_h) * rng.normal(size=6), np.exp(log_c), -np.ones(6), np.ones(6)
        )
        solution = solver.solve(program)
        assert solution.status is Status.OPTIMAL
        assert solution.x == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert solver.counts.moved == 59


def test_what_is_known_is_kept_while_matrices_move_and_given_up_where_it_no_longer_serves() -> None:
    program, expected = clipped([1.0, 2.0], [-3.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, 1.0])
    solver = CheckedSolver()
    assert solver.solve(program).x == pytest.approx(expected)
    assert solver.solve(replace(program, H=program.H.copy())).x == pytest.approx(expected)
    counts = solver.counts
    assert (counts.unchanged, counts.refactored, counts.moved, counts.rescaled) == (1, 0, 0, 1)
    assert solver.solve(replace(program, H=1.5 * program.H)).x == pytest.approx([1.0, -1.0 / 3.0], abs=1e-15)
    assert (counts.unchanged, counts.refactored, counts.moved, counts.rescaled) == (1, 1, 1, 1)
    assert solver.solve(replace(program, H=1e6 * program.H)).x == pytest.approx([3e-6, -0.5e-6], rel=1e-9)
    assert (counts.moved, counts.rescaled) == (2, 2)


@pytest.mark.parametrize("matrix", [np.array, sparse.csc_array])
def test_a_matrix_changed_in_place_is_seen(matrix: Any) -> None:
    program, _ = SOLVED["unconstrained"]
    program = replace(program, H=matrix(program.H), A=matrix(program.A), C=matrix(program.C))
    solver = CheckedSolver("piqp")
    assert solver.solve(program).x == pytest.approx([2.0])
    program.H[0, 0] = 4.0
    assert solver.solve(program).x == pytest.approx([1.0])
    program.H[0, 0] = -4.0
    assert solver.solve(program).status is Status.NONCONVEX
    program.H[0, 0] = np.nan
    assert solver.solve(program).status is Status.INVALID_DATA


def test_a_program_of_another_size_or_form_starts_anew() -> None:
    solver = CheckedSolver()
    for name in (*SOLVED, *reversed(SOLVED)):
        program, expected = SOLVED[name]
        assert solver.solve(program).x == pytest.approx(expected, abs=1e-9)
        parts: dict[str, Any] = {part: sparse.csc_array(getattr(program, part)) for part in ("H", "A", "C")}
        scattered = replace(program, **parts)
        assert solver.solve(scattered).x == pytest.approx(expected, abs=1e-9)


def test_parts_that_do_not_fit_are_an_error_that_does_no_harm() -> None:
    program, expected = SOLVED["equality"]
    solver = CheckedSolver()
    solver.solve(program)
    with pytest.raises(SolverError, match="A has shape"):
        solver.solve(replace(program, A=np.ones((1, 3))))
    assert solver.solve(program).x == pytest.approx(expected)


NONSENSE: dict[str, tuple[dict[str, Any], Status | None]] = {
    **{f"NaN in {name}": ({name: np.full((2, 2), np.nan)}, Status.INVALID_DATA) for name in ("H", "A", "C")},
    **{f"infinite {name}": ({name: np.diag([1.0, INF])}, Status.INVALID_DATA) for name in ("H", "A", "C")},
    **{
        f"NaN in {name}": ({name: np.array([0.0, np.nan])}, Status.INVALID_DATA)
        for name in ("g", "b", "lower", "upper")
    },
    "crossed": ({"lower": np.array([0.0, 2.0])}, Status.INVALID_DATA),
    "no number": ({"upper": np.array([-INF, 1.0]), "lower": np.array([-INF, 0.0])}, Status.INVALID_DATA),
    "askew": ({"H": np.array([[1.0, 0.5], [0.0, 1.0]])}, Status.INVALID_DATA),
    "a negative entry": ({"H": np.diag([1.0, -1e-3])}, Status.NONCONVEX),
    "a saddle": ({"H": np.array([[1.0, 2.0], [2.0, 1.0]])}, Status.NONCONVEX),
    "a flat saddle": ({"H": np.array([[0.0, 1.0], [1.0, 0.0]])}, Status.NONCONVEX),
    "infeasible matrices": ({"A": np.zeros((2, 2)), "b": np.array([0.0, 1.0])}, Status.PRIMAL_INFEASIBLE),
    "infeasible vectors": ({"b": np.array([0.0, 9.0])}, Status.PRIMAL_INFEASIBLE),
    "out of range": ({"g": np.array([1e308, -1e308])}, None),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_has_a_name_and_the_next_program_is_solved(backend: str, name: str) -> None:
    """x_0 - x_1 = 0 (twice), 0 <= x <= 1, 1/2 |x|^2 - x_0 - t x_1: x_0 = x_1 = (1 + t) / 2."""
    A = np.array([[1.0, -1.0], [2.0, -2.0]])
    program = QP(np.eye(2), np.array([-1.0, 0.0]), A, np.zeros(2), np.eye(2), np.zeros(2), np.ones(2))
    fault, expected = NONSENSE[name]
    for first in (True, False):
        solver = CheckedSolver(backend)
        if not first:
            assert solver.solve(program).status is Status.OPTIMAL
        solution = solver.solve(replace(program, **fault))
        if expected is not None:
            assert solution.status is expected
            assert np.isnan(solution.x).all()
        after = solver.solve(replace(program, g=np.array([-1.0, -0.5])))
        assert after.status is Status.OPTIMAL
        assert after.x == pytest.approx([0.75, 0.75], abs=1e-9)


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e3, 1e-9])
def test_a_negative_curvature_is_seen_in_any_units(matrix: Any, unit: float) -> None:
    """Beside a large weight, and where A ties the variable to one of another size."""
    program = replace(
        qp(np.diag([1.0, -1.0 / unit**2]), [0, 0], [[1.0, -1.0 / unit]], [0], np.diag([1, 1 / unit]), [-1, -1], [1, 1])
    )
    parts: dict[str, Any] = {name: matrix(getattr(program, name)) for name in ("H", "A", "C")}
    assert CheckedSolver().solve(replace(program, **parts)).status is Status.NONCONVEX


@pytest.mark.parametrize("backend", BACKENDS)
def test_answers_that_stop_early_are_mended(backend: str) -> None:
    """Curvatures of 1e-9 to 1e9: to a solver at its tolerance a bound that is active may look far away."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        h, c = np.exp(rng.uniform(-10.0, 10.0, (2, 6)))
        program, expected = clipped(h, h * rng.normal(size=6), c, -np.ones(6), np.ones(6))
        assert CheckedSolver(backend).solve(program).x == pytest.approx(expected, rel=1e-9)


class Liar:
    """A solver that calls everything infeasible, or solved at a point that is not."""

    warm = True

    def __init__(self, status: Status, x: float) -> None:
        self.status, self.x, self.forgotten = status, x, 0

    def forget(self) -> None:
        self.forgotten += 1

    def solve(self, program: QP) -> QPSolution:
        zero = np.zeros(len(program.lower))
        return QPSolution(np.full(len(program.g), self.x), np.zeros(len(program.b)), zero, zero, self.status)


@pytest.mark.parametrize(("status", "x"), [(Status.PRIMAL_INFEASIBLE, np.nan), (Status.OPTIMAL, -7.0)])
def test_a_lying_solver_is_rebuilt_and_then_replaced(monkeypatch: pytest.MonkeyPatch, status: Status, x: float) -> None:
    liar = Liar(status, x)
    real = module._backend
    monkeypatch.setattr(module, "_backend", lambda name: liar if name == "liar" else real(name))
    program, expected = SOLVED["linear program"]
    solver = CheckedSolver("liar")
    assert np.allclose(solver.solve(program).x, expected, atol=1e-9)
    assert solver.counts.fallback == 1 and liar.forgotten == 2


def test_where_every_solver_fails_a_feasible_program_is_not_called_infeasible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_backend", lambda name: Liar(Status.PRIMAL_INFEASIBLE, np.nan))
    solution = CheckedSolver("liar").solve(SOLVED["at its bound"][0])
    assert solution.status is Status.SOLVER_FAILED


def test_the_response_of_an_answer_is_its_derivative_in_any_units() -> None:
    """Two variables, one at its bound, in units of 1e-4 and 1e3: the free one follows by 1 / h."""
    units = np.array([1e-4, 1e3])
    H, A, C = np.diag([4.0, 8.0]) / np.outer(units, units), np.zeros((0, 2)), np.diag(1.0 / units)
    solver, at = CheckedSolver(), np.array([0, 1])
    assert solver.response(at) is None
    g = np.array([-8.0, -80.0]) / units
    found = solver.solve(QP(H, g, A, np.zeros(0), C, np.full(2, -5.0), np.full(2, 5.0)))
    assert found.x / units == pytest.approx([2.0, 5.0])
    response = solver.response(at)
    assert response == pytest.approx(np.diag([units[0] ** 2 / 4.0, 0.0]), rel=1e-9, abs=1e-18)
    assert solver.solve(QP(H, 1.01 * g, A, np.zeros(0), C, np.full(2, -5.0), np.full(2, 5.0))).status is Status.OPTIMAL
    assert solver.response(at) is response
    assert solver.solve(QP(H, g, A, np.zeros(0), C, np.full(2, 5.0), np.full(2, -5.0))).status is not Status.OPTIMAL
    assert solver.response(at) is None


@pytest.mark.parametrize("bound", [5.4e-3, 0.1, 1.0])
@pytest.mark.parametrize("distance", [0.0, *(sign * 2.0 * 10.0**-k for sign in (1, -1) for k in range(9, 17))])
def test_a_state_next_to_its_soft_bound_does_not_stop_the_solver(bound: float, distance: float) -> None:
    """x is given beside its bound, so that nothing but the slack can meet it: sigma = max(0, -distance)."""
    H, g = np.diag([1.0, 0.0, 1.0]), np.array([0.0, 38.0, 0.0])
    A, b = np.array([[1.0, 0.0, 0.0]]), np.array([bound + distance])
    C = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])
    found = CheckedSolver().solve(QP(H, g, A, b, C, np.array([bound, 0.0, 0.0]), np.full(3, np.inf)))
    assert found.status is Status.OPTIMAL
    assert found.x == pytest.approx([bound + distance, max(-distance, 0.0), bound + distance], abs=1e-12)


def test_factors_for_active_rows_of_last_time_are_not_made_in_vain_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs whose matrices move and whose active row is another each time; then one whose is the same for good."""
    made: list[int] = []

    def counted(*given: Any) -> Any:
        made.append(1)
        return with_rows(*given)

    monkeypatch.setattr(module, "with_rows", counted)
    solver, C = CheckedSolver(), np.eye(2)
    none = np.zeros((0, 2)), np.zeros(0)

    def solved(k: int, g: list[float]) -> np.ndarray:
        H = np.diag([2.0 + 1e-3 * k, 2.0])
        return solver.solve(QP(H, np.array(g), *none, C, -np.ones(2), np.ones(2))).x

    for k in range(40):
        g = [9.0, 0.0] if k % 2 else [0.0, 9.0]
        assert solved(k, g) == pytest.approx([-1.0 if k % 2 else 0.0, 0.0 if k % 2 else -1.0])
    assert 4 <= len(made) <= 10
    made.clear()
    for k in range(40, 72):
        assert solved(k, [9.0, 0.0]) == pytest.approx([-1.0, 0.0])
    assert len(made) >= 24  # once they are right they are trusted again
    assert solver.counts.refactored == len(made)
