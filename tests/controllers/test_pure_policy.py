"""A block as a function of numbers is the block; answers are kept, and not for ever."""

import numpy as np

from dmpcrl_ctrl.controllers import LQR, CentralizedMPC, LocalModel, MPCProblem
from dmpcrl_ctrl.controllers.pure_policy import Kept, PurePolicy

MODEL = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]], u_min=[-0.5], u_max=[0.5], du_max=[0.2])


def test_a_regulator_remembers_what_it_sent() -> None:
    policy = PurePolicy(LQR([MODEL], 1.0), lambda: None)
    assert policy.state_names == ["sent_u0_0"]
    state, sent = policy.step(np.array([0.1]), np.array([1.0, 0.0, 0.0]))
    assert sent.tolist() == state.tolist() == [0.1 - 0.2]


def test_states_are_the_last_output_and_the_plan_with_its_age() -> None:
    solves = []
    mpc = CentralizedMPC(MPCProblem((MODEL,), 3), 1.0)
    policy = PurePolicy(mpc, lambda: solves.append(1))
    assert policy.state_names == ["sent_u0_0", "plan_age", "plan0_u0_0", "plan1_u0_0", "plan2_u0_0"]
    state, sent = policy.step(np.zeros(5), np.array([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(sent, [-0.2], atol=1e-9)  # as fast as it may
    assert state[0] == state[2] == sent[0] and state[1] == 1.0
    assert np.array_equal(state[2:], mpc.evaluate([1.0]).plans[0].u[:, 0])
    assert mpc.certify == 1 and len(solves) == 1  # the block itself stays as it was
    again, _ = policy.step(state, np.array([np.nan, 0.0, 0.0]))
    assert again.tolist() == [state[3], 2.0, *state[2:]]  # the plan goes on
    assert not state.flags.writeable


def test_the_oldest_answer_is_given_up() -> None:
    kept: Kept[int] = Kept(2)
    asked: list[int] = []

    def answer(question: int) -> int:
        def found() -> int:
            asked.append(question)
            return question

        return kept.get(question, found)

    assert [answer(q) for q in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert asked == [1, 2, 3, 2]  # 2 was the oldest when 3 came
