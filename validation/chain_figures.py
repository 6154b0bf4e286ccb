"""The chain's figures of the paper, drawn from our runs with the published numbers in them.

Each function takes the results of the pieces of work by name, and returns a picture and what it shows in numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.plot import COLOURS, LIMIT, QUIET
from dmpcrl_ctrl.validation import published
from dmpcrl_ctrl.validation.drawing import panel_row, to_picture
from dmpcrl_ctrl.validation.figure_parts import (
    COLOUR,
    DOT,
    LEARNERS,
    Results,
    Shown,
    finite,
    legend,
    points,
    windows,
    windows_of,
)
from dmpcrl_ctrl.validation.paper_work import parameter_names

# lines whose values are within this factor are too close for a name between them
_CLOSE = 1.3


def dual_recovery(found: Results) -> Shown:
    """Figure 1: local multipliers become the central ones."""
    figure, (ax,) = panel_row(["distance of the local multipliers from the central ones, median over states"], 3.2)
    numbers: dict[str, Any] = {"published": published.DUAL_DISTANCE, "ours": {}}
    for (label, distances), colour in zip(found["duals"].items(), COLOURS, strict=False):
        median = np.median(distances, axis=0)
        ax.semilogy(np.arange(1, len(median) + 1), np.maximum(median, 1e-16), color=colour, label=label)
        numbers["ours"][label] = {k: float(median[k - 1]) for k in published.DUAL_DISTANCE if k <= len(median)}
    ax.semilogy(*points(published.DUAL_DISTANCE), **DOT, label="published, one state")
    ax.set_xlabel("ADMM iteration")
    legend(ax)
    last = max(ours[max(ours)] for ours in numbers["ours"].values())
    checks = {"the multipliers meet the central ones to 1e-6 after all iterations": last < 1e-6}
    caption = "Sum over the agents of |λ − λ*| + |µ − µ*|, from a cold start. The published state is not known."
    return Shown(to_picture(figure, "fig1", "Figure 1: multipliers", caption), numbers, checks)


def chain_states(found: Results) -> Shown:
    """Figure 2: states and inputs of the chain while it learns."""
    trained = found["chain-distributed-0"]
    outside = _outside(trained)
    fifth = max(1, len(outside) // 5)
    first, last = float(outside[:fifth].mean()), float(outside[-fifth:].mean())
    figure, axes = panel_row(["first states", "second states", "inputs"], 2.8)
    samples = np.arange(1, len(outside) + 1)
    parts = trained["state"][:, ::2], trained["state"][:, 1::2], trained["input"]
    limits = trained["limits"][:, 0], trained["limits"][:, 1], np.array([-1.0, 1.0])
    for ax, values, (low, high) in zip(axes, parts, limits, strict=True):
        for agent, colour in enumerate(COLOURS[: values.shape[1]]):
            ax.plot(samples, values[:, agent], color=colour, linewidth=0.35, label=f"agent {agent + 1}")
        for limit in (low, high):
            ax.axhline(limit, color=LIMIT, linewidth=0.9, linestyle="--")
        ax.set_xlabel("samples of training")
    legend(axes[0])
    numbers = {"share of samples outside the limits": {"first fifth": first, "last fifth": last}}
    checks = {"violations are rarer in the last fifth of training than in the first": last < first}
    caption = f"Outside the limits in {first:.1%} of the samples of the first fifth, in {last:.1%} of the last."
    return Shown(to_picture(figure, "fig2", "Figure 2: the chain learns", caption), numbers, checks)


def chain_learning_curves(found: Results) -> Shown:
    """Figure 3: temporal difference and stage cost over windows of 1,000 samples."""
    figure, axes = panel_row(["|temporal difference|, mean", "stage cost, mean"], 2.8)
    numbers: dict[str, Any] = {"window": published.WINDOW}
    pairs = (("td_error", published.TD_ERROR), ("cost", published.STAGE_COST))
    for ax, (name, theirs) in zip(axes, pairs, strict=True):
        numbers[name] = {"ours": {}, "published": theirs}
        for learner in LEARNERS:
            means = windows(np.abs(found[f"chain-{learner}-0"][name][0]), published.WINDOW)
            ends = np.cumsum([len(part) for part in windows_of(found[f"chain-{learner}-0"][name][0], published.WINDOW)])
            ax.semilogy(ends, means, color=COLOUR[learner], marker=".", label=learner)
            numbers[name]["ours"][learner] = means.tolist()
        for learner, values in theirs.items():
            style = DOT | {"color": COLOUR[learner], "markerfacecolor": "none"}
            ax.semilogy(
                published.WINDOW * np.arange(1, len(values) + 1), values, **style, label=f"published, {learner}"
            )
        ax.set_xlabel("samples of training")
    legend(axes[1])
    checks = {
        f"the {name.replace('_', ' ')} falls ({learner})": values[-1] < values[0]
        for name in ("td_error", "cost")
        for learner, values in numbers[name]["ours"].items()
        if len(values) > 1
    }
    caption = "Means over windows of 1,000 samples; circles: published. Of exploring samples too."
    return Shown(to_picture(figure, "fig3", "Figure 3: learning curves", caption), numbers, checks)


def chain_parameters(found: Results) -> Shown:
    """Figure 4: learned parameters of both learners."""
    curves = {learner: found[f"chain-{learner}-0"]["theta"] for learner in LEARNERS}
    ends = {learner: found[f"chain-{learner}-0"]["cost"].size for learner in LEARNERS}
    names = parameter_names("chain")
    kinds = sorted({name.split()[1].split("/")[0] for name in names})
    figure, axes = panel_row(kinds, 2.6)
    for ax, kind in zip(axes, kinds, strict=True):
        columns = [k for k, name in enumerate(names) if name.split()[1].split("/")[0] == kind]
        for learner, style in zip(LEARNERS, ("-", ":"), strict=True):
            curve = curves[learner]
            at = np.linspace(0, ends[learner], len(curve))
            for k in columns:
                label = learner if k == columns[0] else None
                moved = curve[:, k] - curve[0, k]
                ax.plot(at, moved, style, color=COLOUR[learner], linewidth=0.8, label=label)
        ax.tick_params(labelsize=6)
        ax.locator_params(nbins=3)
    legend(axes[0])
    first, last = curves["distributed"], curves["central"]
    shared = min(len(first), len(last)) - 1
    size = float(np.linalg.norm(last[shared] - last[0]))
    distance = float(np.linalg.norm(first[shared] - last[shared]))
    numbers = {"final distance": distance, "of the way gone": distance / size if size else float("nan")}
    caption = (
        f"By how much each parameter has moved; after {min(ends.values()):,} samples the learners are {distance:.3g} "
        f"apart, {numbers['of the way gone']:.1%} of the way that the central one has gone."
    )
    return Shown(to_picture(figure, "fig4", "Figure 4: parameters of the chain", caption), numbers)


def chain_costs(found: Results) -> Shown:
    """Figure 5: closed-loop cost of the policy as it learns, beside controllers that do not learn."""
    figure, (ax,) = panel_row(["cost of 100 samples, mean over common noise"], 3.4)
    numbers: dict[str, Any] = {"learned": {"published": published.LEARNED_COST}, "others": {}}
    by_learner: dict[str, list[tuple[Array, Array]]] = {}
    for name, tried in found.items():
        if name.startswith("chain-learned-"):
            by_learner.setdefault(name.split("-")[2], []).append((tried["samples"], tried["cost"].mean(axis=1)))
    whole = {}
    for learner, runs in by_learner.items():
        samples = max((marks for marks, _ in runs), key=len)
        costs = np.full((len(runs), len(samples)), np.inf)
        for row, (_, cost) in zip(costs, runs, strict=True):
            row[: len(cost)] = cost  # of a training that diverged there are no later ones
        at, median = np.maximum(samples, 5), np.median(costs, axis=0)  # a logarithmic axis has no zero
        label = f"learned, {learner}"
        if len(costs) > 1:
            ax.loglog(at, costs.T, color=COLOUR[learner], alpha=0.4, linewidth=0.7)
            label += f", median of {len(costs)} seeds"
            whole[f"all {len(costs)} {learner} trainings end: none diverges"] = bool(np.isfinite(costs[:, -1]).all())
        ax.loglog(at, median, color=COLOUR[learner], marker=".", label=label)
        numbers["learned"][learner] = {
            int(k): {"median": finite(m), "by training seed": [finite(v) for v in c]}
            for k, m, c in zip(samples, median, costs.T, strict=True)
        }
    theirs = {max(k, 5): value for k, value in published.LEARNED_COST.items()}
    ax.loglog(*points(theirs), **DOT, label="published, one run")
    others = sorted(
        ((n, t) for n, t in found.items() if n.startswith("chain: ")), key=lambda other: -other[1]["cost"].mean()
    )
    above = np.inf
    for (name, tried), style in zip(others, ("-", "--", "-.", ":") * 4, strict=False):
        label, per_draw = name.removeprefix("chain: "), tried["cost"].mean(axis=1)
        # the name of a line close below another stands below it
        side, above = "top" if per_draw.mean() > above / _CLOSE else "bottom", per_draw.mean()
        ax.axhline(per_draw.mean(), color=QUIET, linestyle=style, linewidth=0.9)
        ax.annotate(label, (1.0, per_draw.mean()), xycoords=("axes fraction", "data"), fontsize=6.5, ha="right",
                    va=side, color=QUIET)  # fmt: skip
        numbers["others"][label] = {
            "mean": float(per_draw.mean()),
            "by draw of the samples": per_draw.tolist(),
            "samples outside the limits": float(tried["violations"].mean()) if "violations" in tried else None,
            "published": published.CHAIN_COST.get(label),
        }
    ax.set_xlabel("samples of training")
    ax.set_xlim(right=2e5)  # room for the names of the lines
    ax.set_ylim(3.0, 2.0 * max([theirs[5], *(other["mean"] for other in numbers["others"].values())]))
    legend(ax)
    checks = _cost_checks(numbers) | whole
    caption = (
        "Every controller meets the same noise; dots: published, single runs on noise of their own. "
        "Grey: what does not learn; the clairvoyant knows the noise of the whole episode."
    )
    return Shown(to_picture(figure, "fig5", "Figure 5: cost of the policy", caption), numbers, checks)


def _cost_checks(numbers: Mapping[str, Any]) -> dict[str, bool]:
    checks = {}
    for learner in LEARNERS:
        ours = numbers["learned"].get(learner, {})
        for samples, most in ((1_000, 22.2), (20_000, 12.0)):
            if samples in ours:
                median = ours[samples]["median"]
                good = median is not None and median <= most
                checks[f"learned ({learner}) after {samples:,} samples: at most {most}"] = good
    return checks


def _outside(trained: Mapping[str, Array]) -> Array:
    """(samples,): whether a state was outside its limits."""
    low, high = trained["limits"]
    state = trained["state"].astype(float)
    # states are kept in single precision
    return np.asarray(((state < low - 1e-5) | (state > high + 1e-5)).any(axis=1))
