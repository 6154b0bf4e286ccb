"""The local solver while matrices move as in learning: every point is one, every fault has its name, nothing sticks."""

import numpy as np
import pytest

from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.validation.learning_walk import FAULTS
from dmpcrl_ctrl.validation.solver_guard import GuardStudy, guard_study


def off(qp: QP, point: QPSolution) -> float:
    """The optimality conditions as they stand in a textbook, in the units of the program, apart from the package.

    Each row relative to the sum of its terms, and to a millionth of the largest row; signs, and multipliers of bounds
    that do not exist, relative to the largest gradient; the sum of multipliers times distances relative to the terms of
    the cost.
    """
    x, equal, low, high = point.x, point.equality_dual, point.lower_dual, point.upper_dual
    has_low, has_high = np.isfinite(qp.lower), np.isfinite(qp.upper)
    lower, upper = np.where(has_low, qp.lower, 0.0), np.where(has_high, qp.upper, 0.0)
    H, A, C, absolute = np.abs(qp.H), np.abs(qp.A), np.abs(qp.C), np.abs(x)

    def relative(error: np.ndarray, terms: np.ndarray) -> float:
        return float(np.max(np.abs(error) / (terms + 1e-6 * terms.max() + 1e-300)))

    # H x + g + A'lambda + C'(mu_u - mu_l) = 0
    gradient = qp.H @ x + qp.g + qp.A.T @ equal + qp.C.T @ (high - low)
    stationarity = relative(gradient, H @ absolute + np.abs(qp.g) + A.T @ np.abs(equal) + C.T @ np.abs(high - low))
    # A x = b, l <= C x <= u
    equality = relative(qp.A @ x - qp.b, A @ absolute + np.abs(qp.b))
    beyond = np.maximum(np.where(has_low, lower - qp.C @ x, 0.0), np.where(has_high, qp.C @ x - upper, 0.0))
    inequality = relative(np.maximum(beyond, 0.0), C @ absolute + np.maximum(np.abs(lower), np.abs(upper)))
    # mu >= 0, and none without a bound
    price = max(float(np.abs(qp.g).max()), float((H @ absolute).max()))
    sign = max(-float(low.min()), -float(high.min()), 0.0) / price
    homeless = float(np.abs(low[~has_low]).sum() + np.abs(high[~has_high]).sum()) / price
    # mu_l'(C x - l) = mu_u'(u - C x) = 0
    gap = np.abs(low * (qp.C @ x - lower)).sum() + np.abs(high * (upper - qp.C @ x)).sum()
    cost = absolute @ H @ absolute + np.abs(qp.g) @ absolute
    cost += np.abs(equal) @ np.abs(qp.b) + np.abs(low) @ np.abs(lower) + np.abs(high) @ np.abs(upper)
    return float(max(stationarity, equality, inequality, sign, homeless, gap / (cost + 1e-300)))


def check(study: GuardStudy) -> None:
    assert study.wrong == 0
    assert study.named == study.planted and study.planted.keys() == FAULTS.keys()
    assert study.poisoned == 0
    assert study.unsolved <= 1e-3 * study.well_posed
    counts = study.counts
    # the guard was needed: warm starts went astray, other backends were asked, units had to be taken out anew
    assert min(counts.unchanged, counts.refactored, counts.solved, counts.rebuilt, counts.fallback, counts.rescaled) > 0
    assert counts.moved > 0.4 * study.programs


def test_the_guard_holds_on_ten_thousand_programs() -> None:
    check(guard_study(10_000, seed=0, residual=off, tolerance=1e-7))


@pytest.mark.long
def test_the_guard_holds_on_a_hundred_thousand_programs() -> None:
    check(guard_study(100_000, seed=0, residual=off, tolerance=1e-7))


@pytest.mark.parametrize("backend", ["piqp", "daqp"])
def test_the_guard_holds_where_there_is_no_proxqp(backend: str) -> None:
    study = guard_study(600, seed=1, bad=0.2, residual=off, tolerance=1e-7, backend=backend)
    assert (study.wrong, study.unsolved) == (0, 0)
    assert study.named == study.planted
