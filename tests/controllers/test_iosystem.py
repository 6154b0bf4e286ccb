"""Loops closed in python-control itself give the native trajectory, with one solve a sample."""

from collections.abc import Callable
from typing import Any

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.controllers import (
    LQR,
    CentralizedMPC,
    DistributedMPC,
    LearningMPC,
    LocalModel,
    MPCProblem,
    ScenarioMPC,
)
from dmpcrl_ctrl.controllers.iosystem import ControllerSystem, SampleTime
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import ModelError, SimulationError, WiringError
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free
from dmpcrl_ctrl.plants import Plant, chain, power_network

SAMPLES = 22  # loads of the power network change at 5, 15 and 20 s


def discretised(plant: Plant, sample_time: float) -> ct.StateSpace:
    found = ct.sample_system(plant.system, sample_time, "zoh")
    names = {"inputs": plant.system.input_labels, "outputs": plant.system.output_labels}
    return ct.ss(found, **names, name="network")


def cart(**limits: Any) -> LocalModel:
    step: dict[str, Any] = {"A": [[1.0, 0.5], [0.0, 1.0]], "B": [[0.125], [0.5]], "E": [[0.0], [0.5]]}
    return LocalModel(**step, Q=np.eye(2), R=[[0.1]], **({"u_min": [-1.0], "u_max": [1.0]} | limits))


def cart_mpc(horizon: int = 6, **limits: Any) -> CentralizedMPC:
    return CentralizedMPC(MPCProblem((cart(**limits),), horizon, names=("cart",)), 0.5)


def cart_plant() -> ct.StateSpace:
    model = cart()
    B = np.hstack([model.B, model.E])
    return ct.ss(model.A, B, np.eye(2), 0, 0.5, inputs=["u0_0", "d0_0"], outputs=["x0_0", "x0_1"], name="plant")


def cart_loop(system: ControllerSystem, steps: int, load: Any = 0.1, **options: Any) -> ct.TimeResponseData:
    loop = ct.interconnect([cart_plant(), system], inputs=["d0_0"], outputs=["x0_0", "x0_1", "u0_0"])
    start = [1.0, 0.0, *[0.0] * system.nstates]
    return ct.input_output_response(loop, 0.5 * np.arange(steps), np.zeros(steps) + load, start, **options)


@pytest.mark.parametrize(
    "build",
    [
        lambda plant: CentralizedMPC.for_plant(plant, 8, hold="network"),
        lambda plant: DistributedMPC.for_plant(plant, 8),
        lambda plant: LQR.for_plant(plant),
    ],
    ids=["central", "distributed", "lqr"],
)
def test_the_power_network_moves_as_in_simulate(build: Callable[[Plant], Any]) -> None:
    plant = power_network(1)
    controller = build(plant)
    run = simulate(plant, controller, t_end=SAMPLES)
    system = controller.to_iosystem()
    assert (system.dt, tuple(system.input_labels), tuple(system.output_labels)) == (
        1.0,
        controller.inputs,
        controller.outputs,
    )
    outside = [
        n for n in dict.fromkeys((*plant.disturbance_names, *system.input_labels)) if n not in plant.output_names
    ]
    loop = ct.interconnect(
        [discretised(plant, 1.0), system], inputs=outside, outputs=[*plant.output_names, *plant.input_names]
    )
    given = np.array([[*run[name], run[name][-1]] for name in outside])
    found = ct.input_output_response(loop, np.arange(SAMPLES + 1.0), given)
    states = len(plant.state_names)
    np.testing.assert_allclose(found.outputs[:states].T, run.state, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.outputs[states:, :-1].T, run.input, rtol=0, atol=1e-13)
    assert np.abs(run.state).max() > 0.01 and np.abs(run.input).max() > 0.1
    distinct = len(np.unique(given, axis=1).T)
    assert distinct == 4
    assert system.solves <= (0 if isinstance(controller, LQR) else SAMPLES + 1 + distinct)


def test_what_was_measured_natively_is_answered_to_the_last_bit() -> None:
    plant = power_network(1)
    mpc = CentralizedMPC.for_plant(plant, 8)
    trace = simulate(plant, mpc, t_end=SAMPLES).controllers["mpc"]
    found = ct.input_output_response(mpc.to_iosystem(), np.arange(float(SAMPLES)), trace.input.T)
    assert np.array_equal(found.outputs.T, trace.output)


