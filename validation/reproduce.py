"""The paper's figures from one command: what each needs, run on worker processes, drawn beside the published numbers.

What has been run stays in the folder: asked again, only what is missing is run, and a training that was interrupted
goes on from its last checkpoint.
"""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dmpcrl_ctrl import __version__
from dmpcrl_ctrl.errors import CampaignError, ExperimentError, LogError
from dmpcrl_ctrl.validation import published
from dmpcrl_ctrl.validation.figure_parts import LEARNERS, Results, Shown
from dmpcrl_ctrl.validation.learners import COMPARED
from dmpcrl_ctrl.validation.paper_figures import FIGURES, PAPER, deployment
from dmpcrl_ctrl.validation.paper_runs import run_work
from dmpcrl_ctrl.validation.paper_work import Example, Extent, Work, done, results
from dmpcrl_ctrl.validation.report import page
from dmpcrl_ctrl.validation.runner import write_whole
from dmpcrl_ctrl.validation.section import nearest
from dmpcrl_ctrl.validation.workers import on_processes

DATA, NUMBERS, PAGE, ORDER = "data", "summary.json", "report.html", "order.json"
# rough seconds of one core at full extent, by which the longest pieces are begun first; others take some 10
_SECONDS = {
    ("chain", "train distributed"): 340.0,
    ("chain", "train central"): 320.0,
    ("power", "train distributed"): 270.0,
    ("power", "train central"): 120.0,
    ("power", "deploy"): 160.0,
    ("power", "try distributed"): 180.0,
    ("power", "try central"): 60.0,
    ("chain", "learn"): 90.0,
    ("chain", "deploy"): 80.0,
    ("chain", "try"): 90.0,
    ("chain", "scenario"): 60.0,
}


@dataclass(frozen=True)
class ReproduceOrder:
    """What to reproduce.

    Parameters
    ----------
    figures
        Names out of fig1 ... fig8, which are "all" and stand for none, and learners: what changes of the recipe bring.
    variant
        Of the learning; see :mod:`~dmpcrl_ctrl.validation.paper`.
    seeds
        Training seeds of the chain's central learner, and of each that is compared; everything else has one.
    extent
        How much is run.

    Raises
    ------
    ExperimentError
        A figure or a variant that there is not, or no seed.
    """

    figures: tuple[str, ...] = ()
    variant: str = "published"
    seeds: int = 1
    extent: Extent = field(default_factory=Extent)

    def __post_init__(self) -> None:
        known = tuple(FIGURES)
        asked = {*PAPER, *self.figures} - {"all"} if not self.figures or "all" in self.figures else self.figures
        for name in asked:
            if name not in FIGURES:
                near = nearest(name, (*known, "all"))
                hint = f"did you mean {near}?" if near else f"there are {', '.join(known)} and all"
                raise ExperimentError(f"there is no figure {name!r}; {hint}")
        if self.variant not in ("default", "published", "text"):
            raise ExperimentError(f"variant is one of default, published, text; got {self.variant!r}")
        if self.seeds < 1:
            raise ExperimentError(f"seeds must be at least 1, got {self.seeds}")
        object.__setattr__(self, "figures", tuple(name for name in known if name in asked))

    def works(self) -> tuple[list[Work], list[Work]]:
        """Pieces of work: those that need nothing, and those that need a training."""
        first: dict[str, Work] = {}
        second: dict[str, Work] = {}

        def add(
            into: dict[str, Work], name: str, example: Example, controller: str, seed: int = 0, variant: str = ""
        ) -> None:
            into[name] = Work(name, example, controller, variant or self.variant, seed, self.extent)

        asked = set(self.figures)
        if "fig1" in asked:
            add(first, "duals", "chain", "duals")
        if asked & {"fig2", "fig3", "fig4", "fig5"}:
            for learner in LEARNERS:
                add(first, f"chain-{learner}-0", "chain", f"train {learner}")
        if "fig5" in asked:
            for seed in range(1, self.seeds):
                add(first, f"chain-central-{seed}", "chain", "train central", seed)
            for name in published.CHAIN_COST:
                add(first, f"chain: {name}", "chain", name)
            add(first, "chain: clairvoyant", "chain", "clairvoyant")
            add(second, "chain-learned-distributed-0", "chain", "try distributed")
            for seed in range(self.seeds):
                add(second, f"chain-learned-central-{seed}", "chain", "try central", seed)
            add(second, "chain-deployed-0", "chain", "deploy distributed")
        if "learners" in asked:
            # each has a variant of its own, and all are tried out alike
            for name in COMPARED:
                for seed in range(self.seeds):
                    add(first, f"learner {name}-{seed}", "chain", f"learn {name}", seed, "default")
        if asked & {"fig6", "fig7", "fig8"}:
            for learner in LEARNERS:
                add(first, f"power-{learner}-0", "power", f"train {learner}")
        if "fig8" in asked:
            for name in published.POWER_COST:
                if not name.startswith("learned"):
                    add(first, f"power: {name}", "power", name)
            add(first, "power: clairvoyant", "power", "clairvoyant")
            for learner in LEARNERS:
                add(second, f"power-learned-{learner}-0", "power", f"try {learner}")
            add(second, "power-deployed-0", "power", "deploy distributed")
        return sorted(first.values(), key=_length), sorted(second.values(), key=_length)


