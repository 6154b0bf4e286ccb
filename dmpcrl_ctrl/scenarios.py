"""Scenario MPC: one input sequence that has to serve many samples of what is not known, models and noise.

Every sample s predicts by itself, from the same state and under the same inputs,

    x_i^s(k+1) = A_i^s x_i^s(k) + B_i^s u_i(k) + sum_j A_ij^s x_j^s(k) + E_i^s d_i(k) + b_i^s + W_i w_i^s

and the cost is the sum over the samples; each has its own states and slacks. So a scenario problem is a problem of the
usual kind, in which agent i holds a copy of its states for every sample and one input: any evaluator solves it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import Coupling, LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem

# Fields that belong to the states of a sample, and those that all samples have in common.
_DIAGONAL = ("A", "Q", "P", "C", "G", "Q_c")
_STACKED = ("b", "lower", "upper", "x_lb", "x_ub", "slack_weight", "slack_quadratic", "x_setpoint")
_COMMON = ("u_min", "u_max", "du_max", "u_setpoint", "R")


@dataclass(frozen=True, eq=False)
class Noise:
    """What is drawn, and how it acts on the agents.

    Parameters
    ----------
    effects
        W_i, (n_i, w_i) each: of the draws on x_i(k+1).
    index
        Which of the w numbers of a draw act on agent i, (w_i,) each.
    draw
        Generator, number of samples S -> (S, w), held over the horizon, or (S, N, w).
    """

    effects: tuple[Array, ...]
    index: tuple[Index, ...]
    draw: Callable[[np.random.Generator, int], Array]


@dataclass(frozen=True, eq=False)
class Scenarios:
    """The samples that an input sequence is to serve.

    Parameters
    ----------
    problems
        One problem a sample, or a single one that all samples share. They may differ in the numbers of the dynamics,
        of weights, bounds and prices of the states; what concerns inputs they have in common.
    noise
        What acts on the states of each sample; its numbers are given at each evaluation.
    samples
        S >= 1.
    input_cost
        "each": the cost of the inputs counts in every sample; "once": it counts once beside the sum over the samples.

    Raises
    ------
    ModelError
        A number of problems that is neither 1 nor S; problems of different size, or with different inputs; noise that
        does not fit the agents.
    """

    problems: tuple[MPCProblem, ...]
    noise: Noise
    samples: int
    input_cost: str = "each"

    def __post_init__(self) -> None:
        object.__setattr__(self, "problems", tuple(self.problems))
        if isinstance(self.samples, bool) or int(self.samples) != self.samples or self.samples < 1:
            raise ModelError(f"samples must be a whole number of at least 1, got {self.samples!r}")
        if len(self.problems) not in (1, self.samples):
            raise ModelError(f"{self.samples} samples need one problem or {self.samples}, got {len(self.problems)}")
        if self.input_cost not in ("each", "once"):
            raise ModelError(f"input_cost must be 'each' or 'once', got {self.input_cost!r}")
        for s, problem in enumerate(self.problems):
            _require_alike(self.problems[0], problem, s)
        _require_noise(self.noise, self.problems[0])

    @property
    def horizon(self) -> int:
        """N."""
        return self.problems[0].horizon

    @property
    def names(self) -> tuple[str, ...]:
        """Of the agents."""
        return self.problems[0].names

    @property
    def inputs_counted(self) -> int:
        """How often the cost of the inputs counts."""
        return self.samples if self.input_cost == "each" else 1

    def noise_of(self, draws: ArrayLike) -> Array:
        """(S, N, w) from (S, w), held over the horizon, or (S, N, w).

        Raises
        ------
        ModelError
            Another shape, or a number that is not finite.
        """
        given = np.asarray(draws, dtype=np.float64)
        held = given[:, None] if given.ndim == 2 else given
        width = 1 + max((int(index.max(initial=-1)) for index in self.noise.index), default=-1)
        if held.ndim != 3 or held.shape[0] != self.samples or held.shape[1] not in (1, self.horizon):
            raise ModelError(
                f"noise has shape {given.shape}, expected ({self.samples}, numbers) or "
                f"({self.samples}, {self.horizon}, numbers)"
            )
        if held.shape[2] < width:
            raise ModelError(f"a draw of noise has {held.shape[2]} numbers, the agents read {width}")
        if not np.isfinite(held).all():
            raise ModelError("a draw of noise holds a number that is not finite")
        return np.broadcast_to(held, (self.samples, self.horizon, held.shape[2]))

    def problem(self) -> MPCProblem:
        """The scenario problem: state c of sample s is state s n_i + c of agent i, likewise its rows and disturbances.

        Agent i's disturbances are (d_i, w_i) of every sample.
        """
        samples = self.problems * (1 if len(self.problems) > 1 else self.samples)
        first = self.problems[0]
        models = [
            _stacked([problem.models[i] for problem in samples], self.noise.effects[i], self.inputs_counted)
            for i in range(len(first.models))
        ]
        return MPCProblem(tuple(models), first.horizon, first.discount, first.names)

    def data(self, data: Sequence[AgentData], draws: ArrayLike) -> tuple[AgentData, ...]:
        """What the agents of :meth:`problem` know, from what the agents of one sample know and the noise."""
        noise, S = self.noise_of(draws), self.samples
        found = []
        for known, index in zip(data, self.noise.index, strict=True):
            told = np.broadcast_to(known.disturbance, (S, *known.disturbance.shape))
            both = np.concatenate([told, noise[:, :, index]], axis=2)
            found.append(
                AgentData(
                    np.tile(known.state, S),
                    both.transpose(1, 0, 2).reshape(self.horizon, -1),
                    np.tile(known.x_setpoint, (1, S)),
                    known.u_setpoint,
                    known.previous_input,
                )
            )
        return tuple(found)


def joined(problem: MPCProblem) -> LocalModel:
    """The whole network as one agent: its states and inputs are those of the agents one after the other.

    Raises
    ------
    ModelError
        Some agents have a terminal equality and others none.
    """
    models = problem.models
    ends = {model.terminal_equality for model in models}
    if len(ends) > 1:
        raise ModelError("one model of the network: all agents have a terminal equality, or none")
    blocks = ("B", "E", "R", *_DIAGONAL)
    parts: dict[str, Any] = {name: _diagonal([getattr(model, name) for model in models]) for name in blocks}
    for name, couplings in (("A", "A_ij"), ("C", "C_ij"), ("G", "G_ij")):
        parts[name] = parts[name] + _couplings(models, [getattr(model, couplings) for model in models], name)
    for name in (*_STACKED, "u_min", "u_max", "du_max", "u_setpoint"):
        parts[name] = np.concatenate([getattr(model, name) for model in models])
    f = [np.split(model.f, [model.n]) for model in models]
    parts["f"] = np.concatenate([*(own[0] for own in f), *(own[1] for own in f)])
    return LocalModel(**parts, V0=sum(model.V0 for model in models), terminal_equality=ends.pop())


def _stacked(samples: Sequence[LocalModel], effect: Array, counted: int) -> LocalModel:
    """One agent's model with all samples' states and one input."""
    first = samples[0]
    parts: dict[str, Any] = {name: _diagonal([getattr(model, name) for model in samples]) for name in _DIAGONAL}
    parts |= {name: np.concatenate([getattr(model, name) for model in samples]) for name in _STACKED}
    parts |= {name: getattr(first, name) for name in _COMMON}
    parts["R"] = counted * first.R
    parts["B"] = np.vstack([model.B for model in samples])
    parts["E"] = _diagonal([np.hstack([model.E, effect]) for model in samples])
    f_x, f_u = [model.f[: model.n] for model in samples], first.f[first.n :]
    parts["f"] = np.concatenate([*f_x, counted * f_u])
    for name in ("A_ij", "C_ij", "G_ij"):
        blocks: list[Coupling] = [getattr(model, name) for model in samples]
        parts[name] = {j: _diagonal([own[j] for own in blocks]) for j in blocks[0]}
    widths = {j: block.shape[1] for own in (first.A_ij, first.C_ij, first.G_ij) for j, block in own.items()}
    parts["declared"] = {
        j: tuple(s * widths[j] + c for s in range(len(samples)) for c in columns)
        for j, columns in first.declared.items()
        if columns
    }
    return LocalModel(**parts, V0=sum(model.V0 for model in samples), terminal_equality=first.terminal_equality)


def _diagonal(blocks: Sequence[Array]) -> Array:
    """Block diagonal; blocks without rows or columns keep their other size, which scipy's function forgets."""
    rows, columns = (np.cumsum([0, *(block.shape[axis] for block in blocks)]) for axis in (0, 1))
    matrix = np.zeros((rows[-1], columns[-1]))
    for k, block in enumerate(blocks):
        matrix[rows[k] : rows[k + 1], columns[k] : columns[k + 1]] = block
    return matrix


