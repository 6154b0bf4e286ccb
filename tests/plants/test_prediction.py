"""Prediction models of agents: what is held, what is left out, and where absolute values come from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.errors import ModelError, PlantError
from dmpcrl_ctrl.plants.partition import Agent, Partition, SignalNames, make_partition
from dmpcrl_ctrl.plants.prediction import AffineModel, OperatingPoint, agent_dynamics, operating_point, whole

NAMES = SignalNames(("a", "b", "c", "d"), ("u", "v"), ("w",))


def block_inputs(rng: np.random.Generator) -> tuple[AffineModel, Partition]:
    """Two agents of two states each, both coupled, with one input each and a disturbance on the first, not at zero."""
    B = np.zeros((4, 2))
    B[:2, 0], B[2:, 1] = rng.normal(size=2), rng.normal(size=2)
    E = np.zeros((4, 1))
    E[:2, 0] = rng.normal(size=2)
    point = OperatingPoint(rng.normal(size=4), rng.normal(size=2), rng.normal(size=1))
    model = AffineModel(rng.normal(size=(4, 4)), B, E, rng.normal(size=4), point)
    agents = [Agent("one", ("a", "b"), ("u",)), Agent("two", ("c", "d"), ("v",))]
    return model, make_partition(agents, NAMES, model.A, B, E, "p")


def rate(model: AffineModel, x: Array, u: Array, d: Array) -> Array:
    point = model.point
    return model.rate + model.A @ (x - point.state) + model.B @ (u - point.input) + model.E @ (d - point.disturbance)


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
def test_an_agent_moves_as_if_everything_outside_stood_still(seed: int, T: float) -> None:
    rng = np.random.default_rng(seed)
    model, partition = block_inputs(rng)
    x, u, d = rng.normal(size=4), rng.normal(size=2), rng.normal(size=1)
    for i, own in enumerate(agent_dynamics(model, partition, T)):
        states, j = partition.state_index[i], 1 - i

        def held(t: float, state: Array, states: Index = states) -> Array:
            full = x.copy()
            full[states] = state
            return rate(model, full, u, d)[states]

        end = solve_ivp(held, (0.0, T), x[states], method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
        predicted = own.A @ x[states] + own.B @ u[[i]] + own.A_ij[j] @ x[partition.state_index[j]] + own.b
        predicted = predicted + own.E @ d[partition.disturbance_index[i]]
        np.testing.assert_allclose(predicted, end, atol=1e-8 * (1.0 + np.abs(end).max()))


def test_a_discrete_model_is_taken_as_it_is() -> None:
    model, partition = block_inputs(np.random.default_rng(1))
    x, u, d = np.arange(4.0), np.array([1.0, -1.0]), np.array([0.5])
    one, two = agent_dynamics(model, partition, None)
    after = rate(model, x, u, d)
    np.testing.assert_allclose(one.A @ x[:2] + one.B @ u[:1] + one.A_ij[1] @ x[2:] + one.E @ d + one.b, after[:2])
    np.testing.assert_allclose(two.A @ x[2:] + two.B @ u[1:] + two.A_ij[0] @ x[:2] + two.b, after[2:])
    assert two.E.shape == (2, 0)


def test_a_neighbour_that_is_left_out_is_taken_to_stay_where_it_was_linearised() -> None:
    model, _ = block_inputs(np.random.default_rng(1))
    agents = [Agent("one", ("a", "b"), ("u",), neighbours=()), Agent("two", ("c", "d"), ("v",))]
    partition = make_partition(agents, NAMES, model.A, model.B, model.E, "p")
    own = agent_dynamics(model, partition, None)[0]
    assert own.A_ij == {}
    x, u, d = np.array([1.0, 2.0, *model.point.state[2:]]), np.zeros(2), np.zeros(1)
    np.testing.assert_allclose(own.A @ x[:2] + own.B @ u[:1] + own.E @ d + own.b, rate(model, x, u, d)[:2])


def test_the_whole_network_is_one_agent_that_moves_as_the_plant() -> None:
    model, _ = block_inputs(np.random.default_rng(2))
    partition = whole(NAMES, "p")
    (own,) = agent_dynamics(model, partition, 0.3)
    x, u, d = np.arange(4.0), np.array([1.0, -1.0]), np.array([0.5])
    end = solve_ivp(lambda t, s: rate(model, s, u, d), (0.0, 0.3), x, method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    np.testing.assert_allclose(own.A @ x + own.B @ u + own.E @ d + own.b, end, atol=1e-8)
    assert partition.agents == (Agent("p", NAMES.states, NAMES.inputs, NAMES.disturbances, ()),)


def test_an_input_on_a_foreign_state_names_both_agents() -> None:
    model, partition = block_inputs(np.random.default_rng(1))
    model.B[3, 0] = 1e-9
    with pytest.raises(ModelError, match=r"input 'u' of one acts on states of two.*use hold='network'"):
        agent_dynamics(model, partition, 1.0)
    assert len(agent_dynamics(model, whole(NAMES, "p"), 1.0)) == 1


def test_growth_names_the_agent_the_pole_and_the_sample() -> None:
    model, partition = block_inputs(np.random.default_rng(1))
    model.A[2:, 2:] = np.diag([-1.0, 1000.0])
    with pytest.raises(ModelError, match=r"two: the pole 1000 1/s grows beyond all floats over T = 1 s"):
        agent_dynamics(model, partition, 1.0)


def test_an_operating_point_is_read_by_name() -> None:
    point = operating_point(({"b": 2.0}, [1.0, 3.0]), None, NAMES, "p")
    np.testing.assert_array_equal(point.state, [0.0, 2.0, 0.0, 0.0])
    np.testing.assert_array_equal(point.input, [1.0, 3.0])
    np.testing.assert_array_equal(point.disturbance, [0.0])
    np.testing.assert_array_equal(operating_point(None, [1.0] * 4, NAMES, "p").state, np.ones(4))
    np.testing.assert_array_equal(operating_point(([0.0] * 4, {}, {"w": 5.0}), None, NAMES, "p").disturbance, [5.0])
    with pytest.raises(PlantError, match=r"p: operating_point must be \(x, u\) or \(x, u, d\), got 1 parts"):
        operating_point(([0.0] * 4,), None, NAMES, "p")
