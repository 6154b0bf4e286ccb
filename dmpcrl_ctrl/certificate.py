"""What is proved of an evaluation: how far its plans and multipliers are from solving the *network's* problem.

The residuals belong to the problem without copies: each agent's own trajectory counts, its multipliers are those of its
own constraints, and the derivative by its states takes in what the neighbours pay for them. A consensus that is not
reached yet therefore shows as infeasible dynamics and as stationarity that does not add up, not as a number of its own
that one may forget to look at. Everything is computed by the agents, from what their neighbours tell them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.averaging import Averaging
from dmpcrl_ctrl.bracket import bracket
from dmpcrl_ctrl.channel import Kind, Transport
from dmpcrl_ctrl.gradient import gathered_prices
from dmpcrl_ctrl.lagrangian import AgentPoint
from dmpcrl_ctrl.network import Components
from dmpcrl_ctrl.optimality import cost_scale, residuals
from dmpcrl_ctrl.qp import KKTResiduals

_NOTHING = 1e-10


@dataclass(frozen=True, eq=False)
class Certificate:
    """Residuals and a bracket on the value, an entry an agent: if both are small, the evaluation is proved.

    Attributes
    ----------
    stationarity, feasibility, sign, complementarity
        (M,) each: the optimality conditions of the network's problem, relative to the largest of the terms that have to
        balance in the same entry. Feasibility takes the neighbours' own trajectories, not the copies of them.
    consensus
        (M,): largest difference of a copy from its owner's trajectory, relative to the largest value of the component.
    lower, relaxed, violation
        (M,) each: shares in the bracket, see :class:`~dmpcrl_ctrl.bracket.Bracket`.
    """

    stationarity: Array
    feasibility: Array
    sign: Array
    complementarity: Array
    consensus: Array
    lower: Array
    relaxed: Array
    violation: Array

    @property
    def residual(self) -> float:
        """The largest of the four residuals over all agents; a NaN counts as infinite."""
        values = np.concatenate([self.stationarity, self.feasibility, self.sign, self.complementarity])
        return float(values.max()) if np.isfinite(values).all() else float("inf")

    @property
    def value_bounds(self) -> tuple[float, float]:
        """(lower, upper): the optimal value lies between. Upper is infinite where the roll-out breaks a hard bound."""
        return float(self.lower.sum()), float(self.relaxed.sum()) if self.violation.max() <= 0.0 else float("inf")

    @property
    def gap(self) -> float:
        """Width of the bracket."""
        lower, upper = self.value_bounds
        return upper - lower


def optimality(
    points: Sequence[AgentPoint], components: Components, action: Sequence[Array] | None
) -> tuple[KKTResiduals, ...]:
    """Residuals of the optimality conditions alone, one an agent, as in :class:`Certificate`."""
    return _residuals(points, owners_trajectories(points, components), components, _by_agent(points, action))


def certify(points: Sequence[AgentPoint], components: Components, action: Sequence[Array] | None) -> Certificate:
    """Certificate of the plans and multipliers in `points`; of Q where the first inputs are given (`action`).

    The bracket is that of the states and actions which are given, whatever the plans begin with.
    """
    told, given = owners_trajectories(points, components), _by_agent(points, action)
    found = _residuals(points, told, components, given)
    bounds = bracket(_begun(points, given), components, action is not None)
    return Certificate(
        stationarity=np.array([r.stationarity for r in found]),
        feasibility=np.array([r.feasibility for r in found]),
        sign=np.array([r.sign for r in found]),
        complementarity=np.array([r.complementarity for r in found]),
        consensus=np.array([_apart(p.plan.neighbours, known) for p, known in zip(points, told, strict=True)]),
        lower=bounds.lower,
        relaxed=bounds.relaxed,
        violation=bounds.violation,
    )


def _residuals(
    points: Sequence[AgentPoint],
    told: Sequence[Mapping[int, Array]],
    components: Components,
    given: Sequence[Array | None],
) -> tuple[KKTResiduals, ...]:
    """Of the problem without copies: with the owners' trajectories, as they are told, in their place."""
    true = [replace(p, plan=replace(p.plan, neighbours=known)) for p, known in zip(points, told, strict=True)]
    cost = float(components.neighbourhood.total(np.array([[cost_scale(point)] for point in true]))[0])
    each = zip(true, gathered_prices(true, components), given, strict=True)
    return tuple(residuals(point, incoming, own, cost) for point, incoming, own in each)


