"""Figure 1 of the paper: do the agents' local multipliers become those of the central problem?

    python examples/figure1_dual_recovery.py [figure1.svg]

Draws the distance of the local from the central multipliers by ADMM iteration on the three-agent chain: the median over
20 random states, with the initial (inexact) and the true model, for the published penalty and for the automatic one,
beside the published points (one state, which was not published).
"""

import sys

import numpy as np
from matplotlib.figure import Figure

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.plants import chain_model
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.dual_recovery import dual_recovery
from dmpcrl_ctrl.validation.published import DUAL_DISTANCE
from dmpcrl_ctrl.value import agent_data

ITERATIONS, STATES = 100, 20
SCHEMES = {
    "published penalty 0.5": ADMMOptions(penalty=0.5),
    "automatic penalty": ADMMOptions(),
}


def medians() -> dict[str, np.ndarray]:
    """(ITERATIONS,) each: median distance over the states."""
    curves = {}
    for true_model in (False, True):
        problem = MPCProblem(chain_model(true_model), horizon=10, discount=0.9)
        rng = np.random.default_rng(0)
        states = [[rng.uniform([0.0, -0.5], [1.0, 0.5]) for _ in range(3)] for _ in range(STATES)]
        for scheme, admm in SCHEMES.items():
            found = [dual_recovery(problem, agent_data(problem, state), ITERATIONS, admm) for state in states]
            curves[f"{'true' if true_model else 'initial'} model, {scheme}"] = np.median(found, axis=0)
    return curves


def draw(curves: dict[str, np.ndarray]) -> Figure:
    """The figure, with the published points."""
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.add_subplot(
        xlabel="ADMM iteration",
        ylabel=r"$\sum_i |\lambda_i - \lambda_i^*|_2 + |\mu_i - \mu_i^*|_2$",
        yscale="log",
    )
    for label, curve in curves.items():
        axes.plot(np.arange(1, ITERATIONS + 1), curve, label=label)
    axes.plot(list(DUAL_DISTANCE), list(DUAL_DISTANCE.values()), "k.", label="published, one state")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else "figure1.svg"
    curves = medians()
    for label, curve in curves.items():
        print(f"{label}: {curve[49]:.1e} after 50 iterations, {curve[99]:.1e} after 100")
    draw(curves).savefig(target)
    print(f"wrote {target}")
