"""Plants around python-control systems: attributes, motion, costs, and errors that name the thing."""

from fractions import Fraction
from typing import Any

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.plants.disturbance import Ramp, Steps, UniformNoise
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant


def cart(**options: Any) -> Plant:
    system = ct.ss(
        [[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, 3.0]], [[0.0, 0.0], [1.0, 0.0]],
        states=["p", "v"], inputs=["wind", "force"], outputs=["p", "speed"], name="cart",
    )  # fmt: skip
    return Plant(system, **{"disturbances": {"wind": Steps((1.5,), (0.2,))}} | options)


def test_signals_are_named_and_split() -> None:
    plant = cart(units={"p": "m"})
    assert plant.name == "cart" and plant.linear and plant.sample_time is None
    assert (plant.state_names, plant.input_names, plant.disturbance_names) == (("p", "v"), ("force",), ("wind",))
    assert plant.output_names == ("p", "speed") and plant.setpoint_names == ("p_ref", "v_ref", "force_ref")
    assert plant.measured_names == ("wind",) and plant.units == {"p": "m"}
    assert plant.agents == (Agent("agent_0", ("p", "v"), ("force",), ("wind",), ()),)
    assert plant.state_of_output == (0, None)
    assert plant.clock_times == (Fraction(3, 2),)


def test_feedthrough_of_a_disturbance_is_none_of_the_inputs() -> None:
    assert cart().feedthrough.tolist() == [[False], [False]] and not cart().has_feedthrough
    both = cart(disturbances={})
    assert both.feedthrough.tolist() == [[False, False], [True, False]] and both.has_feedthrough


def test_a_cart_moves_exactly_under_force_and_rising_wind() -> None:
    plant = cart()
    x = plant.advance(np.array([1.0, 2.0]), 3, np.array([0.5]), np.array([0.1]), np.array([0.3]))
    acceleration, jerk = 0.5 + 2.0 * 0.1, 2.0 * 0.3
    np.testing.assert_allclose(
        x, [1 + 2 * 3 + acceleration * 9 / 2 + jerk * 27 / 6, 2 + acceleration * 3 + jerk * 9 / 2], rtol=1e-14
    )
    np.testing.assert_allclose(plant.output(x, np.array([9.0]), np.array([0.1])), [x[0], 3.0 * x[1] + 0.1])


def test_no_time_is_no_motion() -> None:
    x = np.array([1.0, 2.0])
    after = cart().advance(x, 0, np.array([5.0]))
    np.testing.assert_array_equal(after, x)
    assert after is not x


def test_a_ramp_in_the_surroundings_reaches_the_plant() -> None:
    plant = cart(disturbances={"wind": Ramp(0, 1.0)})
    bound = plant.bind(10, np.random.SeedSequence(0))
    x = np.zeros(2)
    for tick in (0, 5):
        x = plant.advance(x, Fraction(1, 2), np.zeros(1), bound.values(tick), bound.slopes(tick))
    np.testing.assert_allclose(x, [2.0 / 6, 2.0 / 2], rtol=1e-14)


def test_noise_is_drawn_for_every_disturbance() -> None:
    noisy = cart(disturbances={"wind": Steps((1.5,), (0.2,)) + UniformNoise(-0.1, 0.1, 1)})
    drawn = noisy.draw_noise(np.random.default_rng(0), 50)
    assert drawn.shape == (50, 1) and -0.1 <= drawn.min() < 0.0 < drawn.max() <= 0.1
    assert not cart().draw_noise(np.random.default_rng(0), 50).any()
    assert cart(disturbances={}).draw_noise(np.random.default_rng(0), 50).shape == (50, 0)


def test_costs_are_shared_out_by_agent() -> None:
    system = ct.ss(-np.eye(3), np.eye(3)[:, :2], np.eye(3), np.zeros((3, 2)), states=["a", "b", "c"], inputs=["u", "v"])
    agents = [Agent("one", ("a", "c"), ("u",)), Agent("two", ("b",), ("v",))]
    Q = np.array([[1.0, 0.5, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 3.0]])
    plant = Plant(system, agents, Q=Q, R=[4.0, 5.0], state_limits={"c": (-1.0, 1.0)}, violation_weight=100.0)
    x, u, setpoint = np.array([1.0, 2.0, 1.5]), np.array([1.0, -1.0]), np.array([0.0, 0.0, 0.5, 0.0, 1.0])
    np.testing.assert_allclose(plant.stage_cost(x, u, setpoint), [1 + 0.5 * 2 + 3 + 4 + 50, 0.5 * 2 + 8 + 20])
    np.testing.assert_allclose(plant.violation(x), [0.0, 0.0, 0.5])
    priced = Plant(system, agents, extra_stage_cost=lambda x, u, s, d: np.array([x[0], d.size]))
    np.testing.assert_allclose(priced.stage_cost(0 * x, 0 * u, 0 * setpoint), [0.0, 0.0])
    np.testing.assert_allclose(priced.stage_cost(x, 0 * u, np.append(x, [0.0, 0.0])), [1.0, 0.0])