def _couplings(models: Sequence[LocalModel], blocks: Sequence[Coupling], name: str) -> Array:
    """Off-diagonal blocks of the network's matrix of this name."""
    heights = [getattr(model, name).shape[0] for model in models]
    rows, columns = np.cumsum([0, *heights]), np.cumsum([0, *(model.n for model in models)])
    matrix = np.zeros((rows[-1], columns[-1]))
    for i, own in enumerate(blocks):
        for j, block in own.items():
            matrix[rows[i] : rows[i + 1], columns[j] : columns[j + 1]] = block
    return matrix


def _require_alike(first: MPCProblem, other: MPCProblem, s: int) -> None:
    if (first.horizon, first.discount, first.names) != (other.horizon, other.discount, other.names):
        raise ModelError(f"sample {s}: all samples have the horizon, the discount and the agents of the first")
    for name, mine, theirs in zip(first.names, first.models, other.models, strict=True):
        for field in _COMMON:
            if not np.array_equal(getattr(mine, field), getattr(theirs, field)):
                raise ModelError(f"sample {s}: {name}: {field} differs from that of the first sample")
        if not np.array_equal(mine.f[mine.n :], theirs.f[theirs.n :]):
            raise ModelError(f"sample {s}: {name}: the linear cost of the inputs differs from that of the first sample")
        sizes = [(m.n, m.m, m.d, len(m.lower), len(m.G), m.terminal_equality) for m in (mine, theirs)]
        keys = [(*m.A_ij, -1, *m.C_ij, -1, *m.G_ij) for m in (mine, theirs)]
        if sizes[0] != sizes[1] or keys[0] != keys[1] or dict(mine.declared) != dict(theirs.declared):
            raise ModelError(
                f"sample {s}: {name}: its model has other sizes or neighbours than that of the first sample"
            )


def _require_noise(noise: Noise, problem: MPCProblem) -> None:
    if not len(noise.effects) == len(noise.index) == len(problem.models):
        raise ModelError(f"noise is described for {len(noise.effects)} agents, the problem has {len(problem.models)}")
    for name, model, effect, index in zip(problem.names, problem.models, noise.effects, noise.index, strict=True):
        if effect.shape != (model.n, len(index)):
            raise ModelError(
                f"{name}: effect of the noise has shape {effect.shape}, expected ({model.n}, {len(index)})"
            )
