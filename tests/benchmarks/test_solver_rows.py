"""The program that solvers get is the evaluator's, and who answers it badly is left out."""

import numpy as np
import pytest

from benchmarks.solver_rows import backend, central_backend, central_steps, densified


def test_the_programs_have_the_answers_of_the_evaluator() -> None:
    evaluator, steps = central_steps(2)
    for step in steps:
        P, q, *_ = step.program.unpack()
        again = evaluator.evaluate(step.data)
        gradient = P @ step.answer + q
        assert np.isfinite(gradient).all() and again.status.ok
    assert backend("piqp", steps) is not None


def test_a_backend_with_other_answers_is_left_out() -> None:
    _, steps = central_steps(1)
    steps[0].answer[:] += 1.0
    assert backend("piqp", steps) is None


def test_a_program_can_be_dense() -> None:
    _, (step,) = central_steps(1)
    for mine, theirs in zip(densified(step.program).unpack(), step.program.unpack(), strict=True):
        assert mine is theirs or np.array_equal(mine, theirs.toarray())


@pytest.mark.filterwarnings("ignore")
def test_the_best_backend_is_named() -> None:
    assert "is the best" in central_backend(samples=2, pairs=1).note
