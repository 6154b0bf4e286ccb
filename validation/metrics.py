"""The numbers of a closed loop that people compare: cost, violations, indices, solve times, agreement, statuses.

Everything is computed from the log alone, but for the indices that a plant defines for itself and for what its agents
share. A number that a run does not have (a regulator has no ADMM) is None, never zero. A plant is looked at where its
controller sampled (`samples.py`), whoever else samples in the same loop.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.status import Applied, Status
from dmpcrl_ctrl.validation.agreement import Agreement, agreement_of
from dmpcrl_ctrl.validation.certified import bracket_widths, largest_residuals
from dmpcrl_ctrl.validation.record_fields import last_numbers, members, numbers
from dmpcrl_ctrl.validation.samples import columns_of, sample_rows, sampled

if TYPE_CHECKING:
    from dmpcrl_ctrl.cosim.log import ControllerTrace, Run
    from dmpcrl_ctrl.plants.plant import Plant

# A state counts as outside its limit from here on: below lie the tolerances of the solvers, not decisions.
VIOLATION_TOLERANCE = 1e-6

# Plant -> (K,): its samples.
Rows = Mapping[str, NDArray[np.bool_]]


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
    agreement
        Whether the agents agreed well enough, where that can be told.
    residual, bracket_width
        Largest residual of the optimality conditions, and width of the bracket on the value as a share of it.
    unbounded_samples
        Samples at which the bracket has no upper end: the roll-out breaks a hard bound.
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
    agreement: Agreement | None = None
    residual: Spread | None = None
    bracket_width: Spread | None = None
    unbounded_samples: int = 0


@dataclass(frozen=True)
class Summary:
    """The numbers of one run.

    Attributes
    ----------
    t_end
        Seconds.
    samples
        Number of samples: of the block that drives the plant, however often others sample.
    total_cost, mean_cost
        Sum and mean over the samples of the stage cost of all agents.
    agent_cost
        Agent -> its total.
    violated_samples
        Samples, and the end of the run, at which any state was outside its limits.
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
    rows = _rows(run)
    any_row = np.logical_or.reduce(list(rows.values()))
    cost = _at(np.asarray(run.cost, dtype=float), run.agent_names, rows, run)
    outside = beyond_limits(run)
    return Summary(
        t_end=float(run.time[-1]),
        samples=int(any_row.sum()),
        total_cost=float(cost.sum()),
        mean_cost=sum(
            float(cost[:, columns_of(run.agent_names, name, run)].sum() / own.sum()) if own.any() else 0.0
            for name, own in rows.items()
        ),
        agent_cost=dict(zip(run.agent_names, cost.sum(axis=0).tolist(), strict=True)),
        violated_samples=int(outside.any(axis=1).sum()),
        violations={
            name: Violation(int((column > 0.0).sum()), float(column.max()))
            for name, column in zip(run.state_names, outside.T, strict=True)
            if column.any()
        },
        limited_states=int(np.isfinite(run.state_limits).any(axis=1).sum()),
        saturated=_saturated(run, rows),
        indices={} if plant is None else _indices(run, plant, rows),
        controllers={name: _controller(trace, run, plant) for name, trace in run.controllers.items()},
    )


def stage_costs(run: "Run") -> tuple[Array, Array]:
    """Samples and end of the run (S + 1,) in seconds, and the stage costs of all agents (S,) that the total adds up."""
    rows = _rows(run)
    any_row = np.logical_or.reduce(list(rows.values()))
    cost = _at(run.cost, run.agent_names, rows, run).sum(axis=1)
    return run.time[np.append(any_row, True)], cost[any_row]


def beyond_limits(run: "Run") -> Array:
    """(K + 1, n): by how much each state is outside its limits at the samples of its plant, and at the end."""
    instants = {name: np.append(own, True) for name, own in _rows(run).items()}
    violations = _at(run.violations, run.state_names, instants, run)
    return np.where(violations > VIOLATION_TOLERANCE, violations, 0.0)


def _rows(run: "Run") -> dict[str, NDArray[np.bool_]]:
    return {name: sample_rows(run, name) for name in run.plants}


def _at(values: Array, names: tuple[str, ...], rows: Rows, run: "Run") -> Array:
    """`values` (K, len(names)), with zeros where the plant of a column has no sample."""
    seen = np.zeros(values.shape, dtype=bool)
    for plant, own in rows.items():
        seen |= np.outer(own, columns_of(names, plant, run))
    return np.where(seen, values, 0.0)


def _saturated(run: "Run", rows: Rows) -> dict[str, int]:
    low, high = run.input_limits.T
    at_limit = (run.input <= low + VIOLATION_TOLERANCE) | (run.input >= high - VIOLATION_TOLERANCE)
    counts = _at(at_limit, run.input_names, rows, run).sum(axis=0)
    return {name: int(count) for name, count in zip(run.input_names, counts, strict=True) if count}


def _indices(run: "Run", plant: "Plant", rows: Rows) -> dict[str, float]:
    if not plant.indices:
        return {}
    trajectory = sampled(run.trajectory(plant), rows[plant.name])
    return {name: float(index(trajectory)) for name, index in plant.indices.items()}


def _controller(trace: "ControllerTrace", run: "Run", plant: "Plant | None") -> ControllerSummary:
    due = trace.due
    status, applied = members(trace, "status", Status), members(trace, "applied_kind", Applied)
    failed = due & np.isin(np.full(len(due), -1) if status is None else status, [s for s in Status if not s.ok])

    widths = bracket_widths(trace)

    def spread(values: Array | None) -> Spread | None:
        return None if values is None else Spread.of(values[due])

    return ControllerSummary(
        samples=int(due.sum()),
        sample_time=float(trace.sample_time),
        statuses={} if status is None else _counts(status[due], Status),
        applied={} if applied is None else _counts(applied[due], Applied),
        culprits=_culprits(trace, run),
        first_failure=float(run.time[:-1][failed][0]) if failed.any() else None,
        solve_time=spread(numbers(trace, "solve_time")),
        iterations=spread(numbers(trace, "iterations")),
        primal_residual=spread(last_numbers(trace, "admm/primal_residual")),
        dual_residual=spread(last_numbers(trace, "admm/dual_residual")),
        central_difference=spread(numbers(trace, "central_difference")),
        agreement=agreement_of(trace, run, plant),
        residual=spread(largest_residuals(trace)),
        bracket_width=spread(widths),
        unbounded_samples=0 if widths is None else int(np.isinf(widths[due]).sum()),
    )


def _culprits(trace: "ControllerTrace", run: "Run") -> dict[str, int]:
    culprit = numbers(trace, "culprit")
    if culprit is None:
        return {}
    # A controller of the whole network has one agent: nobody in particular is to blame.
    agents = run.agent_names if sum(name.startswith("plan/") for name in trace.fields) > 1 else ("the network",)
    blamed = culprit[trace.due & np.isin(culprit, range(len(agents)))]
    return dict(Counter(agents[int(i)] for i in blamed))


def _counts(values: NDArray[np.int64], names: type[Status] | type[Applied]) -> dict[str, int]:
    counted = Counter(int(value) for value in values if value >= 0)
    return {names(value).name.lower(): counted[value] for value in sorted(counted)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
