"""What the watcher shows fits on a terminal and says what the snapshot holds."""

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from dmpcrl_ctrl.validation.metrics import Spread
from dmpcrl_ctrl.validation.watch import ControllerNow, Look, Snapshot, StateNow
from dmpcrl_ctrl.validation.watch_screen import line, screen

CONTROLLER = ControllerNow(
    name="learning",
    sample_time=1.0,
    samples=43,
    statuses={"optimal": 40, "primal_infeasible": 3},
    solve_time=Spread(0.012, 0.02, 1.5),
    late=2,
    primal_residual=1.2e-7,
    dual_residual=3e-8,
    td_error=-0.25,
    updates=40,
    skipped=2,
    theta_moved=1.5e-3,
)
STATES = (
    StateNow("dtheta_1", "rad", 0.112, -0.1, 0.1, -0.12),
    StateNow("dtheta_2", "rad", 0.095, -0.1, 0.1, 0.05),
    StateNow("level", "1", 3.0, 0.0, np.inf, 1.0),
)
NOW = Snapshot(
    title="Four areas",
    time=43.0,
    t_end=100.0,
    rows=43,
    share=0.43,
    complete=False,
    cost=0.125,
    mean_cost=0.5,
    total_cost=21.5,
    violated_samples=1,
    worst=("dtheta_1", 0.012, "rad", 43.0),
    states=STATES,
    limited=3,
    controllers=(CONTROLLER,),
)


def shown(seen: Look, width: int = 80) -> str:
    console = Console(width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(screen(seen, "run.h5"))
    return capture.get()


def test_everything_stands_there_in_80_columns() -> None:
    text = shown(Look(NOW, closed=False, quiet=1.0))
    assert max(len(row) for row in text.splitlines()) <= 80
    assert len(text.splitlines()) <= 23
    for words in (
        "Four areas  running",
        "43 %  t = 43 of 100 s, 43 rows",
        "now 0.125, mean 0.5, total 21.5",
        "1 sample outside; worst dtheta_1 by 0.012 rad at t = 43 s",
        "0.112 rad   -0.1    0.1  outside",
        "■···················   5 %",
        "40 optimal, 3 primal_infeasible",
        "median 12 ms, longest 1.5 s: 150 % of a sample; 2 longer than that",
        "residuals: primal 1.2e-07, dual 3.0e-08",
        "TD error -0.25, 40 updates, 2 skipped, |theta - start| 0.0015",
    ):
        assert words in text
    assert "inf" not in text.replace("infeasible", "")


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Look(replace(NOW, complete=True), True, 0.0), "Four areas  complete"),
        (Look(NOW, True, 0.0), "Four areas  stopped before its end"),
        (Look(NOW, False, 25.0), "running, no new row for 25 s"),
        (Look(None, False, 25.0), "run.h5: no row yet, no new row for 25 s"),
        (Look(replace(NOW, worst=None, violated_samples=0), False, 0.0), "all states inside"),
        (Look(replace(NOW, limited=0, worst=None), False, 0.0), "no state has any"),
        (Look(replace(NOW, cost=None), False, 0.0), "none yet"),
        (Look(replace(NOW, title="", controllers=()), False, 0.0), "run.h5  running"),
        (Look(replace(NOW, controllers=(replace(CONTROLLER, td_error=None),)), False, 0.0), "no TD error here, 40 upd"),
    ],
)
def test_how_a_run_may_stand(seen: Look, words: str) -> None:
    assert words in shown(seen)


def test_names_are_no_markup() -> None:
    text = shown(Look(replace(NOW, title="[red]all[/red]", states=(replace(STATES[0], name="[b]x"),)), False, 0.0))
    assert "[red]all[/red]" in text and "[b]x" in text


def test_one_line_for_a_pipe() -> None:
    assert line(Look(NOW, False, 0.0)) == (
        " 43 %  t = 43 of 100 s, cost 21.5, 1 sample outside limits, learning: TD error -0.25"
    )
    assert line(Look(None, False, 0.0)) == "no row yet"
