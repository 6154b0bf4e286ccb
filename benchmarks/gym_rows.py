"""What a step costs when somebody else's tool asks for it."""

import time

from benchmarks.loop import looped
from benchmarks.measure import in_turn
from benchmarks.row import Row, most
from dmpcrl_ctrl.controllers import LQR
from dmpcrl_ctrl.cosim.adapters.gym import PlantEnv
from dmpcrl_ctrl.cosim.adapters.policy import ControllerPolicy
from dmpcrl_ctrl.plants import power_network


def gymnasium_step(steps: int = 200, pairs: int = 25) -> Row:
    """A step of the power network and its policy through Gymnasium, against one of the native loop.

    The controller is the cheapest there is, so that the ratio is that of the loops; the native one has no log.
    """
    plant = power_network(1)
    regulator = LQR.for_plant(plant)
    env = PlantEnv(plant, 1.0)
    policy = env.policy(regulator)
    found = in_turn(lambda: stepped(env, policy, steps), lambda: looped(plant, regulator, steps), pairs)
    note = f"{1e6 * found.one / steps:.0f} us with a regulator as policy, of four areas; nothing is logged"
    return most("a Gymnasium step / the native one", 1.2, found, note)


def stepped(env: PlantEnv, policy: ControllerPolicy, steps: int) -> float:
    """Seconds of so many steps."""
    policy.reset(0)
    observation, _ = env.reset(seed=0)
    start = time.perf_counter()
    for _ in range(steps):
        observation, *_ = env.step(policy(observation))
    return time.perf_counter() - start
