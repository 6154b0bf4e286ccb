"""What agents send is what the law of privacy allows, and a planted leak is found."""

from dataclasses import replace

import numpy as np
import pytest

from dmpcrl_ctrl.channel import Kind, Message
from dmpcrl_ctrl.errors import LawError, LawInapplicableError
from dmpcrl_ctrl.validation.privacy import check_privacy, faults, secrets
from tests.validation.controllers import CHAIN_STATE, LEAKS, chain_problem, honest, state_of


@pytest.mark.parametrize("example", ["chain", "power", "random"])
def test_agents_tell_no_secrets(example: str) -> None:
    controller = honest("distributed", example)
    assert check_privacy(controller, state_of(controller)) == 0.0
    assert check_privacy(controller, state_of(controller), np.full(len(controller.signals.inputs), 0.1)) == 0.0


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(leak: str) -> None:
    with pytest.raises(LawError, match="privacy: agent [01] sends"):
        check_privacy(LEAKS[leak](), CHAIN_STATE)


def test_a_controller_that_cannot_be_watched_is_passed_over() -> None:
    with pytest.raises(LawInapplicableError, match="no method with_transport"):
        check_privacy(honest("central", "chain"), CHAIN_STATE)


def test_every_array_of_a_model_is_a_secret_but_for_zeros_and_ones() -> None:
    problem = chain_problem()
    kept = {(one.agent, one.field): one.entries for one in secrets(problem)}
    assert kept[0, "A"] == {0.9, 0.35, 1.1}
    assert kept[0, "Q"] == {0.5}  # doubled it is one
    assert kept[0, "slack_weight"] == {60.0}
    assert kept[1, "A_ij"] == {-0.1}
    assert (0, "b") not in kept and (0, "upper") not in kept


def test_a_state_on_its_bound_is_no_leak_but_a_list_of_bounds_is() -> None:
    problem = chain_problem()
    bounded = replace(problem.models[0], upper=np.array([0.7, 0.8]), lower=np.array([-0.3, -0.4]))
    problem = replace(problem, models=(bounded, *problem.models[1:]))
    on_bound = Message(Kind.PLAN, 0, 1, np.array([0.11, 0.7, 0.7]))
    assert list(faults(problem, [on_bound])) == []
    both = Message(Kind.PLAN, 0, 1, np.array([0.7, 0.8]))
    (fault,) = faults(problem, [both])
    assert "an entry of upper of agent 0, in a message of plan" in fault
    summed = Message(Kind.SCALARS, 0, 1, np.array([0.7]))
    assert len(list(faults(problem, [summed]))) == 1
