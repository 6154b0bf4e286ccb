"""The agents' MPC data, from prediction models and the plant's task: what a controller asks of a plant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, solve_discrete_are, solve_discrete_lyapunov

from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.messages import unknown
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants.partition import Partition, SignalNames
from dmpcrl_ctrl.plants.prediction import AgentDynamics
from dmpcrl_ctrl.plants.signals import Named, prices, weight
from dmpcrl_ctrl.plants.task import Task


@dataclass(frozen=True, eq=False)
class MPCOptions:
    """How a plant's task becomes MPC data.

    Parameters
    ----------
    terminal
        "none"; "stage": weighted by Q like any other state; "cost": the discrete Riccati matrix of each agent's own
        model; "equality": x(N) = xbar.
    soft
        Whether state limits may be violated at a price; None: where there is a price (of the plant or given here).
    slack_weight, slack_quadratic
        Linear and quadratic price: one number, or a mapping state name -> price. Default: the plant's
        `violation_weight`, and 0.
    Q, R
        Weights instead of the plant's, as for :class:`dmpcrl_ctrl.plants.Plant`.
    discount
        gamma, which the Riccati matrix of `terminal="cost"` takes into account.
    """

    terminal: str = "none"
    soft: bool | None = None
    slack_weight: float | Mapping[str, float] | None = None
    slack_quadratic: float | Mapping[str, float] = 0.0
    Q: Named | None = None
    R: Named | None = None
    discount: float = 1.0

    @classmethod
    def of(cls, given: Mapping[str, Any], plant: str) -> "MPCOptions":
        """Options by name; ModelError where there is no such option."""
        for option in given:
            if option not in cls.__annotations__:
                raise ModelError(unknown(option, cls.__annotations__, f"{plant}: MPC option"))
        return cls(**given)

    def __post_init__(self) -> None:
        if self.terminal not in ("none", "stage", "cost", "equality"):
            raise ModelError(f"terminal must be 'none', 'stage', 'cost' or 'equality', got {self.terminal!r}")
        if not 0.0 < self.discount <= 1.0:
            raise ModelError(f"discount must lie in (0, 1], got {self.discount!r}")


@dataclass(frozen=True, eq=False)
class LocalModels:
    """One local model an agent, and where its signals stand in the plant's vectors.

    Parameters
    ----------
    models
        One an agent.
    names
        Agent names.
    state_index, input_index, disturbance_index
        For each agent the positions of its signals in the plant's state, control input and disturbance vectors.
    state_names, input_names, disturbance_names
        Of the whole plant.
    """

    models: tuple[LocalModel, ...]
    names: tuple[str, ...]
    state_index: tuple[Index, ...]
    input_index: tuple[Index, ...]
    disturbance_index: tuple[Index, ...]
    state_names: tuple[str, ...]
    input_names: tuple[str, ...]
    disturbance_names: tuple[str, ...]


def build_local_models(
    dynamics: tuple[AgentDynamics, ...],
    partition: Partition,
    task: Task,
    setpoint: Array,
    names: SignalNames,
    sample_time: float,
    options: MPCOptions,
) -> LocalModels:
    """Put prediction models, weights, limits and terminal conditions together.

    Parameters
    ----------
    dynamics, partition
        The agents' models, and who has which signals.
    task
        Weights and limits of the whole plant.
    setpoint
        (n + m,): set points where the caller of an evaluation gives none.
    names
        The plant's signals.
    sample_time
        Seconds, for the rate limits.
    options
        Terminal condition, slacks, weights.

    Raises
    ------
    ModelError
        Weights between two agents; no stabilising Riccati solution; soft limits without a price.
    """
    Q = task.Q if options.Q is None else weight(options.Q, names.states, "Q")
    R = task.R if options.R is None else weight(options.R, names.inputs, "R")
    _require_block_diagonal("Q", Q, partition.state_index, partition, "states")
    _require_block_diagonal("R", R, partition.input_index, partition, "inputs")
    linear, quadratic = _slack_prices(task, names, options)
    x_setpoint, u_setpoint = np.split(setpoint, [len(names.states)])
    models = []
    for i, own in enumerate(dynamics):
        states, inputs = partition.state_index[i], partition.input_index[i]
        limited = np.isfinite(task.state_limits[states]).any(axis=1)
        rows = states[limited]
        Q_i, R_i = Q[np.ix_(states, states)], R[np.ix_(inputs, inputs)]
        P = Q_i if options.terminal == "stage" else None
        if options.terminal == "cost":
            P = _terminal_weight(own, Q_i, R_i, options.discount, partition.agents[i].name)
        models.append(
            LocalModel(
                A=own.A,
                B=own.B,
                A_ij=own.A_ij,
                E=own.E,
                b=own.b,
                Q=Q_i,
                R=R_i,
                P=P,
                terminal_equality=options.terminal == "equality",
                C=np.eye(len(states))[limited],
                lower=task.state_limits[rows, 0],
                upper=task.state_limits[rows, 1],
                slack_weight=linear[rows],
                slack_quadratic=quadratic[rows],
                u_min=task.input_limits[inputs, 0],
                u_max=task.input_limits[inputs, 1],
                du_max=task.rate_limits[inputs] * sample_time,
                x_setpoint=x_setpoint[states],
                u_setpoint=u_setpoint[inputs],
            )
        )
    agents = tuple(agent.name for agent in partition.agents)
    where = (partition.state_index, partition.input_index, partition.disturbance_index)
    return LocalModels(tuple(models), agents, *where, names.states, names.inputs, names.disturbances)


def _slack_prices(task: Task, names: SignalNames, options: MPCOptions) -> tuple[Array, Array]:
    """(n,) linear prices (inf: hard) and (n,) quadratic prices of leaving the state limits."""
    linear = task.violation_weight
    if options.slack_weight is not None:
        linear = prices(options.slack_weight, names.states, "slack_weight")
    quadratic = prices(options.slack_quadratic, names.states, "slack_quadratic")
    priced = (linear > 0.0) | (quadratic > 0.0)
    if options.soft:
        free = np.isfinite(task.state_limits).any(axis=1) & ~priced
        if free.any():
            name = names.states[int(np.flatnonzero(free)[0])]
            raise ModelError(
                f"soft limits of {name!r} have no price; give slack_weight, or violation_weight of the plant"
            )
    soft = priced if options.soft is not False else np.zeros_like(priced)
    return np.where(soft, linear, np.inf), np.where(soft, quadratic, 0.0)


def _terminal_weight(own: AgentDynamics, Q: Array, R: Array, discount: float, agent: str) -> Array:
    """(n, n): P with x'Px the cost to go of the agent's own model, neighbours and disturbances at zero."""
    # gamma^k |x|^2 is |gamma^(k/2) x|^2, so that the discounted problem is the plain one of sqrt(gamma) (A, B).
    A, B = np.sqrt(discount) * own.A, np.sqrt(discount) * own.B
    try:
        if B.shape[1] == 0:
            P, closed = solve_discrete_lyapunov(A.T, Q), A
        else:
            P = solve_discrete_are(A, B, Q, R)
            closed = A - B @ np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
    except (LinAlgError, ValueError) as error:
        raise ModelError(f"{agent}: terminal='cost' has no Riccati solution ({error}); use terminal='none'") from error
    radius = float(np.abs(np.linalg.eigvals(closed)).max(initial=0.0))
    if not radius < 1.0:
        raise ModelError(
            f"{agent}: terminal='cost' needs a model that its inputs can stabilise, but a pole of modulus {radius:.6g} "
            "remains; use terminal='none'"
        )
    return (P + P.T) / 2.0


def _require_block_diagonal(name: str, W: Array, index: tuple[Index, ...], partition: Partition, what: str) -> None:
    owner = np.zeros(W.shape[0], dtype=np.intp)
    for i, own in enumerate(index):
        owner[own] = i
    rows, columns = np.nonzero(W)
    across = np.flatnonzero(owner[rows] != owner[columns])
    if across.size:
        i, j = owner[rows[across[0]]], owner[columns[across[0]]]
        raise ModelError(
            f"{name} couples {what} of {partition.agents[i].name} and {partition.agents[j].name}; local models have "
            "their own weights only: use hold='network', or a coupling cost (G, G_ij)"
        )
