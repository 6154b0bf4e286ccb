"""Who talks to whom, and which numbers are shared."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.errors import NetworkError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import communication_graph, coupling_graph, shared_states
from dmpcrl_ctrl.problem import MPCProblem


def scalar(**coupling: Any) -> LocalModel:
    return LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], **coupling)


def test_coupling_is_directed_and_communication_is_not(problem: MPCProblem) -> None:
    assert set(coupling_graph(problem).edges) == {(0, 1), (2, 1), (0, 2)}
    assert set(map(frozenset, communication_graph(problem).edges)) == {
        frozenset((0, 1)),
        frozenset((1, 2)),
        frozenset((0, 2)),
    }


def test_shared_numbers_are_listed_by_owner_column_and_stage(problem: MPCProblem) -> None:
    shared = shared_states(problem)
    keys = list(zip(shared.owner.tolist(), shared.column.tolist(), shared.stage.tolist(), strict=True))
    assert keys == [(0, 0, k) for k in (1, 2, 3, 4)] + [(0, 1, k) for k in (1, 2, 3)] + [(2, 0, k) for k in (1, 2, 3)]


def test_shifting_takes_each_entry_from_the_next_stage_and_repeats_the_last(problem: MPCProblem) -> None:
    assert shared_states(problem).shifted().tolist() == [1, 2, 3, 3, 5, 6, 6, 8, 9, 9]


def test_a_disconnected_network_is_refused_by_the_names_of_its_parts() -> None:
    problem = MPCProblem((scalar(), scalar(A_ij={0: [[1.0]]}), scalar()), 3, names=("north", "east", "south"))
    with pytest.raises(NetworkError, match=r"2 parts that do not talk to each other \(north, east \| south\)"):
        communication_graph(problem)


def test_one_agent_is_a_connected_network_that_shares_nothing() -> None:
    problem = MPCProblem((scalar(),), 3)
    assert communication_graph(problem).number_of_nodes() == 1
    assert shared_states(problem).size == 0 and shared_states(problem).shifted().shape == (0,)


def test_a_coupling_of_zeros_shares_nothing_unless_declared() -> None:
    nothing = MPCProblem((scalar(), scalar(A_ij={0: np.zeros((1, 1))})), 3)
    assert shared_states(nothing).size == 0
    declared = MPCProblem((scalar(), LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], declared={0: (0,)})), 3)
    assert shared_states(declared).size == 2
