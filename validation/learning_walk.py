"""Programs as a learning controller meets them: parameters that drift, data that jump, and now and then nonsense.

The programs are real local ones, of an agent of the chain or of the power network with ADMM's penalty. The parameters
walk at random around those they start with, the weight Q projected as after a learning step, the linear terms jump as
from one ADMM iteration to the next. A seeded share has no answer, for one of the reasons in :data:`FAULTS`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array, dense
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.horizon import build_horizon
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plan import rows_without_action
from dmpcrl_ctrl.plants import power_network
from dmpcrl_ctrl.plants.chain import chain_model
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QP, substitution
from dmpcrl_ctrl.status import Status

_MOVES = 0.5  # share of programs before which the parameters move
_STEP, _PULL = 1e-2, 1e-2
_LEAPS = 0.02  # share of steps and of linear terms that are ten times as large
# Usual size of the states, and of the inputs.
_CHAIN, _POWER = (np.array([0.5, 0.3]), 1.0), (np.array([0.05, 0.01, 0.1, 0.1]), 0.1)


@dataclass(frozen=True, eq=False)
class WalkedProgram:
    """One program of a walk, the fault that was planted in it ("" where none was), and what is to be said of it."""

    qp: QP
    fault: str
    expected: Status


def learning_walks(seed: int, bad: float = 0.05) -> tuple[Iterator[WalkedProgram], ...]:
    """Six endless walks: V and Q of the chain's middle agent (N = 10) and of an area with two ties (N = 5 and 15).

    Parameters
    ----------
    seed
        Of the numbers.
    bad
        Share of the programs in which a fault is planted.
    """
    areas = power_network(1, violation_weight=500.0).local_models(1).models
    cases = [
        (MPCProblem(models, horizon, 0.9), sizes, action)
        for models, horizon, sizes in ((chain_model(), 10, _CHAIN), (areas, 5, _POWER), (areas, 15, _POWER))
        for action in (False, True)
    ]
    seeds = np.random.SeedSequence(seed).spawn(len(cases))
    return tuple(
        _walk(_Walker(*case, np.random.default_rng(child)), bad) for case, child in zip(cases, seeds, strict=True)
    )


def _walk(walker: "_Walker", bad: float) -> Iterator[WalkedProgram]:
    rng, names = walker.rng, sorted(FAULTS)
    while True:
        qp = walker.program()
        if rng.random() < bad:
            fault = names[int(rng.integers(len(names)))]
            expected, plant = FAULTS[fault]
            yield WalkedProgram(plant(qp, walker.soft_bound(), rng), fault, expected)
        else:
            yield WalkedProgram(qp, "", Status.OPTIMAL)


class _Walker:
    """Agent 1 of a network; `sizes` as in :data:`_CHAIN`; `action` as in Q(s, a)."""

    def __init__(self, problem: MPCProblem, sizes: tuple[Array, float], action: bool, rng: np.random.Generator) -> None:
        self.problem, self.action, self.rng, self.start = problem, action, rng, problem.models[1]
        self.size, self.input_size = sizes
        network = DistributedEvaluator(problem)
        self.held, entries = network.held[1].local, network.held[1].shared
        self.W, self.shared_size = network.weights[entries], self.size[network.shared.column[entries]]
        self.factor = 1.0
        self.y, self.z = np.zeros((2, len(entries)))
        self.model, self.states = self.start, [np.zeros(model.n) for model in problem.models]
        self._rebuild()

    def program(self) -> QP:
        """The next program of (15a)."""
        rng, N, model = self.rng, self.problem.horizon, self.model
        if rng.random() < _MOVES:
            self.model = _moved(self.start, model, self.size, self.input_size, rng)
            if rng.random() < _LEAPS:
                self.factor = 2.0 ** rng.integers(-3, 4)
            self._rebuild()
        self.states = [0.8 * s + 0.6 * self.size * rng.normal(size=len(s)) for s in self.states]
        leap = 10.0 if rng.random() < _LEAPS else 1.0
        kicks = leap * self.shared_size * rng.normal(size=(2, len(self.z)))
        self.z, self.y = 0.8 * self.z + 0.6 * kicks[0], 0.8 * self.y + 0.3 * self.W * kicks[1]
        load = np.full((N, model.d), self.input_size * rng.normal())
        data = AgentData(self.states[1], load, np.zeros((N + 1, model.n)), np.zeros((N, model.m)), np.zeros(model.m))
        action = self.input_size * rng.uniform(-1.2, 1.2, len(self.cut.fixed))
        qp = self.cut.remaining(self.horizon.program(data, self.states), action)
        g, at = qp.g.copy(), np.searchsorted(self.cut.free, self.held)
        g[at] += self.y - self.factor * self.W * self.z
        return replace(qp, g=g)

    def soft_bound(self) -> tuple[int, int, int]:
        """Rows of one soft bound at one stage: from below, from above, and of its slack."""
        layout, rows = self.horizon.layout, self.cut.rows
        r = int(self.rng.integers(len(layout.slack.index)))
        kinds = (layout.soft_lower, layout.soft_upper, layout.slack)
        below, above, slack = (int(np.searchsorted(rows, kind.index[r])) for kind in kinds)
        return below, above, slack

    def _rebuild(self) -> None:
        models = list(self.problem.models)
        models[1] = self.model
        self.horizon = build_horizon(replace(self.problem, models=tuple(models)), 1)
        layout = self.horizon.layout
        fixed = layout.u[0] if self.action else np.zeros(0, dtype=np.intp)
        rows = rows_without_action(layout) if self.action else np.arange(layout.inequalities)
        H, A, C = (dense(M) for M in (self.horizon.H, self.horizon.A, self.horizon.C))
        H[self.held, self.held] += self.factor * self.W
        self.cut = substitution(H, A, C, fixed, rows)


def _moved(start: LocalModel, now: LocalModel, x: Array, u: float, rng: np.random.Generator) -> LocalModel:
    """The model after one step of every learnable parameter; `x` and `u` are the sizes of states and inputs."""
    step = _STEP * (10.0 if rng.random() < _LEAPS else 1.0)

    def walk(first: Array, current: Array, size: Array) -> Array:
        return current + _PULL * (first - current) + step * size * rng.normal(size=size.shape)

    v, root = np.concatenate([x, np.full(start.m, u)]), np.sqrt(np.diag(start.Q))
    cost = np.concatenate([np.diag(start.Q), np.diag(start.R)]) * v
    rows = np.abs(start.C) @ x
    couplings = {}
    for j, block in start.A_ij.items():
        couples = np.isin(np.arange(block.shape[1]), start.coupled_columns(j))
        couplings[j] = walk(block, now.A_ij[j], np.outer(x, 1.0 / x) * couples)
    return replace(
        now,
        A=walk(start.A, now.A, np.outer(x, 1.0 / x)),
        B=walk(start.B, now.B, np.outer(x, np.full(start.m, 1.0 / u))),
        A_ij=couplings,
        b=walk(start.b, now.b, x),
        f=walk(start.f, now.f, cost),
        x_lb=walk(start.x_lb, now.x_lb, rows),
        x_ub=walk(start.x_ub, now.x_ub, rows),
        Q=_semidefinite(walk(start.Q, now.Q, 3.0 * np.outer(root, root))),
    )


def _semidefinite(Q: Array) -> Array:
    """The nearest symmetric positive semidefinite matrix; on its border as soon as one eigenvalue would be negative."""
    values, vectors = np.linalg.eigh((Q + Q.T) / 2.0)
    nearest: Array = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return nearest


SoftBound = tuple[int, int, int]
Plant = Callable[[QP, SoftBound, np.random.Generator], QP]


def _spoilt(name: str, value: float) -> Plant:
    """One entry of a matrix or vector is no number."""

    def plant(qp: QP, soft_bound: SoftBound, rng: np.random.Generator) -> QP:
        array = np.array(getattr(qp, name))
        array.flat[rng.integers(array.size)] = value
        changed: dict[str, Any] = {name: array}
        return replace(qp, **changed)

    return plant


def _crossed(qp: QP, soft_bound: SoftBound, rng: np.random.Generator) -> QP:
    """One row's lower bound exceeds its upper one."""
    row = rng.integers(len(qp.lower))
    lower, upper = qp.lower.copy(), qp.upper.copy()
    middle = lower[row] if np.isfinite(lower[row]) else upper[row]
    middle = middle if np.isfinite(middle) else 0.0
    gap = 10.0 ** rng.uniform(-6.0, 1.0)
    lower[row], upper[row] = middle + gap, middle
    return replace(qp, lower=lower, upper=upper)


