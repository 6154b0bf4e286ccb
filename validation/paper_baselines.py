"""What the paper compares its learned controllers with: nominal and scenario MPC for both examples.

The blocks are for the plants of :mod:`~dmpcrl_ctrl.validation.paper`. None of them learns.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC, ScenarioMPC
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants.chain import chain_model
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.scenarios import Noise, Scenarios
from dmpcrl_ctrl.validation.paper import chain_mpc, power_plant

_DISCOUNT, _POWER_STAGES, _PRICE = 0.9, 5, 500.0


def chain_nominal(*, true_model: bool = False, **options: Any) -> CentralizedMPC | DistributedMPC:
    """Example 1, nominal: N = 10, gamma = 0.9, no noise in the predictions; the inexact model, or the true one."""
    return chain_mpc(
        true_model=true_model, **{"distributed": False, "name": "nominal_mpc", "certify": False, **options}
    )


def chain_scenario(
    samples: int = 25, *, model_known: bool = False, seed: int = 0, distributed: bool = False, **options: Any
) -> ScenarioMPC:
    """Example 1, scenario MPC: N = 10, gamma = 1, models and noise drawn once.

    Every sample has one (A, B, A_ij) that all agents share, and a noise on all six states, constant over the horizon.
    The cost is 1/2 (sum over the samples of (|x|^2 + 120 sigma) + 1/2 |u|^2): inputs count once.

    Parameters
    ----------
    samples
        How many; the paper has 10 and 25.
    model_known
        The true model in every sample, so that only the noise differs.
    seed
        Of models and noise.
    distributed
        Agents that agree by ADMM.
    **options
        Of :class:`ScenarioMPC`.
    """
    drawn, noise = np.random.SeedSequence(seed).spawn(2)
    names = chain_mpc().problem.names
    if model_known:
        problems = [MPCProblem(chain_model(true=True), 10, 1.0, names)]
    else:
        rng = np.random.default_rng(drawn)
        problems = [MPCProblem(_drawn_chain(rng), 10, 1.0, names) for _ in range(samples)]
    effects = Noise((np.eye(2),) * 3, tuple(np.arange(2 * i, 2 * i + 2) for i in range(3)), _chain_noise)
    scenarios = Scenarios(tuple(problems), effects, samples, "once")
    signals = chain_mpc(distributed=False, certify=False).signals
    own_seed = int(noise.generate_state(1)[0])
    return ScenarioMPC(scenarios, 1.0, signals, redraw=False, seed=own_seed, distributed=distributed, **options)


def power_nominal(**options: Any) -> CentralizedMPC:
    """Example 2, nominal: the true model, exact coupled hold, N = 5, gamma = 0.9, P = Q."""
    return CentralizedMPC.for_plant(
        power_plant(), _POWER_STAGES, **{**_power_options(), "name": "nominal_mpc", "certify": False, **options}
    )


def power_scenario(samples: int = 79, *, seed: int = 0, distributed: bool = False, **options: Any) -> ScenarioMPC:
    """Example 2, scenario MPC: the true model, load noise constant over the horizon and drawn anew at each sample.

    The cost sums over the samples, that of the inputs included.

    Parameters
    ----------
    samples
        How many; the paper has 50, 79 and 100.
    seed
        Of the noise, besides the seed of the run.
    distributed
        Agents that agree by ADMM; each area then has its own hold, as the exact one would make one agent of them.
    **options
        Of :meth:`ScenarioMPC.for_plant`.
    """
    hold = {"hold": "area"} if distributed else {}
    given = {**_power_options(), **hold, "samples": samples, "seed": seed, "distributed": distributed}
    return ScenarioMPC.for_plant(power_plant(), _POWER_STAGES, **{**given, **options})


def _power_options() -> dict[str, Any]:
    # the published price of a violation of x(k) is 500 gamma^k; the slack of stage k belongs to x(k+1) here. There,
    # x(N) has no bound: the bound on it here changes the mean return by less than 0.1 %.
    return {
        "discount": _DISCOUNT,
        "hold": "network",
        "slack_weight": _DISCOUNT * _PRICE,
        "adapt": _with_last_stage,
    }


def _with_last_stage(models: tuple[LocalModel, ...]) -> tuple[LocalModel, ...]:
    """The terminal cost gamma^N |x(N) - xbar|^2_Q; that of the Riccati equation would give better nominal control."""
    return tuple(replace(model, P=model.Q) for model in models)


def _chain_noise(rng: np.random.Generator, samples: int) -> Array:
    """(S, 6): uniform on [-0.1, 0] in every state."""
    return rng.uniform(-0.1, 0.0, (samples, 6))


def _drawn_chain(rng: np.random.Generator) -> tuple[LocalModel, ...]:
    """The agents' models with one draw of A, B and the coupling for all, around the inexact model of the paper.

    A = [[1 + a1, 0.25 + a2], [0, 1 + a3]], B = (0.0312 + b1, 0.25 + b2), A_ij = [[0, 0], [0, c]]: a1, a2, a3 uniform on
    [-0.1, 0.1], b1 on [0, 0.075], b2 on [-0.075, 0], c on [-0.1, 0].
    """
    a1, a2, a3 = rng.uniform(-0.1, 0.1, 3)
    b1, b2, c = rng.uniform(0.0, 0.075), rng.uniform(-0.075, 0.0), rng.uniform(-0.1, 0.0)
    A, B = np.array([[1.0 + a1, 0.25 + a2], [0.0, 1.0 + a3]]), np.array([[0.0312 + b1], [0.25 + b2]])
    coupling = np.array([[0.0, 0.0], [0.0, c]])
    return tuple(replace(model, A=A, B=B, A_ij=dict.fromkeys(model.A_ij, coupling)) for model in chain_model())
