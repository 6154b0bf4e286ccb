"""A plant in Gymnasium moves as `simulate` moves it, and passes Gymnasium's own checks."""

import importlib
import sys
from typing import Any

import control as ct
import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dmpcrl_ctrl.controllers import LQR, CentralizedMPC, DistributedMPC, LearningMPC, Observer
from dmpcrl_ctrl.cosim import simulate
from dmpcrl_ctrl.cosim.adapters.gym import PlantEnv, named_env
from dmpcrl_ctrl.errors import ClockError, PlantError, SimulationError, WiringError
from dmpcrl_ctrl.parametrization import Parametrization
from dmpcrl_ctrl.parts import Free
from dmpcrl_ctrl.plants import Plant, chain, power_network, quadruple_tank

# Gymnasium's advice on spaces: noise has no bounds, and inputs have units.
ADVICE = (
    "ignore:.*A Box (action|observation) space (minimum|maximum) value is -?infinity:UserWarning",
    "ignore:.*For Box action spaces, we recommend using a symmetric and normalized space:UserWarning",
    "ignore:.*Not able to test alternative render modes:UserWarning",
)


def advised(test: Any) -> Any:
    for line in ADVICE:
        test = pytest.mark.filterwarnings(line)(test)
    return test


def cart() -> Plant:
    """Two states, one of them measured, one input without limits, 0.5 s."""
    system = ct.ss([[1.0, 0.5], [0.0, 0.9]], [[0.0], [0.5]], [[1.0, 0.0]], 0, 0.5, states=["p", "v"], outputs=["y"])
    return Plant(system, name="cart", initial_state=[1.0, 0.0])


def escaping() -> Plant:
    """x' = x^2 + u: from 1 it is at infinity after a second."""
    system = ct.nlsys(
        lambda t, x, u, params: x**2 + u, None, inputs=["u"], outputs=["x"], states=["x"], name="escaping"
    )
    return Plant(system, initial_state=[1.0], input_limits={"u": (-2.0, 2.0)})


@advised
@pytest.mark.parametrize(
    ("plant", "sample_time"),
    [(chain(), None), (power_network(1), 1.0), (quadruple_tank(), 5.0), (cart(), None)],
    ids=["chain", "power", "tanks", "cart"],
)
def test_gymnasium_accepts_it(plant: Plant, sample_time: float | None) -> None:
    env = PlantEnv(plant, sample_time, steps=20)
    check_env(env)
    assert env.action_space.dtype == env.observation_space.dtype == np.float64
    box: Any = env.action_space
    assert np.array_equal(np.stack([box.low, box.high], axis=1), plant.input_limits)


@advised
def test_the_plants_at_hand_are_registered() -> None:
    name = "dmpcrl_ctrl.cosim.adapters.gym:dmpcrl_ctrl/PowerNetwork-v0"
    env: Any = gymnasium.make(name, steps=3, options={"scenario": 2})
    check_env(env.unwrapped)
    assert env.unwrapped.inputs[-1] == "dPref_5"
    env.reset(seed=0)
    assert [env.step(np.zeros(5))[3] for _ in range(3)] == [False, False, True]
    for other in ("Chain-v0", "QuadrupleTank-v0"):
        gymnasium.make(f"dmpcrl_ctrl/{other}").reset(seed=1)
    with pytest.raises(WiringError, match="'chian' does not exist; did you mean 'chain'"):
        named_env("chian")


@pytest.mark.parametrize(
    ("plant", "controller"),
    [
        (chain(), CentralizedMPC.for_plant(chain(), 5)),  # noise, discrete
        (power_network(1), DistributedMPC.for_plant(power_network(1), 4)),  # load steps, set points, continuous
        (power_network(1), LQR.for_plant(power_network(1))),
        (quadruple_tank(), LQR.for_plant(quadruple_tank(), sample_time=5.0)),  # nonlinear, saturated
    ],
    ids=["chain", "power", "lqr", "tanks"],
)
def test_the_closed_loop_is_the_native_one(plant: Plant, controller: Any) -> None:
    samples = 20
    run = simulate(plant, controller, t_end=samples * float(controller.sample_time), seed=7)
    env = PlantEnv(plant, controller.sample_time, steps=samples)
    policy = env.policy(controller, seed=7)
    observation, info = env.reset(seed=7)
    measured = [env.signals.index(name) for name in plant.output_names]
    for k in range(samples):
        assert np.array_equal(observation[measured], run.output[k]) and info["time"] == run.time[k]
        observation, reward, terminated, truncated, info = env.step(policy(observation))
        assert np.array_equal(info["applied"], run.input[k])
        assert np.array_equal(info["cost"], run.cost[k]) and reward == -run.cost[k].sum()
        assert not terminated and truncated == (k == samples - 1)
    assert np.array_equal(info["violation"], plant.violation(np.asarray(run.state[samples])))


