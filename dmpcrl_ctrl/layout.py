"""Where each stage's numbers stand in the vectors of an agent's quadratic program.

Variables: x(1..N), u(0..N-1), one slack a priced bound row and stage, then the copies of the neighbours' coupling
components. x(0) = s_i and the neighbours' s_j are data and have no place here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dmpcrl_ctrl.arrays import Index
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import Copy, copies_held
from dmpcrl_ctrl.problem import MPCProblem


@dataclass(frozen=True, eq=False)
class Rows:
    """One kind of inequality: row `index[r]` of C bounds component `component[r]` at stage `stage[r]`."""

    index: Index
    stage: Index
    component: Index

    @property
    def at(self) -> tuple[Index, Index]:
        """(stage, component): where the multipliers of these rows stand in an (N, components) array."""
        return self.stage, self.component


@dataclass(frozen=True, eq=False)
class Layout:
    """Positions of variables and rows of one agent.

    Attributes
    ----------
    size, horizon
        Number of variables; number of stages N.
    x, u
        (N, n), (N, m): x[k] are the positions of x(k+1), u[k] those of u(k).
    sigma, priced
        (N, s) positions of the slacks; (s,) the bound rows that they belong to.
    copies, copied
        What is held of the neighbours, and one (last_stage, columns) array of positions for each.
    dynamics, terminal
        (N, n) and (n,) or (0,): equality rows.
    hard, soft_lower, soft_upper, slack, input, rate
        Inequality rows by kind; only bounds that exist have a row. `rate` at stage 0 bounds u(0) - u(-1).
    inequalities
        Number of inequality rows.
    """

    size: int
    horizon: int
    x: Index
    u: Index
    sigma: Index
    priced: Index
    copies: tuple[Copy, ...]
    copied: tuple[Index, ...]
    dynamics: Index
    terminal: Index
    hard: Rows
    soft_lower: Rows
    soft_upper: Rows
    slack: Rows
    input: Rows
    rate: Rows
    inequalities: int

    def slack_place(self, soft: Rows) -> tuple[Index, Index]:
        """Where the slacks of soft rows stand in `sigma`."""
        return soft.stage, np.searchsorted(self.priced, soft.component)


def layout_of(problem: MPCProblem, i: int) -> Layout:
    """The layout of agent i's program; it depends on dimensions, coupling and on which bounds exist, not on values."""
    model, N = problem.models[i], problem.horizon
    copies = copies_held(problem, i)
    priced = np.flatnonzero(model.soft & model.bounded)
    shapes = [(N, model.n), (N, model.m), (N, len(priced))] + [(c.last_stage, len(c.columns)) for c in copies]
    (x, u, sigma, *copied), size = _consecutive(shapes)
    (dynamics, terminal), _ = _consecutive([(N, model.n), (model.n if model.terminal_equality else 0,)])
    kinds = {
        "hard": np.flatnonzero(~model.soft & model.bounded),
        "soft_lower": np.flatnonzero(model.soft & np.isfinite(model.lower)),
        "soft_upper": np.flatnonzero(model.soft & np.isfinite(model.upper)),
        "slack": priced,
        "input": np.flatnonzero(np.isfinite(model.u_min) | np.isfinite(model.u_max)),
        "rate": np.flatnonzero(np.isfinite(model.du_max)),
    }
    blocks, inequalities = _consecutive([(N, len(components)) for components in kinds.values()])
    rows = {kind: _rows(block, kinds[kind]) for kind, block in zip(kinds, blocks, strict=True)}
    return Layout(
        size=size,
        horizon=N,
        x=x,
        u=u,
        sigma=sigma,
        priced=priced,
        copies=copies,
        copied=tuple(copied),
        dynamics=dynamics,
        terminal=terminal,
        inequalities=inequalities,
        **rows,
    )


def other_rows(one: LocalModel, other: LocalModel) -> str:
    """The field by which two models of the same dimensions and coupling differ in layout: which bounds exist."""
    for name in ("slack_weight", "lower", "upper", "u_min", "u_max", "du_max"):
        if not np.array_equal(np.isfinite(getattr(one, name)), np.isfinite(getattr(other, name))):
            return name
    if one.terminal_equality != other.terminal_equality:
        return "terminal_equality"
    return "" if one.C_ij.keys() == other.C_ij.keys() else "C_ij"


def _consecutive(shapes: Sequence[tuple[int, ...]]) -> tuple[list[Index], int]:
    """Number the entries of arrays of these shapes one after the other; also the total."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    ends = np.cumsum(sizes)
    blocks = [np.arange(end - size, end).reshape(shape) for end, size, shape in zip(ends, sizes, shapes, strict=True)]
    return blocks, int(ends[-1])


def _rows(index: Index, components: Index) -> Rows:
    stage, place = np.indices(index.shape)
    return Rows(index.ravel(), stage.ravel(), components[place].ravel())
