"""The paper's two examples: what is fixed in its text, and that agents learn there as one central learner would."""

from typing import Any, cast

import numpy as np
import pytest

from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC, LearningMPC
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.errors import LearningError
from dmpcrl_ctrl.plants import Plant
from dmpcrl_ctrl.replay import Replay
from dmpcrl_ctrl.validation.paper import (
    chain_learning,
    chain_mpc,
    chain_plant,
    chain_policy_learning,
    power_learning,
    power_mpc,
    power_plant,
)


def test_example_1_is_that_of_the_paper() -> None:
    mpc = chain_mpc(variant="published")
    assert (mpc.problem.horizon, mpc.problem.discount, mpc.sample_time) == (10, 0.9, 1.0)
    for i, model in enumerate(mpc.problem.models):
        assert model.A.tolist() == [[1.0, 0.25], [0.0, 1.0]]
        assert model.B.tolist() == [[0.0312], [0.25]]
        assert model.neighbours == ((1,), (0, 2), (1,))[i]
        assert (model.upper + model.x_ub).tolist() == [2.0, 1.0]
        assert model.slack_weight.tolist() == [60.0, 60.0]
        assert all(not block.any() for block in model.A_ij.values())
    assert all(model.x_ub.tolist() == [0.0, 0.0] for model in chain_mpc().problem.models)
    assert isinstance(chain_mpc(distributed=False), CentralizedMPC)
    true = chain_mpc(true_model=True).problem.models[1]
    assert true.A_ij[0].tolist() == [[0.0, 0.0], [0.0, -0.1]]


def test_example_1_learns_what_the_paper_learns() -> None:
    learning = chain_learning()
    assert list(learning.theta[1]) == ["V0", "x_lb", "x_ub", "b", "f", "A", "B", "A_ij/0", "A_ij/2"]
    published = chain_learning(variant="published")
    assert (published.method, published.step_size(0), published.update_every) == ("gradient", 6e-5, 2)
    assert published.step_size(1) == pytest.approx(6e-5 * 0.9996)
    assert published.perturbed_target and not learning.perturbed_target


def test_the_default_variant_is_of_second_order_and_never_stops_exploring() -> None:
    learning, first = chain_learning(), chain_learning(order=1)
    assert (learning.method, first.method) == ("gauss_newton", "gradient")
    assert learning.exploration.probability(100_000) == 0.5
    assert first.exploration.probability(1_000) < 1e-4
    assert (first.step_size(0), first.perturbed_target) == (6e-5, False)
    assert (learning.step_size(500), learning.update_every, learning.replay) == (1e-3, 5, Replay(5, 5, 5))
    power, published = power_learning(), power_learning(order=1)
    assert (power.method, power.update_every, power.replay) == ("gauss_newton", 20, Replay(20, 20, 20))
    assert power.step_size(1) == pytest.approx(0.96e-5)
    assert power.exploration.probability(10_000) == 0.5
    assert (published.method, published.update_every, published.step_size(0)) == ("gradient", 100, 7e-7)
    with pytest.raises(LearningError, match="order is 1, 2 or None, got 3"):
        chain_learning(order=cast(Any, 3))
    policy = chain_policy_learning(distributed=False)
    assert [list(own) for own in policy.theta] == [list(own) for own in learning.theta]


def test_example_2_is_that_of_the_paper() -> None:
    mpc, plant = power_mpc(), power_plant()
    assert (mpc.problem.horizon, mpc.problem.discount) == (5, 0.9)
    assert [float(model.u_max[0]) for model in mpc.problem.models] == [0.2, 0.1, 0.3, 0.1]
    assert all(model.slack_weight.tolist() == [500.0] for model in mpc.problem.models)
    assert np.asarray(plant.task.Q).diagonal()[:4].tolist() == [500.0, 0.01, 0.01, 10.0]
    learning = power_learning()
    assert float(learning.theta[2]["P_ij/area_4"]) == 0.0732
    assert learning.theta[0]["Q"].diagonal().tolist() == [500.0, 0.1, 0.1, 10.0]
    assert isinstance(learning.mpc, DistributedMPC)


def test_a_variant_that_does_not_exist_is_named() -> None:
    with pytest.raises(LearningError, match="variant is one of default, published, text, got 'code'"):
        chain_mpc(variant=cast(Any, "code"))


def recorded(plant: Plant, learning: LearningMPC, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the block measured, what was applied and what it cost in a closed loop, drawing from seed 5."""
    run = simulate(plant, learning, t_end=float(steps), seed=1)
    seen = run.controllers[learning.name]
    return np.asarray(seen.input)[:steps], np.asarray(run.input)[:steps], np.asarray(run.cost)[:steps]


def theta_after(
    learning: LearningMPC, record: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> list[dict[str, np.ndarray]]:
    state, (measured, applied, cost) = learning.init(5), record
    for t, row in enumerate(measured):
        before = (applied[t - 1], cost[t - 1]) if t else (np.zeros_like(applied[0]), np.zeros_like(cost[0]))
        state, _, _ = learning.step(state, t, row, *before)
    assert state.updates > 0
    assert state.skipped == 0
    return [dict(own) for own in state.theta]


@pytest.mark.parametrize("steps", [60, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.parametrize("example", ["chain", "chain, first order", "power"])
def test_agents_learn_from_a_record_what_one_central_learner_does(
    example: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if example.startswith("chain"):
        order: dict[str, Any] = {"order": 2 if example == "chain" else 1}
        plant, many, one = chain_plant(), chain_learning(**order), chain_learning(distributed=False, **order)
    else:
        often: dict[str, Any] = {"update_every": 20}
        plant, many, one = power_plant(), power_learning(**often), power_learning(distributed=False, **often)
    own_init = one.init
    monkeypatch.setattr(one, "init", lambda seed: own_init(5))
    record = recorded(plant, one, steps)
    for mine, theirs, start in zip(theta_after(many, record), theta_after(one, record), one.theta, strict=True):
        for name in mine:
            scale = max(np.abs(theirs[name]).max(), 1e-9)
            assert np.abs(mine[name] - theirs[name]).max() <= 1e-6 * scale
        assert any(np.abs(theirs[name] - start[name]).max() > 1e-9 for name in theirs)


def test_agents_learn_in_the_loop_what_one_central_learner_does() -> None:
    """Forty samples of a loop that is chaotic before it has learned."""
    learned = []
    for distributed in (True, False):
        learning = chain_learning(distributed=distributed)
        seen = simulate(chain_plant(), learning, t_end=40.0, seed=0).controllers[learning.name]
        learned.append(seen)
        assert np.asarray(seen["updates"])[-1] == 7
        assert np.asarray(seen["exploring"]).any()
    for agent, theta in zip(learning.mpc.problem.names, learning.theta, strict=True):
        for part in theta:
            mine, theirs = (np.asarray(seen[f"theta/{agent}/{part}"])[-1] for seen in learned)
            assert np.abs(mine - theirs).max() <= 1e-6 * max(1.0, np.abs(mine).max())
