"""The law of privacy: agents tell each other shared trajectories and sums, never a model, a cost or a constraint.

Who is told what: of a measured state and of a planned trajectory the components that couple, to those that they act on;
proposals for a copy and what it costs its holder, back to the owner; how proposals and what is agreed would follow in a
limited number of directions; scalars that are summed or averaged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.admm import MOST_DIRECTIONS
from dmpcrl_ctrl.channel import EVERYBODY, Kind, Message, Watched
from dmpcrl_ctrl.errors import LawError, LawInapplicableError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.network import copies_held
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.truth import solved, text

LAW = "privacy"
# the most numbers in one share of a sum: the entries of a certificate
_SCALARS = 32
_TO_HOLDER = (Kind.STATE, Kind.AGREED, Kind.AGREED_RESPONSE, Kind.PLAN)
# one trajectory for each direction that the acceleration keeps; their inner products, and those with the residual
_DIRECTIONS = MOST_DIRECTIONS
_PRODUCTS = _DIRECTIONS * (_DIRECTIONS + 1)
_WEIGHTS = ("Q", "R", "P", "Q_c")
_MATRICES = ("A", "B", "E", "C", "G")
_VECTORS = ("b", "f", "V0", "lower", "upper", "x_lb", "x_ub", "slack_weight", "slack_quadratic")
_INPUTS = ("u_min", "u_max", "du_max", "x_setpoint", "u_setpoint")
# What a number on its own may equal by its nature: a state on its bound, a multiplier at its price.
_ATTAINED = {
    Kind.STATE: ("lower", "upper", "x_lb", "x_ub", "x_setpoint"),
    Kind.AGREED: ("lower", "upper", "x_lb", "x_ub", "x_setpoint"),
    Kind.PLAN: ("lower", "upper", "x_lb", "x_ub", "x_setpoint", "b"),
    Kind.PROPOSAL: ("lower", "upper", "x_lb", "x_ub", "x_setpoint"),
    Kind.PRICE: ("slack_weight", "f"),
}


@dataclass(frozen=True)
class Secret:
    """The telling entries of one array of a model: not 0, 1 or -1, and finite.

    Attributes
    ----------
    agent, field
        Whose array it is, and which.
    entries
        Their values.
    """

    agent: int
    field: str
    entries: frozenset[float]


def check_privacy(controller: Any, state: ArrayLike, action: ArrayLike | None = None, **given: Any) -> float:
    """Every message is of a known kind, between neighbours, no longer than it has to be, and holds no model's entry.

    Entries are compared bit by bit, so that the state is first moved by a thousandth at random: round numbers that
    agree by chance are not to pass for a leak. The evaluation, its gradient and its certificate are watched.
    Returns 0.
    """
    if not hasattr(controller, "with_transport"):
        raise LawInapplicableError("its messages cannot be watched: it has no method with_transport(transport)")
    start = np.asarray(state, dtype=float)
    start = start + 1e-3 * (1.0 + np.abs(start)) * np.random.default_rng(0).uniform(-1.0, 1.0, start.shape)
    truth, watched = solved(controller, start, action, given), Watched()
    found = controller.with_transport(watched).evaluate(start, action, **given)
    if found.status.ok:
        for _ in (found.gradient, found.certificate):
            """Both are computed by exchanging messages."""
    if len(truth.names) > 1 and not watched.messages:
        raise LawInapplicableError("its agents sent nothing through the transport")
    for fault in faults(truth.problem, watched.messages):
        raise LawError(f"{LAW}: {fault}, at state {text(start)}")
    return 0.0


def faults(problem: MPCProblem, messages: list[Message]) -> Iterator[str]:
    """What is wrong with each message that should not have been sent."""
    told = {(copy.owner, i): len(copy.columns) for i in range(len(problem.models)) for copy in copies_held(problem, i)}
    kept = list(secrets(problem))
    for message in messages:
        fault = _misdirected(problem, told, message) or _telling(problem, kept, message)
        if fault:
            yield fault


def secrets(problem: MPCProblem) -> Iterator[Secret]:
    """Of every array of every model; weights also doubled, as they stand in a Hessian."""
    for i, model in enumerate(problem.models):
        for name, array in _arrays(model):
            values = np.asarray(array, dtype=float).ravel()
            values = np.concatenate([values, 2.0 * values]) if name in _WEIGHTS else values
            entries = frozenset(float(v) for v in values if np.isfinite(v) and abs(v) not in (0.0, 1.0))
            if entries:
                yield Secret(i, name, entries)


def _arrays(model: LocalModel) -> Iterator[tuple[str, Any]]:
    for name in (*_WEIGHTS, *_MATRICES, *_VECTORS, *_INPUTS):
        yield name, getattr(model, name)
    for name in ("A_ij", "C_ij", "G_ij"):
        for block in getattr(model, name).values():
            yield name, block


def _misdirected(problem: MPCProblem, told: Mapping[tuple[int, int], int], message: Message) -> str:
    """Of a kind, a receiver or a length that no message has to have; empty where all is well."""
    agents, (sender, receiver) = range(len(problem.models)), (message.sender, message.receiver)
    if message.kind not in Kind or sender not in agents:
        return f"a message of kind {message.kind!r} from agent {sender}, which is none"
    neighbours = (sender, receiver) in told or (receiver, sender) in told
    if message.kind in (Kind.SCALARS, Kind.PRODUCTS):
        allowed, to_all = _PRODUCTS if message.kind is Kind.PRODUCTS else _SCALARS, receiver == EVERYBODY
    else:
        there, back = told.get((sender, receiver), 0), told.get((receiver, sender), 0)
        components = there if message.kind in _TO_HOLDER else back
        trajectories = _DIRECTIONS if message.kind in (Kind.RESPONSE, Kind.AGREED_RESPONSE) else 1
        stages = 1 if message.kind is Kind.STATE else problem.horizon + 1
        allowed, to_all = components * stages * trajectories, False
    if not (neighbours or to_all):
        return f"{problem.names[sender]} sends {message.kind} to agent {receiver}, which is no neighbour"
    if message.values.size > allowed:
        whom = "everybody" if to_all else problem.names[receiver]
        return f"{problem.names[sender]} sends {message.values.size} numbers of {message.kind} to {whom}, not {allowed}"
    return ""


def _telling(problem: MPCProblem, kept: list[Secret], message: Message) -> str:
    """Which array the message gives away; empty where none."""
    numbers = {float(v) for v in np.asarray(message.values).ravel()}
    for secret in kept:
        seen = secret.entries & numbers
        by_nature = secret.field in _ATTAINED.get(message.kind, ()) and not (len(seen) > 1 and seen == secret.entries)
        if seen and not by_nature:
            who, whose = problem.names[message.sender], problem.names[secret.agent]
            return f"{who} sends {min(seen)!r}, an entry of {secret.field} of {whose}, in a message of {message.kind}"
    return ""
