"""Plans and multipliers as they are read out of a program's vectors, number by number."""

import numpy as np
import pytest

from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.layout import layout_of
from dmpcrl_ctrl.plan import read_duals, read_plan, rows_without_action
from dmpcrl_ctrl.problem import AgentData, MPCProblem

Data = tuple[AgentData, ...]


@pytest.mark.parametrize("i", range(3))
def test_every_variable_has_its_place_in_the_plan(problem: MPCProblem, data: Data, i: int) -> None:
    """The vector 0, 1, 2, ...: what the plan holds are positions."""
    layout, model = layout_of(problem, i), problem.models[i]
    states = [d.state for d in data]
    plan = read_plan(layout, model, data[i], states, np.arange(float(layout.size)))
    assert np.array_equal(plan.x[0], data[i].state)
    assert np.array_equal(plan.x[1:], layout.x)
    assert np.array_equal(plan.u, layout.u)
    assert np.array_equal(plan.sigma[:, layout.priced], layout.sigma)
    assert not np.delete(plan.sigma, layout.priced, axis=1).any()
    for copy, places in zip(layout.copies, layout.copied, strict=True):
        known = plan.neighbours[copy.owner]
        columns = list(copy.columns)
        assert np.array_equal(known[1 : copy.last_stage + 1, columns], places)
        assert np.array_equal(known[0, columns], states[copy.owner][columns])
        assert np.isnan(np.delete(known, columns, axis=1)).all()
        assert np.isnan(known[copy.last_stage + 1 :]).all()
    sizes = plan.x.size + plan.u.size + plan.sigma.size + sum(x.size for x in plan.neighbours.values())
    assert len(plan.flat()) == sizes


@pytest.mark.parametrize("i", range(3))
def test_every_row_has_its_place_in_the_multipliers(problem: MPCProblem, i: int) -> None:
    """Each row of the program is found exactly once, on the side that it bounds."""
    layout, model = layout_of(problem, i), problem.models[i]
    rows = layout.inequalities
    low, high = 1.0 + np.arange(float(rows)), 1.0 + rows + np.arange(float(rows))
    duals = read_duals(layout, model, np.arange(float(layout.dynamics.size + layout.terminal.size)), low, high)
    assert np.array_equal(duals.dynamics, layout.dynamics)
    found = np.concatenate([getattr(duals, name).ravel() for name in ("lower", "slack", "u_min", "du_min")])
    kept = np.setdiff1d(np.arange(rows), layout.soft_upper.index)
    assert sorted(found[found > 0.0]) == sorted(low[kept])


def test_a_given_action_drops_the_rows_of_the_first_input(problem: MPCProblem) -> None:
    for i, model in enumerate(problem.models):
        layout = layout_of(problem, i)
        dropped = np.setdiff1d(np.arange(layout.inequalities), rows_without_action(layout))
        limited = int((np.isfinite(model.u_min) | np.isfinite(model.u_max)).sum() + np.isfinite(model.du_max).sum())
        assert len(dropped) == limited


def test_without_the_first_input_nothing_else_changes(problem: MPCProblem, data: Data) -> None:
    duals = CentralEvaluator(problem).evaluate(data).duals[1]
    cleared = duals.without_first_input()
    for name in duals.__dataclass_fields__:
        before, after = getattr(duals, name), getattr(cleared, name)
        if name in ("u_min", "u_max", "du_min", "du_max"):
            assert not after[0].any()
            before, after = before[1:], after[1:]
        assert np.array_equal(before, after), name
