"""The scenario block: what it draws, central and distributed alike, in the loop, and where a solve fails."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import ScenarioMPC
from dmpcrl_ctrl.controllers.block import Block
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.plants import chain
from dmpcrl_ctrl.scenarios import Noise
from dmpcrl_ctrl.status import Applied, Status
from tests.references import central_reference

CONVERGED = ADMMOptions(iterations=400, tolerance=1e-11)


def block(**options: Any) -> ScenarioMPC:
    given: dict[str, Any] = {"samples": 4, "horizon": 4, "slack_weight": 60.0, **options}
    return ScenarioMPC.for_plant(chain(), **given)


def measured(mpc: ScenarioMPC, state: list[float]) -> np.ndarray:
    """Set points and disturbances zero."""
    row = np.zeros(len(mpc.inputs))
    row[: len(state)] = state
    return row


STATE = [0.0, 0.15, 0.05, 0.1, 0.2, -0.1]


def test_it_is_a_block_that_reads_what_a_plant_has() -> None:
    mpc = block()
    assert isinstance(mpc, Block)
    assert mpc.outputs == ("u_1", "u_2", "u_3")
    assert mpc.inputs[:6] == chain().state_names
    assert mpc.log_attributes == {"samples": 4, "seed": 0, "redraw": 1, "kind": "central"}


def test_draws_depend_on_seed_run_and_sample_and_on_nothing_else() -> None:
    mpc = block(seed=3)
    assert np.array_equal(mpc.draws(1, 5), block(seed=3).draws(1, 5))
    for other in (mpc.draws(1, 6), mpc.draws(2, 5), block(seed=4).draws(1, 5)):
        assert not np.array_equal(mpc.draws(1, 5), other)
    kept = block(seed=3, redraw=False)
    assert np.array_equal(kept.draws(1, 5), kept.draws(2, 6))
    many = block(samples=500).draws(0, 0)
    assert many.shape == (500, 3)
    assert -0.1 <= many.min() < -0.09 and -0.01 < many.max() <= 0.0


@pytest.mark.parametrize("input_cost", ["each", "once"])
def test_one_controller_and_agents_give_what_cvxpy_gives(input_cost: str) -> None:
    one = block(input_cost=input_cost)
    agents = block(input_cost=input_cost, distributed=True, admm=CONVERGED)
    draws, row = one.draws(0, 0), measured(one, STATE)
    data = one.scenarios.data(one.signals.data(one.scenarios.problems[0], row, np.zeros(3)), draws)
    reference = central_reference(one.scenarios.problem(), data)
    mine, theirs = one.solve(row, draws), agents.solve(row, draws)
    assert mine.status is Status.OPTIMAL and theirs.status.ok
    assert mine.value == pytest.approx(reference.value, rel=1e-8)
    assert theirs.value == pytest.approx(mine.value, rel=1e-7)
    assert np.allclose(mine.inputs, np.hstack(reference.u), atol=1e-6)
    assert np.allclose(theirs.inputs[0], mine.inputs[0], atol=1e-7)


def test_a_step_sends_the_first_input_of_a_solve() -> None:
    mpc = block()
    state, output, record = mpc.step(mpc.init(0), 0, measured(mpc, STATE), np.zeros(3), np.zeros(3))
    assert np.array_equal(output, mpc.solve(measured(mpc, STATE), mpc.draws(0, 0)).inputs[0])
    assert record["status"] == Status.OPTIMAL and record["applied_kind"] == Applied.FRESH
    assert set(record) == {field.name for field in mpc.fields}
    assert state.plan is not None and state.plan.shape == (4, 3)


def test_a_step_leaves_the_state_before_it_alone() -> None:
    mpc = block(distributed=True, admm=CONVERGED)
    before = mpc.init(0)
    after, first, record = mpc.step(before, 0, measured(mpc, STATE), np.zeros(3), np.zeros(3))
    _, again, _ = mpc.step(before, 0, measured(mpc, STATE), np.zeros(3), np.zeros(3))
    assert np.allclose(first, again, atol=1e-8)
    assert set(record) == {field.name for field in mpc.fields}
    assert after.memory is not None and before.memory is None


def test_where_a_solve_fails_the_last_plan_goes_on_and_then_the_input_is_held() -> None:
    mpc = block()
    state, _, _ = mpc.step(mpc.init(0), 0, measured(mpc, STATE), np.zeros(3), np.zeros(3))
    plan, broken, kinds = state.plan, measured(mpc, [np.nan] * 6), []
    assert plan is not None
    for tick in range(1, 6):
        state, output, record = mpc.step(state, tick, broken, np.full(3, 0.25), np.zeros(3))
        assert record["status"] == Status.INVALID_DATA and np.isnan(record["value"])
        assert np.array_equal(output, plan[tick] if tick < 4 else np.full(3, 0.25))
        kinds.append(record["applied_kind"])
    assert kinds == [Applied.SHIFTED_PLAN] * 3 + [Applied.HELD] * 2


def test_without_noise_it_is_the_nominal_controller() -> None:
    """All samples alike: the sum is S times one, so that the inputs are those of one."""
    many = block(samples=5)
    nothing = Noise(many.scenarios.noise.effects, many.scenarios.noise.index, lambda rng, size: np.zeros((size, 3)))
    assert not nothing.draw(np.random.default_rng(0), 5).any()
    row = measured(many, STATE)
    mine, one = many.solve(row, np.zeros((5, 3))), block(samples=1).solve(row, np.zeros((1, 3)))
    assert np.allclose(mine.inputs, one.inputs, atol=1e-9)
    assert mine.value == pytest.approx(5.0 * one.value, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"seed": True}, "seed must be a whole number of at least 0, got True"),
        ({"samples": 0}, "samples must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        block(**options)


def test_a_sample_time_that_is_none_is_named() -> None:
    scenarios = block().scenarios
    with pytest.raises(ModelError, match=r"sample_time must be a positive number of seconds, got 0\.0"):
        ScenarioMPC(scenarios, 0.0)
