"""Is what a predictive controller wrote down true: its plans, their value, the certificates, what it sent out?

Everything is recomputed from the file alone, with the models, measurements, plans and multipliers that it holds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dmpcrl_ctrl.arrays import Array, existing
from dmpcrl_ctrl.certificate import Certificate, certify
from dmpcrl_ctrl.cosim.log_reader import LogReader
from dmpcrl_ctrl.cosim.problem_reader import LoggedProblem
from dmpcrl_ctrl.cosim.trace import ControllerTrace
from dmpcrl_ctrl.lagrangian import AgentPoint, agent_points
from dmpcrl_ctrl.network import Components, coupling_components
from dmpcrl_ctrl.status import Applied, Status
from dmpcrl_ctrl.validation.comparison import Compared, Where, compared, verdict
from dmpcrl_ctrl.validation.logged_averaging import LoggedAveraging, logged_averaging
from dmpcrl_ctrl.validation.verdict import Outcome, Verdict

# Of the terms that make a number: what rounding may change when they are summed in another order.
ROUNDING = 1e-12
# Of relative residuals; entries may be measured against 1e-5 of the terms of their component.
RESIDUAL = 1e-10
# What local programs are solved to, relative to the terms of a row.
SOLVED = 1e-8
_NOTHING = 1e-6

_FOUR = ("stationarity", "feasibility", "sign", "complementarity")

# Check -> what is allowed.
CHECKS = {
    "plans begin where it measured": "none",
    "plans obey models and bounds": f"{SOLVED:g} of the terms",
    "values": f"{ROUNDING:g} of the terms",
    "agreed values": "what averaging leaves",
    "residuals": f"{RESIDUAL:g}, or 1e-6 of the claim",
    "bracket": f"{ROUNDING:g} of the terms",
    "agreed certificates": "what averaging leaves",
}
_OF_CERTIFICATES = ("residuals", "bracket", "agreed certificates")

Part = tuple[str, Compared]


@dataclass(frozen=True, eq=False)
class Solves:
    """What a controller solved.

    Attributes
    ----------
    name, time, output, due
        Of the controller, and (K,) of its rows; what it sent out, and when it was its turn.
    claims
        Its records by their names.
    logged, components, agreement
        Its problem, through what the agents are coupled, and how they average.
    interval
        Samples from one certificate to the next; 0 where there are none.
    """

    name: str
    time: Array
    output: Array
    due: NDArray[np.bool_]
    claims: Mapping[str, NDArray[Any]]
    logged: LoggedProblem
    components: Components
    agreement: LoggedAveraging
    interval: int

    @classmethod
    def of(cls, trace: ControllerTrace, time: Array, reader: LogReader) -> Self:
        """Of a controller's records."""
        logged = LoggedProblem.of(reader, trace)
        wanted = ("status", "applied_kind", "previous_input", "value", "local_value", "agreed_value")
        claims = {name: trace[name] for name in trace.fields if name in wanted or name.startswith("certificate/")}
        components, agreement = (
            coupling_components(logged.problem),
            logged_averaging(logged.problem, reader, trace.name),
        )
        interval = _interval(reader, trace.name) if "certificate/lower" in claims else 0
        return cls(trace.name, time, trace.output, trace.due, claims, logged, components, agreement, interval)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the agents."""
        return self.logged.problem.names

    @cached_property
    def certified(self) -> NDArray[np.bool_]:
        """(K,): rows that must have a certificate, or that say they have one, whether it was due or not."""
        if not self.interval:
            return np.zeros_like(self.due)
        return self.well & (((np.cumsum(self.due) - 1) % self.interval == 0) | self.claimed)

    @cached_property
    def claimed(self) -> NDArray[np.bool_]:
        """(K,): rows at which any number of a certificate stands."""
        claims = [claim for name, claim in self.claims.items() if name.startswith("certificate/")]
        found = [~np.isnan(claim).reshape(len(claim), -1).all(axis=1) for claim in claims]
        return self.due & np.any([np.zeros_like(self.due), *found], axis=0)

    @cached_property
    def well(self) -> NDArray[np.bool_]:
        """(K,): rows at which a solve went well."""
        return self.due & np.isin(self.claims["status"], [int(status) for status in Status if status.ok])

    def where(self, k: int, what: str, names: Sequence[str] = ()) -> Where:
        """What messages call an entry of something at row k; its first index may have names."""

        def named(index: tuple[int, ...]) -> str:
            own = f"{names[index[0]]}: {what}" if names else what + "".join(f"[{c}]" for c in index)
            return f"t = {self.time[k]:g} s, {own}"

        return named


def check_solves(
    trace: ControllerTrace, time: Array, reader: LogReader, progress: Callable[[float], None]
) -> list[Verdict]:
    """Verdicts on one controller; `time` holds at least the times of its rows.

    Raises
    ------
    LogError
        Its records do not fit its problem.
    """
    if "status" not in trace.fields or not any(field.startswith("plan/") for field in trace.fields):
        return [Verdict(f"{trace.name}: plans", Outcome.SKIPPED, "it wrote down no plans")]
    if any(field.startswith("theta/") for field in trace.fields):
        return [Verdict(f"{trace.name}: plans", Outcome.SKIPPED, "its models moved as it learned; not recomputed")]
    solves = Solves.of(trace, time, reader)
    totals = dict.fromkeys(CHECKS, Compared(0))
    rows = np.flatnonzero(solves.due).tolist()
    for done, k in enumerate(rows, start=1):
        for check, part in _row(solves, k):
            totals[check] = totals[check].joined(part)
        progress(done / len(rows))
    none = {} if solves.interval else dict.fromkeys(_OF_CERTIFICATES, "it wrote down no certificates")
    applied = verdict(f"{trace.name}: inputs follow from plans", _applied(solves, trace.output_names), "none")
    return [
        applied,
        *(verdict(f"{trace.name}: {name}", [totals[name]], CHECKS[name], none.get(name, "")) for name in CHECKS),
    ]


def _row(solves: Solves, k: int) -> Iterator[Part]:
    """Everything that is claimed at row k."""
    if not solves.well[k]:
        missing = float(np.isnan(solves.claims["value"][k]))
        yield "values", compared(solves.where(k, "a failed solve has no value"), missing, 1.0)
        if solves.claimed[k]:
            yield "bracket", compared(solves.where(k, "certificates of a failed solve"), 1.0, 0.0)
        return
    logged = solves.logged
    points = agent_points(logged.problem, logged.data(k), logged.plans(k), logged.duals(k))
    yield from _beginnings(solves, k, points)
    yield from _obedience(solves, k, points)
    yield from _values(solves, k, points)
    if solves.certified[k]:
        certificate = certify(points, solves.components, None)
        yield from _residuals(solves, k, certificate)
        yield from _bracket(solves, k, points, certificate)
        yield from _beliefs(solves, k)


def _interval(reader: LogReader, name: str) -> int:
    """Samples from one certificate of controller `name` to the next."""
    interval = reader.attributes(f"controller/{name}").get("certify", 1)
    if isinstance(interval, int) and interval > 0:
        return interval
    raise reader.fault(
        f"controller/{name}", "attribute certify, samples from one certificate to the next", str(interval)
    )


def _applied(solves: Solves, names: tuple[str, ...]) -> Iterator[Compared]:
    """What was sent out beside the plan, the earlier plan, or the input before."""
    logged, last, age = solves.logged, None, 0
    for k in np.flatnonzero(solves.due).tolist():
        last, age = (k, 0) if solves.well[k] else (last, age + 1)
        claimed = int(solves.claims["applied_kind"][k])
        if last is None or age >= logged.problem.horizon:
            kind = Applied.HELD
        else:
            kind = Applied.FRESH if age == 0 else Applied.SHIFTED_PLAN
        yield compared(solves.where(k, "where the input came from"), claimed, int(kind))
        if not names:
            continue
        expected = solves.claims["previous_input"][k].copy()
        if last is not None and kind is not Applied.HELD:
            for index, plan in zip(logged.inputs, logged.plans(last), strict=True):
                expected[index] = plan.u[age]
        yield compared(solves.where(k, "output", names), solves.output[k], expected)


def _beginnings(solves: Solves, k: int, points: Sequence[AgentPoint]) -> Iterator[Part]:
    """x(0) beside the measured state, and copies of it beside their owners'."""
    check = "plans begin where it measured"
    for name, point in zip(solves.names, points, strict=True):
        yield check, compared(solves.where(k, f"{name}: x(0)"), point.plan.x[0], point.data.state)
        for j, copy in point.plan.neighbours.items():
            columns, where = list(point.model.coupled_columns(j)), solves.where(k, f"{name}: x(0) of {solves.names[j]}")
            yield check, compared(where, copy[0, columns], points[j].plan.x[0, columns])