def test_inputs_are_saturated() -> None:
    plant = cart(input_limits={"force": (-1.0, 2.0)})
    assert plant.saturate(np.array([-1.0 - 1e-12])) == [-1.0] and plant.saturate(np.array([7.0])) == [2.0]
    np.testing.assert_array_equal(plant.input_limits, [[-1.0, 2.0]])
    np.testing.assert_array_equal(plant.state_limits, [[-np.inf, np.inf]] * 2)


def test_initial_states_come_by_vector_by_name_or_from_the_operating_point() -> None:
    np.testing.assert_array_equal(cart().initial_state, [0.0, 0.0])
    np.testing.assert_array_equal(cart(initial_state=[1.0, 2.0]).initial_state, [1.0, 2.0])
    np.testing.assert_array_equal(cart(initial_state={"v": 2.0}).initial_state, [0.0, 2.0])
    around = cart(operating_point=({"p": 4.0}, {"force": -0.4}))
    np.testing.assert_array_equal(around.initial_state, [4.0, 0.0])
    np.testing.assert_array_equal(around.bind(2, np.random.SeedSequence(0)).setpoints(0), [4.0, 0.0, -0.4])


def test_a_discrete_plant_moves_by_its_own_sample() -> None:
    plant = Plant(ct.ss([[0.5]], [[1.0]], [[1.0]], 0, 0.2))
    assert plant.sample_time == Fraction(1, 5) and plant.clock_times == (Fraction(1, 5),)
    np.testing.assert_array_equal(plant.advance(np.array([4.0]), 0.2, np.array([1.0])), [3.0])
    with pytest.raises(PlantError, match=r"plant: a discrete plant advances by its own sample of 0\.2 s, not 0\.1 s"):
        plant.advance(np.array([4.0]), 0.1, np.array([1.0]))


def test_a_gain_without_states_and_a_plant_without_inputs_work() -> None:
    gain = Plant(ct.ss([], [], [], [[2.0, 0.0]]))
    assert gain.advance(gain.initial_state, 1, np.array([1.0, 2.0])).shape == (0,)
    np.testing.assert_array_equal(gain.output(gain.initial_state, np.array([3.0, 1.0])), [6.0])
    assert gain.has_feedthrough and [agent.inputs for agent in gain.agents] == [("u[0]",), ("u[1]",)]
    assert [model.n for model in gain.local_models(1.0).models] == [0, 0]
    # python-control 0.10 has no linear system without any input: what is left without control is one that is disturbed.
    lone = Plant(ct.ss([[-1.0]], [[1.0]], [[1.0]], 0), disturbances={"u[0]": 0.0}, initial_state=[1.0])
    np.testing.assert_allclose(lone.advance(lone.initial_state, 1, np.zeros(0)), [np.exp(-1)], rtol=1e-14)
    assert lone.local_models(1.0).models[0].m == 0


def test_another_system_may_be_predicted() -> None:
    inexact = ct.ss([[0.7]], [[2.0]], [[1.0]], 0, 0.5, states=["x"], inputs=["u"])
    plant = Plant(ct.ss([[-1.0]], [[1.0]], [[1.0]], 0, states=["x"], inputs=["u"]), prediction=inexact)
    np.testing.assert_array_equal(plant.local_models(0.5).models[0].A, [[0.7]])
    np.testing.assert_allclose(plant.advance(np.ones(1), 0.5, np.zeros(1)), [np.exp(-0.5)])
    with pytest.raises(PlantError, match="cart: prediction must have the plant's states p, v, in this order, got x"):
        cart(prediction=inexact)


def test_a_nonlinear_plant_is_linearised_where_it_is_told_to() -> None:
    system = ct.nlsys(
        lambda t, x, u, params: [u[0] - x[0] ** 2 + u[1]], inputs=["u", "w"], states=["x"], outputs=["x"], name="tub"
    )
    plant = Plant(system, disturbances={"w": 1.0}, operating_point=([2.0], [3.0], [1.0]))
    assert not plant.linear and plant.state_of_output == (0,) and not plant.has_feedthrough
    model = plant.local_models(0.1).models[0]
    np.testing.assert_allclose(model.A, [[np.exp(-0.4)]], rtol=1e-8)
    np.testing.assert_allclose(model.A @ [2.0] + model.B @ [3.0] + model.E @ [1.0] + model.b, [2.0], rtol=1e-12)
    started = Plant(system, disturbances={"w": 1.0}, initial_state=[5.0])
    np.testing.assert_allclose(started.local_models(0.1).models[0].A, [[np.exp(-1.0)]], rtol=1e-8)


