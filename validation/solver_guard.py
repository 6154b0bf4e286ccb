"""Does the local solver stay right while the matrices move, as in learning, and while it is fed nonsense? It counts."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from dmpcrl_ctrl.qp import QP, QPSolution, kkt_residuals
from dmpcrl_ctrl.solver import CheckedSolver, Counts
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.validation.learning_walk import learning_walks


@dataclass(frozen=True)
class GuardStudy:
    """What became of the programs of some walks.

    Attributes
    ----------
    programs, well_posed
        How many there were; how many of them have a solution.
    unsolved
        Well-posed programs that were not solved.
    poisoned
        Those among them that came right after a program without an answer.
    wrong
        Points called optimal that are not, and statuses that claim what is not so.
    planted, named
        Fault -> how often it was planted; how often the status said so.
    statuses
        Status -> how often it was returned.
    worst
        Largest residual of a point that was called optimal.
    counts
        How the answers came about, all solvers together.
    """

    programs: int
    well_posed: int
    unsolved: int
    poisoned: int
    wrong: int
    planted: Mapping[str, int]
    named: Mapping[str, int]
    statuses: Mapping[str, int]
    worst: float
    counts: Counts


def package_residual(qp: QP, solution: QPSolution) -> float:
    """The package's own measure of a point; one that is written apart from it proves more."""
    return kkt_residuals(qp, solution).worst


def guard_study(
    programs: int = 100_000,
    seed: int = 0,
    *,
    bad: float = 0.05,
    residual: Callable[[QP, QPSolution], float] = package_residual,
    tolerance: float = 1e-7,
    **options: Any,
) -> GuardStudy:
    """Solve the programs of :func:`~dmpcrl_ctrl.validation.learning_walk.learning_walks`, one solver a walk.

    Parameters
    ----------
    programs
        How many, in equal parts along the walks.
    seed, bad
        Of the walks; the share of programs without an answer.
    residual, tolerance
        How a point that is called optimal is judged: at most `tolerance` is right.
    **options
        Of :class:`~dmpcrl_ctrl.solver.CheckedSolver`.
    """
    tally, planted, named, statuses = (Counter[str]() for _ in range(4))
    counts, worst = Counts(), 0.0
    walks = learning_walks(seed, bad)
    for k, walk in enumerate(walks):
        solver, fault_before = CheckedSolver(**options), ""
        for _ in range(k, programs, len(walks)):
            program = next(walk)
            solution = solver.solve(program.qp)
            statuses[solution.status.name] += 1
            right = solution.status is program.expected
            off = residual(program.qp, solution) if right and not program.fault else 0.0
            worst = max(worst, off)
            # having given up claims nothing
            tally["wrong"] += not off <= tolerance or not (right or solution.status is Status.SOLVER_FAILED)
            if program.fault:
                planted[program.fault] += 1
                named[program.fault] += right
            else:
                tally["well_posed"] += 1
                tally["unsolved"] += not right
                tally["poisoned"] += not right and fault_before != ""
            fault_before = program.fault
        for count in fields(Counts):
            setattr(counts, count.name, getattr(counts, count.name) + getattr(solver.counts, count.name))
    return GuardStudy(
        programs=programs,
        well_posed=tally["well_posed"],
        unsolved=tally["unsolved"],
        poisoned=tally["poisoned"],
        wrong=tally["wrong"],
        planted=dict(sorted(planted.items())),
        named=dict(sorted(named.items())),
        statuses=dict(sorted(statuses.items())),
        worst=worst,
        counts=counts,
    )
