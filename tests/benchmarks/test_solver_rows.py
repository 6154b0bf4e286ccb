"""The program that solvers get is the evaluator's, and who answers it badly is left out."""

import numpy as np
import pytest

from benchmarks.solver_rows import backend, central_backend, central_steps, posed


def test_the_programs_have_the_answers_of_the_evaluator() -> None:
    evaluator, steps = central_steps(2)
    for step in steps:
        again = evaluator.evaluate(step.data)
        assert again.value == pytest.approx(step.program.objective(step.answer), rel=1e-9)
    assert backend("piqp", steps) is not None


def test_a_backend_with_other_answers_is_left_out() -> None:
    _, steps = central_steps(1)
    steps[0].answer[:] += 1.0
    assert backend("piqp", steps) is None


@pytest.mark.parametrize("dense", [False, True])
def test_a_posed_program_has_the_rows_of_the_bounds(dense: bool) -> None:
    _, (step,) = central_steps(1)
    qp, posed_ = step.program, posed(step.program, dense)
    assert posed_.G is not None and posed_.h is not None and isinstance(posed_.P, np.ndarray) is dense
    rows = posed_.G @ step.answer - posed_.h
    assert len(rows) == np.isfinite(qp.upper).sum() + np.isfinite(qp.lower).sum()
    assert rows.max() <= 1e-9


@pytest.mark.filterwarnings("ignore")
def test_the_best_backend_is_named() -> None:
    assert "is the best" in central_backend(samples=2, pairs=1).note