def _obedience(solves: Solves, k: int, points: Sequence[AgentPoint]) -> Iterator[Part]:
    """Each agent's plan, with its own copies, beside its model's prediction and its bounds."""
    for name, point in zip(solves.names, points, strict=True):
        for what, planned, expected, terms in _demands(point):
            # of the largest that the same component has over the horizon
            allowed = np.broadcast_to(SOLVED * terms.max(axis=0, initial=0.0), planned.shape)
            part = compared(solves.where(k, f"{name}: {what}"), planned, expected, allowed)
            yield "plans obey models and bounds", part


def _demands(point: AgentPoint) -> Iterator[tuple[str, Array, Array, Array]]:
    """What is demanded of a plan: its numbers, those nearest to them that obey, and what they are summed from."""
    model, plan, data = point.model, point.plan, point.data
    # at rest a plan is rounding: beside the range of its numbers that is nothing
    nothing_x, nothing_u = (_NOTHING * size for size in point.ranges)
    yield "x after the first", plan.x[1:], point.prediction, point.prediction_terms + np.abs(plan.x[1:]) + nothing_x
    rows = point.bounded_terms + plan.sigma + np.abs(model.C) @ nothing_x
    low, high = model.lower + model.x_lb, model.upper + model.x_ub
    rows += existing(np.abs(low)) + existing(np.abs(high))
    yield "bounded row", point.bounded, np.clip(point.bounded, low - plan.sigma, high + plan.sigma), rows
    yield "sigma", plan.sigma, np.maximum(plan.sigma, 0.0), rows
    sizes = nothing_u + np.abs(plan.u) + existing(model.du_max) + np.abs(data.previous_input)
    yield "u", plan.u, np.clip(plan.u, model.u_min, model.u_max), sizes
    yield "change of u", point.changes, np.clip(point.changes, -model.du_max, model.du_max), sizes
    if model.terminal_equality:
        yield "x(N)", plan.x[-1:], data.x_setpoint[-1:], np.abs(plan.x) + np.abs(data.x_setpoint) + nothing_x


