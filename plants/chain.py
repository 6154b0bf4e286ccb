"""The three-agent chain of Mallick, Airaldi, Dabiri and De Schutter (Automatica, 2024; example 1 of the paper).

Agents 1-2-3 in a line, two states and one input each, sample time 1 s:

    s_i(t+1) = A_i s_i(t) + B_i a_i(t) + sum_j A_ij s_j(t) + (e_i(t), 0),     e_i uniform on [-0.1, 0]

The noise pushes the first state below its bound 0: that is what makes the task hard. The agents of the paper do not
know these matrices; they start from inexact ones.
"""

from dataclasses import replace
from typing import Any, Literal

import control as ct
import numpy as np
from scipy.linalg import logm

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.errors import PlantError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants.disturbance import Source, UniformNoise
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant

_NEIGHBOURS = {1: (2,), 2: (1, 3), 3: (2,)}
# Own A (2, 2), own B (2,), effect of a neighbour's state (2, 2).
_TRUE = (np.array([[0.9, 0.35], [0.0, 1.1]]), np.array([0.0813, 0.2]), np.array([[0.0, 0.0], [0.0, -0.1]]))
_INITIAL = (np.array([[1.0, 0.25], [0.0, 1.0]]), np.array([0.0312, 0.25]), np.zeros((2, 2)))
_SAMPLE_TIME = 1


def chain(
    *,
    continuous: bool = False,
    noise: bool | Literal["common"] = True,
    model: Literal["true", "initial"] = "true",
    **options: Any,
) -> Plant:
    """The paper's chain, with its cost 1/2 (|s|^2 + 1/2 a^2) + 60 violation.

    Parameters
    ----------
    continuous
        False: the difference equation. True: the differential equation that gives the same samples under held inputs.
        Between its samples every agent and every input act on all agents, so that holding the neighbours would not
        give the difference equation back; MPC models are therefore those of the difference equation either way.
    noise
        True: a draw for each agent, as in the paper's training. "common": one draw for all, as in its evaluation runs.
        False: none. Unknown to controllers.
    model
        What MPC models describe: the true dynamics, or the inexact ones that learning starts from.
    **options
        Of :class:`Plant`: name, initial_state, violation_weight, Q, R ...

    Returns
    -------
    Plant
        States x1_1, x2_1, x1_2 ... (component, agent), inputs u_1.., disturbances e_1.. (or e). Limits 0 <= x1 <= 1,
        |x2| <= 1, |u| <= 1.

    Examples
    --------
    >>> chain().agents[1].neighbours
    ('agent_1', 'agent_3')
    """
    if model not in ("true", "initial") or noise not in (True, False, "common"):
        raise PlantError(
            f"chain: model is 'true' or 'initial', noise True, False or 'common'; got {model!r}, {noise!r}"
        )
    A, B = _chain_matrices(*_TRUE)
    E = np.kron(np.ones((3, 1)) if noise == "common" else np.eye(3), [[1.0], [0.0]])
    states = [f"{x}_{i}" for i in _NEIGHBOURS for x in ("x1", "x2")]
    inputs = [f"u_{i}" for i in _NEIGHBOURS]
    shocks = ["e"] if noise == "common" else [f"e_{i}" for i in _NEIGHBOURS]

    def system(A: Array, inflow: Array, dt: float) -> ct.StateSpace:
        direct = np.zeros((len(states), inflow.shape[1]))
        return ct.ss(A, inflow, np.eye(6), direct, dt, states=states, inputs=[*inputs, *shocks], outputs=states)

    discrete = system(A, np.hstack([B, E]), _SAMPLE_TIME)
    moving = system(*continuous_realisation(A, np.hstack([B, E]), _SAMPLE_TIME), 0) if continuous else discrete
    known = discrete
    if model == "initial":
        A, B = _chain_matrices(*_INITIAL)
        known = system(A, np.hstack([B, E]), _SAMPLE_TIME)
    source: Source | None = UniformNoise(-0.1, 0.0, _SAMPLE_TIME) if noise else None
    settings: dict[str, Any] = {
        "name": "chain",
        "initial_state": [0.0, 0.15] * 3,
        "Q": [0.5] * 6,
        "R": [0.25] * 3,
        "violation_weight": 60.0,
        **options,
    }
    return Plant(
        moving,
        _agents(shocks),
        prediction=known,
        disturbances=dict.fromkeys(shocks, source),
        state_limits={name: (0.0, 1.0) if name.startswith("x1") else (-1.0, 1.0) for name in states},
        input_limits=dict.fromkeys(inputs, (-1.0, 1.0)),
        **settings,
    )


def chain_model(true: bool = False) -> tuple[LocalModel, ...]:
    """The agents' MPC models of example 1, without known disturbances; both columns of each neighbour are declared.

    Parameters
    ----------
    true
        The true dynamics; False: the inexact ones that learning starts from, which have no coupling yet.

    Returns
    -------
    tuple of LocalModel
        Of agents 1, 2, 3, numbered from zero. The paper has N = 10 stages and gamma = 0.9.
    """
    models = chain(model="true" if true else "initial").local_models(_SAMPLE_TIME).models
    # A coupling that is to be learned is there, and shared, while it is still zero.
    declared = [{j - 1: (0, 1) for j in _NEIGHBOURS[i]} for i in _NEIGHBOURS]
    return tuple(
        replace(m, E=np.zeros((2, 0)), declared=d, A_ij={j: np.zeros((2, 2)) for j in d} | dict(m.A_ij))
        for m, d in zip(models, declared, strict=True)
    )


def continuous_realisation(Ad: Array, Bd: Array, sample_time: float) -> tuple[Array, Array]:
    """A, B of the differential equation whose exact zero-order hold is x(k+1) = Ad x(k) + Bd u(k).

    Parameters
    ----------
    Ad, Bd
        (n, n), (n, m): the discrete system; Ad without eigenvalues on the closed negative real axis.
    sample_time
        Seconds.

    Returns
    -------
    A, B
        (n, n), (n, m) per second: the principal matrix logarithm of [[Ad, Bd], [0, I]] over the sample time.

    Raises
    ------
    PlantError
        There is no real logarithm.
    """
    n, m = Bd.shape
    if any(pole.real <= 0.0 and abs(pole.imag) <= 1e-12 * abs(pole) for pole in np.linalg.eigvals(Ad)):
        raise PlantError(
            "a discrete system with a pole at zero or on the negative real axis has no real continuous one"
        )
    generator = logm(np.block([[Ad, Bd], [np.zeros((m, n)), np.eye(m)]])) / sample_time
    real: Array = np.asarray(np.real(generator), dtype=np.float64)
    return real[:n, :n], real[:n, n:]


def _chain_matrices(own: Array, inflow: Array, coupling: Array) -> tuple[Array, Array]:
    """A (6, 6) and B (6, 3) of three equal agents in a line."""
    line = np.array([[i in _NEIGHBOURS[j] for i in _NEIGHBOURS] for j in _NEIGHBOURS], dtype=float)
    A = np.kron(np.eye(3), own) + np.kron(line, coupling)
    B = np.kron(np.eye(3), inflow[:, None])
    return np.asarray(A, dtype=np.float64), np.asarray(B, dtype=np.float64)


def _agents(shocks: list[str]) -> list[Agent]:
    return [
        Agent(
            f"agent_{i}",
            (f"x1_{i}", f"x2_{i}"),
            (f"u_{i}",),
            tuple(e for e in shocks if e in ("e", f"e_{i}")),
            tuple(f"agent_{j}" for j in others),
        )
        for i, others in _NEIGHBOURS.items()
    ]
