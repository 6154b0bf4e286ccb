"""Positions cover every variable and every row exactly once."""

import numpy as np

from dmpcrl_ctrl.layout import layout_of
from dmpcrl_ctrl.problem import MPCProblem


def test_variables_and_rows_are_numbered_without_gap_or_overlap(problem: MPCProblem) -> None:
    for i in range(3):
        layout = layout_of(problem, i)
        variables = [layout.x, layout.u, layout.sigma, *layout.copied]
        assert sorted(np.concatenate([v.ravel() for v in variables]).tolist()) == list(range(layout.size))
        equalities = np.concatenate([layout.dynamics.ravel(), layout.terminal])
        assert equalities.tolist() == list(range(len(equalities)))
        kinds = (layout.hard, layout.soft_lower, layout.soft_upper, layout.slack, layout.input, layout.rate)
        rows = np.concatenate([kind.index for kind in kinds])
        assert sorted(rows.tolist()) == list(range(layout.inequalities))


def test_a_row_knows_its_stage_and_component(problem: MPCProblem) -> None:
    rate = layout_of(problem, 0).rate
    assert rate.stage.tolist() == [0, 1, 2, 3] and set(rate.component.tolist()) == {0}
    assert layout_of(problem, 1).priced.tolist() == [0, 1]