def test_a_controller_that_learns_is_told_its_cost() -> None:
    plant, samples = chain(), 4
    mpc = DistributedMPC.for_plant(plant, horizon=3)
    mine = [Parametrization(model, [Free("b"), Free("V0")]) for model in mpc.problem.models]
    learning = LearningMPC(mpc, mine, step_size=1e-2)
    run = simulate(plant, learning, t_end=samples, seed=5)
    env = PlantEnv(plant, signals=learning.inputs)
    policy = env.policy(learning, seed=5)
    observation, info = env.reset(seed=5)
    records = []
    for k in range(samples):
        action = policy(observation, info)
        records.append(policy.record)
        observation, _, _, _, info = env.step(action)
        assert np.array_equal(info["applied"], run.input[k])
    field = f"theta/{mpc.problem.names[0]}/b"
    native = run.controllers["learning"][field]
    told = [record[field] for record in records if field in record]
    assert np.array_equal(told[-1], native[-1]) and np.abs(native[-1] - native[0]).max() > 0


def test_a_policy_starts_again_with_its_seed() -> None:
    env = PlantEnv(power_network(1), 1.0)
    policy = env.policy(DistributedMPC.for_plant(env.plant, 4))
    observation, _ = env.reset(seed=0)
    observation += 0.01
    first = [policy(observation) for _ in range(2)]
    policy.reset(seed=0)
    assert np.array_equal(policy(observation), first[0]) and set(policy.record) > {"status"}


def test_noise_is_that_of_the_seed_and_goes_on_from_it() -> None:
    env = PlantEnv(chain())

    def episode(seed: int | None) -> Any:
        env.reset(seed=seed)
        return env.step(np.zeros(3))[0]

    first, second, third = episode(4), episode(None), episode(None)
    assert np.array_equal(episode(4), first) and np.array_equal(episode(None), second)
    assert not np.array_equal(first, second) and not np.array_equal(second, third)
    run = simulate(env.plant, CentralizedMPC.for_plant(env.plant, 3), t_end=1, seed=4)
    env.reset(seed=4)
    env.step(np.asarray(run.input[0]))
    assert np.array_equal(env._episodes.sample.state, run.state[1])


def test_an_episode_can_start_elsewhere() -> None:
    env = PlantEnv(cart())
    observation, info = env.reset(seed=0, options={"initial_state": {"v": 0.5}})
    assert observation[0] == 1.0 and info["states"] == ("p", "v") and info["inputs"] == ("u[0]",)
    assert env.step(np.zeros(1))[0][0] == 1.25
    assert env.reset(options={"initial_state": [3.0, 0.0], "of a wrapper": 1})[0][0] == 3.0
    assert env.reset()[0][0] == 1.0
    for options, error, message in (
        ({"initial_state": {"w": 0.5}}, PlantError, "'w'"),
        ({"initial_state": [np.nan, 0.0]}, PlantError, "cart: initial_state.*nan"),
        ({"initialstate": [0.0, 0.0]}, SimulationError, "'initialstate' does not exist; did you mean 'initial_state'"),
    ):
        with pytest.raises(error, match=message):
            env.reset(options=options)
    with pytest.raises(SimulationError, match="seed must be a whole number of at least 0, got -1"):
        env.reset(seed=-1)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([0.0, np.nan, 0.0], "t = 1 s: the input: 'u_2' is nan, expected a finite number"),
        ([0.0, 0.0], r"the input has shape \(2,\), expected \(3,\): u_1, u_2, u_3"),
    ],
)
@pytest.mark.parametrize("failure_cost", [None, 1e3])
def test_an_action_that_is_none_changes_nothing(action: Any, message: str, failure_cost: float | None) -> None:
    env, other = PlantEnv(chain(), failure_cost=failure_cost), PlantEnv(chain())
    for each in (env, other):
        each.reset(seed=2)
        each.step(np.full(3, 0.1))
    with pytest.raises(SimulationError, match=message):
        env.step(np.array(action))
    assert np.array_equal(env.step(np.zeros(3))[0], other.step(np.zeros(3))[0])


def test_actions_are_saturated() -> None:
    env = PlantEnv(chain())
    env.reset(seed=0)
    assert env.step(np.array([5.0, -5.0, 0.2]))[4]["applied"].tolist() == [1.0, -1.0, 0.2]


def test_a_plant_that_cannot_go_on() -> None:
    env = PlantEnv(escaping(), 0.75)
    env.reset(seed=0)
    env.step(np.zeros(1))
    with pytest.raises(SimulationError, match="t = 0.75 s: escaping: "):
        env.step(np.zeros(1))
    assert env._episodes.sample.time == 0.75
    ended = PlantEnv(escaping(), 0.75, failure_cost=50.0)
    ended.reset(seed=0)
    last = ended.step(np.zeros(1))
    observation, reward, terminated, truncated, info = ended.step(np.array([3.0]))
    assert (reward, terminated, truncated) == (-50.0, True, False) and np.array_equal(observation, last[0])
    assert info["reason"].startswith("t = 0.75 s: escaping: ") and info["applied"].tolist() == [2.0]
    with pytest.raises(SimulationError, match=r"escaping: no episode is running: call reset\(\)"):
        ended.step(np.zeros(1))
    ended.reset()


