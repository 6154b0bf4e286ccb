"""A plant in PettingZoo moves as `simulate` moves it, agent by agent, and passes PettingZoo's own tests."""

from typing import Any

import control as ct
import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from dmpcrl_ctrl.controllers import LQR, DistributedMPC, LearningMPC, LocalModel, MPCProblem, Signals
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.adapters.gym import PlantEnv
from dmpcrl_ctrl.cosim.adapters.pettingzoo import Observed, PlantParallelEnv
from dmpcrl_ctrl.errors import ClockError, SimulationError, WiringError
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free
from dmpcrl_ctrl.plants import Agent, Plant, chain, power_network, quadruple_tank


def uneven() -> Plant:
    """Three agents: three states and two inputs, one and one, two and none; "mean" is made of states of two agents."""
    a = np.diag([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    a[3, 0] = a[4, 3] = 0.1
    b = np.zeros((6, 3))
    b[0, 0] = b[1, 1] = b[3, 2] = 1.0
    c = np.array([[1.0, 0, 0, 0, 0, 0], [0, 1.0, 1.0, 0, 0, 0], [0, 0, 0, 2.0, 0, 0], [0.5, 0, 0, 0.5, 0, 0]])
    states, inputs = [f"x{k}" for k in range(6)], ["u0", "u1", "u2"]
    system = ct.ss(a, b, c, 0, 1.0, states=states, inputs=inputs, outputs=["x0", "sum", "double", "mean"])
    agents = [
        Agent("big", ("x0", "x1", "x2"), ("u0", "u1")),
        Agent("small", ("x3",), ("u2",)),
        Agent("idle", ("x4", "x5")),
    ]
    limits = {"u0": (-1.0, 1.0), "u2": (-0.5, 0.5)}
    return Plant(system, agents, name="uneven", input_limits=limits, initial_state=[1.0] * 6)


def lonely() -> Plant:
    """One agent."""
    system = ct.ss([[0.5]], [[1.0]], [[1.0]], 0, 1.0, states=["x"], inputs=["u"], outputs=["x"])
    return Plant(system, [Agent("only", ("x",), ("u",))], initial_state=[1.0])


ENVIRONMENTS: Any = pytest.mark.parametrize(
    ("plant", "sample_time", "observe"),
    [
        (chain(), None, "neighbours"),
        (power_network(1), 1.0, "own"),
        (quadruple_tank(), 5.0, "all"),
        (uneven(), None, "own"),
        (uneven(), None, {"big": ("x0", "u0_ref"), "small": (), "idle": ("x0",)}),
        (lonely(), None, "own"),
    ],
    ids=["chain", "power", "tanks", "uneven", "chosen", "lonely"],
)


@ENVIRONMENTS
def test_pettingzoo_accepts_it(plant: Plant, sample_time: float | None, observe: Observed) -> None:
    parallel_api_test(PlantParallelEnv(plant, sample_time, observe=observe, steps=20), num_cycles=30)
    parallel_seed_test(lambda: PlantParallelEnv(plant, sample_time, observe=observe, steps=20), num_cycles=10)


@ENVIRONMENTS
def test_equal_seeds_are_equal_to_the_end(plant: Plant, sample_time: float | None, observe: Observed) -> None:
    """PettingZoo's test looks at one step only."""
    both = [PlantParallelEnv(plant, sample_time, observe=observe, steps=6) for _ in range(2)]
    random = np.random.default_rng(0)
    for env in both:
        env.reset(seed=9)
    while both[0].agents:
        actions = {name: random.normal(size=both[0].action_space(name).shape) for name in both[0].agents}
        one, other = (env.step(actions) for env in both)
        for name in both[0].possible_agents:
            assert np.array_equal(one[0][name], other[0][name]) and one[1][name] == other[1][name]
    assert both[1].agents == [] and all(one[3].values()) and not any(one[2].values())


def test_what_an_agent_observes() -> None:
    own = PlantParallelEnv(uneven())
    assert own.signals == {
        "big": ("x0", "sum", "x0_ref", "x1_ref", "x2_ref", "u0_ref", "u1_ref"),
        "small": ("double", "x3_ref", "u2_ref"),
        "idle": ("x4_ref", "x5_ref"),
    }
    near = PlantParallelEnv(uneven(), observe="neighbours")
    assert near.signals["small"] == (*own.signals["small"], *own.signals["big"])
    assert near.signals["idle"] == (*own.signals["idle"], *own.signals["small"])
    everything = PlantParallelEnv(uneven(), observe="all")
    assert set(everything.signals.values()) == {PlantEnv(uneven()).signals}
    observations, infos = near.reset(seed=0)
    assert observations["small"].tolist() == [2.0, 0, 0, 1.0, 2.0, 0, 0, 0, 0, 0]
    assert infos["idle"]["signals"] == near.signals["idle"] and infos["big"]["inputs"] == ("u0", "u1")
    assert [near.action_space(name).shape for name in near.agents] == [(2,), (1,), (0,)]
    assert near.action_space("big").high.tolist() == [1.0, np.inf]
    loads = PlantParallelEnv(power_network(1), 1.0).signals
    assert [name for name in loads["area_2"] if name in power_network(1).measured_names] == ["dPL_2"]


def test_rewards_are_shares_of_the_joint_one() -> None:
    joint, env = PlantEnv(uneven()), PlantParallelEnv(uneven())
    joint.reset(seed=0)
    env.reset(seed=0)
    for _ in range(3):
        _, reward, _, _, info = joint.step(np.array([0.1, 0.2, 9.0]))
        _, rewards, _, _, infos = env.step({"big": np.array([0.1, 0.2]), "small": np.array([9.0])})  # idle says nothing
        assert [-rewards[name] for name in env.agents] == info["cost"].tolist()
        np.testing.assert_allclose(sum(rewards.values()), reward, rtol=1e-15)
        assert infos["small"]["applied"].tolist() == [0.5] and infos["idle"]["applied"].shape == (0,)
        assert infos["idle"]["violation"].shape == (2,) and infos["idle"]["cost"] == info["cost"][2]
        assert np.array_equal(env.state(), joint._episodes.sample.state)


@pytest.mark.parametrize("observe", ["own", "all"])
def test_a_controller_of_all_is_the_native_loop(observe: Observed) -> None:
    plant, samples = power_network(1), 12
    controller = DistributedMPC.for_plant(plant, 4)
    run = simulate(plant, controller, t_end=samples, seed=1)
    env = PlantParallelEnv(plant, 1.0, observe=observe, steps=samples)
    policy = env.policy(controller, seed=1)
    observations, _ = env.reset(seed=1)
    for k in range(samples):
        assert np.array_equal(env.state(), run.state[k])
        observations, rewards, _, truncated, infos = env.step(policy(observations))
        assert [-reward for reward in rewards.values()] == run.cost[k].tolist()
        assert np.array_equal(np.concatenate([info["applied"] for info in infos.values()]), run.input[k])
    assert all(truncated.values()) and env.agents == [] and np.array_equal(env.state(), run.state[samples])


def test_a_learner_of_all_is_told_what_happened() -> None:
    plant, samples = chain(), 4
    mpc = DistributedMPC.for_plant(plant, horizon=3)
    learning = LearningMPC(mpc, [Parametrization(model, [Free("b")]) for model in mpc.problem.models], step_size=1e-2)
    run = simulate(plant, learning, t_end=samples, seed=5)
    env = PlantParallelEnv(plant)
    policy = env.policy(learning, seed=5)
    observations, infos = env.reset(seed=5)
    for k in range(samples):
        observations, _, _, _, infos = env.step(policy(observations, infos))
        assert np.array_equal(np.concatenate([info["applied"] for info in infos.values()]), run.input[k])
    native = run.controllers["learning"]["td_error"][-1]
    assert np.array_equal(policy.policy.record["td_error"], native) and np.isfinite(native).all()


class Still:
    """One agent's input stays where it is put."""

    sample_time, inputs = 1.0, ()

    def __init__(self, output: str, value: float) -> None:
        self.outputs, self.value = (output,), value

    def init(self, seed: int) -> None:
        return None

    def step(self, state: None, tick: int, measurement: Any, applied: Any, cost: Any) -> Any:
        return state, np.array([self.value]), {}


def test_each_agent_may_have_a_policy_of_its_own() -> None:
    """Regulators of their own for two agents, and one that does nothing: as the three blocks in one native loop."""
    plant, samples = chain(), 10
    local = plant.local_models(1.0, hold="area")
    blocks: list[Any] = []
    for agent, model in zip(plant.agents[:2], local.models[:2], strict=True):
        alone = LocalModel(A=model.A, B=model.B, Q=model.Q, R=model.R, u_min=model.u_min, u_max=model.u_max)
        names = Signals.of_names(MPCProblem((alone,), 1), [agent.states], [agent.inputs])
        blocks.append(LQR([alone], 1.0, names, name=f"lqr_{agent.name}"))
    blocks.append(Still(plant.agents[2].inputs[0], 0.05))
    run = simulate(plant, blocks, t_end=samples, seed=2)
    env = PlantParallelEnv(plant)
    policies = {name: env.policy(block, name) for name, block in zip(env.possible_agents, blocks, strict=True)}
    observations, _ = env.reset(seed=2)
    for k in range(samples):
        actions = {name: policies[name](observations[name]) for name in env.agents}
        observations, _, _, _, infos = env.step(actions)
        assert np.array_equal(np.concatenate([info["applied"] for info in infos.values()]), run.input[k])
    assert np.array_equal(env.state(), run.state[samples])


def test_a_plant_that_cannot_go_on_ends_for_all() -> None:
    system = ct.nlsys(
        lambda t, x, u, params: x**2 + u, None, inputs=["u0", "u1"], outputs=["x0", "x1"], states=["x0", "x1"]
    )
    env = PlantParallelEnv(Plant(system, name="escaping", initial_state=[1.0, 0.0]), 2.0, failure_cost=10.0)
    env.reset(seed=0)
    _, rewards, terminated, truncated, infos = env.step({name: np.zeros(1) for name in env.agents})
    assert list(rewards.values()) == [-5.0, -5.0] and all(terminated.values()) and not any(truncated.values())
    assert env.agents == [] and "escaping" in infos["agent_1"]["reason"]


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"big": [0.0, 0.0]}, r"t = 0 s: small has no action; its inputs are u2"),
        ({"big": [0.0, 0.0], "smal": [0.0]}, "t = 0 s: agent 'smal' does not exist; did you mean 'small'"),
        ({"big": [0.0], "small": [0.0]}, r"the action of big has shape \(1,\), expected \(2,\): u0, u1"),
        ({"big": [0.0, 0.0], "small": [np.nan]}, "t = 0 s: the input: 'u2' is nan, expected a finite number"),
        ({"big": ["a", 0.0], "small": [0.0]}, "the action of big is no array of numbers"),
    ],
)
def test_actions_that_are_none_change_nothing(actions: Any, message: str) -> None:
    env = PlantParallelEnv(uneven())
    env.reset(seed=0)
    with pytest.raises(SimulationError, match=message):
        env.step(actions)
    assert env.state().tolist() == [1.0] * 6 and len(env.agents) == 3


