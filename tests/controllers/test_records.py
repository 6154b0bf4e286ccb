"""What an MPC block writes down: as declared, as the evaluation has it, and what a failure leaves out."""

from typing import Any

import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.controllers.records import admm_record, certificate_fields, data_fields, mpc_fields
from dmpcrl_ctrl.errors import ModelError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem


def trio(**limits: Any) -> MPCProblem:
    """Three integrators in a row, one state, two states and one; the last hears of nobody."""
    first = LocalModel([[1.0]], [[1.0]], [[1.0]], [[0.5]], A_ij={1: [[0.2, 0.0]]}, u_min=[-1.0], u_max=[1.0], **limits)
    second = LocalModel(
        np.eye(2), [[0.0], [1.0]], np.eye(2), [[1.0]], A_ij={2: [[0.1], [0.3]]}, E=[[1.0], [0.0]], C=[[1.0, 0.0]],
        upper=[0.5], slack_weight=[10.0],
    )  # fmt: skip
    third = LocalModel([[0.9]], [[1.0]], [[1.0]], [[1.0]])
    return MPCProblem((first, second, third), 4, 0.95, ("first", "second", "third"))


def step(mpc: Any, **measured: float) -> dict[str, Any]:
    row = np.array([measured.get(name, 0.0) for name in mpc.inputs])
    row = np.tile(row, (mpc.preview + 1, 1)) if mpc.preview else row
    _, _, record = mpc.step(mpc.init(0), 0, row, np.full(3, 0.1), np.zeros(3))
    return dict(record)


@pytest.mark.parametrize("options", [{}, {"preview": True}, {"certify": False}])
@pytest.mark.parametrize("kind", [DistributedMPC, CentralizedMPC])
def test_a_record_has_the_declared_fields_and_shapes(kind: Any, options: dict[str, bool]) -> None:
    mpc = kind(trio(), 1.0, **options)
    record = step(mpc, x0_0=1.0, x1_0=0.4, d1_0=0.2)
    assert set(record) == {field.name for field in mpc.fields}
    for field in mpc.fields:
        assert np.shape(record[field.name]) == field.shape, field.name
    assert record["previous_input"].tolist() == [0.1, 0.1, 0.1]
    assert any(name.startswith("certificate/") for name in record) == options.get("certify", True)
    assert any(name.startswith("data/") for name in record) == options.get("preview", False)


@pytest.mark.parametrize("kind", [DistributedMPC, CentralizedMPC])
def test_a_certificate_at_every_third_sample(kind: Any) -> None:
    mpc = kind(trio(), 1.0, certify=3)
    state, row, proved = mpc.init(0), np.zeros(len(mpc.inputs)), []
    for tick in range(7):
        state, _, record = mpc.step(state, tick, row, np.zeros(3), np.zeros(3))
        proved.append("certificate/lower" in record)
    assert proved == [True, False, False, True, False, False, True]
    assert mpc.log_attributes["certify"] == 3


@pytest.mark.parametrize("wrong", [-1, 2.5, "all", None])
def test_samples_between_certificates_are_a_number(wrong: Any) -> None:
    with pytest.raises(ModelError, match="certify must be True, False or a number of samples, got"):
        CentralizedMPC(trio(), 1.0, certify=wrong)


def test_a_plan_holds_what_neighbours_are_taken_to_do() -> None:
    field = next(field for field in mpc_fields(trio()) if field.name == "plan/first")
    assert field.shape == (5 * 1 + 4 * 1 + 5 * 2,)
    assert field.long_name == "x(0..N), u(0..N-1), sigma(0..N-1), second: x(0..N), by stage; NaN: not known"
    flat = step(CentralizedMPC(trio(), 1.0), x0_0=1.0, x1_0=0.4)["plan/first"]
    assert flat[0] == 1.0 and flat[9] == 0.4  # x(0), and that of the neighbour
    assert (
        np.isnan(flat[10]) and np.isnan(flat[-2:]).all()
    )  # a component that does not couple, and a stage that does not


def test_what_is_known_ahead_is_written_down_agent_by_agent() -> None:
    assert [field.shape for field in data_fields(trio())] == [(5 + 4,), (4 + 5 * 2 + 4,), (5 + 4,)]
    mpc = CentralizedMPC(trio(), 1.0, preview=True)
    rows = np.arange(5.0)[:, None] + np.arange(len(mpc.inputs)) / 100.0
    _, _, record = mpc.step(mpc.init(0), 0, rows, np.zeros(3), np.zeros(3))
    disturbance, reference = (rows[:, mpc.inputs.index(name)] for name in ("d1_0", "x1_1_ref"))
    assert record["data/second"][:4].tolist() == disturbance[:4].tolist()
    assert record["data/second"][5:14:2].tolist() == reference.tolist()


def test_certificates_are_those_of_the_evaluation_and_agreed() -> None:
    distributed = DistributedMPC(trio(), 1.0, admm=ADMMOptions(iterations=200))
    record = step(distributed, x0_0=1.0, x1_0=0.4)
    evaluation = distributed.evaluate([1.0, 0.4, 0.0, 0.0], disturbance=[0.0], previous_input=[0.1, 0.1, 0.1])
    lower, upper = evaluation.certificate.value_bounds
    assert record["certificate/value_lower"] == pytest.approx(lower, rel=1e-9)
    assert np.allclose(record["certificate/agreed_lower"], lower, rtol=1e-12)
    assert np.allclose(record["certificate/agreed_upper"], upper, rtol=1e-12)
    assert lower <= record["value"] * (1 + 1e-9) and record["value"] <= upper * (1 + 1e-9)
    assert (record["certificate/agreed_residual"] >= evaluation.certificate.residual * (1 - 1e-6)).all()
    names = {field.name for field in certificate_fields(3)}
    assert names == {name for name in record if name.startswith("certificate/")}


def test_a_failure_leaves_plans_and_certificates_out() -> None:
    mpc = DistributedMPC(trio(C=[[1.0]], lower=[-1.0], upper=[1.0]), 1.0)
    record = step(mpc, x0_0=9.0)
    assert np.isnan(record["value"]) and record["culprit"] == 0
    assert not [name for name in record if name.startswith(("plan/", "dual/", "certificate/"))]


def test_residuals_end_where_the_iterations_end() -> None:
    evaluation = DistributedMPC(trio(), 1.0, admm=ADMMOptions(iterations=7)).evaluate([1.0, 0.0, 0.0, 0.0])
    record = admm_record(evaluation, 10)
    for kind in ("primal", "dual"):
        assert np.isfinite(record[f"admm/{kind}_residual"]).tolist() == [True] * 7 + [False] * 3