def _by_agent(points: Sequence[AgentPoint], action: Sequence[Array] | None) -> Sequence[Array | None]:
    return [None] * len(points) if action is None else action


def _begun(points: Sequence[AgentPoint], action: Sequence[Array | None]) -> list[AgentPoint]:
    """The points with the given actions for their first inputs."""
    begun = []
    for point, own in zip(points, action, strict=True):
        u = point.plan.u if own is None else np.vstack([own, point.plan.u[1:]])
        begun.append(replace(point, plan=replace(point.plan, u=u)))
    return begun


def owners_trajectories(points: Sequence[AgentPoint], components: Components) -> list[dict[int, Array]]:
    """For each agent j -> (N + 1, n_j): the neighbours' own plans, NaN in components that do not couple."""
    told = components.tell(Kind.PLAN, [point.plan.x.T for point in points])
    return [{j: trajectory.T for j, trajectory in known.items()} for known in told]


def _apart(copies: Mapping[int, Array], truth: Mapping[int, Array]) -> float:
    """Largest relative difference of what an agent holds from what the owners have."""
    sizes = {j: np.abs(np.nan_to_num(x)).max(axis=0) for j, x in truth.items()}
    # at rest a component may be rounding: beside the others that is nothing
    nothing = _NOTHING * max((float(size.max(initial=0.0)) for size in sizes.values()), default=0.0)
    largest = 0.0
    for j, copy in copies.items():
        size = np.maximum(sizes[j], nothing)
        relative = np.nan_to_num(np.abs(copy - truth[j])) / np.where(size > 0.0, size, 1.0)
        largest = max(largest, float(relative.max(initial=0.0)))
    return largest


@dataclass(frozen=True, eq=False)
class AgreedCertificate:
    """What each agent believes of the certificate of the whole network.

    Attributes
    ----------
    lower, upper
        (M,): of the bracket on the value; infinite where there is none.
    residual
        (M,): root of the sum of the squares of all agents' four residuals, which is at least the largest of them.
    """

    lower: Array
    upper: Array
    residual: Array


def agreed(
    certificate: Certificate, averaging: Averaging, rounds: int, transport: Transport | None = None
) -> AgreedCertificate:
    """What the agents believe of a certificate after one averaging of six numbers each.

    A share that is infinite or no number cannot be averaged: it counts as zero, and is counted. Without any such share
    the counts are zeros, and stay exactly so whatever the rounds.

    Parameters
    ----------
    certificate
        Each agent's share.
    averaging, rounds, transport
        As for :meth:`~dmpcrl_ctrl.averaging.Averaging.average`, whose error the beliefs have.
    """
    four = (certificate.stationarity, certificate.feasibility, certificate.sign, certificate.complementarity)
    shares = np.stack([certificate.lower, certificate.relaxed, np.sum(np.square(four), axis=0)], axis=1)
    without = ~np.isfinite(shares)
    without[:, 1] |= certificate.violation > 0.0
    told = np.hstack([np.where(without, 0.0, shares), without])
    beliefs = averaging.average(len(told) * told, rounds, transport)
    sums, counts = beliefs[:, :3], beliefs[:, 3:]
    # before all have heard of all, no count at all may only mean that nobody has said so yet
    heard = averaging.predicted_error(rounds) * len(told) < 0.5
    bounds = np.where((counts == 0.0) & heard, sums, [-np.inf, np.inf, np.inf])
    return AgreedCertificate(bounds[:, 0], bounds[:, 1], np.sqrt(np.maximum(bounds[:, 2], 0.0)))
