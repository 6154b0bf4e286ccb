"""Which learner needs how many samples: cost of the policy by samples of training, over training seeds of example 1."""

from collections.abc import Mapping
from math import comb
from typing import Any

import numpy as np
from scipy.stats import PermutationMethod, mannwhitneyu

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.cosim.plot import COLOURS
from dmpcrl_ctrl.validation import published
from dmpcrl_ctrl.validation.drawing import panel_row, to_picture
from dmpcrl_ctrl.validation.figure_parts import DOT, Results, Shown, finite, legend, points
from dmpcrl_ctrl.validation.learners import AS_PUBLISHED, COMPARED, EXPLORING, FIRST, SECOND

# costs to be reached: of the published policy after 1,000 samples, and between 1,000 and 5,000
GOALS = (22.2, 12.5)
_SIGNIFICANT = 0.05


def learners(found: Results) -> Shown:
    """Cost of 100 samples on common noise by samples of training: medians over seeds, and each seed."""
    figure, (ax,) = panel_row(["cost of 100 samples, mean over common noise"], 3.4)
    numbers: dict[str, Any] = {"published": published.LEARNED_COST}
    runs = {name: [tried for work, tried in found.items() if work.startswith(f"learner {name}-")] for name in COMPARED}
    samples = np.unique(np.concatenate([run["samples"] for each in runs.values() for run in each]))
    ends: dict[str, Array] = {}
    for (name, each), colour in zip(runs.items(), COLOURS, strict=False):
        if not each:
            continue
        costs = np.array([_everywhere(samples, run) for run in each])
        at, median = np.maximum(samples, 1), np.median(costs, axis=0)  # a logarithmic axis has no zero
        ax.loglog(at, costs.T, color=colour, alpha=0.35, linewidth=0.7)
        ax.loglog(at, median, color=colour, marker=".", label=f"{name}, {len(each)} seeds")
        ends[name] = costs[:, -1]
        numbers[name] = {
            "samples": samples.tolist(),
            "median": [finite(value) for value in median],
            "by training seed": [[finite(value) for value in row] for row in costs],
            "skipped": [int(run["skipped"]) for run in each],
            "samples until the cost is": {goal: [_until(samples, row, goal) for row in costs] for goal in GOALS},
        }
    ax.loglog(*points({k: v for k, v in published.LEARNED_COST.items() if k}), **DOT, label="published, one run")
    ax.set_xlabel("samples of training")
    legend(ax)
    checks = {}
    for other in (AS_PUBLISHED, FIRST, EXPLORING):
        if {SECOND, other} <= set(ends):
            chance = _by_luck(ends[SECOND], ends[other])
            numbers[f"chance of as much by luck: {SECOND} below {other}"] = chance
            if 1.0 / comb(len(ends[SECOND]) + len(ends[other]), len(ends[other])) < _SIGNIFICANT:
                # with fewer seeds nothing could be significant
                checks[f"{SECOND}: ends below {other} (Mann-Whitney, p = {chance:.2g})"] = chance < _SIGNIFICANT
    caption = (
        "Central learners of the chain; a curve that ends early is of a training that was lost. Dots: published, one "
        "run on noise of its own, with 20,000 samples where ours have fewer. Whether an end is lower is asked from 4 "
        "seeds on."
    )
    return Shown(to_picture(figure, "learners", "Learners: samples until the policy is good", caption), numbers, checks)


def _everywhere(samples: Index, run: Mapping[str, Array]) -> Array:
    """Mean cost at all these samples: infinite where a training that was lost did not come to."""
    known = dict(zip(run["samples"].tolist(), run["cost"].mean(axis=1), strict=True))
    return np.array([known.get(k, np.inf if k > max(known) else np.nan) for k in samples.tolist()])


def _by_luck(ours: Array, theirs: Array) -> float:
    """Chance of ranks as low as ours, were both alike; a lost training has the highest rank and no more."""
    tied = len(np.unique([*ours, *theirs])) < len(ours) + len(theirs)
    method: Any = PermutationMethod(n_resamples=100_000) if tied else "exact"
    return float(mannwhitneyu(ours, theirs, alternative="less", method=method).pvalue)


def _until(samples: Array, costs: Array, goal: float) -> int | None:
    """The first of the samples from which on the cost stays at the goal or below; None: it is not reached for good."""
    above = np.flatnonzero(~(costs <= goal))
    first = 0 if not len(above) else int(above[-1]) + 1
    return int(samples[first]) if first < len(samples) else None
