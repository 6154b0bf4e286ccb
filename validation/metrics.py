"""The numbers of a closed loop that people compare: cost, violations, indices, solve times, agreement, statuses.

Everything is computed from the log alone, but for the indices that a plant defines for itself. A number that a run does
not have (a regulator has no ADMM) is None, never zero.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.status import Applied, Status

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import ControllerTrace, Run
    from dmpcrl_ctrl.plants.plant import Plant

# A state counts as outside its limit from here on: below lie the tolerances of the solvers, not decisions.
VIOLATION_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Violation:
    """How a state left its limits: at how many samples, and by how much at worst (in the state's unit)."""

    samples: int
    worst: float


@dataclass(frozen=True)
class Spread:
    """Median, 95th percentile and largest of a number that is taken once a sample."""

    median: float
    p95: float
    max: float

    @classmethod
    def of(cls, values: Array) -> "Spread | None":
        """Of the finite entries of `values`; None where there are none."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return None
        return cls(float(np.median(finite)), float(np.percentile(finite, 95)), float(finite.max()))


@dataclass(frozen=True)
class ControllerSummary:
    """What one controller did.

    Attributes
    ----------
    samples
        How often it was due.
    sample_time
        Seconds.
    statuses, applied, culprits
        Name -> at how many samples: outcome of the solve, where the input came from, which agent was to blame.
    first_failure
        Time in seconds of the first solve that failed, or None.
    solve_time
        Seconds.
    iterations
        Of ADMM.
    primal_residual, dual_residual
        Of ADMM after the last iteration of each sample.
    central_difference
        Largest |u - u_central| of each sample, where the controller was compared with the central solution.
    """

    samples: int
    sample_time: float
    statuses: Mapping[str, int]
    applied: Mapping[str, int]
    culprits: Mapping[str, int]
    first_failure: float | None
    solve_time: Spread | None
    iterations: Spread | None
    primal_residual: Spread | None
    dual_residual: Spread | None
    central_difference: Spread | None


@dataclass(frozen=True)
class Summary:
    """The numbers of one run.

    Attributes
    ----------
    t_end
        Seconds.
    samples
        Number K of logged intervals.
    total_cost, mean_cost
        Sum and mean over the samples of the stage cost of all agents.
    agent_cost
        Agent -> its total.
    violated_samples
        Samples at which any state was outside its limits.
    violations
        State -> how it left its limits; only the states that did.
    limited_states
        Number of states that have a limit at all.
    saturated
        Input -> at how many samples it stood at one of its limits; only the inputs that did.
    indices
        Index of the plant -> value.
    controllers
        Controller -> what it did.
    """

    t_end: float
    samples: int
    total_cost: float
    mean_cost: float
    agent_cost: Mapping[str, float]
    violated_samples: int
    violations: Mapping[str, Violation]
    limited_states: int
    saturated: Mapping[str, int]
    indices: Mapping[str, float]
    controllers: Mapping[str, ControllerSummary]

    def as_json(self) -> dict[str, Any]:
        """Plain tree for JSON; numbers that are not finite become None, because JSON has no word for them."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def summarise(run: "Run", plant: "Plant | None" = None) -> Summary:
    """The summary of a logged run.

    Parameters
    ----------
    run
        A finished run, from :func:`simulate` or :func:`open_log`.
    plant
        For its performance indices; None: no index.
    """
    cost = np.asarray(run.cost, dtype=float)
    outside = np.where(run.violations > VIOLATION_TOLERANCE, run.violations, 0.0)
    return Summary(
        t_end=float(run.time[-1]),
        samples=len(cost),
        total_cost=float(cost.sum()),
        mean_cost=float(cost.sum(axis=1).mean()) if len(cost) else 0.0,
        agent_cost=dict(zip(run.agent_names, cost.sum(axis=0).tolist(), strict=True)),
        violated_samples=int(outside.any(axis=1).sum()),
        violations={
            name: Violation(int((column > 0.0).sum()), float(column.max()))
            for name, column in zip(run.state_names, outside.T, strict=True)
            if column.any()
        },
        limited_states=int(np.isfinite(run.state_limits).any(axis=1).sum()),
        saturated=_saturated(run),
        indices={} if plant is None else _indices(run, plant),
        controllers={name: _controller(trace, run) for name, trace in run.controllers.items()},
    )


def _saturated(run: "Run") -> dict[str, int]:
    low, high = run.input_limits.T
    at_limit = (run.input <= low + VIOLATION_TOLERANCE) | (run.input >= high - VIOLATION_TOLERANCE)
    return {name: int(count) for name, count in zip(run.input_names, at_limit.sum(axis=0), strict=True) if count}


def _indices(run: "Run", plant: "Plant") -> dict[str, float]:
    if not plant.indices:
        return {}
    trajectory = run.trajectory(plant)
    return {name: float(index(trajectory)) for name, index in plant.indices.items()}


def _controller(trace: "ControllerTrace", run: "Run") -> ControllerSummary:
    fields, due = trace.fields, trace.due
    status = trace["status"] if "status" in fields else np.full(len(due), int(Status.OPTIMAL))
    failed = due & np.array([not Status(int(value)).ok for value in status], dtype=bool)

    def spread(name: str) -> Spread | None:
        return Spread.of(trace[name][due].astype(float)) if name in fields else None

    def last_residual(name: str) -> Spread | None:
        if name not in fields:
            return None
        table = trace[name][due].astype(float)
        done = np.maximum(np.isfinite(table).sum(axis=1), 1)
        return Spread.of(table[np.arange(len(table)), done - 1])

    applied = trace["applied_kind"][due] if "applied_kind" in fields else np.zeros(0, dtype=int)
    culprit = trace["culprit"][due] if "culprit" in fields else np.zeros(0, dtype=int)
    # A controller of the whole network has one agent: nobody in particular is to blame.
    agents = run.agent_names if sum(name.startswith("plan/") for name in fields) > 1 else ("the network",)
    blamed = Counter(agents[int(i)] for i in culprit if 0 <= i < len(agents))
    return ControllerSummary(
        samples=int(due.sum()),
        sample_time=float(trace.sample_time),
        statuses=_counts(status[due], Status) if "status" in fields else {},
        applied=_counts(applied, Applied),
        culprits=dict(blamed),
        first_failure=float(run.time[:-1][failed][0]) if failed.any() else None,
        solve_time=spread("solve_time"),
        iterations=spread("iterations"),
        primal_residual=last_residual("admm/primal_residual"),
        dual_residual=last_residual("admm/dual_residual"),
        central_difference=spread("central_difference"),
    )


def _counts(values: np.ndarray[Any, Any], names: type[Status] | type[Applied]) -> dict[str, int]:
    counted = Counter(int(value) for value in values)
    return {names(value).name.lower(): counted[value] for value in sorted(counted)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
