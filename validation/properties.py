"""Laws that every MPC block obeys: checks of any controller with `evaluate` and `problem`, at one state.

    from dmpcrl_ctrl.validation.properties import check_bellman
    check_bellman(controller, state)

Each check returns the largest deviation that it found, relative to the size of what is compared, and raises
:class:`~dmpcrl_ctrl.errors.LawError` with the numbers where that exceeds the tolerance. What it holds the controller
against comes from the block's `problem` alone, solved by one central program: nothing that the block says of itself is
believed. Where a law says nothing, as at a state without a feasible plan,
:class:`~dmpcrl_ctrl.errors.LawInapplicableError` is raised.

`given` is what `evaluate` takes besides: `setpoint`, `disturbance`, `previous_input`.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.bracket import admissible
from dmpcrl_ctrl.errors import LawInapplicableError
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.finite_differences import compare, slopes
from dmpcrl_ctrl.validation.truth import Truth, apart, evaluated, solved, text
from dmpcrl_ctrl.value import Evaluation

TOLERANCE = 1e-6
# a sum over agents, or a bound that has a margin of its own, is off by rounding only
ROUNDING = 1e-9
# how far from the policy other actions are tried, relative to the range of the input
_DISTANCES = (1.0, 0.3, 0.1, 0.03, 0.01)
_NO_SOLUTION = (Status.PRIMAL_INFEASIBLE, Status.DUAL_INFEASIBLE, Status.CONSENSUS_STALLED)
_CERTIFIED = ("stationarity", "feasibility", "sign", "complementarity")


def check_bellman(
    controller: Any, state: ArrayLike, *, tolerance: float = TOLERANCE, seed: int = 0, **given: Any
) -> float:
    """V(s) = min of Q(s, a) over the admissible a, attained by the policy.

    Q(s, .) is convex, so that random actions near the policy and far from it see a minimum that lies elsewhere. Actions
    that leave no feasible plan have an infinite Q and are passed over.
    """
    truth = solved(controller, state, None, given)
    V = evaluated(controller, truth, given)
    rng, worst = np.random.default_rng(seed), check_policy(controller, state, tolerance=tolerance, **given)
    for distance in _DISTANCES:
        action = truth.signals.joined(_admissible_actions(truth, V.action, distance, rng))
        Q = controller.evaluate(state, action, **given)
        below = (V.value - Q.value) / truth.size if Q.status.ok else 0.0
        worst = max(worst, below)
        if not below <= tolerance:
            expected = f"Q(s, a) of at least V(s) = {V.value:.12g} for a = {text(action)}"
            truth.broken("V(s) = min Q(s, a)", expected, f"{Q.value:.12g}", below)
    return float(worst)


def check_policy(controller: Any, state: ArrayLike, *, tolerance: float = TOLERANCE, **given: Any) -> float:
    """V(s) = Q(s, pi(s)), and the input that is sent is the first one of the plan."""
    truth = solved(controller, state, None, given)
    V, worst = evaluated(controller, truth, given), 0.0
    for name, plan, sent in zip(truth.names, V.plans, V.action, strict=True):
        error = apart(sent[None], plan.u[:1])
        worst = max(worst, error)
        if not error <= tolerance:
            truth.broken("the input is the plan's", f"{text(plan.u[0])} of {name}", text(sent), error)
    action = truth.signals.joined(V.action)
    Q = controller.evaluate(state, action, **given)
    if not Q.status.ok:
        # hard bounds that are active at the policy leave it feasible to rounding only
        raise LawInapplicableError(f"Q at the policy has no value: {Q.status.message}")
    error = abs(Q.value - V.value) / truth.size
    if not error <= tolerance:
        truth.broken("V(s) = Q(s, pi(s))", f"{V.value:.12g} for pi(s) = {text(action)}", f"{Q.value:.12g}", error)
    return max(worst, float(error))


def check_kkt(
    controller: Any, state: ArrayLike, action: ArrayLike | None = None, *, tolerance: float = TOLERANCE, **given: Any
) -> float:
    """Plans and multipliers solve the network's problem, and the values are those of the plans.

    The residuals are computed from plans, multipliers and the problem; see
    :class:`~dmpcrl_ctrl.certificate.Certificate`.
    """
    truth = solved(controller, state, action, given)
    found = evaluated(controller, truth, given)
    worst = _start_is_given(truth, found, tolerance)
    certificate = truth.certificate(found.plans, found.duals)
    for kind in _CERTIFIED:
        residuals = np.nan_to_num(getattr(certificate, kind), nan=np.inf)
        i = int(np.argmax(residuals))
        worst = max(worst, float(residuals[i]))
        if not residuals[i] <= tolerance:
            truth.broken(
                "optimality", f"no residual of {kind} of {truth.names[i]}", f"{residuals[i]:.3g}", residuals[i]
            )
    costs = [sum(point.costs()) for point in agent_points(truth.problem, truth.data, found.plans, found.duals)]
    rows = zip(("network", *truth.names), (sum(costs), *costs), (found.value, *found.local_values), strict=True)
    for name, expected, value in rows:
        error = float(abs(value - expected) / truth.size)
        worst = max(worst, error)
        if not error <= tolerance:
            truth.broken("the value is the plans' cost", f"{expected:.12g} of {name}", f"{value:.12g}", error)
    return worst


def check_duals(
    controller: Any, state: ArrayLike, action: ArrayLike | None = None, *, tolerance: float = TOLERANCE, **given: Any
) -> float:
    """Dual recovery (Proposition 2): the local multipliers are the central ones.

    Where these are not unique, others do as well if they satisfy the optimality conditions of the network's problem:
    the derivative of its Lagrangian vanishes, signs and complementarity hold.
    """
    truth = solved(controller, state, action, given)
    found = evaluated(controller, truth, given)
    worst, expected, value = 0.0, "", ""
    for name, mine, theirs in zip(truth.names, found.duals, truth.central.duals, strict=True):
        size = float(np.abs(theirs.flat()).max(initial=0.0)) or 1.0
        for kind in mine.__dataclass_fields__:
            gaps = np.nan_to_num(np.abs(getattr(mine, kind) - getattr(theirs, kind)) / size, nan=np.inf)
            if gaps.max(initial=0.0) > worst:
                at = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
                worst, place = float(gaps[at]), f"{kind}{[int(k) for k in at]} of {name}"
                expected, value = f"{getattr(theirs, kind)[at]:.9g} for {place}", f"{getattr(mine, kind)[at]:.9g}"
    if worst <= tolerance:
        return worst
    residual = truth.certificate(found.plans, found.duals).residual
    if not residual <= tolerance:
        truth.broken("dual recovery", expected, value, worst)
    return residual


def check_gradient(
    controller: Any,
    state: ArrayLike,
    action: ArrayLike | None = None,
    *,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    parameters: Collection[str] | None = None,
    **given: Any,
) -> float:
    """The gradient is that of central differences of the value; kinks are passed over.

    `parameters` are the names of those that are looked at (None: all), `seed` is that of the directions.
    """
    truth = solved(controller, state, action, given)
    found = evaluated(controller, truth, given)
    reference = slopes(truth.problem, truth.data, truth.split_action(), seed=seed, parameters=parameters)
    seen = compare(reference, found.gradient, truth.names)
    if not seen.compared:
        raise LawInapplicableError("the value has a kink in every direction that was tried")
    if not seen.error <= tolerance:
        truth.broken("gradient", f"{seen.expected:.9g} along {seen.where}", f"{seen.found:.9g}", seen.error)
    return seen.error


def check_central(
    controller: Any, state: ArrayLike, action: ArrayLike | None = None, *, tolerance: float = TOLERANCE, **given: Any
) -> float:
    """Value and plans are those of the central solution, and no solvable problem is called unsolvable.

    Plans are compared where they are unique: where all input weights are positive definite. The value is flat at its
    least, so that they are known to the root of the tolerance.
    """
    law, truth = "distributed = central", solved(controller, state, action, given)
    status = controller.evaluate(state, action, **given).status
    if status in _NO_SOLUTION:
        truth.broken(law, f"the value {truth.central.value:.12g}", status.message, np.inf)
    found = evaluated(controller, truth, given)
    worst = float(abs(found.value - truth.central.value) / truth.size)
    if not worst <= tolerance:
        truth.broken(law, f"the value {truth.central.value:.12g}", f"{found.value:.12g}", worst)
    if any(model.m and np.linalg.eigvalsh(model.R)[0] <= 0.0 for model in truth.problem.models):
        return worst
    for name, mine, theirs in zip(truth.names, found.plans, truth.central.plans, strict=True):
        for kind in ("u", "x"):
            error = apart(getattr(mine, kind), getattr(theirs, kind))
            if not error <= np.sqrt(tolerance):
                ends = (text(getattr(plan, kind)[-1]) for plan in (theirs, mine))
                truth.broken(law, f"{name}'s plan of {kind} to end in {next(ends)}", next(ends), error)
    return worst


def check_averaging(
    controller: Any, state: ArrayLike, action: ArrayLike | None = None, *, tolerance: float = ROUNDING, **given: Any
) -> float:
    """Averaging preserves the sum: over the agents, what they believe of the total has the total as its mean."""
    truth = solved(controller, state, action, given)
    found, law = evaluated(controller, truth, given), "averaging preserves the sum"
    total = float(np.sum(found.local_values))
    worst = 0.0
    for what, value in (("value", found.value), ("mean of the agents' beliefs", float(np.mean(found.agreed_values)))):
        error = abs(value - total) / max(float(np.abs(found.local_values).sum()), truth.size)
        worst = max(worst, error)
        if not error <= tolerance:
            truth.broken(law, f"{total:.12g}, the sum of the local values, for the {what}", f"{value:.12g}", error)
    return worst


def check_bracket(
    controller: Any, state: ArrayLike, action: ArrayLike | None = None, *, tolerance: float = ROUNDING, **given: Any
) -> float:
    """The bracket of the certificate holds the optimal value, be the iterates good or bad."""
    truth = solved(controller, state, action, given)
    lower, upper = evaluated(controller, truth, given).certificate.value_bounds
    outside = max(lower - truth.central.value, truth.central.value - upper, 0.0) / truth.size
    if not outside <= tolerance:
        truth.broken("bracket", f"{truth.central.value:.12g} inside", f"[{lower:.12g}, {upper:.12g}]", outside)
    return float(outside)


def _admissible_actions(
    truth: Truth, policy: tuple[Array, ...], distance: float, rng: np.random.Generator
) -> list[Array]:
    """Random actions at a distance from the policy, relative to the range of the inputs, within their bounds."""
    actions = []
    for model, data, a in zip(truth.problem.models, truth.data, policy, strict=True):
        width = model.u_max - model.u_min
        width = np.where(np.isfinite(width), width, 1.0 + np.abs(a))
        tried = a + distance * width * rng.uniform(-1.0, 1.0, a.shape)
        actions.append(admissible(model, data, tried[None], False)[0])
    return actions


def _start_is_given(truth: Truth, found: Evaluation, tolerance: float) -> float:
    """Plans start from the state, and with the action where one is given."""
    worst, actions = 0.0, truth.split_action()
    for i, (name, plan, data) in enumerate(zip(truth.names, found.plans, truth.data, strict=True)):
        pairs = [("state", plan.x[:1], data.state)]
        pairs += [] if actions is None else [("action", plan.u[:1], actions[i])]
        for what, first, expected in pairs:
            error = apart(first, expected[None])
            worst = max(worst, error)
            if not error <= tolerance:
                truth.broken(f"plans start from the {what}", f"{text(expected)} of {name}", text(first[0]), error)
    return worst