def _bent(qp: QP, soft_bound: SoftBound, rng: np.random.Generator) -> QP:
    """The cost falls along one direction: a variable, or any."""
    v = len(qp.g)
    d = np.eye(v)[rng.integers(v)] if rng.random() < 0.5 else rng.normal(size=v)
    d /= np.linalg.norm(d)
    depth = float(d @ qp.H @ d) + 10.0 ** rng.uniform(-5.0, 0.0) * np.abs(qp.H).max()
    return replace(qp, H=qp.H - depth * np.outer(d, d))


def _empty_row(qp: QP, soft_bound: SoftBound, rng: np.random.Generator) -> QP:
    """0'x = b with b not zero."""
    A, b, row = np.array(qp.A), qp.b.copy(), rng.integers(len(qp.b))
    A[row], b[row] = 0.0, 10.0 ** rng.uniform(-2.0, 1.0)
    return replace(qp, A=A, b=b)


def _contradiction(qp: QP, soft_bound: SoftBound, rng: np.random.Generator) -> QP:
    """One left side, two right sides."""
    A, b = np.array(qp.A), qp.b.copy()
    one, other = rng.choice(len(b), size=2, replace=False)
    A[other], b[other] = A[one], b[one] + 10.0 ** rng.uniform(-2.0, 1.0)
    return replace(qp, A=A, b=b)


def _no_room(qp: QP, soft_bound: SoftBound, rng: np.random.Generator) -> QP:
    """A soft bound's lower side lies above its upper one, and the slack is kept at zero: no matrix changes."""
    below, above, slack = soft_bound
    lower, upper = qp.lower.copy(), qp.upper.copy()
    upper[slack], lower[below] = 0.0, qp.upper[above] + 10.0 ** rng.uniform(-2.0, 1.0)
    return replace(qp, lower=lower, upper=upper)


# name: what is to be said of the program, and how it is made from one that is well
FAULTS: Mapping[str, tuple[Status, Plant]] = {
    **{f"nan in {name}": (Status.INVALID_DATA, _spoilt(name, np.nan)) for name in ("H", "A", "C", "g", "b")},
    **{f"nan in {name}": (Status.INVALID_DATA, _spoilt(name, np.nan)) for name in ("lower", "upper")},
    **{f"infinite {name}": (Status.INVALID_DATA, _spoilt(name, np.inf)) for name in ("H", "A", "C", "g", "b", "lower")},
    "crossed bounds": (Status.INVALID_DATA, _crossed),
    "indefinite H": (Status.NONCONVEX, _bent),
    "equality without variables": (Status.PRIMAL_INFEASIBLE, _empty_row),
    "contradicting equalities": (Status.PRIMAL_INFEASIBLE, _contradiction),
    "contradicting bounds": (Status.PRIMAL_INFEASIBLE, _no_room),
}
