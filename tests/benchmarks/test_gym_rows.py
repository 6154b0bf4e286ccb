"""Both loops of the row make the same steps."""

from benchmarks.gym_rows import gymnasium_step, stepped
from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.cosim.adapters.gym import PlantEnv
from dmpcrl_ctrl.plants import power_network


def test_a_step_is_compared_with_the_native_one() -> None:
    row = gymnasium_step(steps=3, pairs=2)
    assert row.goal == "<= 1.2" and row.spread is not None and row.value > 0.0


def test_so_many_steps_are_made() -> None:
    env = PlantEnv(power_network(1), 1.0, steps=4)
    policy = env.policy(LQR.for_plant(env.plant))
    assert stepped(env, policy, 3) > 0.0
    assert env.step(policy(env.observation_space.sample()))[3]  # the fourth