def test_what_is_no_environment() -> None:
    with pytest.raises(WiringError, match="observe must be 'own', 'neighbours', 'all' or a mapping"):
        PlantParallelEnv(uneven(), observe="mine")  # type: ignore[arg-type]
    with pytest.raises(WiringError, match="observe: uneven: agent 'bigg' does not exist; did you mean 'big'"):
        PlantParallelEnv(uneven(), observe={"bigg": ()})
    with pytest.raises(WiringError, match="observe: nothing is said of 'small'"):
        PlantParallelEnv(uneven(), observe={"big": ()})
    with pytest.raises(WiringError, match="'x9'"):
        PlantParallelEnv(uneven(), observe={"big": ("x9",), "small": (), "idle": ()})
    env = PlantParallelEnv(power_network(1), 1.0)
    with pytest.raises(SimulationError, match="no episode is running"):
        env.state()
    with pytest.raises(SimulationError, match="no episode is running"):
        env.step({})
    with pytest.raises(WiringError, match="agent 'area_9' does not exist"):
        env.policy(LQR.for_plant(env.plant), "area_9")
    with pytest.raises(WiringError, match="its outputs are not the actions dPref_1"):
        env.policy(LQR.for_plant(env.plant), "area_1")
    with pytest.raises(ClockError, match="its sample time is 2.0 s"):
        env.policy(LQR.for_plant(env.plant, sample_time=2.0))
    with pytest.raises(SimulationError, match="seed must be a whole number of at least 0, got 1.5"):
        env.reset(seed=1.5)  # type: ignore[arg-type]
