"""The figures from one call: which work they need, what is written, that a second call runs nothing anew."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dmpcrl_ctrl.errors import CampaignError, ExperimentError
from dmpcrl_ctrl.validation import reproduce as module
from dmpcrl_ctrl.validation.learners import COMPARED
from dmpcrl_ctrl.validation.paper_work import Extent, Work
from dmpcrl_ctrl.validation.reproduce import ReproduceOrder, reproduce

TINY = Extent(
    chain_samples=12, agents_samples=10, power_episodes=2, chain_evaluations=1, power_evaluations=1, states=1, episode=4
)


def names(works: list[Work]) -> set[str]:
    return {work.name for work in works}


def test_a_figure_needs_what_it_shows_and_no_more() -> None:
    first, second = ReproduceOrder(("fig1",)).works()
    assert (names(first), second) == ({"duals"}, [])
    first, second = ReproduceOrder(("fig7",)).works()
    assert (names(first), second) == ({"power-distributed-0", "power-central-0"}, [])
    first, second = ReproduceOrder(("fig5",), seeds=3).works()
    assert {"chain-central-2", "chain: scenario 25, model known", "chain: clairvoyant"} <= names(first)
    assert "chain-distributed-1" not in names(first)
    learned = {"chain-learned-distributed-0", *(f"chain-learned-central-{seed}" for seed in range(3))}
    assert names(second) == learned | {"chain-deployed-0"}
    first, second = ReproduceOrder(("learners",), seeds=2).works()
    assert (names(first), second) == ({f"learner {kind}-{seed}" for kind in COMPARED for seed in (0, 1)}, [])
    assert {work.variant for work in first} == {"default"}  # all are tried out alike
    assert ReproduceOrder(("learners", "all")).figures == (*ReproduceOrder(()).figures, "learners")
    assert ReproduceOrder(()).figures == ReproduceOrder(("all",)).figures == tuple(f"fig{k}" for k in range(1, 9))


def test_the_longest_work_is_begun_first() -> None:
    first, second = ReproduceOrder(()).works()
    assert [work.name for work in first[:2]] == ["chain-distributed-0", "chain-central-0"]
    # what is left alone at the end is short
    assert {work.name for work in second[:2]} == {"power-deployed-0", "power-learned-distributed-0"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"figures": ("fig9",)}, r"there is no figure 'fig9'; did you mean fig8\?|did you mean fig\d\?"),
        ({"figures": ("table",)}, "there is no figure 'table'; there are fig1, .* and all"),
        ({"variant": "best"}, "variant is one of default, published, text; got 'best'"),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
    ],
)
def test_what_there_is_not_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        ReproduceOrder(**options)


def test_all_figures_are_written_and_a_second_call_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, seen = ReproduceOrder((), "published", 1, TINY), list[float]()
    found = reproduce(order, tmp_path, workers=2, progress=seen.append)
    assert seen[-1] == 1.0
    assert {path.name for path in found.files} == {*(f"fig{k}.svg" for k in range(1, 9)), "summary.json", "report.html"}
    assert all(path.stat().st_size > 0 for path in found.files)
    numbers = json.loads((tmp_path / "summary.json").read_text())
    assert set(numbers["figures"]) == set(order.figures)
    assert set(numbers["deployment"]) == {"chain", "power"}
    assert numbers["checks"] == found.checks
    assert numbers["figures"]["fig8"]["nominal"]["published"]["mean"] == 349.3
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 8 and page.count("</svg>") == 8
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    for word in ("Figure 1", "312.4", "published", "dmpcrl-ctrl reproduce"):
        assert word in page

    def nothing(work: Work, folder: Path) -> str:
        raise AssertionError(f"{work.name} is run again")

    monkeypatch.setattr(module, "run_work", nothing)
    assert reproduce(order, tmp_path).checks == found.checks
    with pytest.raises(ExperimentError, match="holds results of another order"):
        reproduce(ReproduceOrder((), "default", 1, TINY), tmp_path)


def test_work_that_fails_is_named_and_the_rest_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_processes(call: object, works: list[Work], workers: int | None) -> list[tuple[Work, str]]:
        return [(work, "the disk is full") for work in works]

    monkeypatch.setattr(module, "on_processes", on_processes)
    with pytest.raises(CampaignError, match=r"duals: the disk is full; what is finished stays in .*data"):
        reproduce(ReproduceOrder(("fig1",), extent=TINY), tmp_path)
