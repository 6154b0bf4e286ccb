"""Hypothesis strategies for property tests of distributed MPC: of this package's solvers, or of your own.

    @given(mpc_problems(max_agents=4))
    def test_my_solver(case):
        problem, data = case
        ...

Sizes, couplings and features are drawn by Hypothesis, so that a failing example shrinks to few agents, links and
features; the numbers come from a seed, which keeps generation fast. Needs the extra `laws`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import networkx as nx
import numpy as np
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.controllers.signals import Signals
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.validation.random_problems import FEATURES, Blueprint, random_problem
from dmpcrl_ctrl.validation.random_programs import DEGENERATE_ROWS, REGULAR, SolvedQP, random_program
from dmpcrl_ctrl.validation.special_problems import DEGENERATE, at_odds, coupled_pairs, out_of_reach, rescaled

T = TypeVar("T")
Arcs = tuple[tuple[int, int], ...]
Problem = tuple[MPCProblem, tuple[AgentData, ...]]
# How a link between two agents acts: from the first on the second, back, or both ways.
_WAYS = ((True, False), (False, True), (True, True))


@st.composite
def networks(draw: st.DrawFn, min_agents: int = 1, max_agents: int = 8) -> "nx.Graph[int]":
    """Connected undirected graphs on the agents 0, 1, ...: a random tree and more links. Shrinks to a small star."""
    agents, arcs = draw(couplings(min_agents, max_agents))
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(agents))
    graph.add_edges_from(arcs)
    return graph


@st.composite
def couplings(draw: st.DrawFn, min_agents: int = 1, max_agents: int = 8) -> tuple[int, Arcs]:
    """(agents, arcs): directed couplings (j, i), agent j acts on agent i, whose undirected graph is connected."""
    blueprint = draw(blueprints(min_agents, max_agents, max_states=1, max_inputs=0, max_horizon=1, features=()))
    return len(blueprint.sizes), blueprint.arcs


@st.composite
def blueprints(
    draw: st.DrawFn,
    min_agents: int = 1,
    max_agents: int = 8,
    *,
    max_states: int = 4,
    max_inputs: int = 2,
    max_horizon: int = 4,
    features: Collection[str] = FEATURES,
) -> Blueprint:
    """Blueprints of random problems; see :func:`mpc_problems`."""
    # Agents and links are elements of lists that do not refer to each other's lengths: so a failure shrinks fast.
    anyone, way = st.integers(0, max_agents - 1), st.sampled_from(_WAYS)
    size = st.tuples(st.integers(1, max_states), st.integers(0, max_inputs))
    first = draw(size)
    rest = draw(st.lists(st.tuples(size, anyone, way), min_size=min_agents - 1, max_size=max_agents - 1))
    more = draw(st.lists(st.tuples(anyone, anyone, way), max_size=max_agents))
    agents = len(rest) + 1
    links = {(parent % i, i): how for i, (_, parent, how) in enumerate(rest, start=1)}
    for a, b, how in more:
        i, j = sorted((a % agents, b % agents))
        if i < j:
            links.setdefault((i, j), how)
    arcs = [arc for (i, j), (there, back) in links.items() for arc, is_on in (((i, j), there), ((j, i), back)) if is_on]
    chosen = draw(st.lists(st.sampled_from(sorted(features)), max_size=len(features))) if features else []
    sizes = (first, *(size for size, _, _ in rest))
    return Blueprint(
        sizes, tuple(arcs), draw(st.integers(1, max_horizon)), frozenset(chosen), draw(st.integers(0, 2**32 - 1))
    )


def mpc_problems(
    min_agents: int = 1,
    max_agents: int = 8,
    *,
    max_states: int = 4,
    max_inputs: int = 2,
    max_horizon: int = 4,
    features: Collection[str] = FEATURES,
) -> st.SearchStrategy[Problem]:
    """MPC problems of connected networks, with data for which they are feasible and bounded.

    Parameters
    ----------
    min_agents, max_agents
        Number of agents.
    max_states, max_inputs
        Agents have 1..max_states states and 0..max_inputs inputs, each its own.
    max_horizon
        Horizons are 1..max_horizon.
    features
        What may occur, of :data:`~dmpcrl_ctrl.validation.random_problems.FEATURES`; without any, the cost is strictly
        convex and there are no bounds.

    Examples
    --------
    >>> from hypothesis import find
    >>> problem, data = find(mpc_problems(min_agents=3), lambda case: True)
    >>> len(problem.models), problem.horizon
    (3, 1)
    """
    return blueprints(
        min_agents,
        max_agents,
        max_states=max_states,
        max_inputs=max_inputs,
        max_horizon=max_horizon,
        features=features,
    ).map(random_problem)


@st.composite
def degenerate_problems(
    draw: st.DrawFn,
    /,
    min_agents: int = 1,
    max_agents: int = 4,
    *,
    kinds: Collection[str] = tuple(DEGENERATE),
    **sizes: Any,
) -> Problem:
    """Problems with a solution whose multipliers need not be unique.

    Parameters
    ----------
    min_agents, max_agents, **sizes
        As for :func:`mpc_problems`.
    kinds
        Of :data:`~dmpcrl_ctrl.validation.special_problems.DEGENERATE`; at least one of them, in their order: "ending"
        (a terminal equality where the solution ends anyway), "repeated" (every bound twice), "touching" (bounds that
        the solution just touches, an input's among them).
    """
    problem, data = draw(mpc_problems(min_agents, max_agents, **sizes))
    chosen = draw(st.sets(st.sampled_from(sorted(kinds)), min_size=1))
    for kind in ("ending", "touching", "repeated"):
        if kind in chosen:
            problem, data = DEGENERATE[kind](problem, data)
    return problem, data


@st.composite
def infeasible_problems(draw: st.DrawFn, /, min_agents: int = 1, max_agents: int = 4, **sizes: Any) -> Problem:
    """Problems without a feasible plan: an agent's own program has none, or two neighbours contradict each other.

    In the second case every agent's program has a solution as long as its copies are free.
    """
    problem, data = draw(mpc_problems(min_agents, max_agents, **sizes))
    pairs, contradict = coupled_pairs(problem), draw(st.booleans())
    if pairs and contradict:
        owner, holder = draw(st.sampled_from(pairs))
        return at_odds(problem, owner, holder), data
    return out_of_reach(problem, data, draw(st.integers(0, len(problem.models) - 1))), data


@st.composite
def badly_scaled_problems(
    draw: st.DrawFn, /, min_agents: int = 1, max_agents: int = 4, *, orders: float = 4.0, **sizes: Any
) -> Problem:
    """Problems whose states, inputs and costs are of very different size: each unit is off by up to 10^+-orders."""
    problem, data = draw(mpc_problems(min_agents, max_agents, **sizes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def units(size: int) -> Array:
        return 10.0 ** rng.uniform(-orders, orders, size)

    x, u = ([units(getattr(model, size)) for model in problem.models] for size in ("n", "m"))
    return rescaled(problem, data, x, u, float(units(1)[0]))


@st.composite
def solved_qps(draw: st.DrawFn, max_variables: int = 8, *, degenerate: bool = True) -> SolvedQP:
    """Convex quadratic programs with a known solution.

    Parameters
    ----------
    max_variables
        Number of variables.
    degenerate
        Allow an H that is singular or zero, repeated rows, active bounds without a multiplier, and lower = upper.
    """
    v = draw(st.integers(1, max_variables))
    rank = draw(st.integers(0, v)) if degenerate else v
    equalities = draw(st.integers(0, v - 1))
    kinds = [*REGULAR, *(DEGENERATE_ROWS if degenerate else ())]
    most = 2 * v if degenerate else v - equalities
    rows = draw(st.lists(st.sampled_from(kinds), max_size=most))
    is_sparse = draw(st.booleans())
    return random_program(v, rank, equalities, rows, is_sparse, draw(st.integers(0, 2**32 - 1)))


@dataclass(frozen=True)
class Situation:
    """Where a law is checked on a controller.

    Attributes
    ----------
    state, action
        All states and inputs in the order of the controller's signals; no action for V.
    seed
        Of whatever else the law draws.
    """

    state: tuple[float, ...]
    action: tuple[float, ...] | None = None
    seed: int = 0

    @property
    def text(self) -> str:
        """The call that shows it."""
        action = "" if self.action is None else f", action={list(self.action)}"
        return f"controller.evaluate({list(self.state)}{action})"


def situations(
    problem: MPCProblem, signals: Signals, states: st.SearchStrategy[Sequence[float]] | None = None
) -> st.SearchStrategy[Situation]:
    """States and actions of a controller, for V and for Q.

    Parameters
    ----------
    problem, signals
        Its problem; which number is whose.
    states
        Strategy of the states. By default each lies within the bounds that the models have on it alone; where there
        are none, within 1 of its set point, or within 5, so that bounds of inputs come into play.
    """
    low_x, high_x, near_x = np.zeros((3, len(signals.states)))
    free_x = np.zeros(len(signals.states), dtype=bool)
    low_u, high_u = np.zeros((2, len(signals.inputs)))
    for i, model in enumerate(problem.models):
        own = signals.state_index[i]
        low_x[own], high_x[own], free_x[own] = _state_range(model)
        near_x[own] = model.x_setpoint
        for end, limit, away in ((low_u, model.u_min, -1.0), (high_u, model.u_max, 1.0)):
            end[signals.input_index[i]] = np.where(np.isfinite(limit), limit, model.u_setpoint + away)

    def stretched(x: tuple[float, ...], reach: float) -> Sequence[float]:
        return np.where(free_x, near_x + reach * (np.array(x) - near_x), x).tolist()

    drawn = st.builds(stretched, _box(low_x, high_x), st.sampled_from((1.0, 5.0))) if states is None else states
    return st.builds(
        lambda x, u, seed: Situation(tuple(map(float, x)), u, seed),
        drawn,
        st.one_of(st.none(), _box(low_u, np.maximum(low_u, high_u))),
        st.integers(0, 2**16 - 1),
    )


def smallest(cases: st.SearchStrategy[T], fails: Callable[[T], bool], examples: int, seed: int) -> T | None:
    """The simplest case that fails, among so many random ones and what they shrink to; None if all are well."""
    chosen = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    try:
        return find(cases, fails, settings=chosen, random=Random(seed))
    except NoSuchExample:
        return None


def _state_range(model: LocalModel) -> tuple[Array, Array, Array]:
    """(n,) each: from the rows of C that bound one state of the agent and nothing else; where there are none."""
    low, high = np.full(model.n, -np.inf), np.full(model.n, np.inf)
    for r, row in enumerate(model.C):
        coupled = any(block[r].any() for block in model.C_ij.values())
        places = np.flatnonzero(row)
        if len(places) != 1 or coupled:
            continue
        c = places[0]
        ends = np.sort(np.array([model.lower[r] + model.x_lb[r], model.upper[r] + model.x_ub[r]]) / row[c])
        low[c], high[c] = max(low[c], ends[0]), min(high[c], ends[1])
    free = ~np.isfinite(low) & ~np.isfinite(high)
    low = np.where(np.isfinite(low), low, model.x_setpoint - 1.0)
    high = np.where(np.isfinite(high), high, model.x_setpoint + 1.0)
    return np.minimum(low, high), high, free


def _box(low: Array, high: Array) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(
        *(st.floats(a, b, allow_subnormal=False) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    )
