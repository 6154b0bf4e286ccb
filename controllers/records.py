"""What an MPC block writes down at every sample, and how the log is to read it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.certificate import AgreedCertificate, Certificate
from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.network import copies_held
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.status import Applied, Status
from dmpcrl_ctrl.value import Evaluation

# An agent's entries of a certificate, and what the network has of it, by their names in the log.
_SHARES = {
    "stationarity": "relative residual of the derivative of the Lagrangian",
    "feasibility": "relative residual of dynamics and bounds, with the neighbours' own trajectories",
    "sign": "relative residual of the signs of the multipliers",
    "complementarity": "relative residual of complementary slackness",
    "consensus": "largest relative difference of a copy from its owner's trajectory",
    "lower": "share in the lower bound on the value",
    "relaxed": "share in the cost of the roll-out; the upper bound, where nothing is violated",
    "violation": "by how much the roll-out leaves hard bounds",
}
_AGREED = {
    "lower": "each agent's belief of the lower bound on the value",
    "upper": "each agent's belief of the upper bound on the value",
    "residual": "each agent's belief of the root of the sum of all squared residuals",
}


def mpc_fields(problem: MPCProblem) -> tuple[Field, ...]:
    """Fields of every MPC block."""
    N, agents = problem.horizon, len(problem.models)
    inputs = sum(model.m for model in problem.models)
    fields = [
        Field("status", dtype="i1", long_name="outcome of the solve", flags=_flags(Status)),
        Field("applied_kind", dtype="i1", long_name="where the input came from", flags=_flags(Applied)),
        Field("culprit", dtype="i4", long_name="number of the agent to blame, -1 if none"),
        Field("value", long_name="optimal value V(s)"),
        Field("local_value", (agents,), long_name="share of each agent in V(s)", dims=("agent",)),
        Field("agreed_value", (agents,), long_name="each agent's belief of V(s) after averaging", dims=("agent",)),
        Field("solve_time", unit="s", long_name="time spent in the solve"),
        Field("iterations", dtype="i4", long_name="number of ADMM iterations"),
        Field("previous_input", (inputs,), long_name="input that the new one follows", dims=("output_name",)),
    ]
    for i, (name, model) in enumerate(zip(problem.names, problem.models, strict=True)):
        rows, known = len(model.lower), [copy.owner for copy in copies_held(problem, i)]
        plan = (N + 1) * (model.n + sum(problem.models[j].n for j in known)) + N * (model.m + rows)
        dual = N * model.n + model.n + 3 * N * rows + 4 * N * model.m
        parts = ["x(0..N)", "u(0..N-1)", "sigma(0..N-1)", *(f"{problem.names[j]}: x(0..N)" for j in known)]
        layout = ", ".join(parts) + ", by stage; NaN: not known"
        fields.append(Field(f"plan/{name}", (plan,), long_name=layout))
        fields.append(Field(f"dual/{name}", (dual,), long_name="multipliers, in the order of Duals"))
    return tuple(fields)


def data_fields(problem: MPCProblem) -> tuple[Field, ...]:
    """Fields of a block that reads ahead: what each agent knew of the whole horizon."""
    N, layout = problem.horizon, "disturbance(0..N-1), set points of x(0..N), of u(0..N-1), by stage"
    return tuple(
        Field(f"data/{name}", (N * model.d + (N + 1) * model.n + N * model.m,), long_name=layout)
        for name, model in zip(problem.names, problem.models, strict=True)
    )


def certificate_fields(agents: int) -> tuple[Field, ...]:
    """Fields of a block that certifies its evaluations."""
    each, dims = (agents,), ("agent",)
    return (
        *(Field(f"certificate/{name}", each, long_name=meaning, dims=dims) for name, meaning in _SHARES.items()),
        Field("certificate/value_lower", long_name="lower bound on the optimal value"),
        Field("certificate/value_upper", long_name="upper bound on the optimal value"),
        *(Field(f"certificate/agreed_{name}", each, long_name=meaning, dims=dims) for name, meaning in _AGREED.items()),
    )


def admm_fields(cap: int) -> tuple[Field, ...]:
    """Fields of a distributed block that runs at most `cap` iterations."""
    return (
        Field("admm/primal_residual", (cap,), long_name="largest |xt - S z| by iteration", dims=("iteration",)),
        Field("admm/dual_residual", (cap,), long_name="largest |W S (z - z_before)| by iteration", dims=("iteration",)),
    )


def mpc_record(
    problem: MPCProblem, evaluation: Evaluation, kind: Applied, elapsed: float, before: Array
) -> dict[str, Any]:
    """Values of :func:`mpc_fields`; plans and duals are left out where there are none."""
    record: dict[str, Any] = {
        "status": int(evaluation.status),
        "applied_kind": int(kind),
        "culprit": evaluation.culprit,
        "value": evaluation.value,
        "local_value": evaluation.local_values,
        "agreed_value": evaluation.agreed_values,
        "solve_time": elapsed,
        "iterations": evaluation.iterations,
        "previous_input": before,
    }
    for name, plan, dual in zip(problem.names, evaluation.plans, evaluation.duals, strict=False):
        record[f"plan/{name}"] = plan.flat()
        record[f"dual/{name}"] = dual.flat()
    return record


def data_record(problem: MPCProblem, data: Sequence[AgentData]) -> dict[str, Any]:
    """Values of :func:`data_fields`."""
    return {
        f"data/{name}": np.concatenate([known.disturbance.ravel(), known.x_setpoint.ravel(), known.u_setpoint.ravel()])
        for name, known in zip(problem.names, data, strict=True)
    }


def certificate_record(certificate: Certificate, beliefs: AgreedCertificate) -> dict[str, Any]:
    """Values of :func:`certificate_fields`."""
    lower, upper = certificate.value_bounds
    return (
        {f"certificate/{name}": getattr(certificate, name) for name in _SHARES}
        | {"certificate/value_lower": lower, "certificate/value_upper": upper}
        | {f"certificate/agreed_{name}": getattr(beliefs, name) for name in _AGREED}
    )


def admm_record(evaluation: Evaluation, cap: int) -> dict[str, Any]:
    """Values of :func:`admm_fields`, with NaN after the last iteration."""
    record = {}
    for name, residuals in (("primal", evaluation.primal_residuals), ("dual", evaluation.dual_residuals)):
        padded = np.full(cap, np.nan)
        padded[: len(residuals)] = residuals
        record[f"admm/{name}_residual"] = padded
    return record


def _flags(enumeration: type[Status] | type[Applied]) -> dict[int, str]:
    return {int(member): member.name.lower() for member in enumeration}
