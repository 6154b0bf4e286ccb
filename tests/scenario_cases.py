"""Scenario problems with every feature of the model, whose samples differ in their dynamics or share them."""

from dataclasses import replace

import numpy as np

from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.scenarios import Noise, Scenarios
from tests.dmpcrl_ctrl.conftest import everything

# which of the four numbers of a draw act on agents 0, 1, 2
INDEX = (np.array([0, 1]), np.array([1, 2]), np.array([0, 3]))


def draw(rng: np.random.Generator, samples: int) -> np.ndarray:
    """(S, 4)."""
    return 0.3 * rng.normal(size=(samples, 4))


def some_scenarios(samples: int, shared: bool, input_cost: str = "each", seed: int = 0) -> Scenarios:
    """Samples of the network with every feature."""
    rng, base = np.random.default_rng(seed), everything()
    problems = (base,) if shared else tuple(moved(base, rng) for _ in range(samples))
    effects = tuple(rng.normal(size=(model.n, 2)) for model in base.models)
    return Scenarios(problems, Noise(effects, INDEX, draw), samples, input_cost)


def moved(problem: MPCProblem, rng: np.random.Generator) -> MPCProblem:
    """The problem with other dynamics."""
    models = tuple(
        replace(
            model,
            A=model.A + 0.1 * rng.normal(size=model.A.shape),
            B=model.B + 0.1 * rng.normal(size=model.B.shape),
            A_ij={j: block + 0.1 * rng.normal(size=block.shape) * (block != 0.0) for j, block in model.A_ij.items()},
        )
        for model in problem.models
    )
    return replace(problem, models=models)
