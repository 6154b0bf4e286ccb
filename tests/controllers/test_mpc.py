"""The MPC blocks: what they ask for, what they answer, and what they do when a solve fails."""

import copy
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.averaging import AveragingWarning
from dmpcrl_ctrl.controllers import LQR, CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import ModelError, NetworkError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants import Plant, Steps, power_network, quadruple_tank
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.status import Applied, Status

CONVERGED = ADMMOptions(iterations=5000, tolerance=1e-10)
SOLVERS = ["proxqp", "piqp", "daqp"]


def pair(**limits: Any) -> MPCProblem:
    """Two integrators; the second is fed by the first."""
    first = LocalModel([[1.0]], [[1.0]], [[1.0]], [[0.5]], u_min=[-1.0], u_max=[1.0], **limits)
    second = LocalModel([[0.8]], [[1.0]], [[2.0]], [[0.5]], A_ij={0: [[0.5]]}, E=[[1.0]], u_min=[-1.0], u_max=[1.0])
    return MPCProblem((first, second), horizon=6, discount=0.95, names=("first", "second"))


def measurement(mpc: DistributedMPC | CentralizedMPC, **values: float) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in mpc.inputs])


def run(mpc: DistributedMPC | CentralizedMPC, *rows: np.ndarray) -> list[tuple[np.ndarray, dict[str, Any]]]:
    state, applied, out = mpc.init(0), np.zeros(len(mpc.outputs)), []
    for tick, row in enumerate(rows):
        state, applied, record = mpc.step(state, tick, row, applied, np.zeros(2))
        out.append((applied, record))
    return out


def test_names_are_asked_for_in_the_order_states_disturbances_set_points() -> None:
    mpc = CentralizedMPC(pair(), 0.5)
    assert mpc.inputs == ("x0_0", "x1_0", "d1_0", "x0_0_ref", "x1_0_ref", "u0_0_ref", "u1_0_ref")
    assert mpc.outputs == ("u0_0", "u1_0")
    assert mpc.sample_time == 0.5


@pytest.mark.parametrize("solver", SOLVERS)
def test_distributed_and_central_send_out_the_same(solver: str) -> None:
    rng = np.random.default_rng(3)
    distributed = DistributedMPC(pair(), 1.0, admm=CONVERGED, solver=solver)
    central = CentralizedMPC(pair(), 1.0, solver=solver)
    rows = [rng.normal(size=len(central.inputs)) for _ in range(5)]
    for (mine, record), (theirs, _) in zip(run(distributed, *rows), run(central, *rows), strict=True):
        assert record["status"] == Status.OPTIMAL
        assert np.allclose(mine, theirs, atol=1e-7)


def test_one_sample_of_an_unconstrained_problem_is_the_closed_form() -> None:
    """N = 1, one agent: min r u^2 + p (a x + b u)^2 has u = -a b p x / (r + b^2 p)."""
    model = LocalModel([[2.0]], [[3.0]], [[1.0]], [[0.5]], P=[[4.0]])
    mpc = DistributedMPC(MPCProblem((model,), 1), 1.0)
    evaluation = mpc.evaluate([1.5])
    u = -2.0 * 3.0 * 4.0 * 1.5 / (0.5 + 9.0 * 4.0)
    assert evaluation.action[0] == pytest.approx([u])
    assert evaluation.value == pytest.approx(1.5**2 + 0.5 * u**2 + 4.0 * (2.0 * 1.5 + 3.0 * u) ** 2)


@pytest.mark.parametrize("block", [CentralizedMPC, DistributedMPC])
def test_q_at_the_policy_is_v_and_elsewhere_more(block: Any) -> None:
    mpc = block(pair(), 1.0, **({"admm": CONVERGED} if block is DistributedMPC else {}))
    v = mpc.evaluate([1.0, -2.0], disturbance=[0.3])
    u = np.concatenate(v.action)
    assert mpc.evaluate([1.0, -2.0], u, disturbance=[0.3]).value == pytest.approx(v.value, rel=1e-9)
    assert mpc.evaluate([1.0, -2.0], u + np.array([0.1, -0.1]), disturbance=[0.3]).value > v.value + 1e-4
    outside = mpc.evaluate([1.0, -2.0], [3.0, 3.0], disturbance=[0.3])
    assert outside.status.ok and np.isfinite(outside.value)


def test_preview_uses_the_coming_disturbance_and_without_it_the_current_one_is_held() -> None:
    blind, seeing = CentralizedMPC(pair(), 1.0), CentralizedMPC(pair(), 1.0, preview=True)
    assert (blind.preview, seeing.preview) == (0, 6)
    rows = np.zeros((7, len(seeing.inputs)))
    rows[1:, seeing.inputs.index("d1_0")] = 0.8
    (held, _), (previewed, _) = run(blind, rows[0])[0], run(seeing, rows)[0]
    assert np.allclose(held, 0.0)
    assert np.abs(previewed).max() > 1e-2
    direct = seeing.evaluate([0.0, 0.0], disturbance=rows[:6, [2]])
    assert np.allclose(np.concatenate(direct.action), previewed)


