"""One agent's share of the model predictive control problem.

Agent i predicts

    x_i(k+1) = A_i x_i(k) + B_i u_i(k) + sum_j A_ij x_j(k) + E_i d_i(k) + b_i

and adds to the cost of the network

    V0_i + sum_{k<N} [ f_i'[x_i; u_i] + gamma^k ( |x_i - xbar_i|^2_Q + |u_i - ubar_i|^2_R
                       + |G_i x_i + sum_j G_ij x_j|^2_{Qc} + w_i'sigma_i + sigma_i' diag(w2_i) sigma_i ) ]
         + gamma^N |x_i(N) - xbar_i|^2_P

under lower + x_lb - sigma(k) <= C_i x_i(k+1) + sum_j C_ij x_j(k+1) <= upper + x_ub + sigma(k), sigma >= 0,
u_min <= u <= u_max and |u(k) - u(k-1)| <= du_max. There is no factor 1/2 in front of the weights.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.errors import ModelError

Coupling = Mapping[int, Array]
# s_j by the number of the agent.
States = Mapping[int, Array] | Sequence[Array]


@dataclass(frozen=True, eq=False, init=False)
class LocalModel:
    """The MPC data of one agent with n states, m inputs, d known disturbances.

    Every array is checked (shape, finite) and stored read-only as float64; a scalar or a vector is not broadcast.

    Parameters
    ----------
    A, B
        (n, n), (n, m): the agent's own prediction model over one sample.
    A_ij
        Neighbour number -> (n, n_j): how the states of neighbour j act on this agent.
    E, b
        (n, d) and (n,): effect of the known disturbance, affine offset.
    Q, R, P
        (n, n), (m, m), (n, n): weights of state, input and terminal state (default 0), positive semidefinite.
    terminal_equality
        Demand x(N) = xbar(N).
    f, V0
        (n + m,) and float: linear stage cost (not discounted) and constant.
    C, C_ij, lower, upper, x_lb, x_ub
        (p, n), {j: (p, n_j)}, (p,) each: bounds on C x(k+1) + sum_j C_ij x_j(k+1); x_lb, x_ub are offsets that learning
        moves.
    slack_weight, slack_quadratic
        (p,) each: linear and quadratic price of a bound's violation; an infinite linear price makes the row hard
        (default).
    u_min, u_max, du_max
        (m,) each: input bounds and the largest change of an input from one sample to the next.
    x_setpoint, u_setpoint
        (n,), (m,): xbar, ubar where the caller of an evaluation does not give them.
    G, G_ij, Q_c
        (q, n), {j: (q, n_j)}, (q, q): cost on a linear combination of own and neighbours' states.
    declared
        Neighbour number -> columns of x_j that are shared even while every coefficient on them is zero (to be learned).

    Raises
    ------
    ModelError
        A shape does not fit, an entry is not finite, a weight is not symmetric positive semidefinite, bounds cross.

    Examples
    --------
    >>> model = LocalModel(A=[[1.0, 0.1], [0.0, 1.0]], B=[[0.0], [0.1]], Q=np.eye(2), R=[[0.1]])
    >>> model.n, model.m
    (2, 1)
    """

    A: Array
    B: Array
    Q: Array
    R: Array
    A_ij: Coupling
    E: Array
    b: Array
    P: Array
    terminal_equality: bool
    f: Array
    V0: float
    C: Array
    C_ij: Coupling
    lower: Array
    upper: Array
    x_lb: Array
    x_ub: Array
    slack_weight: Array
    slack_quadratic: Array
    u_min: Array
    u_max: Array
    du_max: Array
    x_setpoint: Array
    u_setpoint: Array
    G: Array
    G_ij: Coupling
    Q_c: Array
    declared: Mapping[int, tuple[int, ...]]

    def __init__(
        self,
        A: ArrayLike,
        B: ArrayLike,
        Q: ArrayLike,
        R: ArrayLike,
        *,
        A_ij: Mapping[int, ArrayLike] | None = None,
        E: ArrayLike | None = None,
        b: ArrayLike | None = None,
        P: ArrayLike | None = None,
        terminal_equality: bool = False,
        f: ArrayLike | None = None,
        V0: float = 0.0,
        C: ArrayLike | None = None,
        C_ij: Mapping[int, ArrayLike] | None = None,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        x_lb: ArrayLike | None = None,
        x_ub: ArrayLike | None = None,
        slack_weight: ArrayLike | None = None,
        slack_quadratic: ArrayLike | None = None,
        u_min: ArrayLike | None = None,
        u_max: ArrayLike | None = None,
        du_max: ArrayLike | None = None,
        x_setpoint: ArrayLike | None = None,
        u_setpoint: ArrayLike | None = None,
        G: ArrayLike | None = None,
        G_ij: Mapping[int, ArrayLike] | None = None,
        Q_c: ArrayLike | None = None,
        declared: Mapping[int, tuple[int, ...]] | None = None,
    ) -> None:
        given = dict(locals())
        sizes = {"n": _rows("A", A), "m": _columns("B", B), "d": -1 if E is not None else 0}
        sizes |= {
            "+": sizes["n"] + sizes["m"],
            "p": 0 if C is None else _rows("C", C),
            "q": 0 if G is None else _rows("G", G),
        }
        for name, (axes, default) in _ARRAYS.items():
            shape, value = tuple(sizes[axis] for axis in axes), given[name]
            value = np.full(shape, default) if value is None else value
            object.__setattr__(self, name, checked(name, value, shape, name in _MAY_BE_INFINITE))
        for name, axis in _COUPLINGS.items():
            blocks = {int(j): block for j, block in sorted((given[name] or {}).items())}
            shape = (sizes[axis], -1)
            checked_blocks = {j: checked(f"{name}[{j}]", block, shape) for j, block in blocks.items()}
            object.__setattr__(self, name, checked_blocks)
        if Q_c is None:
            object.__setattr__(self, "Q_c", checked("Q_c", np.eye(sizes["q"]), (sizes["q"],) * 2))
        for name in _WEIGHTS:
            _require_semidefinite(name, getattr(self, name))
        object.__setattr__(self, "terminal_equality", bool(terminal_equality))
        object.__setattr__(self, "V0", float(checked("V0", V0, ())))
        columns = {int(j): tuple(sorted({int(c) for c in cols})) for j, cols in sorted((declared or {}).items())}
        object.__setattr__(self, "declared", columns)
        _require_order(self)

    def moved(self, changes: Mapping[str | tuple[str, int], ArrayLike]) -> Self:
        """The model with other numbers in some of its fields, which alone are checked.

        Parameters
        ----------
        changes
            "A", "V0" and the like, or ("A_ij", 2) for a block that the model has -> array of the same shape.

        Raises
        ------
        ModelError
            As of the model itself, and for a field or block that it does not have.
        """
        other = copy.copy(self)
        for field, value in changes.items():
            name, neighbour = (field, None) if isinstance(field, str) else field
            old: Any = getattr(other, name) if name in _NUMBERS else {}
            if neighbour is not None:
                if name not in _COUPLINGS or neighbour not in old:
                    raise ModelError(f"the model has no block {name}[{neighbour}]")
                block = checked(f"{name}[{neighbour}]", value, old[neighbour].shape)
                object.__setattr__(other, name, {**old, neighbour: block})
                continue
            if isinstance(old, dict):
                raise ModelError(f"the model has no array {name!r}")
            array = checked(name, value, np.shape(old), name in _MAY_BE_INFINITE)
            object.__setattr__(other, name, float(array) if name == "V0" else array)
            if name in _WEIGHTS:
                _require_semidefinite(name, array)
        _require_order(other)
        return other

    @property
    def n(self) -> int:
        """Number of states."""
        return self.A.shape[0]

    @property
    def m(self) -> int:
        """Number of inputs."""
        return self.B.shape[1]

    @property
    def d(self) -> int:
        """Number of known disturbances."""
        return self.E.shape[1]

    @property
    def soft(self) -> NDArray[np.bool_]:
        """(p,): which bound rows have a slack."""
        return np.isfinite(self.slack_weight)

    @property
    def bounded(self) -> NDArray[np.bool_]:
        """(p,): which bound rows have a bound."""
        return np.isfinite(self.lower) | np.isfinite(self.upper)

    @property
    def neighbours(self) -> tuple[int, ...]:
        """The agents that act on this one, or on its cost or bounds."""
        return tuple(sorted({*self.A_ij, *self.C_ij, *self.G_ij, *self.declared}))

    def coupled_columns(self, j: int) -> tuple[int, ...]:
        """Components of x_j that this agent needs to know: nonzero or declared columns, sorted."""
        used = set(self.declared.get(j, ()))
        for blocks in (self.A_ij, self.C_ij, self.G_ij):
            if j in blocks:
                used |= {int(c) for c in np.flatnonzero(np.any(blocks[j] != 0.0, axis=0))}
        return tuple(sorted(used))


# Array -> its axes (n states, m inputs, + both, d disturbances, p bounded rows, q rows with a cost), and its default.
_ARRAYS: dict[str, tuple[str, float]] = {
    "A": ("nn", 0.0),
    "B": ("nm", 0.0),
    "E": ("nd", 0.0),
    "b": ("n", 0.0),
    "Q": ("nn", 0.0),
    "R": ("mm", 0.0),
    "P": ("nn", 0.0),
    "f": ("+", 0.0),
    "C": ("pn", 0.0),
    "lower": ("p", -np.inf),
    "upper": ("p", np.inf),
    "x_lb": ("p", 0.0),
    "x_ub": ("p", 0.0),
    "slack_weight": ("p", np.inf),
    "slack_quadratic": ("p", 0.0),
    "u_min": ("m", -np.inf),
    "u_max": ("m", np.inf),
    "du_max": ("m", np.inf),
    "x_setpoint": ("n", 0.0),
    "u_setpoint": ("m", 0.0),
    "G": ("qn", 0.0),
    "Q_c": ("qq", 0.0),
}
_COUPLINGS = {"A_ij": "n", "C_ij": "p", "G_ij": "q"}
_NUMBERS = frozenset({*_ARRAYS, *_COUPLINGS, "V0"})
_WEIGHTS = ("Q", "R", "P", "Q_c")
_MAY_BE_INFINITE = ("lower", "upper", "u_min", "u_max", "du_max", "slack_weight")


def _rows(name: str, value: ArrayLike) -> int:
    if np.ndim(value) != 2:
        raise ModelError(f"{name} must be a matrix, got {np.ndim(value)} dimension(s)")
    return int(np.shape(value)[0])


def _columns(name: str, value: ArrayLike) -> int:
    _rows(name, value)
    return int(np.shape(value)[1])


def _require_semidefinite(name: str, weight: Array) -> None:
    if weight.size == 0:
        return
    scale = max(float(np.abs(weight).max()), np.finfo(float).tiny)
    if np.abs(weight - weight.T).max() > 1e-10 * scale:
        raise ModelError(
            f"{name} must be symmetric, it differs from its transpose by {np.abs(weight - weight.T).max():.3g}"
        )
    least = float(np.linalg.eigvalsh((weight + weight.T) / 2.0)[0])
    # what rounding makes of a singular weight, and no more: below, a sum of squares could fall without end
    if least < -64.0 * len(weight) * np.finfo(float).eps * scale:
        raise ModelError(f"{name} must be positive semidefinite, its least eigenvalue is {least:.3g}")


def _require_order(model: LocalModel) -> None:
    pairs = (
        ("lower + x_lb", model.lower + model.x_lb, "upper + x_ub", model.upper + model.x_ub, ~model.soft),
        ("u_min", model.u_min, "u_max", model.u_max, np.ones(model.m, dtype=bool)),
    )
    for low_name, low, high_name, high, must in pairs:
        for k in np.flatnonzero(must & (low > high)):
            raise ModelError(f"{low_name}[{k}] = {low[k]:g} exceeds {high_name}[{k}] = {high[k]:g}")
    for name in ("slack_weight", "slack_quadratic", "du_max"):
        values = getattr(model, name)
        for k in np.flatnonzero(values < 0.0):
            raise ModelError(f"{name}[{k}] = {values[k]:g} must not be negative")
    for k in np.flatnonzero(~model.soft & (model.slack_quadratic > 0.0)):
        raise ModelError(
            f"slack_quadratic[{k}] = {model.slack_quadratic[k]:g} prices a hard bound: "
            "give slack_weight as well, 0 for a purely quadratic price"
        )
