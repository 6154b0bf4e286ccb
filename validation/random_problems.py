"""Random MPC problems from a blueprint: sizes, couplings, features, a seed. Each has a feasible point by construction.

A random trajectory of the network is rolled out first, and every bound is drawn around it, so that it satisfies all of
them. It is not optimal, so at the optimum many bounds are active.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem

FEATURES = (
    "coupled_bounds",  # rows of C_ij
    "coupling_cost",  # G, G_ij
    "declared",  # couplings that are shared though zero
    "discount",  # gamma = 0.9
    "disturbances",  # E and a disturbance that varies over the horizon
    "hard_bounds",
    "input_bounds",
    "linear_cost",  # f, V0
    "merely_convex",  # no state cost, or one of low rank
    "offsets",  # b, x_lb, x_ub
    "quadratic_slack",
    "rate_limits",
    "scales",  # states of very different size
    "set_points",  # that vary over the horizon
    "soft_bounds",
    "terminal_cost",
    "terminal_equality",
    "unstable",
)


@dataclass(frozen=True)
class Blueprint:
    """Everything that determines a random problem.

    Parameters
    ----------
    sizes
        (states, inputs) of each agent; an agent may have no input.
    arcs
        (j, i): agent j acts on agent i, through the dynamics, a bound or a cost.
    horizon
        N.
    features
        Some of :data:`FEATURES`; where a feature is there, each agent has it or not by the toss of a coin.
    seed
        Of the numbers.
    """

    sizes: tuple[tuple[int, int], ...]
    arcs: tuple[tuple[int, int], ...] = ()
    horizon: int = 3
    features: frozenset[str] = frozenset()
    seed: int = 0


def random_problem(blueprint: Blueprint) -> tuple[MPCProblem, tuple[AgentData, ...]]:
    """The problem of a blueprint, and data for it under which it has a feasible point.

    Input weights are positive definite, so that inputs and states of the solution are unique; multipliers need not be.
    """
    draw = _Draw(blueprint)
    parts = [draw.dynamics(i) for i in range(len(blueprint.sizes))]
    trajectory = draw.roll_out(parts)
    models, data = [], []
    for i in range(len(blueprint.sizes)):
        costs = draw.costs(i)
        bounds = draw.bounds(i, trajectory)
        models.append(LocalModel(**{**parts[i], **costs, **bounds, **draw.input_limits(i, trajectory)}))
        data.append(draw.data(i, trajectory, models[i].terminal_equality))
    discount = 0.9 if "discount" in blueprint.features else 1.0
    return MPCProblem(tuple(models), blueprint.horizon, discount), tuple(data)


@dataclass(frozen=True, eq=False)
class _Trajectory:
    """One array an agent: x (N + 1, n), u (N, m), d (N, d), input before the first (m,)."""

    x: list[Array]
    u: list[Array]
    d: list[Array]
    before: list[Array]


class _Draw:
    """The numbers of one blueprint, drawn in a fixed order."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.sizes, self.horizon = blueprint.sizes, blueprint.horizon
        self.features: Collection[str] = blueprint.features
        self.rng = np.random.default_rng(blueprint.seed)
        wide = 1.5 if "scales" in self.features else 0.0
        self.scale = [10.0 ** self.rng.uniform(-wide, wide, n) for n, _ in self.sizes]
        self.carriers = {arc: self._carriers() for arc in blueprint.arcs}

    def tossed(self, feature: str) -> bool:
        """Whether a feature that is on applies here."""
        return feature in self.features and self.rng.random() < 0.7

    def dynamics(self, i: int) -> dict[str, Any]:
        """A, B, A_ij, E, b and what is declared."""
        (n, m), rng, scale = self.sizes[i], self.rng, self.scale[i]
        A = rng.normal(size=(n, n))
        radius = rng.uniform(0.3, 1.2 if self.tossed("unstable") else 0.95)
        A *= radius / max(float(np.abs(np.linalg.eigvals(A)).max()), 0.1)
        d = int(rng.integers(1, 3)) if self.tossed("disturbances") else 0
        arcs = {j: how for (j, to), how in self.carriers.items() if to == i}
        return {
            "A": A * scale[:, None] / scale,
            "B": rng.normal(size=(n, m)) * scale[:, None],
            "A_ij": {j: scale[:, None] * self._coupling(n, j, 0.3) for j, how in arcs.items() if "dynamics" in how},
            "E": rng.normal(size=(n, d)) * scale[:, None],
            "b": (rng.normal(size=n) if self.tossed("offsets") else np.zeros(n)) * scale,
            "declared": {j: (int(rng.integers(self.sizes[j][0])),) for j, how in arcs.items() if "declared" in how},
        }

    def roll_out(self, parts: list[dict[str, Any]]) -> _Trajectory:
        """A trajectory of the coupled network under random inputs and disturbances."""
        rng, N = self.rng, self.horizon
        x = [np.vstack([scale * rng.normal(size=scale.size), np.zeros((N, scale.size))]) for scale in self.scale]
        u = [rng.normal(size=(N, m)) for _, m in self.sizes]
        d = [rng.normal(size=(N, part["E"].shape[1])) for part in parts]
        for k in range(N):
            for i, part in enumerate(parts):
                step = part["A"] @ x[i][k] + part["B"] @ u[i][k] + part["E"] @ d[i][k] + part["b"]
                x[i][k + 1] = step + sum(block @ x[j][k] for j, block in part["A_ij"].items())
        return _Trajectory(x, u, d, [inputs[0] + 0.3 * rng.normal(size=inputs.shape[1]) for inputs in u])

    def costs(self, i: int) -> dict[str, Any]:
        """Q, R, P, f, V0 and the coupling cost."""
        (n, m), rng, scale = self.sizes[i], self.rng, self.scale[i]
        cheap = self.tossed("merely_convex")
        f = rng.normal(size=n + m) / np.concatenate([scale, np.ones(m)])
        costs: dict[str, Any] = {
            "Q": self._weight(n, int(rng.integers(n)) if cheap else n, 0.0 if cheap else 0.1) / np.outer(scale, scale),
            "R": self._weight(m, m, 0.1),
            "P": self._weight(n, n, 0.1) / np.outer(scale, scale) if self.tossed("terminal_cost") else None,
            "terminal_equality": self.tossed("terminal_equality"),
            "f": 0.3 * f if self.tossed("linear_cost") else None,
            "V0": float(rng.normal()) if self.tossed("linear_cost") else 0.0,
        }
        partners = [j for (j, to), how in self.carriers.items() if to == i and "cost" in how]
        if partners:
            q = int(rng.integers(1, 3))
            costs["G"] = rng.normal(size=(q, n)) / scale
            costs["G_ij"] = {j: self._coupling(q, j, 1.0) for j in partners}
            costs["Q_c"] = self._weight(q, q, 0.1)
        return costs

    def bounds(self, i: int, trajectory: _Trajectory) -> dict[str, Any]:
        """C, C_ij and bounds: the trajectory satisfies the hard ones, and soft ones may cut it."""
        rng, n = self.rng, self.sizes[i][0]
        partners = [j for (j, to), how in self.carriers.items() if to == i and "bound" in how]
        kinds = [soft for soft, name in ((False, "hard_bounds"), (True, "soft_bounds")) if name in self.features]
        if not partners and not (kinds and rng.random() < 0.7):
            return {}
        p = int(rng.integers(1, n + 2))
        C = rng.normal(size=(p, n)) / self.scale[i]
        C_ij = {j: self._coupling(p, j, 0.5) for j in partners}
        rows = trajectory.x[i][1:] @ C.T + sum(trajectory.x[j][1:] @ block.T for j, block in C_ij.items())
        soft = rng.choice(kinds or [False, True], size=p)
        # a soft bound may lie inside the range of the trajectory
        inside, spread = np.where(soft, 0.3, 0.0), np.ptp(rows, axis=0)
        low = rows.min(axis=0) + inside * spread - rng.uniform(0.02, 0.5, p)
        high = rows.max(axis=0) - inside * spread + rng.uniform(0.02, 0.5, p)
        low, high = (np.where(rng.random(p) < 0.2, sign * np.inf, side) for sign, side in ((-1.0, low), (1.0, high)))
        x_lb, x_ub = (0.2 * rng.normal(size=(2, p))) if self.tossed("offsets") else np.zeros((2, p))
        quadratic = rng.uniform(0.1, 5.0, p) if self.tossed("quadratic_slack") else np.zeros(p)
        return {
            "C": C,
            "C_ij": C_ij,
            "lower": low - x_lb,
            "upper": high - x_ub,
            "x_lb": x_lb,
            "x_ub": x_ub,
            "slack_weight": np.where(soft, rng.uniform(0.5, 20.0, p), np.inf),
            "slack_quadratic": np.where(soft, quadratic, 0.0),
        }

    def input_limits(self, i: int, trajectory: _Trajectory) -> dict[str, Any]:
        """Bounds on inputs and their changes, around the trajectory's."""
        rng, m, u, limits = self.rng, self.sizes[i][1], trajectory.u[i], dict[str, Any]()
        if self.tossed("input_bounds"):
            absent = rng.random((2, m)) < 0.2
            limits["u_min"] = np.where(absent[0], -np.inf, u.min(axis=0) - rng.uniform(0.02, 0.5, m))
            limits["u_max"] = np.where(absent[1], np.inf, u.max(axis=0) + rng.uniform(0.02, 0.5, m))
        if self.tossed("rate_limits"):
            largest = np.abs(np.diff(np.vstack([trajectory.before[i], u]), axis=0)).max(axis=0)
            limits["du_max"] = np.where(rng.random(m) < 0.2, np.inf, largest + rng.uniform(0.02, 0.5, m))
        return limits

    def data(self, i: int, trajectory: _Trajectory, terminal_equality: bool) -> AgentData:
        """What an evaluation is told; with a terminal equality the trajectory ends at its set point."""
        (n, m), rng, N = self.sizes[i], self.rng, self.horizon
        wanted = self.tossed("set_points")
        x_ref = self.scale[i] * rng.normal(size=(N + 1, n)) if wanted else np.zeros((N + 1, n))
        u_ref = rng.normal(size=(N, m)) if wanted else np.zeros((N, m))
        if terminal_equality:
            x_ref[N] = trajectory.x[i][N]
        return AgentData(trajectory.x[i][0], trajectory.d[i], x_ref, u_ref, trajectory.before[i])

    def _carriers(self) -> frozenset[str]:
        """By what an arc acts: at least one way."""
        ways = [("coupled_bounds", "bound"), ("coupling_cost", "cost"), ("declared", "declared")]
        possible = ["dynamics", *(way for feature, way in ways if feature in self.features)]
        count = int(self.rng.integers(1, len(possible) + 1))
        return frozenset(self.rng.choice(possible, size=count, replace=False).tolist())

    def _coupling(self, rows: int, j: int, size: float) -> Array:
        """(rows, n_j): some columns of it are zero, one at least is not."""
        n_j = self.sizes[j][0]
        block = size * self.rng.normal(size=(rows, n_j)) / self.scale[j]
        block[:, (self.rng.random(n_j) < 0.5) & (np.arange(n_j) != self.rng.integers(n_j))] = 0.0
        return block

    def _weight(self, size: int, rank: int, least: float) -> Array:
        """(size, size): symmetric positive semidefinite, of a rank where `least` is zero, else positive definite."""
        root = self.rng.normal(size=(size, rank))
        return np.asarray(root @ root.T + least * np.eye(size))
