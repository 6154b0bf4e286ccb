"""Every status has a sentence of its own, and a number that never changes: it stands in logs."""

from dmpcrl_ctrl.status import Applied, Status


def test_numbers_in_logs_stay_what_they_are() -> None:
    assert {s.name: int(s) for s in Status} == {
        "OPTIMAL": 0, "MAX_ITERATIONS": 1, "NOT_CONVERGED": 2, "PRIMAL_INFEASIBLE": 3, "CONSENSUS_STALLED": 4,
        "DUAL_INFEASIBLE": 5, "INVALID_DATA": 6, "SOLVER_FAILED": 7, "IDLE": 8, "NONCONVEX": 9,
    }  # fmt: skip
    assert {a.name: int(a) for a in Applied} == {"FRESH": 0, "SHIFTED_PLAN": 1, "HELD": 2}


def test_every_member_has_a_message_of_its_own() -> None:
    messages = [member.message for member in (*Status, *Applied)]
    assert len(set(messages)) == len(messages) and all(messages)


def test_only_solved_plans_may_be_applied() -> None:
    assert [s for s in Status if s.ok] == [Status.OPTIMAL, Status.MAX_ITERATIONS]
