"""What became of a solve, and what a controller applied: enums that hold their message, and integers in the log."""

from enum import IntEnum


class Status(IntEnum):
    """Outcome of one evaluation of an MPC problem."""

    OPTIMAL = 0
    MAX_ITERATIONS = 1
    NOT_CONVERGED = 2
    PRIMAL_INFEASIBLE = 3
    CONSENSUS_STALLED = 4
    DUAL_INFEASIBLE = 5
    INVALID_DATA = 6
    SOLVER_FAILED = 7
    IDLE = 8
    NONCONVEX = 9

    @property
    def message(self) -> str:
        """One line for a person."""
        return _MESSAGES[self]

    @property
    def ok(self) -> bool:
        """Whether the plan may be applied: solved, or the fixed number of iterations that was asked for is done."""
        return self in (Status.OPTIMAL, Status.MAX_ITERATIONS)


_MESSAGES = {
    Status.OPTIMAL: "solved to tolerance",
    Status.MAX_ITERATIONS: "the fixed number of iterations is done",
    Status.NOT_CONVERGED: "the iteration cap was reached with residuals above the tolerance",
    Status.PRIMAL_INFEASIBLE: "no plan satisfies the constraints",
    Status.CONSENSUS_STALLED: "the consensus residual stopped falling: the agents' constraints contradict each other",
    Status.DUAL_INFEASIBLE: "the cost is unbounded below",
    Status.INVALID_DATA: "a number is not finite, a lower bound exceeds its upper bound, or a Hessian is not symmetric",
    Status.SOLVER_FAILED: "no solver returned a point that satisfies the optimality conditions",
    Status.IDLE: "not due at this instant",
    Status.NONCONVEX: "the cost is not convex: its Hessian has a negative eigenvalue",
}


class Applied(IntEnum):
    """Where the input that a controller sent out came from."""

    FRESH = 0
    SHIFTED_PLAN = 1
    HELD = 2

    @property
    def message(self) -> str:
        """One line for a person."""
        return _APPLIED[self]


_APPLIED = {
    Applied.FRESH: "the plan computed at this instant",
    Applied.SHIFTED_PLAN: "the last plan, shifted by one stage",
    Applied.HELD: "the last input, held: there is no plan, or it is used up",
}
