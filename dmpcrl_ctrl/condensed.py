"""A scenario problem in its inputs alone: the states of every sample are an affine function of them.

    x^s(k) = free^s(k) + moved^s(k) u,     u = (u(0), ..., u(N-1)) of the whole network

What follows from the models alone is computed once; where all samples share one model, once for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData
from dmpcrl_ctrl.scenarios import Scenarios, joined

_OF_SAMPLES = (
    *("A", "B", "E", "b", "Q", "P", "C", "G", "Q_c"),
    *("lower", "upper", "x_lb", "x_ub", "slack_weight", "slack_quadratic"),
)


@dataclass(frozen=True, eq=False)
class Given:
    """What one evaluation is told, for the network of n states, m inputs, d disturbances and w numbers of noise.

    Attributes
    ----------
    state, disturbance, noise
        (n,), (N, d), (S, N, w).
    x_setpoint, u_setpoint, previous_input
        (N + 1, n), (N, m), (m,).
    """

    state: Array
    disturbance: Array
    noise: Array
    x_setpoint: Array
    u_setpoint: Array
    previous_input: Array

    @classmethod
    def of(cls, scenarios: Scenarios, data: Sequence[AgentData], draws: ArrayLike) -> "Given":
        """From what the agents of one sample know, and the draws of the noise."""

        def together(name: str) -> Array:
            return np.concatenate([getattr(known, name) for known in data], axis=-1)

        names = ("x_setpoint", "u_setpoint", "previous_input")
        noise = scenarios.noise_of(draws)
        return cls(together("state"), together("disturbance"), noise, *(together(name) for name in names))

    @property
    def finite(self) -> bool:
        """Whether every number is."""
        return all(np.isfinite(getattr(self, name)).all() for name in self.__dataclass_fields__)


class Condensed:
    """The matrices of a scenario problem in its inputs; S' below is 1 where all samples share one model, else S.

    Parameters
    ----------
    scenarios
        The samples.

    Attributes
    ----------
    size
        N m, the number of inputs.
    moved
        (S', N, n, N m): row k is how x(k+1) follows the inputs.
    rows
        (S' N p, N m): how the bounded combinations C x(k+1) follow the inputs.
    hessian
        (N m, N m): of the cost, without slacks.
    low, high, price, price_quadratic
        (S', N, p): bounds, with their offsets, and prices with the discount (infinite of a hard row).
    reach
        (S', N, p): what inputs of magnitude one change a bounded combination by, at most; positive.

    Raises
    ------
    ModelError
        A terminal equality, which no single input sequence could satisfy for every sample; bounds that cross; no input.
    """

    def __init__(self, scenarios: Scenarios) -> None:
        self.scenarios = scenarios
        models = [joined(problem) for problem in scenarios.problems]
        self.first: LocalModel = models[0]
        if self.first.terminal_equality:
            raise ModelError("a terminal equality cannot hold for every sample: use terminal='none' or 'cost'")
        if not self.first.m:
            raise ModelError("a scenario problem needs at least one input")
        self._model = {name: np.stack([getattr(model, name) for model in models]) for name in _OF_SAMPLES}
        self._f_x = np.stack([model.f[: model.n] for model in models])
        self._V0 = np.array([model.V0 for model in models])
        self.weights = scenarios.problems[0].discount ** np.arange(scenarios.horizon + 1.0)
        self.size = scenarios.horizon * self.first.m
        self._effect = _effect(scenarios, self.first.n)
        own = self._model
        self.moved = _moved(own["A"], own["B"], scenarios.horizon)
        self.rows = np.einsum("spn,sknv->skpv", own["C"], self.moved).reshape(-1, self.size)
        self.low, self.high, self.price, self.price_quadratic = self._bounds()
        self.reach = np.maximum(np.abs(self.rows).sum(axis=1), np.finfo(float).tiny).reshape(self.low.shape)
        self._curvature = self._stage_weights()
        self.hessian = self._hessian()

    @property
    def shared(self) -> bool:
        """Whether all samples share one model."""
        return len(self.moved) == 1

    def free(self, given: Given) -> Array:
        """(S, N + 1, n): the states of every sample if all inputs were zero."""
        own, N, S = self._model, self.scenarios.horizon, self.scenarios.samples
        inflow = given.disturbance @ own["E"].transpose(0, 2, 1) + own["b"][:, None] + given.noise @ self._effect.T
        x = np.empty((S, N + 1, self.first.n))
        x[:, 0] = given.state
        for k in range(N):
            x[:, k + 1] = (own["A"] @ x[:, k, :, None])[..., 0] + inflow[:, k]
        return x

    def states(self, free: Array, u: Array) -> Array:
        """(S, N + 1, n): the states under the inputs u, (N m,)."""
        x = free.copy()
        x[:, 1:] += self.moved @ u
        return x

    def bounded(self, x: Array) -> Array:
        """(S, N, p): C x(k+1)."""
        return x[:, 1:] @ self._model["C"].transpose(0, 2, 1)

    def pushed(self, coefficients: Array) -> Array:
        """(N m,): sum over samples, stages and rows of coefficient (S, N, p) times row."""
        total = coefficients.sum(axis=0) if self.shared else coefficients
        return total.ravel() @ self.rows

    def gradient(self, given: Given, free: Array) -> Array:
        """(N m,): g with cost = 1/2 u'hessian u + g'u + constant, without slacks."""
        slope = self._state_slope(given, free)
        slope = slope.sum(axis=0, keepdims=True) if self.shared else slope
        f_u, w = self.first.f[self.first.n :], self.weights
        own = f_u - 2.0 * w[:-1, None] * (given.u_setpoint @ self.first.R)
        return slope.ravel() @ self.moved.reshape(-1, self.size) + self.scenarios.inputs_counted * own.ravel()

    def cost(self, given: Given, x: Array, u: Array, sigma: Array) -> float:
        """The value of a plan: the sum over the samples."""
        own, w = self._model, self.weights
        S, counted = self.scenarios.samples, self.scenarios.inputs_counted
        dx, du = x - given.x_setpoint, u.reshape(-1, self.first.m) - given.u_setpoint
        mixed = x[:, :-1] @ own["G"].transpose(0, 2, 1)
        total = np.broadcast_to(self._V0, (S,)).sum() + (x[:, :-1] * self._f_x[:, None]).sum()
        total += (w[:-1, None] * dx[:, :-1] * (dx[:, :-1] @ own["Q"])).sum()
        total += (w[:-1, None] * mixed * (mixed @ own["Q_c"])).sum()
        total += w[-1] * (dx[:, -1:] * (dx[:, -1:] @ own["P"])).sum()
        total += counted * ((u.reshape(du.shape) @ self.first.f[self.first.n :]).sum())
        total += counted * (w[:-1, None] * du * (du @ self.first.R)).sum()
        soft = np.where(np.isfinite(self.price), self.price, 0.0)
        return float(total + (sigma * (soft + self.price_quadratic * sigma)).sum())

    def _state_slope(self, given: Given, x: Array) -> Array:
        """(S, N, n): derivative of the cost, without slacks, by x(1..N)."""
        own, w = self._model, self.weights
        slope = np.empty((len(x), len(w) - 1, self.first.n))
        dx = x - given.x_setpoint
        G, Q_c = own["G"], own["Q_c"]
        mixed = x[:, 1:-1] @ (G.transpose(0, 2, 1) @ Q_c @ G)
        slope[:, :-1] = 2.0 * w[1:-1, None] * (dx[:, 1:-1] @ own["Q"] + mixed) + self._f_x[:, None]
        slope[:, -1] = 2.0 * w[-1] * (dx[:, -1:] @ own["P"])[:, 0]
        return slope

    def _stage_weights(self) -> Array:
        """(S', N, n, n): second derivative of the cost, without slacks, by x(1..N)."""
        own, w = self._model, self.weights
        weight = own["Q"] + own["G"].transpose(0, 2, 1) @ own["Q_c"] @ own["G"]
        stages = 2.0 * w[1:, None, None] * weight[:, None]
        stages[:, -1] = 2.0 * w[-1] * own["P"]
        return np.asarray(stages)

    def _hessian(self) -> Array:
        S, counted, N = self.scenarios.samples, self.scenarios.inputs_counted, self.scenarios.horizon
        weighted = (self._curvature @ self.moved).reshape(-1, self.size)
        states = weighted.T @ self.moved.reshape(-1, self.size) * (S if self.shared else 1)
        inputs = np.kron(np.diag(self.weights[:N]), 2.0 * counted * self.first.R)
        H = states + inputs
        return np.asarray((H + H.T) / 2.0)

    def _bounds(self) -> tuple[Array, Array, Array, Array]:
        own, N = self._model, self.scenarios.horizon
        low, high = own["lower"] + own["x_lb"], own["upper"] + own["x_ub"]
        if (low > high).any():
            s, row = np.argwhere(low > high)[0]
            raise ModelError(
                f"sample {s}: bounded row {row} of the network: lower {low[s, row]:g} exceeds upper {high[s, row]:g}"
            )
        stages = self.weights[:N, None]
        exists = np.isfinite(low) | np.isfinite(high)
        price = np.where(exists, own["slack_weight"], 0.0)[:, None] * stages
        quadratic = own["slack_quadratic"][:, None] * stages
        shape = (len(low), N, low.shape[1])
        return np.broadcast_to(low[:, None], shape), np.broadcast_to(high[:, None], shape), price, quadratic


def _moved(A: Array, B: Array, N: int) -> Array:
    """(S', N, n, N m): x(k+1) = ... + A^(k-j) B u(j)."""
    S, n, m = B.shape
    moved = np.zeros((S, N, n, N * m))
    for k in range(N):
        if k:
            moved[:, k] = A @ moved[:, k - 1]
        moved[:, k, :, k * m : (k + 1) * m] = B
    return moved


def _effect(scenarios: Scenarios, n: int) -> Array:
    """(n, w): of a draw of the noise on the network's next state."""
    noise = scenarios.noise
    width = 1 + max((int(index.max(initial=-1)) for index in noise.index), default=-1)
    effect, row = np.zeros((n, width)), 0
    for own, index in zip(noise.effects, noise.index, strict=True):
        effect[row : row + len(own), index] = own
        row += len(own)
    return effect
