"""Hypothesis strategies for property tests of distributed MPC: of this package's solvers, or of your own.

    @given(mpc_problems(max_agents=4))
    def test_my_solver(case):
        problem, data = case
        ...

Sizes, couplings and features are drawn by Hypothesis, so that a failing example shrinks to few agents, links and
features; the numbers come from a seed, which keeps generation fast. Needs the extra `laws`.
"""

from collections.abc import Collection
from dataclasses import dataclass

import networkx as nx
import numpy as np
from hypothesis import strategies as st
from scipy import sparse

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.model import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QP, QPSolution
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.random_problems import FEATURES, Blueprint, random_problem

Arcs = tuple[tuple[int, int], ...]
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
) -> st.SearchStrategy[tuple[MPCProblem, tuple[AgentData, ...]]]:
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


@dataclass(frozen=True, eq=False)
class SolvedQP:
    """A convex quadratic program with a solution that it was built around.

    Attributes
    ----------
    qp
        The program.
    solution
        A primal-dual solution. Its optimal value is the only one; the point and the multipliers are where told.
    strictly_convex
        Whether H is positive definite, so that x is the only minimiser.
    """

    qp: QP
    solution: QPSolution
    strictly_convex: bool


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
    kinds = ["inactive", "lower", "upper", "one_sided", *(["weak", "pinned", "repeated", "free"] if degenerate else [])]
    most = 2 * v if degenerate else v - equalities
    rows = draw(st.lists(st.sampled_from(kinds), max_size=most))
    is_sparse = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x, dual = rng.normal(size=v), rng.normal(size=equalities)
    root = rng.normal(size=(v, rank))
    H = root @ root.T + (0.1 * np.eye(v) if rank == v else 0.0)
    A = rng.normal(size=(equalities, v))
    if degenerate and equalities > 1 and rng.random() < 0.3:
        A[-1] = A[0]
    C, lower, upper, low, high = _rows(rows, x, rng)
    # stationarity: H x + g + A'lambda + C'(mu_u - mu_l) = 0
    g = -(H @ x + A.T @ dual + C.T @ (high - low))
    shape = sparse.csc_array if is_sparse else np.asarray
    qp = QP(shape(H), g, shape(A), A @ x, shape(C), lower, upper, float(rng.normal()))
    return SolvedQP(qp, QPSolution(x, dual, low, high, Status.OPTIMAL), rank == v)


def _rows(kinds: list[str], x: Array, rng: np.random.Generator) -> tuple[Array, Array, Array, Array, Array]:
    """C, lower, upper and the multipliers mu_l, mu_u of rows of these kinds at the point x."""
    c = len(kinds)
    C = rng.normal(size=(c, len(x)))
    for r, kind in enumerate(kinds):
        if kind == "repeated" and r:
            C[r] = C[r - 1]
    at = C @ x
    lower, upper = at - rng.uniform(0.1, 2.0, c), at + rng.uniform(0.1, 2.0, c)
    low, high = np.zeros(c), np.zeros(c)
    for r, kind in enumerate(kinds):
        multiplier = rng.uniform(0.1, 3.0)
        if kind in ("lower", "pinned", "weak"):
            lower[r] = at[r]
        if kind in ("upper", "pinned", "repeated"):
            upper[r] = at[r]
        if kind == "lower":
            low[r] = multiplier
        elif kind in ("upper", "repeated") or (kind == "pinned" and multiplier > 1.0):
            high[r] = multiplier
        elif kind == "one_sided":
            upper[r] = np.inf
        elif kind == "free":
            lower[r], upper[r] = -np.inf, np.inf
    return C, lower, upper, low, high