@pytest.mark.parametrize(
    ("mpc", "load", "solves"),
    [
        (cart_mpc(), 0.1, 30 + 1),  # fictitious ones: of one value from outside
        (cart_mpc(), np.repeat([0.1, 0.2, 0.3], 10), 30 + 3),  # of three
        (cart_mpc(du_max=[0.2]), 0.1, 2 * 30),  # the last input counts, so that no two are alike
    ],
    ids=["constant", "steps", "rates"],
)
def test_a_sample_costs_one_solve_however_often_python_control_asks(mpc: Any, load: Any, solves: int) -> None:
    system, asked = mpc.to_iosystem(inputs=["x0_0", "x0_1", "d0_0"], constants={"x0_0_ref": 0.5}), []
    outfcn = system.outfcn

    def counted(t: float, *rest: Any) -> Any:
        asked.append(t)
        return outfcn(t, *rest)

    system.outfcn = counted
    cart_loop(system, 30, load)
    assert system.solves == solves
    assert len(asked) > 5 * 30


def test_alone_it_costs_as_many_solves_as_samples() -> None:
    system = cart_mpc().to_iosystem(inputs=["x0_0", "x0_1"])
    ct.input_output_response(system, 0.5 * np.arange(20), np.vstack([np.linspace(1, 2, 20), np.zeros(20)]))
    assert system.solves == 20


def test_the_answer_depends_on_nothing_but_the_numbers() -> None:
    """Of one question before and after others, of two systems, as often as one likes."""
    plant = power_network(1)
    mpc = DistributedMPC.for_plant(plant, 5)
    one, two = mpc.to_iosystem(), mpc.to_iosystem()
    rng = np.random.default_rng(0)
    questions = [
        (np.zeros(one.nstates), 0.02 * rng.standard_normal(one.ninputs)),
        (np.concatenate([[0.1, 0.0, 0.0, 0.0, 1.0], rng.random(20)]), 0.02 * rng.standard_normal(one.ninputs)),
    ]
    first = [(one.dynamics(0.0, x, u), one.output(0.0, x, u)) for x, u in questions]
    for (x, u), (later, y) in zip(questions, first, strict=True):
        assert np.array_equal(one.output(7.0, x, u), y) and np.array_equal(one.dynamics(7.0, x, u), later)
    assert one.solves == 2
    for (x, u), (later, y) in zip(reversed(questions), reversed(first), strict=True):
        np.testing.assert_allclose(two.output(0.0, x, u), y, rtol=0, atol=1e-9)
        np.testing.assert_allclose(two.dynamics(0.0, x, u), later, rtol=0, atol=1e-9)


def test_where_a_solve_fails_the_last_plan_goes_on_as_natively() -> None:
    mpc = cart_mpc(3, C=[[1.0, 0.0]], lower=[-1.0], upper=[1.0])  # hard, and broken by what is measured from 2 on
    measured = np.array([[0.5, 0.0], [0.4, 0.0], [5.0, 0.0], [5.0, 0.1], [5.0, 0.2], [5.0, 0.3], [0.1, 0.0]])
    system = mpc.to_iosystem(inputs=["x0_0", "x0_1"])
    found = ct.input_output_response(system, 0.5 * np.arange(7), measured.T)
    state, applied, kinds = mpc.init(0), np.zeros(1), []
    for k, row in enumerate(measured):
        state, applied, record = mpc.step(state, k, np.concatenate([row, np.zeros(4)]), applied, np.zeros(1))
        assert found.outputs[0, k] == pytest.approx(applied[0], abs=1e-12)
        kinds.append(record["applied_kind"])
    assert len(set(kinds)) == 3  # solved, shifted, held


def test_a_parameter_makes_the_controller_that_is_built_with_it() -> None:
    system = cart_mpc().to_iosystem(inputs=["x0_0", "x0_1", "d0_0"])
    usual, tight = cart_loop(system, 8), cart_loop(system, 8, params={"cart/u_max": [0.3], "cart/u_min": [-0.3]})
    built = cart_loop(cart_mpc(u_max=[0.3], u_min=[-0.3]).to_iosystem(inputs=["x0_0", "x0_1", "d0_0"]), 8)
    assert np.array_equal(tight.outputs, built.outputs)
    assert np.abs(usual.outputs - tight.outputs).max() > 0.1
    assert np.array_equal(cart_loop(system, 8).outputs, usual.outputs)  # a call's parameters end with it
    moved = cart_loop(system, 8, params={"x0_0_ref": 0.7})
    chosen = cart_loop(cart_mpc().to_iosystem(inputs=["x0_0", "x0_1", "d0_0"], constants={"x0_0_ref": 0.7}), 8)
    assert np.array_equal(moved.outputs, chosen.outputs) and np.abs(moved.outputs - usual.outputs).max() > 0.1