def _length(work: Work) -> float:
    fitting = (
        s for (example, name), s in _SECONDS.items() if (example, name) == (work.example, work.controller[: len(name)])
    )
    return -next(fitting, 10.0)


@dataclass(frozen=True)
class Reproduced:
    """What was written, and what the numbers say.

    Attributes
    ----------
    files
        Pictures, numbers and page.
    checks
        Statement -> whether our numbers bear it out.
    """

    files: tuple[Path, ...]
    checks: dict[str, bool]


def reproduce(
    order: ReproduceOrder,
    out: Path,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Reproduced:
    """Run what is missing, draw, and write figures, `summary.json` and `report.html`.

    Parameters
    ----------
    order
        What to reproduce.
    out
        Folder; what an interrupted or smaller call of the same order has left there is used.
    workers
        Processes; as many as processors where None.
    overwrite
        Take over a folder that holds another order's results, which are then run anew.
    progress
        Called with the finished fraction of the work.

    Raises
    ------
    ExperimentError
        The folder holds results of another variant or extent.
    CampaignError
        A piece of work failed; the others are there, and the call may be repeated.
    LogError
        A file cannot be written, or is damaged.
    """
    folder = out / DATA
    _claim(order, out, overwrite)
    first, second = order.works()
    works = first + second
    finished = sum(done(work, folder) for work in works)
    failed = []
    for stage in (first, second):
        missing = [work for work in stage if not done(work, folder)]
        for work, answer in on_processes(partial(run_work, folder=folder), missing, workers):
            finished += 1
            if progress is not None:
                progress(finished / len(works))
            if answer != work.name:
                failed.append(f"{work.name}: {answer}")
        if failed:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise CampaignError(f"{failed[0]}{more}; what is finished stays in {folder}")
    found = {work.name: results(work.name, folder) for work in works}
    return _written(order, out, {name: FIGURES[name](found) for name in order.figures}, found)


def _claim(order: ReproduceOrder, out: Path, overwrite: bool) -> None:
    """Make sure that the folder is this order's: results of another variant would be taken for its own."""
    mine = json.dumps({"variant": order.variant, "extent": asdict(order.extent)}, sort_keys=True)
    claimed = out / ORDER
    if out.exists() and not out.is_dir():
        raise ExperimentError(f"{out} is a file: give a folder with --out")
    theirs = claimed.read_text(encoding="utf-8").strip() if claimed.exists() else None
    if theirs is not None and theirs != mine and not overwrite:
        raise ExperimentError(f"{out} holds results of another order ({theirs}): give another --out, or --overwrite")
    try:
        (out / DATA).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogError(f"{out} cannot be written: {error.strerror or error}") from error
    if theirs is not None and theirs != mine:
        for stale in (out / DATA).iterdir():
            stale.unlink()
    write_whole(claimed, mine + "\n")


def _written(order: ReproduceOrder, out: Path, shown: dict[str, Shown], found: Results) -> Reproduced:
    files = []
    for name, figure in shown.items():
        files.append(out / f"{name}.svg")
        write_whole(files[-1], figure.picture.svg)
    checks = {f"{name}: {text}": good for name, figure in shown.items() for text, good in figure.checks.items()}
    numbers: dict[str, Any] = {
        "dmpcrl_ctrl": __version__,
        "variant": order.variant,
        "seeds": order.seeds,
        "extent": asdict(order.extent),
        "figures": {name: figure.numbers for name, figure in shown.items()},
        "checks": checks,
    }
    if {"chain-deployed-0", "power-deployed-0"} <= set(found):
        numbers["deployment"] = deployment(found)
    skipped = {n: [int(k) for k in r["counts"]] for n, r in found.items() if "counts" in r}
    numbers["training"] = {
        name: dict(zip(("updates", "transitions", "skipped"), counts, strict=True)) for name, counts in skipped.items()
    }
    files += [out / NUMBERS, out / PAGE]
    write_whole(files[-2], json.dumps(numbers, indent=1, default=_plain) + "\n")
    write_whole(files[-1], _page(order, shown, numbers))
    return Reproduced(tuple(files), checks)


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def _page(order: ReproduceOrder, shown: dict[str, Shown], numbers: dict[str, Any]) -> str:
    extent = order.extent
    words = ["dmpcrl-ctrl", "reproduce", *order.figures, "--variant", order.variant, "--seeds", str(order.seeds)]
    checks = [(text, good) for figure in shown.values() for text, good in figure.checks.items()]
    return page(
        "reproduce.html.j2",
        title="Distributed MPC as a function approximator: the figures, reproduced",
        question="Do agents that agree by messages alone learn what the paper says they learn?",
        facts=(
            f"variant {order.variant} · chain: {extent.chain_samples:,} samples, of agents {extent.agents_samples:,}, "
            f"{order.seeds} training seed(s), "
            f"{extent.chain_evaluations} noise seeds · power network: {extent.power_episodes} episodes, "
            f"{extent.power_evaluations} to try out"
        ),
        checks=checks,
        pictures=[figure.picture for figure in shown.values()],
        tables=_tables(numbers),
        command=" ".join(shlex.quote(word) for word in [*words, "--out", "runs/paper"]),
    )


def _tables(numbers: dict[str, Any]) -> list[Table]:
    tables = []
    if "fig5" in numbers["figures"]:
        fig5 = numbers["figures"]["fig5"]
        rows = [
            (
                f"learned ({learner}), {samples:,} samples",
                _number(entry["median"]),
                _number(published.LEARNED_COST[samples]),
            )
            for learner in LEARNERS
            for samples, entry in fig5["learned"].get(learner, {}).items()
            if samples in published.LEARNED_COST
        ]
        rows += [(name, f"{e['mean']:.2f}", _number(e["published"])) for name, e in fig5["others"].items()]
        tables.append(Table("Chain: cost of 100 samples", ("controller", "ours", "published"), rows))
    if "fig8" in numbers["figures"]:
        rows8 = []
        for name, entry in numbers["figures"]["fig8"].items():
            ours, theirs = entry["ours"], entry.get("published") or {}
            rows8.append(
                (
                    name,
                    _number(ours["mean"]),
                    _number(theirs.get("mean")),
                    _number(ours.get("violations")),
                    _number(theirs.get("violations")),
                    f"{ours['clean']} of {ours['episodes']}" if "clean" in ours else "",
                    f"{theirs['clean']} of 100" if "clean" in theirs else "",
                )
            )
        head = ("controller", "mean cost", "published", "violations", "published", "clean episodes", "published")
        tables.append(Table("Power network: an episode of 100 samples", head, rows8))
    for example, rows_by_iterations in numbers.get("deployment", {}).items():
        rows_d = [
            (str(k), _number(entry["mean cost"]), _number(entry["samples outside the limits"]))
            for k, entry in rows_by_iterations.items()
        ]
        caption = f"{example}: the learned policy under few ADMM iterations"
        tables.append(Table(caption, ("iterations", "mean cost", "samples outside the limits"), rows_d))
    return tables


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