def _values(solves: Solves, k: int, points: Sequence[AgentPoint]) -> Iterator[Part]:
    """Shares in the value beside the cost of the plans, their sum, and what the agents believe of it."""
    shares, total = solves.claims["local_value"][k], solves.claims["value"][k]
    costs, sizes = [sum(point.costs()) for point in points], np.array([cost_terms(point) for point in points])
    yield "values", compared(solves.where(k, "share in the value", solves.names), shares, costs, ROUNDING * sizes)
    yield "values", compared(solves.where(k, "value"), total, shares.sum(), ROUNDING * np.abs(shares).sum())
    where = solves.where(k, "agreed value", solves.names)
    yield "agreed values", solves.agreement.beliefs(where, solves.claims["agreed_value"][k], shares)


def cost_terms(point: AgentPoint) -> float:
    """What an agent's cost is summed from when the squares are multiplied out, in absolute values."""
    model, w, plan, data = point.model, point.weights, point.plan, point.data
    total = float(np.abs(point.costs()).sum())
    for rows, refs, weight, factors in (
        (plan.x[:-1], data.x_setpoint[:-1], model.Q, w[:-1]),
        (plan.x[-1:], data.x_setpoint[-1:], model.P, w[-1:]),
        (plan.u, data.u_setpoint, model.R, w[:-1]),
    ):
        size = np.abs(rows) + np.abs(refs)
        total += float(factors @ np.einsum("ki,ij,kj->k", size, np.abs(weight), size))
    return total


def _residuals(solves: Solves, k: int, found: Certificate) -> Iterator[Part]:
    """The residuals that are claimed beside those of plans and multipliers."""
    for name in (*_FOUR, "consensus"):
        claimed = solves.claims[f"certificate/{name}"][k]
        # a consensus residual is a difference of two numbers, and not a sum of terms
        allowed = (ROUNDING if name == "consensus" else 1e-6) * np.abs(claimed)
        allowed += 0.0 if name == "consensus" else RESIDUAL
        yield "residuals", compared(solves.where(k, name, solves.names), claimed, getattr(found, name), allowed)


def _bracket(solves: Solves, k: int, points: Sequence[AgentPoint], found: Certificate) -> Iterator[Part]:
    """The bracket that is claimed beside the one that plans and multipliers support, and beside its shares.

    The value of a plan whose copies differ from what the owners intend may lie outside: it is checked of a central one.
    """
    sizes = np.array([cost_terms(point) for point in points])
    reach = np.array([np.abs(point.plan.x).max() for point in points])
    claims = {name: solves.claims[f"certificate/{name}"][k] for name in ("lower", "relaxed", "violation")}
    for name, claimed in claims.items():
        allowed = ROUNDING * (reach if name == "violation" else sizes)
        where = solves.where(k, f"bracket, {name}", solves.names)
        yield "bracket", compared(where, claimed, getattr(found, name), allowed)
    upper = claims["relaxed"].sum() if claims["violation"].max() <= 0.0 else np.inf
    sums = {"lower": claims["lower"].sum(), "upper": upper}
    ends = {end: solves.claims[f"certificate/value_{end}"][k] for end in sums}
    for end, claimed in ends.items():
        yield (
            "bracket",
            compared(solves.where(k, f"{end} bound on the value"), claimed, sums[end], ROUNDING * sizes.sum()),
        )
    if solves.agreement.averaging is None:
        value = solves.claims["value"][k]
        inside = np.clip(value, ends["lower"], ends["upper"])
        yield "bracket", compared(solves.where(k, "value in its bracket"), value, inside, SOLVED * sizes.sum())


def _beliefs(solves: Solves, k: int) -> Iterator[Part]:
    """What the agents believe of the certificate beside what their shares add up to."""
    shares = {name: solves.claims[f"certificate/{name}"][k] for name in (*_FOUR, "lower", "relaxed", "violation")}
    squares = np.sum([shares[name] ** 2 for name in _FOUR], axis=0)
    upper = np.where(shares["violation"] <= 0.0, shares["relaxed"], np.inf)
    for name, share in (("lower", shares["lower"]), ("upper", upper), ("residual", squares)):
        claimed = solves.claims[f"certificate/agreed_{name}"][k] ** (2 if name == "residual" else 1)
        where = solves.where(k, f"agreed {name}", solves.names)
        yield "agreed certificates", solves.agreement.beliefs(where, claimed, share)