def test_couplings_and_gains_are_parameters_too() -> None:
    plant = power_network(1)
    mpc, lqr = DistributedMPC.for_plant(plant, 4), LQR.for_plant(plant, hold="area")
    measured = np.linspace(-0.02, 0.02, len(mpc.inputs))
    models = list(mpc.problem.models)
    block = 1.5 * models[0].A_ij[1]
    models[0] = models[0].moved({("A_ij", 1): block})
    built = mpc.with_problem(MPCProblem(tuple(models), 4, names=mpc.problem.names)).to_iosystem()
    system = mpc.to_iosystem()
    x = np.zeros(system.nstates)
    found = system.output(0.0, x, measured, {"area_1/A_ij/area_2": block})
    assert np.array_equal(found, built.output(0.0, x, measured)) and not np.array_equal(
        found, system.output(0.0, x, measured)
    )
    weights = [100.0 * model.R for model in lqr.regulated.models]
    dear = {f"area_{i + 1}/R": weight for i, weight in enumerate(weights)}
    measured = np.linspace(-0.02, 0.02, len(lqr.inputs))
    expected = LQR.for_plant(plant, hold="area", R=100.0 * np.eye(4) * models[0].R[0, 0])
    np.testing.assert_allclose(
        lqr.to_iosystem().output(0.0, np.zeros(4), measured, dear),
        expected.to_iosystem().output(0.0, np.zeros(4), measured),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cart/u_mx": [1.0]}, "mpc: parameter 'cart/u_mx' does not exist; did you mean 'cart/u_max'"),
        ({"d0_1": 1.0}, "mpc: parameter 'd0_1' does not exist; did you mean 'd0_0'"),
        ({"d0_0": np.nan}, "mpc: parameter 'd0_0' must be a finite number, got nan"),
        ({"cart/u_max": ["a"]}, "mpc: parameter 'cart/u_max' must be an array of real numbers, got ..a"),
        ({"cart/u_max": [1j]}, "mpc: parameter 'cart/u_max' must be an array of real numbers, got .1j"),
        ({"cart/A": [[1.0, 0.0], [0.0]]}, "mpc: parameter 'cart/A' must be an array of real numbers"),
        ({"cart/u_max": [1.0, 2.0]}, "mpc: parameters of cart: u_max"),
        ({"cart/u_max": [-5.0]}, "mpc: parameters of cart: u_min.* exceeds u_max"),
    ],
)
def test_parameters_that_are_none(params: dict[str, Any], message: str) -> None:
    system = cart_mpc().to_iosystem(inputs=["x0_0", "x0_1"], foreign_params=["mass"])
    assert system.output(0.0, np.zeros(system.nstates), [1.0, 0.0], {"mass": "any"}).shape == (1,)
    with pytest.raises((WiringError, ModelError), match=message):
        system.output(0.0, np.zeros(system.nstates), [1.0, 0.0], params)


def test_inputs_that_are_left_out_have_the_values_of_the_models() -> None:
    mpc = cart_mpc(x_setpoint=[0.7, 0.0], u_setpoint=[0.2])
    system = mpc.to_iosystem(inputs=["x0_1", "x0_0"])
    assert system.input_labels == ["x0_0", "x0_1"]
    assert system.params == {"d0_0": 0.0, "x0_0_ref": 0.7, "x0_1_ref": 0.0, "u0_0_ref": 0.2}
    all_of_it = mpc.to_iosystem().output(0.0, np.zeros(system.nstates), [0.3, 0.1, 0.0, 0.7, 0.0, 0.2])
    assert np.array_equal(system.output(0.0, np.zeros(system.nstates), [0.3, 0.1]), all_of_it)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": ["x0_0"]}, "'x0_1' is a state that the controller has to measure: it must be an input"),
        ({"constants": {"x0_0": 1.0}}, "'x0_0' is a state"),
        ({"inputs": ["x0_0", "x0_9"]}, "mpc: input 'x0_9' does not exist; did you mean"),
        ({"constants": {"load": 1.0}}, "mpc: input 'load' does not exist; there are x0_0"),
        ({"constants": {"d0_0": np.inf}}, "mpc: constant 'd0_0' must be a finite number, got inf"),
        ({"inputs": ["x0_0", "x0_1", "d0_0"], "constants": {"d0_0": 0.0}}, "'d0_0' is named as an input and as"),
    ],
)
def test_inputs_and_constants_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(WiringError, match=message):
        cart_mpc().to_iosystem(**options)


@pytest.mark.parametrize("what", [{"delay": 0.1}, {"offset": 0.5}, {"preview": True}])
def test_what_python_control_has_no_place_for(what: dict[str, Any]) -> None:
    mpc = CentralizedMPC(MPCProblem((cart(),), 3), 0.5, **what)
    with pytest.raises(WiringError, match=f"mpc: its {next(iter(what))} is .*simulate"):
        mpc.to_iosystem()