def test_an_episode_has_an_end() -> None:
    env = PlantEnv(cart(), t_end=1.0)
    with pytest.raises(SimulationError, match="no episode is running"):
        env.step(np.zeros(1))
    env.reset(seed=0)
    assert [env.step(np.zeros(1))[3] for _ in range(2)] == [False, True]
    with pytest.raises(SimulationError, match="no episode is running"):
        env.step(np.zeros(1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"t_end": 0.7}, ClockError, "t_end is 0.7 s, expected a multiple of the sample time 1/2 s"),
        ({"t_end": 1, "steps": 2}, ClockError, "not both"),
        ({"steps": 0}, ClockError, "steps must be a whole number of at least 1, got 0"),
        ({"steps": True}, ClockError, "got True"),
        ({"signals": ("y", "z")}, WiringError, "'z'"),
        ({"failure_cost": np.nan}, SimulationError, "failure_cost must be a finite number or None, got nan"),
    ],
)
def test_what_is_no_environment(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        PlantEnv(cart(), **options)
    with pytest.raises(ClockError, match="escaping is continuous: say how often it is sampled"):
        PlantEnv(escaping())


def test_what_is_no_policy() -> None:
    env = PlantEnv(power_network(1), 1.0)
    with pytest.raises(ClockError, match="lqr: its sample time is 0.5 s, that of the environment 1 s"):
        env.policy(LQR.for_plant(env.plant, sample_time=0.5))
    with pytest.raises(WiringError, match="its outputs are not the actions"):
        env.policy(Observer.for_plant(env.plant, sample_time=1.0))
    few = PlantEnv(env.plant, 1.0, signals=env.plant.output_names)
    with pytest.raises(WiringError, match="lqr: observed signal 'dtheta_1_ref' does not exist"):
        few.policy(LQR.for_plant(env.plant))


def test_several_at_once_are_each_as_alone() -> None:
    """Gymnasium gives its environments the seeds s, s + 1, and begins anew by itself."""
    several = gymnasium.vector.SyncVectorEnv([lambda: PlantEnv(chain(), steps=2) for _ in range(2)])
    action = np.full((2, 3), 0.1)
    first, _ = several.reset(seed=3)
    moved = [several.step(action) for _ in range(2)]
    alone = PlantEnv(chain(), steps=2)
    for k in range(2):
        observation, _ = alone.reset(seed=3 + k)
        assert np.array_equal(first[k], observation)
        for step in moved:
            observation, reward, _, truncated, info = alone.step(action[k])
            assert np.array_equal(step[0][k], observation) and step[1][k] == reward and step[3][k] == truncated
            assert np.array_equal(step[4]["cost"][k], info["cost"])
    assert moved[1][3].all() and not several.step(action)[3].any()
    several.close()


def test_wrappers_of_gymnasium_fit() -> None:
    env: Any = gymnasium.wrappers.RescaleAction(PlantEnv(power_network(1), 1.0), np.float64(-1.0), np.float64(1.0))
    env.reset(seed=0)
    upper = env.unwrapped.plant.input_limits[:, 1]
    assert np.allclose(env.step(np.full(4, 0.5))[4]["applied"], 0.5 * upper, rtol=0, atol=1e-12)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, module in (("pettingzoo", "pettingzoo"), ("gymnasium", "gym")):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.delitem(sys.modules, f"dmpcrl_ctrl.cosim.adapters.{module}", raising=False)
        with pytest.raises(WiringError, match=rf"(?i)^{package} is not installed: pip install 'dmpcrl-ctrl\[gym\]'$"):
            importlib.import_module(f"dmpcrl_ctrl.cosim.adapters.{module}")


class Counting:
    """Says what it sees beside what was applied."""

    name, sample_time, inputs, outputs = "counting", 0.25, ("x",), ("u",)

    def init(self, seed: int) -> None:
        """Nothing is kept."""

    def step(self, state: None, tick: int, measurement: Any, applied: Any, cost: Any) -> Any:
        return state, np.array([0.1 * tick - 0.5 * applied[0]]), {}


def test_between_samples_of_a_discrete_plant_a_policy_has_to_be_told_what_was_applied() -> None:
    system = ct.ss([[0.9]], [[1.0]], [[1.0]], 0, 0.5, states=["x"], inputs=["u"], outputs=["x"])
    plant = Plant(system, name="slow", initial_state=[1.0])
    run, env = simulate(plant, Counting(), t_end=4), PlantEnv(plant, 0.25)
    policy = env.policy(Counting())
    observation, info = env.reset(seed=0)
    for k in range(16):
        observation, *_, info = env.step(policy(observation, info))
        assert info["applied"].tolist() == run.input[k].tolist()