def test_an_interconnection_with_a_nonlinear_part_moves_as_its_equations_say() -> None:
    valve = ct.ss([[-2.0]], [[2.0]], [[1.0]], 0, name="valve", inputs=["u"], outputs=["flow"], states=["flow"])
    tub = ct.nlsys(
        lambda t, x, u, params: [u[0] - x[0] ** 2], inputs=["flow"], states=["level"], outputs=["level"], name="tub"
    )
    joined = ct.interconnect([valve, tub], inputs=["u"], outputs=["level", "flow"], name="bath")
    plant = Plant(joined, initial_state=[4.0, 0.5])
    assert (plant.name, plant.state_names) == ("bath", ("valve_flow", "tub_level"))
    assert plant.state_of_output == (1, 0) and plant.agents[0].states == plant.state_names
    # With u = flow = 4 the level obeys x' = 4 - x^2: x = 2 tanh(2 t + atanh(1/4)).
    x = plant.advance(plant.initial_state, 0.3, np.array([4.0]))
    np.testing.assert_allclose(x, [4.0, 2.0 * np.tanh(0.6 + np.arctanh(0.25))], rtol=1e-9)


def test_a_failure_on_the_way_names_plant_state_agent_and_time() -> None:
    system = ct.nlsys(lambda t, x, u, params: [x[0] ** 2], inputs=["u"], states=["x"], outputs=["x"], name="bomb")
    with pytest.raises(PlantError, match=r"bomb: state 'x' of agent_0: integration stopped at t = 3 s"):
        Plant(system).advance(np.array([1.0]), 2, np.zeros(1), start=2.0)
    unstable = Plant(ct.ss([[300.0]], [[1.0]], [[1.0]], 0, name="bomb", states=["x"]))
    with pytest.raises(PlantError, match=r"bomb: state 'x' of agent_0 is inf at t = 3 s"):
        unstable.advance(np.array([1e200]), 1, np.zeros(1), start=2.0)
    with pytest.raises(PlantError, match=r"bomb: the pole 300 1/s grows beyond all floats over T = 4 s"):
        unstable.advance(np.array([1.0]), 4, np.zeros(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a/b"}, "the plant's name 'a/b'"),
        ({"disturbances": {"wnd": 1.0}}, "cart: disturbance 'wnd' does not exist; did you mean 'wind'"),
        ({"input_limits": {"forc": (-1, 1)}}, "cart: input_limits: signal 'forc' does not exist; did you mean 'force'"),
        ({"input_limits": {"wind": (-1, 1)}}, "cart: input_limits: signal 'wind' does not exist; there are force"),
        ({"state_limits": {"p": (1, -1)}}, "cart: state_limits of 'p' must be a pair"),
        ({"rate_limits": {"force": -1}}, "cart: rate_limits of 'force' must be positive"),
        ({"initial_state": [1.0]}, r"cart: initial_state has shape \(1,\), expected \(2,\)"),
        ({"initial_state": [1.0, np.nan]}, r"cart: initial_state\[1\] is nan"),
        ({"Q": np.eye(3)}, r"cart: Q has shape \(3, 3\), expected \(2, 2\)"),
        ({"setpoint_gain": np.eye(2)}, r"cart: setpoint_gain has shape \(2, 2\), expected \(3, 1\)"),
        ({"violation_weight": -1.0}, "cart: violation_weight of 'p' must not be negative"),
        ({"operating_point": ([0.0, 0.0],)}, "cart: operating_point must be"),
        ({"agents": [Agent("one", ("p",), ("force",))]}, "cart: states v belong to no agent"),
    ],
)
def test_bad_input_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PlantError, match=message) as caught:
        cart(**options)
    assert "\n" not in str(caught.value)


def test_inputs_that_are_not_numbers_stop_before_the_plant_moves() -> None:
    with pytest.raises(PlantError, match=r"cart: input 'force' is nan at t = 2 s"):
        cart().advance(np.zeros(2), 1, np.array([np.nan]), start=2.0)
    with pytest.raises(PlantError, match=r"cart: input 'wind' is inf"):
        cart().advance(np.zeros(2), 1, np.zeros(1), np.array([np.inf]))
    with pytest.raises(PlantError, match=r"cart: u has shape \(2,\), expected \(1,\)"):
        cart().output(np.zeros(2), np.zeros(2))
