"""The power network's figures of the paper, drawn from our runs with the published numbers in them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.plot import COLOURS, LIMIT
from dmpcrl_ctrl.validation import published
from dmpcrl_ctrl.validation.drawing import Axes, panel_row, to_picture
from dmpcrl_ctrl.validation.figure_parts import COLOUR, LEARNERS, Results, Shown, legend
from dmpcrl_ctrl.validation.metrics import VIOLATION_TOLERANCE


def power_learning_curves(found: Results) -> Shown:
    """Figure 6: temporal difference and cost of an episode of the power network."""
    figure, axes = panel_row(["|temporal difference|, mean of an episode", "cost of an episode"], 2.8)
    numbers: dict[str, Any] = {}
    checks = {}
    for learner in LEARNERS:
        trained = found[f"power-{learner}-0"]
        error = np.nanmean(np.abs(trained["td_error"]), axis=1)
        cost = trained["cost"].sum(axis=1)
        ten = min(10, max(1, len(cost) // 2))
        for ax, values in zip(axes, (error, cost), strict=True):
            ax.plot(np.arange(1, len(values) + 1), values, color=COLOUR[learner], label=learner)
            ax.set_xlabel("episode")
        numbers[learner] = {
            what: {"first ten": float(values[:ten].mean()), "last ten": float(values[-ten:].mean())}
            for what, values in (("td_error", error), ("cost", cost))
        }
        for what in ("td_error", "cost"):
            shown = numbers[learner][what]
            checks[f"the {what.replace('_', ' ')} of the last ten episodes is below the first ten's ({learner})"] = (
                shown["last ten"] < shown["first ten"]
            )
    legend(axes[0])
    caption = "While learning: exploration and noise of its own in every episode."
    return Shown(to_picture(figure, "fig6", "Figure 6: the power network learns", caption), numbers, checks)


def power_angles(found: Results) -> Shown:
    """Figure 7: the angle of area 4 in the first and in the last episode."""
    trained = found["power-distributed-0"]
    episodes = len(trained["violations"])
    angle = trained["state"][:, 12].reshape(episodes, -1)
    figure, (ax,) = panel_row(["phase angle of area 4 [rad]"], 2.8)
    for values, label, colour in ((angle[0], "first episode", COLOURS[1]), (angle[-1], "last episode", COLOURS[0])):
        ax.plot(np.arange(len(values)), values, color=colour, label=label)
    for limit in (-0.1, 0.1):
        ax.axhline(limit, color=LIMIT, linewidth=0.9, linestyle="--")
    ax.set_xlabel("time [s]")
    legend(ax)
    worst = {name: float(np.abs(angle[k]).max()) for name, k in (("first episode", 0), ("last episode", -1))}
    checks = {
        "the limit of 0.1 rad is broken in the first episode": worst["first episode"] > 0.1,
        "and kept in the last": worst["last episode"] <= 0.1 + VIOLATION_TOLERANCE,
    }
    caption = "The load of area 4 steps by 0.28 at 40 s, which wrong ties do not foresee."
    return Shown(to_picture(figure, "fig7", "Figure 7: the angle of area 4", caption), {"worst": worst}, checks)


def power_costs(found: Results) -> Shown:
    """Figure 8: cost and violations of an episode, by controller."""
    runs = {name.removeprefix("power: "): tried for name, tried in found.items() if name.startswith("power: ")}
    learned = {f"learned, {learner}": found[f"power-learned-{learner}-0"] for learner in LEARNERS}
    tried = {name: arrays for name, arrays in (learned | runs).items() if "violations" in arrays}
    figure, axes = panel_row(["cost of an episode", "samples with a violation in an episode"], 3.4)
    costs = [arrays["cost"][0] for arrays in tried.values()]
    outside = [arrays["violations"][0] for arrays in tried.values()]
    for ax, values in zip(axes, (costs, outside), strict=True):
        ax.boxplot(values, widths=0.5, medianprops={"color": COLOURS[0]}, flierprops={"markersize": 2})
        ax.set_xticks(np.arange(1, len(tried) + 1), [name.replace(", ", ",\n") for name in tried], fontsize=7)
    _published_boxes(axes[0], axes[1], list(tried))
    numbers = {name: _episode_numbers(arrays, published.POWER_COST.get(name)) for name, arrays in tried.items()}
    if "clairvoyant" in runs:
        numbers["clairvoyant"] = {"ours": {"mean": float(runs["clairvoyant"]["cost"].mean())}}
    ours = numbers["learned, distributed"]["ours"]
    episodes = len(costs[0])
    checks = {
        "the learned distributed policy has no violation in 99 % of the episodes": ours["clean"] >= 0.99 * episodes,
        "its mean cost is at most 278": ours["mean"] <= 278.0,
    }
    for name, (low, high) in {"scenario 79": (300.0, 335.0), "nominal": (330.0, 370.0)}.items():
        if name in numbers:
            checks[f"{name}: between {low:g} and {high:g}"] = low <= numbers[name]["ours"]["mean"] <= high
    caption = "Every controller meets the same noise. Black: published median and quartiles, on noise of their own."
    return Shown(to_picture(figure, "fig8", "Figure 8: controllers of the power network", caption), numbers, checks)


def _published_boxes(costs: Axes, outside: Axes, names: list[str]) -> None:
    for k, name in enumerate(names, start=1):
        theirs = published.POWER_COST.get(name)
        if theirs is None:
            continue
        if theirs.quartiles is not None:
            costs.plot([k + 0.36] * 2, theirs.quartiles, color="black", linewidth=1.2)
        costs.plot(k + 0.36, theirs.median, "k.", markersize=4)
        outside.plot(k + 0.36, theirs.violations, "k.", markersize=4)


def _episode_numbers(arrays: Mapping[str, Array], theirs: published.Episodes | None) -> dict[str, Any]:
    cost, outside = arrays["cost"][0], arrays["violations"][0]
    ours = {
        "mean": float(cost.mean()),
        "median": float(np.median(cost)),
        "quartiles": [float(q) for q in np.quantile(cost, [0.25, 0.75])],
        "violations": float(outside.mean()),
        "clean": int((outside == 0).sum()),
        "episodes": len(cost),
    }
    return {"ours": ours, "published": None if theirs is None else vars(theirs)}
