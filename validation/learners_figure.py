"""Which learner needs how many samples: cost of the policy by samples of training, over training seeds of example 1."""

from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.plot import COLOURS
from dmpcrl_ctrl.validation import published
from dmpcrl_ctrl.validation.drawing import panel_row, to_picture
from dmpcrl_ctrl.validation.figure_parts import DOT, Results, Shown, finite, legend, points
from dmpcrl_ctrl.validation.learners import AS_PUBLISHED, FIRST, LEARNERS, SECOND

# costs to be reached: of the published policy after 1,000 samples, and nearly that after 20,000
GOALS = (22.2, 12.5)
_SIGNIFICANT = 0.05


def learners(found: Results) -> Shown:
    """Cost of 100 samples on common noise by samples of training: medians over seeds, and each seed."""
    figure, (ax,) = panel_row(["cost of 100 samples, mean over common noise"], 3.4)
    numbers: dict[str, Any] = {"published": published.LEARNED_COST}
    ends: dict[str, Array] = {}
    for name, colour in zip(LEARNERS, COLOURS, strict=False):
        runs = [tried for work, tried in found.items() if work.startswith(f"learner {name}-")]
        if not runs:
            continue
        samples = max((run["samples"] for run in runs), key=len)
        costs = np.full((len(runs), len(samples)), np.inf)
        for row, run in zip(costs, runs, strict=True):
            row[: len(run["samples"])] = run["cost"].mean(axis=1)  # of a training that diverged there are no later ones
        ax.loglog(samples, costs.T, color=colour, alpha=0.35, linewidth=0.7)
        ax.loglog(samples, np.median(costs, axis=0), color=colour, marker=".", label=f"{name}, {len(runs)} seeds")
        ends[name] = costs[:, -1]
        numbers[name] = {
            "samples": samples.tolist(),
            "median": [finite(value) for value in np.median(costs, axis=0)],
            "by training seed": [[finite(value) for value in row] for row in costs],
            "skipped": [int(run["skipped"]) for run in runs],
            "samples until the cost is": {goal: [_until(samples, row, goal) for row in costs] for goal in GOALS},
        }
    ax.loglog(*points({k: v for k, v in published.LEARNED_COST.items() if k}), **DOT, label="published, one run")
    ax.set_xlabel("samples of training")
    legend(ax)
    checks = {}
    for other in (AS_PUBLISHED, FIRST):
        if {SECOND, other} <= set(ends):
            # are the costs at the end lower? By ranks, so that a lost training counts as the worst and no more
            chance = float(mannwhitneyu(ends[SECOND], ends[other], alternative="less").pvalue)
            numbers[f"chance of as much by luck: {SECOND} below {other}"] = chance
            checks[f"{SECOND} ends below {other} (Mann-Whitney, p = {chance:.2g})"] = chance < _SIGNIFICANT
    caption = (
        "Central learners of the chain; a curve that ends early is of a training that was lost. Dots: published, one "
        "run on noise of its own, with 20,000 samples where ours have fewer."
    )
    return Shown(to_picture(figure, "learners", "Learners: samples until the policy is good", caption), numbers, checks)


def _until(samples: Array, costs: Array, goal: float) -> int | None:
    """The first of the samples from which on the cost stays at the goal or below; None: it is not reached for good."""
    above = np.flatnonzero(~(costs <= goal))
    first = 0 if not len(above) else int(above[-1]) + 1
    return int(samples[first]) if first < len(samples) else None
