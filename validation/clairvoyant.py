"""The clairvoyant: the inputs that would have been best for a whole episode, had its noise been known beforehand.

For a linear plant under held inputs the sampled states obey, exactly,

    x(k+1) = A x(k) + B u(k) + c(k)

where c(k) is where the disturbances of that sample alone would have taken the plant from rest. What the plant charges,
summed over the samples 0..K-1, is then one sparse quadratic program in all inputs, without a discount. No controller
that keeps the input limits can cost less on the same noise.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, solve_discrete_are

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.cosim.clock import Clock
from dmpcrl_ctrl.errors import PlantError, SolverError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.plants import AbsoluteCost, Plant
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QP
from dmpcrl_ctrl.solver import CheckedSolver


@dataclass(frozen=True, eq=False)
class Clairvoyant:
    """The best that can be done in one episode.

    Attributes
    ----------
    cost
        Sum of the plant's stage cost over the samples 0..K-1 and over its agents, under these inputs.
    inputs
        (K, m): control inputs, held from each sample on.
    bound
        What the program's solution costs: equal to `cost` but for rounding, which an unstable plant amplifies.
    """

    cost: float
    inputs: Array
    bound: float


def clairvoyant(plant: Plant, seed: int, steps: int, *, sample_time: float = 1.0) -> Clairvoyant:
    """Solve an episode with everything known.

    Parameters
    ----------
    plant
        Linear. Its limits on inputs are kept; its rate limits, which nothing enforces, are not.
    seed
        Of the run: the noise is that of `simulate(plant, ..., seed=seed)`.
    steps
        Number of samples K >= 1.
    sample_time
        Seconds between two samples; of a discrete plant its own.

    Raises
    ------
    PlantError
        The plant is not linear, has a stage cost of its own, or other samples than asked for.
    SolverError
        The program was not solved.
    """
    _require(plant, steps)
    episode = _Episode(plant, seed, steps, sample_time)
    x_ref, u_ref = episode.setpoints()
    states, inputs = plant.initial_state[None], np.zeros((0, len(plant.input_names)))
    last = _last_input(plant, u_ref[-1])
    bound = float(plant.stage_cost(states[0], last, np.concatenate([x_ref[0], u_ref[-1]])).sum())
    model = _model(plant, episode.period)
    if steps > 1:
        problem = MPCProblem((model,), steps - 1, names=(plant.name,))
        data = AgentData(states[0], episode.inflow(), x_ref, u_ref[:-1], np.zeros(model.m))
        found = CentralEvaluator(problem).evaluate([data])
        if not found.status.ok:
            raise SolverError(f"{plant.name}: the episode of {steps} samples: {found.status.message}")
        states, inputs = found.plans[0].x, found.plans[0].u
        # the value contains what x(0) costs, but for what its bounds cost
        start = plant.initial_state
        violated = float(plant.task.violation_weight @ plant.violation(start))
        if isinstance(plant.extra_stage_cost, AbsoluteCost):
            violated += float(plant.extra_stage_cost(start, last, x_ref[0], np.zeros(0)).sum())
        bound = found.value + violated + float(plant.task.input_cost(last, u_ref[-1]).sum())
    played, reached = episode.played(states, np.vstack([inputs, last]), _gain(model))
    pairs = zip(reached, played, np.hstack([x_ref, u_ref]), strict=True)
    cost = float(sum(plant.stage_cost(x, u, reference).sum() for x, u, reference in pairs))
    return Clairvoyant(cost, played, bound)


class Played:
    """A block that plays recorded inputs back, such as a clairvoyant's.

    Parameters
    ----------
    inputs
        (K, m): by sample; the last is held.
    names
        Of the inputs.
    sample_time
        Seconds.
    name
        In the log.
    """

    inputs: tuple[str, ...] = ()

    def __init__(
        self, inputs: Array, names: tuple[str, ...], sample_time: float | Fraction = 1.0, name: str = "clairvoyant"
    ) -> None:
        self.played, self.outputs, self.sample_time, self.name = inputs, tuple(names), sample_time, name

    def init(self, seed: int) -> None:
        """Nothing is remembered."""

    def step(
        self, state: None, tick: int, measurement: Array, applied: Array, cost: Array
    ) -> tuple[None, Array, Mapping[str, Any]]:
        """The recorded input of this sample."""
        return None, self.played[min(tick, len(self.played) - 1)], {}


def _model(plant: Plant, period: Fraction) -> LocalModel:
    """The whole plant over one sample, with its own cost; known disturbances enter every state.

    The plant is linear: its columns are where unit states and unit inputs take it, by the flow that simulates it.
    """
    n, m = len(plant.state_names), len(plant.input_names)
    nothing, no_input = np.zeros(n), np.zeros(m)
    A = np.column_stack([plant.advance(unit, period, no_input) for unit in np.eye(n)])
    B = np.column_stack([plant.advance(nothing, period, unit) for unit in np.eye(m)]) if m else np.zeros((n, 0))
    task = plant.task
    priced = np.isfinite(task.state_limits).any(axis=1) & (task.violation_weight > 0.0)
    C, prices, limits = np.eye(n)[priced], task.violation_weight[priced], task.state_limits[priced]
    if isinstance(plant.extra_stage_cost, AbsoluteCost):
        # |row x| is what a bound of zero to both sides is violated by
        rows, total = plant.extra_stage_cost.rows, plant.extra_stage_cost.shares.sum(axis=0)
        C, prices = np.vstack([C, rows]), np.concatenate([prices, total])
        limits = np.vstack([limits, np.zeros((len(rows), 2))])
    return LocalModel(
        A=A,
        B=B,
        E=np.eye(n),
        Q=task.Q,
        R=task.R,
        P=task.Q,
        C=C,
        lower=limits[:, 0],
        upper=limits[:, 1],
        slack_weight=prices,
        u_min=task.input_limits[:, 0],
        u_max=task.input_limits[:, 1],
    )


class _Episode:
    """A plant with what acts on it in one run, sample by sample."""

    def __init__(self, plant: Plant, seed: int, steps: int, sample_time: float) -> None:
        self.plant, self.steps = plant, steps
        self._clock = Clock.common({"sample time": sample_time} | {f"{time} s": time for time in plant.clock_times})
        # the seed that the co-simulation gives to the plant of this name
        own_seed = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(plant.name.encode()),))
        self._outside = plant.bind(self._clock.base, own_seed)
        self._ticks = self._clock.ticks(sample_time)
        self.period = self._clock.exact(self._ticks)
        if plant.sample_time is not None and plant.sample_time != self.period:
            raise PlantError(f"{plant.name}: its samples last {float(plant.sample_time):g} s, not {sample_time:g} s")

    def setpoints(self) -> tuple[Array, Array]:
        """(K, n), (K, m): of states and of inputs."""
        references = np.array([self._outside.setpoints(k * self._ticks) for k in range(self.steps)])
        return references[:, : len(self.plant.state_names)], references[:, len(self.plant.state_names) :]

    def inflow(self) -> Array:
        """(K - 1, n): where the disturbances of each sample alone take the plant from rest."""
        rest, no_input = np.zeros(len(self.plant.state_names)), np.zeros(len(self.plant.input_names))
        return np.array([self._next(rest, no_input, k) for k in range(self.steps - 1)])

    def played(self, states: Array, inputs: Array, gain: Array) -> tuple[Array, Array]:
        """(K, m), (K, n): inputs that keep to planned states whatever rounding does, and the states that they reach."""
        x, reached, played = self.plant.initial_state, [], []
        for k, (planned, u) in enumerate(zip(states, inputs, strict=True)):
            reached.append(x)
            last = k == self.steps - 1
            played.append(u if last else self.plant.saturate(u + gain @ (planned - x)))
            x = x if last else self._next(x, played[-1], k)
        return np.array(played), np.array(reached)

    def _next(self, x: Array, u: Array, k: int) -> Array:
        """State after sample k, from edge to edge of the disturbances."""
        tick, end = k * self._ticks, (k + 1) * self._ticks
        while tick < end:
            edge = self._outside.next_edge(tick) if self.plant.sample_time is None else None
            until = end if edge is None else min(end, edge)
            span = self._clock.exact(until - tick)
            x = self.plant.advance(x, span, u, self._outside.values(tick), self._outside.slopes(tick))
            tick = until
        return x


def _gain(model: LocalModel) -> Array:
    """(m, n): of a stabilising feedback, or zeros where there is none."""
    try:
        P = solve_discrete_are(model.A, model.B, np.eye(model.n), np.eye(model.m))
    except (LinAlgError, ValueError):
        return np.zeros((model.m, model.n))
    return np.asarray(np.linalg.solve(np.eye(model.m) + model.B.T @ P @ model.B, model.B.T @ P @ model.A))


def _last_input(plant: Plant, reference: Array) -> Array:
    """(m,): the cheapest input, which moves no state that is looked at any more."""
    m, R = len(reference), plant.task.R
    if not np.count_nonzero(R - np.diag(np.diagonal(R))):
        return plant.saturate(reference)
    low, high = plant.task.input_limits.T
    qp = QP(R + R.T, -(R + R.T) @ reference, np.zeros((0, m)), np.zeros(0), np.eye(m), low, high)
    found = CheckedSolver("piqp").solve(qp)
    if not found.status.ok:
        raise SolverError(f"{plant.name}: the last input: {found.status.message}")
    return found.x


def _require(plant: Plant, steps: int) -> None:
    if isinstance(steps, bool) or int(steps) != steps or steps < 1:
        raise PlantError(f"steps must be a whole number of at least 1, got {steps!r}")
    if not plant.linear:
        raise PlantError(f"{plant.name}: a clairvoyant solution needs a linear plant")
    if plant.extra_stage_cost is not None and not isinstance(plant.extra_stage_cost, AbsoluteCost):
        raise PlantError(f"{plant.name}: its stage cost has an extra term, which no quadratic program expresses")
