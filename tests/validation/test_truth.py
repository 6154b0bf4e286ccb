"""The central solution that laws are held against, and the words of a broken one."""

import numpy as np
import pytest

from dmpcrl_ctrl.errors import LawError
from dmpcrl_ctrl.validation.truth import apart, evaluated, signals_of, solved, text
from tests.references import central_reference
from tests.validation.controllers import CHAIN_STATE, honest


def test_the_truth_is_that_of_another_solver_and_ignores_what_the_block_says() -> None:
    controller = honest("distributed", "chain")
    truth = solved(controller, CHAIN_STATE, [0.1, 0.0, 0.0], {})
    assert truth.split_action() is not None
    assert truth.central.value == pytest.approx(
        central_reference(truth.problem, truth.data, truth.split_action()).value
    )
    assert truth.size >= abs(truth.central.value)
    assert evaluated(controller, truth, {}).value == pytest.approx(truth.central.value)
    assert truth.certificate(truth.central.plans, truth.central.duals).residual < 1e-9


def test_a_controller_without_signals_takes_its_agents_one_after_the_other() -> None:
    class Bare:
        problem = honest("central", "chain").problem

    assert signals_of(Bare()).states == ("x0_0", "x0_1", "x1_0", "x1_1", "x2_0", "x2_1")


def test_a_broken_law_names_everything() -> None:
    truth = solved(honest("central", "chain"), CHAIN_STATE, None, {})
    message = rf"law: expected 1, found 2 \(off by 0.5\) at state \[{', '.join(map(str, CHAIN_STATE))}\]"
    with pytest.raises(LawError, match=message):
        truth.broken("law", "1", "2", 0.5)


def test_differences_are_relative_to_their_column() -> None:
    expected = np.array([[1000.0, 1.0], [500.0, 0.5]])
    assert apart(expected + np.array([[0.0, 0.01], [1.0, 0.0]]), expected) == pytest.approx(0.01)
    assert apart(np.full((2, 2), np.nan), expected) > 1e300
    assert apart(np.zeros((3, 0)), np.zeros((3, 0))) == 0.0
    assert text(np.array([1.0, 0.1])) == "[1.0, 0.1]"
