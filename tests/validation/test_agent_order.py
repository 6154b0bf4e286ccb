"""Numbering the agents otherwise changes nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.errors import LawError, LawInapplicableError
from dmpcrl_ctrl.validation.agent_order import check_order, rebuilt, reordered
from dmpcrl_ctrl.validation.random_problems import FEATURES, Blueprint, random_problem
from tests.references import central_reference
from tests.validation.controllers import CHAIN_STATE, CONVERGED, chain_problem, honest, state_of


@pytest.mark.parametrize("kind", ["central", "distributed"])
@pytest.mark.parametrize("example", ["chain", "power", "random"])
def test_the_order_of_agents_does_not_matter(kind: str, example: str) -> None:
    controller = honest(kind, example)
    for seed in range(2):
        assert check_order(controller, state_of(controller), seed=seed) < 1e-9
    action = np.linspace(-0.1, 0.1, len(controller.signals.inputs))
    assert check_order(controller, state_of(controller), action, seed=3) < 1e-9


def test_what_evaluate_takes_besides_is_put_in_order_too() -> None:
    controller = honest("central", "power")
    numbers = np.arange(4) / 50.0
    given: dict[str, Any] = {
        "disturbance": numbers,
        "previous_input": numbers,
        "setpoint": (np.arange(16) / 100.0, numbers),
    }
    assert check_order(controller, state_of(controller), seed=1, **given) < 1e-10


def test_a_reordered_problem_has_the_same_value_says_another_solver() -> None:
    problem, data = random_problem(Blueprint(((2, 1), (1, 2), (3, 1)), ((0, 1), (1, 2)), 2, frozenset(FEATURES), 3))
    order = [2, 0, 1]
    there = reordered(problem, order)
    assert there.names == ("agent 2", "agent 0", "agent 1")
    assert there.models[2].neighbours == (1,) and there.models[0].neighbours == (2,)
    expected = central_reference(problem, data).value
    assert central_reference(there, [data[i] for i in order]).value == pytest.approx(expected, rel=1e-6)


def test_a_controller_that_treats_its_first_agent_otherwise_is_found() -> None:
    class Partial(CentralizedMPC):
        """Doubles the price of the first agent's inputs, whoever that is."""

        def _evaluator(self) -> Any:
            first, *others = self.problem.models
            self.problem = replace(self.problem, models=(replace(first, R=2.0 * first.R), *others))
            return super()._evaluator()

    with pytest.raises(LawError, match="the order of agents does not matter: expected"):
        check_order(Partial(chain_problem(), 1.0), CHAIN_STATE, seed=1)


def test_a_block_is_rebuilt_by_its_own_method_or_not_at_all() -> None:
    class Own:
        def rebuilt(self, problem: Any) -> str:
            return "mine"

    assert rebuilt(Own(), chain_problem()) == "mine"
    with pytest.raises(LawInapplicableError, match="no method rebuilt"):
        rebuilt(object(), chain_problem())
    found = rebuilt(honest("distributed", "chain"), chain_problem())
    assert isinstance(found, DistributedMPC) and found.admm is CONVERGED
