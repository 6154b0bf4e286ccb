"""Partitions: found from sparsity, given by name, and every way in which a given one can be wrong."""

from typing import Any

import control as ct
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.hycon2 import power_network
from dmpcrl_ctrl.plants.partition import (
    Agent,
    Partition,
    SignalNames,
    SplitInputs,
    make_partition,
    owners,
    split_signals,
)
from dmpcrl_ctrl.plants.plant import Plant

NAMES = SignalNames(("a", "b", "c"), ("u", "v"), ("w",))
# a <- u, b <- a, c <- v; b also feels c. The disturbance acts on c.
A = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.0, 1.0]])
B = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
E = np.array([[0.0], [0.0], [1.0]])


def made(*agents: Agent, **changes: Any) -> Partition:
    given: dict[str, Any] = {"names": NAMES, "A": A, "B": B, "E": E, "plant": "p"}
    return make_partition(agents or None, **given | changes)


def test_a_state_goes_with_the_input_that_reaches_it_first() -> None:
    line = np.diag(np.ones(3), -1)  # 0 -> 1 -> 2 -> 3
    assert owners(line + line.T, np.eye(4)[:, [0, 3]]).tolist() == [0, 0, 1, 1]


def test_a_tie_goes_to_the_stronger_coupling() -> None:
    A = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, -2.0, 0.0]])
    assert owners(A, np.eye(3)[:, :2]).tolist() == [0, 1, 1]
    assert owners(-A[:, [1, 0, 2]], np.eye(3)[:, :2]).tolist() == [0, 1, 0]


def test_what_no_input_reaches_goes_where_it_is_coupled() -> None:
    A = np.zeros((4, 4))
    A[1, 2] = A[2, 3] = 1.0  # states 2 and 3 act on state 1, nothing acts on them
    assert owners(A, np.eye(4)[:, :2]).tolist() == [0, 1, 1, 1]
    assert owners(np.zeros((3, 3)), np.eye(3)[:, [2]]).tolist() == [0, 0, 0]
    assert owners(np.eye(2), np.zeros((2, 0))).tolist() == [0, 0]


def steps_to(A: Array, source: Array) -> Array:
    """Length of the shortest path to each state, by powers of the sparsity pattern."""
    reached = source != 0.0
    steps = np.where(reached, 1, 99)
    for k in range(2, 99):
        reached = reached | ((A != 0.0) @ reached)
        steps = np.where(reached & (steps == 99), k, steps)
    return steps


@settings(max_examples=200)
@given(st.integers(1, 8), st.integers(1, 4), st.data())
def test_no_other_input_is_nearer(n: int, m: int, data: st.DataObject) -> None:
    sparse = st.sampled_from([0.0, 0.0, 1.0, -2.0])
    A, B = data.draw(arrays(float, (n, n), elements=sparse)), data.draw(arrays(float, (n, m), elements=sparse))
    steps = np.array([steps_to(A, B[:, k]) for k in range(m)])
    owner = owners(A, B)
    assert ((owner >= 0) & (owner < m)).all()
    np.testing.assert_array_equal(steps[owner, np.arange(n)], steps.min(axis=0))


def test_the_areas_of_a_power_network_are_found() -> None:
    """From dPref through valve, turbine and frequency to the angle: each area's four states are nearest to its own."""
    given = power_network(2)
    found = Plant(given.system, disturbances=dict.fromkeys(given.disturbance_names, 0.0)).agents
    for area, agent in zip(given.agents, found, strict=True):
        assert (agent.states, agent.inputs, agent.disturbances) == (area.states, area.inputs, area.disturbances)
        named = {f"agent_{k}": other.name for k, other in enumerate(given.agents)}
        assert tuple(named[name] for name in agent.neighbours or ()) == area.neighbours


def test_a_partition_is_found_with_its_neighbours_and_disturbances() -> None:
    partition = made()
    assert partition.agents == (
        Agent("agent_0", ("a", "b"), ("u",), (), ("agent_1",)),
        Agent("agent_1", ("c",), ("v",), ("w",), ()),
    )
    assert [i.tolist() for i in partition.state_index] == [[0, 1], [2]]
    assert partition.neighbour_numbers(0) == (1,)
    assert partition.neighbour_numbers(1) == ()


