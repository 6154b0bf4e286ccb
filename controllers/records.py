"""What an MPC block writes down at every sample, and how the log is to read it."""

from typing import Any

import numpy as np

from dmpcrl_ctrl.controllers.block import Field
from dmpcrl_ctrl.model import MPCProblem
from dmpcrl_ctrl.status import Applied, Status
from dmpcrl_ctrl.value import Evaluation


def mpc_fields(problem: MPCProblem) -> tuple[Field, ...]:
    """Fields of every MPC block."""
    N, agents = problem.horizon, len(problem.models)
    fields = [
        Field("status", dtype="i1", long_name="outcome of the solve", flags=_flags(Status)),
        Field("applied_kind", dtype="i1", long_name="where the input came from", flags=_flags(Applied)),
        Field("culprit", dtype="i4", long_name="number of the agent to blame, -1 if none"),
        Field("value", long_name="optimal value V(s)"),
        Field("local_value", (agents,), long_name="share of each agent in V(s)", dims=("agent",)),
        Field("agreed_value", (agents,), long_name="each agent's belief of V(s) after averaging", dims=("agent",)),
        Field("solve_time", unit="s", long_name="time spent in the solve"),
        Field("iterations", dtype="i4", long_name="number of ADMM iterations"),
    ]
    for name, model in zip(problem.names, problem.models, strict=True):
        rows = len(model.lower)
        plan = (N + 1) * model.n + N * model.m + N * rows
        dual = N * model.n + model.n + 3 * N * rows + 4 * N * model.m
        fields.append(Field(f"plan/{name}", (plan,), long_name="x(0..N), u(0..N-1), sigma(0..N-1), by stage"))
        fields.append(Field(f"dual/{name}", (dual,), long_name="multipliers, in the order of Duals"))
    return tuple(fields)


def admm_fields(cap: int) -> tuple[Field, ...]:
    """Fields of a distributed block that runs at most `cap` iterations."""
    return (
        Field("admm/primal_residual", (cap,), long_name="largest |xt - S z| by iteration", dims=("iteration",)),
        Field("admm/dual_residual", (cap,), long_name="largest |W S (z - z_before)| by iteration", dims=("iteration",)),
    )


def mpc_record(problem: MPCProblem, evaluation: Evaluation, kind: Applied, elapsed: float) -> dict[str, Any]:
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
    }
    for name, plan, dual in zip(problem.names, evaluation.plans, evaluation.duals, strict=False):
        record[f"plan/{name}"] = np.concatenate([plan.x.ravel(), plan.u.ravel(), plan.sigma.ravel()])
        record[f"dual/{name}"] = dual.flat()
    return record


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
