"""The derivative of the policy by every agent's parameters, from two more evaluations of V and nothing else.

With an extra linear cost of the first inputs (the one that explores, `exploration.py`)

    V_q(theta) = min sum_i ( F_i + q_i'u_i(0) ),     dV_q/dq = pi,     d2V_q / dtheta_i dq = (dpi/dtheta_i)'

so what a direction v of the inputs pulls back to, (dpi/dtheta_i)'v, is how agent i's own gradient of V moves along
q = eps v. While no bound becomes active or inactive, plans and multipliers are affine in eps and the gradient, a sum of
products of two of them, is quadratic in it: the central difference

    ( dV_{+eps v}/dtheta_i - dV_{-eps v}/dtheta_i ) / (2 eps)

is exact, whatever eps. No KKT system is factorised across the agents; what crosses is what crosses for V. Where the
bounds that are active differ between the two sides the policy may have a kink, and that is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dmpcrl_ctrl.admm import ADMMState
from dmpcrl_ctrl.arrays import Array, Index
from dmpcrl_ctrl.errors import EvaluationError
from dmpcrl_ctrl.exploration import explored
from dmpcrl_ctrl.gradient import Gradient
from dmpcrl_ctrl.plan import Duals
from dmpcrl_ctrl.problem import AgentData
from dmpcrl_ctrl.value import Evaluation, Evaluator

# multipliers below this share of the agent's largest are zero
_ZERO = 1e-7
_INEQUALITIES = ("lower", "upper", "slack", "u_min", "u_max", "du_min", "du_max")


@dataclass(frozen=True, eq=False)
class Pullback:
    """What a direction of the inputs pulls back to.

    Attributes
    ----------
    gradients
        One an agent, with the keys of :attr:`Evaluation.gradient`: derivative of sum_j v_j'pi_j by every parameter of
        its model and by its data. All agents' inputs count.
    changed
        (M,): how many bounds of each agent are active on one side and not on the other. Where all are zero the
        derivative is exact; else a kink lies between the two sides, at most eps v away, and the gradients are secants.
    """

    gradients: tuple[Gradient, ...]
    changed: Index


def policy_pullback(
    evaluator: Evaluator,
    data: Sequence[AgentData],
    direction: Sequence[Array],
    memory: ADMMState | None = None,
    step: float = 1e-3,
) -> Pullback:
    """(dpi/dtheta_i)'v of every agent.

    Parameters
    ----------
    evaluator, data
        Where the policy is differentiated; every R must be positive definite.
    direction
        v: (m_i,) an agent.
    memory
        Of V at this state, to start ADMM from.
    step
        eps, positive: q = eps v moves the first inputs by about eps R^-1 v / 2. Larger loses less to the tolerance of
        solvers, smaller meets fewer kinks.

    Raises
    ------
    EvaluationError
        An evaluation failed, or the step is not positive.
    LearningError
        An R is not positive definite.
    """
    if not 0.0 < step < np.inf:
        raise EvaluationError(f"the step of a policy's derivative must be positive, got {step!r}")
    high = _tilted(evaluator, data, [step * v for v in direction], memory)
    low = _tilted(evaluator, data, [-step * v for v in direction], memory)
    pairs = zip(high.gradient, low.gradient, strict=True)
    gradients = tuple(_difference(up, down, 2.0 * step) for up, down in pairs)
    sides = zip(high.duals, low.duals, strict=True)
    changed = [np.count_nonzero(_active(up) != _active(down)) for up, down in sides]
    return Pullback(gradients, np.array(changed, dtype=np.intp))


def _tilted(
    evaluator: Evaluator, data: Sequence[AgentData], q: Sequence[Array], memory: ADMMState | None
) -> Evaluation:
    """V_q, as one whose gradient counts q'u(0) as a cost without parameters, not as a set point that R weighs."""
    models = evaluator.problem.models
    moved = [explored(d, model, own)[0] for d, model, own in zip(data, models, q, strict=True)]
    found = evaluator.evaluate(moved, memory=memory)
    if found.question is None:
        raise EvaluationError(f"the policy has no derivative where V cannot be evaluated: {found.status.message}")
    return replace(found, question=replace(found.question, data=tuple(data)))


def _difference(high: Mapping[Any, Any], low: Mapping[Any, Any], span: float) -> dict[Any, Any]:
    """(high - low) / span, entry by entry."""
    return {
        key: _difference(value, low[key], span) if isinstance(value, Mapping) else (value - low[key]) / span
        for key, value in high.items()
    }


def _active(duals: Duals) -> Array:
    """Which inequalities have a multiplier."""
    multipliers = np.concatenate([getattr(duals, name).ravel() for name in _INEQUALITIES])
    scale = max(np.abs(duals.flat()).max(initial=0.0), np.finfo(float).tiny)
    return np.asarray(multipliers > _ZERO * scale)
