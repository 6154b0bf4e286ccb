"""The certificate as its reader sees it: what its few numbers say, and when it says nothing."""

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.averaging import Averaging
from dmpcrl_ctrl.central import CentralEvaluator
from dmpcrl_ctrl.certificate import Certificate, agreed
from dmpcrl_ctrl.channel import Watched
from dmpcrl_ctrl.distributed import DistributedEvaluator
from dmpcrl_ctrl.errors import EvaluationError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import AgentData, MPCProblem
from dmpcrl_ctrl.qp import QPSolution, kkt_residuals
from dmpcrl_ctrl.status import Status
from dmpcrl_ctrl.value import agent_data

Data = tuple[AgentData, ...]


def soft_pair() -> tuple[MPCProblem, Data]:
    """Two agents with one state each; the second follows the first and has a soft bound that is active."""
    first = LocalModel([[0.9]], [[1.0]], [[1.0]], [[0.5]], u_min=[-0.3], u_max=[0.3])
    second = LocalModel(
        [[0.8]], [[1.0]], [[2.0]], [[1.0]], A_ij={0: np.array([[0.5]])}, C=[[1.0]], upper=[0.4], slack_weight=[3.0],
        u_min=[-0.2], u_max=[0.2],
    )  # fmt: skip
    problem = MPCProblem((first, second), 6, 0.95)
    return problem, agent_data(problem, [[1.0], [1.0]])


def test_the_bracket_closes_with_the_iterations() -> None:
    problem, data = soft_pair()
    value = CentralEvaluator(problem).evaluate(data).value
    widths = []
    for iterations in (1, 5, 20, 60):
        found = DistributedEvaluator(problem, ADMMOptions(iterations=iterations)).evaluate(data)
        lower, upper = found.certificate.value_bounds
        assert lower <= value <= upper
        assert found.certificate.gap == upper - lower
        widths.append(upper - lower)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 1e-9 * value


def test_residuals_tell_how_far_the_agents_are() -> None:
    """The largest residual is above the relative error of the plans until it is rounding."""
    problem, data = soft_pair()
    truth = CentralEvaluator(problem).evaluate(data)
    for iterations in (2, 10, 60):
        found = DistributedEvaluator(problem, ADMMOptions(iterations=iterations)).evaluate(data)
        error = max(np.abs(a.u - b.u).max() for a, b in zip(found.plans, truth.plans, strict=True))
        assert found.residual == found.certificate.residual > 0.1 * error
        assert found.certificate.consensus.max() > 0.01 * error
    assert found.certificate.residual < 1e-8


def test_the_residuals_of_one_agent_are_those_of_its_program() -> None:
    """A single agent has no neighbours: its conditions are those of its QP, measured elsewhere."""
    problem, data = soft_pair()
    alone = MPCProblem((problem.models[0],), problem.horizon, problem.discount)
    evaluator = CentralEvaluator(alone)
    evaluation = evaluator.evaluate(data[:1])
    horizon = evaluator.horizons[0]
    qp = horizon.program(data[0], [data[0].state])
    layout, plan, dual = horizon.layout, evaluation.plans[0], evaluation.duals[0]
    x = np.zeros(layout.size)
    x[layout.x], x[layout.u] = plan.x[1:], plan.u
    low, high = dual.u_min.ravel(), dual.u_max.ravel()
    theirs = kkt_residuals(qp, QPSolution(x, dual.dynamics.ravel(), low, high, Status.OPTIMAL))
    assert theirs.worst < 1e-12
    assert evaluation.certificate.residual < 1e-12
    # a dual that is off by a tenth is off by as much in both
    off = kkt_residuals(qp, QPSolution(x, 1.1 * dual.dynamics.ravel(), low, high, Status.OPTIMAL))
    from tests.dmpcrl_ctrl.test_optimality import certificate

    changed = [type(dual)(**{**dual.__dict__, "dynamics": 1.1 * dual.dynamics})]
    assert certificate(evaluation, duals=changed).stationarity[0] == pytest.approx(off.stationarity, rel=0.5)


def test_not_a_number_counts_as_infinite() -> None:
    nothing = np.zeros(2)
    found = Certificate(np.array([0.0, np.nan]), *[nothing] * 7)
    assert found.residual == np.inf


def test_a_failed_evaluation_has_none() -> None:
    problem, data = soft_pair()
    failed = CentralEvaluator(problem).evaluate(agent_data(problem, [[np.nan], [1.0]]))
    with pytest.raises(EvaluationError, match="a failed evaluation has no certificate: a number is not finite"):
        _ = failed.certificate
    with pytest.raises(EvaluationError, match="no gradient"):
        _ = failed.gradient
    q = CentralEvaluator(problem).evaluate(data, [np.zeros(1), np.zeros(1)])
    with pytest.raises(EvaluationError, match="at_policy takes an evaluation of V"):
        q.at_policy()


def shares(**given: list[float]) -> Certificate:
    """Of three agents; zeros but for what is given."""
    names = ("stationarity", "feasibility", "sign", "complementarity", "consensus", "lower", "relaxed", "violation")
    return Certificate(**{name: np.array(given.get(name, [0.0, 0.0, 0.0])) for name in names})


def test_agents_agree_on_sums_and_on_the_root_of_squares() -> None:
    line = Averaging.from_edges(3, [(0, 1), (1, 2)], acceleration="finite_time")
    found = agreed(
        shares(lower=[1.0, -2.0, 4.0], relaxed=[1.5, -2.0, 4.0], sign=[3.0, 0.0, 0.0], feasibility=[0.0, 0.0, 4.0]),
        line,
        rounds=2,
    )
    assert np.allclose(found.lower, 3.0) and np.allclose(found.upper, 3.5) and np.allclose(found.residual, 5.0)


def test_what_cannot_be_averaged_makes_the_sum_infinite_for_all() -> None:
    line = Averaging.from_edges(3, [(0, 1), (1, 2)], acceleration="finite_time")
    found = agreed(shares(relaxed=[1.0, 1.0, 1.0], violation=[0.0, 1e-3, 0.0]), line, rounds=2)
    assert np.isposinf(found.upper).all() and (found.lower == 0.0).all()
    found = agreed(shares(lower=[-np.inf, 1.0, 1.0], sign=[0.0, np.nan, 0.0]), line, rounds=2)
    assert np.isneginf(found.lower).all() and np.isposinf(found.residual).all() and (found.upper == 0.0).all()


def test_one_averaging_carries_six_numbers_a_message() -> None:
    line, watched = Averaging.from_edges(3, [(0, 1), (1, 2)]), Watched()
    agreed(shares(lower=[1.0, 2.0, 3.0]), line, 4, watched)
    assert len(watched.messages) == 4 * 4  # rounds, and both ways of two links
    assert {len(message.values) for message in watched.messages} == {6}