def test_a_given_partition_is_filled_in_and_keeps_its_order() -> None:
    partition = made(Agent("one", ("c", "a"), ("v",)), Agent("two", ("b",), ("u",), disturbances=("w",)))
    assert [i.tolist() for i in partition.state_index] == [[2, 0], [1]]
    assert [i.tolist() for i in partition.input_index] == [[1], [0]]
    assert [i.tolist() for i in partition.disturbance_index] == [[0], [0]]
    assert partition.agents[0].neighbours == ()
    assert partition.agents[1].neighbours == ("one",)


def test_given_neighbours_are_a_choice() -> None:
    partition = made(Agent("one", ("a", "b"), ("u",), neighbours=()), Agent("two", ("c",), ("v",), neighbours=("one",)))
    assert partition.neighbour_numbers(0) == ()
    assert partition.neighbour_numbers(1) == (0,)


def test_no_input_is_one_agent_and_no_state_is_one_agent_an_input() -> None:
    alone = make_partition(None, SignalNames(("a",), (), ()), A[:1, :1], np.zeros((1, 0)), np.zeros((1, 0)), "p")
    assert alone.agents == (Agent("agent_0", ("a",), (), (), ()),)
    gains = make_partition(None, SignalNames((), ("u", "v"), ()), A[:0, :0], B[:0], E[:0, :0], "p")
    assert [agent.inputs for agent in gains.agents] == [("u",), ("v",)]


ONE, TWO = Agent("one", ("a", "b"), ("u",)), Agent("two", ("c",), ("v",))


@pytest.mark.parametrize(
    ("agents", "message"),
    [
        ((ONE,), "p: states c belong to no agent"),
        ((ONE, Agent("two", ("c",))), "p: inputs v belong to no agent"),
        ((ONE, Agent("two", ("c", "b"), ("v",))), "p: state 'b' belongs to both one and two"),
        ((ONE, Agent("two", ("c",), ("v", "u"))), "p: input 'u' belongs to both one and two"),
        ((ONE, Agent("two", ("cc",), ("v",))), "p: agent two: state 'cc' does not exist; did you mean 'c'"),
        ((ONE, Agent("two", ("c",), ("v",), ("x",))), "p: disturbance of two 'x' does not exist; there are w"),
        ((ONE, Agent("two", ("c",), ("v",), None, ("two",))), "agent two cannot be its own neighbour"),
        (
            (ONE, Agent("two", ("c",), ("v",), None, ("on",))),
            "neighbour of two 'on' does not exist; did you mean 'one'",
        ),
        ((ONE, Agent("two", ("c",), ("v",), None, ("one", "one"))), "agent two lists a neighbour twice: one, one"),
        ((ONE, Agent("one", ("c",), ("v",))), "agent names must differ.*'one'"),
        ((ONE, Agent("a/b", ("c",), ("v",))), "contain '/', got 'a/b'"),
    ],
)
def test_a_wrong_partition_is_refused_by_name(agents: tuple[Agent, ...], message: str) -> None:
    with pytest.raises(PlantError, match=message):
        made(*agents)


def test_an_empty_partition_is_refused() -> None:
    with pytest.raises(PlantError, match="p: a plant needs at least one agent"):
        make_partition((), NAMES, A, B, E, "p")


def test_inputs_split_into_controls_and_disturbances() -> None:
    system = ct.ss(np.zeros((1, 1)), np.ones((1, 3)), [[1.0]], np.zeros((1, 3)), inputs=["u", "w", "v"], states=["x"])
    names, split, outputs = split_signals(system, ["w"], "p")
    assert names == SignalNames(("x",), ("u", "v"), ("w",))
    assert names.steered == ("x", "u", "v")
    assert outputs == ("y[0]",)
    np.testing.assert_array_equal(split.merged(np.array([1.0, 2.0]), np.array([9.0])), [1.0, 9.0, 2.0])
    np.testing.assert_array_equal(SplitInputs(split.control, split.acting).merged(1.0, 0.0), [1.0, 0.0, 1.0])
    with pytest.raises(PlantError, match="p: disturbance 'ww' does not exist; did you mean 'w'"):
        split_signals(system, ["ww"], "p")