def test_set_points_given_now_equal_set_points_given_over_the_horizon() -> None:
    mpc = CentralizedMPC(pair(), 1.0)
    now = mpc.evaluate([0.0, 0.0], setpoint=([1.0, 2.0], [0.1, 0.2]))
    over = mpc.evaluate([0.0, 0.0], setpoint=(np.tile([1.0, 2.0], (7, 1)), np.tile([0.1, 0.2], (6, 1))))
    assert now.value == pytest.approx(over.value, rel=1e-12)
    assert abs(now.value - mpc.evaluate([0.0, 0.0]).value) > 1.0


@pytest.mark.parametrize("block", [CentralizedMPC, DistributedMPC])
def test_after_a_failure_the_last_plan_is_shifted_then_held_then_recovered_from(block: Any) -> None:
    mpc = block(pair(), 1.0)
    good, bad = measurement(mpc, x0_0=1.0, x1_0=-1.0), measurement(mpc, x0_0=np.nan)
    out = run(mpc, good, *[bad] * 7, good)
    plan = np.stack([out[0][1]["plan/first"][7:13], out[0][1]["plan/second"][7:13]], axis=1)
    assert out[0][1]["applied_kind"] == Applied.FRESH
    for age in range(1, 6):
        assert np.array_equal(out[age][0], plan[age])
        assert (out[age][1]["applied_kind"], out[age][1]["status"]) == (Applied.SHIFTED_PLAN, Status.INVALID_DATA)
        assert out[age][1]["culprit"] == 0
    for age in (6, 7):
        assert np.array_equal(out[age][0], plan[5])
        assert out[age][1]["applied_kind"] == Applied.HELD
    assert out[8][1]["applied_kind"] == Applied.FRESH
    assert np.allclose(out[8][0], out[0][0], atol=1e-5)


def test_a_failure_before_any_plan_holds_the_input_that_is_there() -> None:
    mpc = CentralizedMPC(pair(), 1.0)
    _, output, record = mpc.step(mpc.init(0), 0, measurement(mpc, x0_0=np.nan), np.array([0.3, -0.2]), np.zeros(2))
    assert output.tolist() == [0.3, -0.2] and record["applied_kind"] == Applied.HELD


def test_an_agent_whose_own_problem_is_infeasible_is_named() -> None:
    problem = pair(C=[[1.0]], lower=[-1.0], upper=[1.0])
    distributed, central = DistributedMPC(problem, 1.0), CentralizedMPC(problem, 1.0)
    evaluation = distributed.evaluate([9.0, 0.0])
    assert (evaluation.status, evaluation.culprit) == (Status.PRIMAL_INFEASIBLE, 0)
    assert np.isnan(evaluation.value) and evaluation.action == ()
    assert central.evaluate([9.0, 0.0]).status is Status.PRIMAL_INFEASIBLE


def test_two_runs_of_one_block_are_bit_identical() -> None:
    mpc = DistributedMPC(pair(), 1.0, admm=ADMMOptions(iterations=30))
    rng = np.random.default_rng(1)
    rows = [rng.normal(size=len(mpc.inputs)) for _ in range(6)]
    for (first, _), (second, _) in zip(run(mpc, *rows), run(mpc, *rows), strict=True):
        assert np.array_equal(first, second)


def test_records_have_the_declared_fields_and_shapes() -> None:
    mpc = DistributedMPC(pair(), 1.0, admm=ADMMOptions(iterations=20), compare_central=True)
    _, record = run(mpc, measurement(mpc, x0_0=1.0))[0]
    assert set(record) == {field.name for field in mpc.fields}
    for field in mpc.fields:
        assert np.shape(record[field.name]) == field.shape, field.name
    assert record["central_difference"] < 1e-3
    assert np.allclose(record["agreed_value"], record["value"])