def test_a_measurement_that_is_no_number_is_named_with_its_step() -> None:
    system = cart_mpc().to_iosystem(inputs=["x0_0", "x0_1"])
    measured = np.ones((2, 5))
    measured[1, 3:] = np.nan
    with pytest.raises(SimulationError, match=r"mpc: step 3 \(t = 1.5 s\): input 'x0_1' is nan"):
        ct.input_output_response(system, 0.5 * np.arange(5), measured)
    with pytest.raises(SimulationError, match=r"step 3 \(t = 1.5 s\): input 'x0_0' is inf"):
        system.output(1.5, np.zeros(system.nstates), [np.inf, 0.0])
    with pytest.raises(SimulationError, match="state 'sent_u0_0' is nan"):
        system.output(1.5, np.full(system.nstates, np.nan), [0.0, 0.0])


@pytest.mark.parametrize("first", [True, False])
def test_a_continuous_plant_is_shown_the_way(first: bool) -> None:
    plant = power_network(1)
    system = LQR.for_plant(plant).to_iosystem()
    both = [system, plant.system] if first else [plant.system, system]
    message = "incompatible timebases: .* steps of 1.0 s, the other side continuous time.*cosim.simulate"
    with pytest.raises(WiringError, match=message):
        ct.interconnect(both, check_unused=False)
    cart_system = cart_mpc().to_iosystem(inputs=["x0_0", "x0_1"])
    with pytest.raises(WiringError, match=message.replace("1.0", "0.5")):
        ct.ss([[0, 1], [0, 0]], [[0], [1]], np.eye(2), 0).feedback(cart_system)


def test_other_sample_times_are_shown_the_way_too() -> None:
    system = cart_mpc().to_iosystem()
    with pytest.raises(WiringError, match="steps of 0.5 s, the other side steps of 0.25 s"):
        ct.interconnect([ct.ss(1, 1, 1, 0, 0.25), system], check_unused=False)
    with pytest.raises(WiringError, match="steps of 0.5 s, the other side steps of 0.1 s"):
        ct.input_output_response(system, 0.1 * np.arange(5), np.zeros((6, 5)))
    slow = CentralizedMPC(MPCProblem((cart(),), 3), 2.0, name="slow").to_iosystem()
    with pytest.raises(WiringError, match="steps of 0.5 s, the other side steps of 2.0 s"):
        ct.interconnect([system, slow], check_unused=False)
    assert ct.interconnect([ct.ss(1, 1, 1, 0, True), system], check_unused=False).dt == 0.5
    assert bool(np.isclose(SampleTime(1.0), 1.0 + 1e-12)) and float(np.sum(SampleTime(2.0))) == 2.0
    assert np.concatenate([[0.0], np.linspace(0.0, SampleTime(2.0), num=3), np.atleast_1d(SampleTime(3.0))])[-1] == 3.0
    assert np.hstack([SampleTime(1.0), 2.0]).tolist() == [1.0, 2.0]


def test_one_that_is_connected_twice_is_made_anew() -> None:
    system = cart_mpc().to_iosystem(inputs=["x0_0", "x0_1"])
    other = system.copy("second")
    assert other.name == "second" and other.params == system.params
    x, u = np.zeros(system.nstates), [1.0, 0.0]
    assert np.array_equal(other.output(0.0, x, u), system.output(0.0, x, u))
    assert (system.solves, other.solves) == (1, 1)


def test_a_learner_gives_its_frozen_policy() -> None:
    mpc = cart_mpc()
    learning = LearningMPC(mpc, [Parametrization(mpc.problem.models[0], [Free("b"), Free("V0")])])
    theta = [{**learning.theta[0], "b": np.array([0.0, 0.3])}]
    system = learning.to_iosystem(theta, inputs=["x0_0", "x0_1"])
    assert system.name == "learning"
    found = ct.input_output_response(system, 0.5 * np.arange(4), np.full((2, 4), 0.1))
    assert np.ptp(found.outputs) == 0.0 and system.solves == 1
    other = learning.to_iosystem(inputs=["x0_0", "x0_1"]).output(0.0, np.zeros(system.nstates), [0.1, 0.1])
    assert np.abs(found.outputs[0] - other).max() > 0.01


@pytest.mark.parametrize(("redraw", "solves"), [(True, 2 * 6), (False, 6 + 1)])
def test_a_scenario_mpc_draws_the_noise_of_its_samples(redraw: bool, solves: int) -> None:
    plant = chain(noise=False)
    block = ScenarioMPC.for_plant(chain(), 3, samples=4, redraw=redraw)
    run = simulate(plant, block, t_end=6, seed=3)
    system = block.to_iosystem(inputs=plant.output_names, seed=3)
    discrete = ct.ss(plant.system, name="chain")
    loop = ct.interconnect([discrete, system], inputs=[], outputs=list(plant.output_names), check_unused=False)
    start = [*run.state[0], *[0.0] * system.nstates]
    found = ct.input_output_response(loop, np.arange(6.0), 0.0, start)
    np.testing.assert_allclose(found.outputs.T, run.state[:6], rtol=0, atol=1e-9)
    assert system.solves == solves