def test_the_rate_limit_counts_from_the_applied_input() -> None:
    mpc = CentralizedMPC(pair(du_max=[0.1]), 1.0)
    evaluation = mpc.evaluate([5.0, 0.0], previous_input=[0.35, 0.0])
    plan = evaluation.plans[0].u[:, 0]
    assert plan[0] == pytest.approx(0.25)
    assert np.abs(np.diff(plan)).max() <= 0.1 + 1e-9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda mpc: mpc.evaluate([1.0]), r"state has shape \(1,\), expected \(2,\)"),
        (lambda mpc: mpc.evaluate([1.0, np.nan]), r"state\[1\] is nan"),
        (lambda mpc: mpc.evaluate([1.0, 0.0], [0.0]), "action has shape"),
        (
            lambda mpc: mpc.evaluate([1.0, 0.0], disturbance=np.zeros((2, 1))),
            r"disturbance has shape \(2, 1\), expected \(6, 1\)",
        ),
        (lambda mpc: mpc.evaluate([1.0, 0.0], setpoint=([0.0], [0.0, 0.0])), "state set point has shape"),
        (lambda mpc: CentralizedMPC(mpc.problem, 0.0), "sample_time must be a positive number of seconds, got 0.0"),
        (lambda mpc: Signals.of_names(mpc.problem, states=[["a"], ["a"]]), "stands twice"),
        (lambda mpc: Signals.of_names(mpc.problem, states=[["a"], ["b", "c"]]), r"need \[1, 1\] names, got \[1, 2\]"),
    ],
)
def test_what_does_not_fit_is_named(call: Callable[[CentralizedMPC], object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        call(CentralizedMPC(pair(), 1.0))


def test_a_disconnected_network_is_refused() -> None:
    alone = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]])
    with pytest.raises(NetworkError, match="2 parts"):
        DistributedMPC(MPCProblem((alone, alone), 3), 1.0)


def test_agents_whose_states_interleave_in_the_plant_get_their_own() -> None:
    plant = quadruple_tank()
    central = CentralizedMPC.for_plant(plant, horizon=10, sample_time=3.0)
    distributed = DistributedMPC.for_plant(plant, horizon=10, sample_time=3.0, admm=CONVERGED)
    assert [index.tolist() for index in central.signals.state_index] == [[0, 3], [1, 2]]
    x = plant.initial_state + np.array([0.5, -0.5, 0.2, 0.1])
    mine, theirs = distributed.evaluate(x), central.evaluate(x)
    assert mine.value == pytest.approx(theirs.value, rel=1e-7)


def test_the_exact_hold_of_the_network_is_one_agent() -> None:
    plant = power_network(1)
    mpc = CentralizedMPC.for_plant(plant, horizon=5, hold="network", terminal="equality")
    assert len(mpc.problem.models) == 1 and mpc.problem.models[0].n == 16


@pytest.mark.parametrize("delay", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("kind", [CentralizedMPC, LQR])
def test_the_rate_limit_holds_whatever_the_computation_delay(kind: Any, delay: float) -> None:
    system = ct.ss([[0, 1], [0, 0]], [[0], [1]], np.eye(2), 0, states=["p", "v"], outputs=["p", "v"], inputs=["F"])
    flipping = Steps((4.0, 9.0, 13.0), (-3.0, 3.0, -3.0), initial=3.0)
    plant = Plant(system, name="cart", rate_limits={"F": 0.2}, setpoints={"p": flipping})
    options = {"horizon": 8} if kind is CentralizedMPC else {}
    run = simulate(plant, kind.for_plant(plant, sample_time=1.0, delay=delay, **options), t_end=20.0)
    changes = np.abs(np.diff(np.concatenate([[0.0], run.input[:, 0]])))
    assert changes.max() == pytest.approx(0.2)


def test_the_hold_of_the_whole_network_is_left_to_the_central_controller() -> None:
    with pytest.raises(ModelError, match="use CentralizedMPC"):
        DistributedMPC.for_plant(power_network(1), horizon=5, hold="network")


def test_a_sample_time_may_be_a_fraction() -> None:
    assert CentralizedMPC(pair(), Fraction(1, 3)).sample_time == Fraction(1, 3)


def test_a_copied_state_steps_on() -> None:
    mpc = DistributedMPC(pair(), 1.0)
    row = measurement(mpc, x0_0=1.0)
    state, _, _ = mpc.step(mpc.init(0), 0, row, np.zeros(2), np.zeros(2))
    _, original, _ = mpc.step(state, 1, row, np.zeros(2), np.zeros(2))
    _, copied, _ = mpc.step(copy.deepcopy(state), 1, row, np.zeros(2), np.zeros(2))
    assert np.allclose(original, copied, atol=1e-9)


def test_too_few_rounds_of_averaging_are_warned_of() -> None:
    with pytest.warns(AveragingWarning, match="rounds"):
        DistributedMPC.for_plant(power_network(1), horizon=3, averaging_rounds=2)


@pytest.mark.parametrize("block", [CentralizedMPC, DistributedMPC])
def test_an_action_may_be_given_by_agent_as_an_evaluation_gives_it(block: Any) -> None:
    mpc = block(pair(), 1.0)
    v = mpc.evaluate([1.0, -2.0])
    assert mpc.evaluate([1.0, -2.0], v.action).value == mpc.evaluate([1.0, -2.0], np.concatenate(v.action)).value


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ((0.1, 0.2, 0.3), r"action has shape \(3,\), expected \(2,\)"),
        (([0.1],), "action has 1 arrays, expected one for each of 2 agents"),
        (([0.1], [0.1, 0.2]), r"action of second has shape \(2,\), expected \(1,\)"),
    ],
)
def test_an_action_that_does_not_fit_is_named(action: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        CentralizedMPC(pair(), 1.0).evaluate([1.0, -2.0], action)
