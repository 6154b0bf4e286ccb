"""What a predictive controller wrote down, beside what follows from it; logs in memory, altered in place."""

from collections.abc import Callable
from typing import Any

import control as ct
import numpy as np
import pytest

from dmpcrl_ctrl.admm import ADMMOptions
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.cosim import Run, simulate
from dmpcrl_ctrl.cosim.problem_reader import LoggedProblem
from dmpcrl_ctrl.errors import LogError
from dmpcrl_ctrl.lagrangian import agent_points
from dmpcrl_ctrl.plants import Plant, Steps, chain
from dmpcrl_ctrl.status import Applied
from dmpcrl_ctrl.validation.solve_check import CHECKS, check_solves, cost_terms
from dmpcrl_ctrl.validation.verdict import Outcome


def outcomes(run: Run) -> dict[str, Outcome]:
    trace = run.controllers["mpc"]
    found = check_solves(trace, run.time, run._reader, lambda fraction: None)
    return {verdict.check.removeprefix("mpc: "): verdict.outcome for verdict in found}


def agents(kind: Any = DistributedMPC, **options: Any) -> Run:
    plant = chain()
    own = {"admm": ADMMOptions(iterations=20)} if kind is DistributedMPC else {}
    return simulate(plant, kind.for_plant(plant, 5, discount=0.9, **own, **options), t_end=5, seed=2)


def blocked() -> Run:
    """Pushed out of hard limits at 3 s, so that from there on there is no plan; earlier ones are used up, then held."""
    system = ct.ss([[1.0]], [[1.0, 1.0]], [[1.0]], 0, 1.0, states=["x"], outputs=["x"], inputs=["u", "d"])
    plant = Plant(
        system, name="blocked", input_limits={"u": (-0.1, 0.1)}, state_limits={"x": (-1, 1)}, initial_state=[0.5],
        disturbances={"d": Steps((2.0, 3.0), (3.0, 0.0))},
    )  # fmt: skip
    return simulate(plant, CentralizedMPC.for_plant(plant, 3, soft=False), t_end=8)


@pytest.mark.parametrize("kind", [DistributedMPC, CentralizedMPC])
def test_what_is_true_passes(kind: Any) -> None:
    found = outcomes(agents(kind))
    assert set(found) == {*CHECKS, "inputs follow from plans"} and set(found.values()) == {Outcome.PASSED}


def alter(run: Run, path: str, change: Callable[[Any], None]) -> dict[str, Outcome]:
    dataset = run._reader._file[f"controller/mpc/{path}"]
    values = dataset[()]
    change(values)
    dataset[...] = values
    return outcomes(Run(run._reader))


def scaled(row: int, factor: float) -> Callable[[Any], None]:
    def change(values: Any) -> None:
        values[row] = values[row] * factor

    return change


@pytest.mark.parametrize(
    ("path", "row", "check"),
    [
        ("value", 1, "values"),
        ("local_value", 2, "values"),
        ("agreed_value", 2, "agreed values"),
        ("certificate/stationarity", 3, "agreed certificates"),
        ("certificate/consensus", 3, "residuals"),
        ("certificate/lower", 3, "bracket"),
        ("certificate/value_upper", 0, "bracket"),
        ("certificate/agreed_residual", 4, "agreed certificates"),
        ("output", 4, "inputs follow from plans"),
        ("input", 4, "plans begin where it measured"),
        ("dual/agent_1", 2, "residuals"),
        ("model/agent_2/A", 0, "plans obey models and bounds"),
        ("model/agent_2/u_max", 0, "plans obey models and bounds"),
    ],
)
def test_what_is_altered_fails(path: str, row: int, check: str) -> None:
    factor = 1e-3 if path.endswith("u_max") else 1.0 + 1e-4
    assert alter(agents(), path, scaled(row, factor))[check] is Outcome.FAILED


def test_a_narrower_bracket_and_smaller_residuals_are_overclaimed() -> None:
    """All claims of one row made better together, the beliefs with them: plans and multipliers still tell."""
    run = agents()
    file = run._reader._file["controller/mpc/certificate"]
    for name in ("stationarity", "feasibility", "sign", "complementarity", "consensus"):
        file[name][2] *= 0.1
    file["agreed_residual"][2] *= 0.1
    width = file["relaxed"][3].sum() - file["lower"][3].sum()
    for name in ("lower", "agreed_lower"):
        file[name][3] += width / (6.0 if name == "lower" else 2.0)
    file["value_lower"][3] += width / 2.0
    found = outcomes(Run(run._reader))
    assert found["residuals"] is found["bracket"] is Outcome.FAILED


def test_a_certificate_that_is_due_must_be_there() -> None:
    assert set(alter(agents(), "certificate/lower", scaled(3, np.nan)).values()) >= {Outcome.FAILED}
    assert alter(agents(certify=3), "certificate/lower", scaled(3, np.nan))["bracket"] is Outcome.FAILED
    assert alter(agents(certify=3), "certificate/lower", scaled(2, np.nan))["bracket"] is Outcome.PASSED


@pytest.mark.parametrize("row", [2, 3])
def test_a_certificate_that_is_not_due_is_checked_where_it_stands(row: int) -> None:
    """How often it is due is what the log says, and a report shows whatever certificates there are."""
    run = agents()
    run._reader._file["controller/mpc"].attrs["certify"] = 1000
    assert set(outcomes(Run(run._reader)).values()) == {Outcome.PASSED}
    assert alter(run, "certificate/value_lower", scaled(row, 0.5))["bracket"] is Outcome.FAILED


def test_a_failed_solve_has_no_certificate() -> None:
    run = blocked()
    assert Outcome.FAILED not in outcomes(run).values()
    file = run._reader._file["controller/mpc"]
    failed = int(np.flatnonzero(np.isnan(file["value"][:]))[0])
    file["certificate/value_lower"][failed] = 1.0
    assert outcomes(Run(run._reader))["bracket"] is Outcome.FAILED


def test_samples_between_certificates_that_are_no_number() -> None:
    run = agents()
    run._reader._file["controller/mpc"].attrs["certify"] = -1
    with pytest.raises(LogError, match=r"attribute certify, samples from one certificate to the next, found -1"):
        outcomes(Run(run._reader))


def test_a_value_out_of_its_bracket_is_found_of_a_central_controller() -> None:
    run = agents(CentralizedMPC)
    file = run._reader._file["controller/mpc"]
    file["local_value"][1] *= 1.01
    file["value"][1] = file["local_value"][1].sum()
    file["agreed_value"][1] = file["value"][1]
    found = outcomes(Run(run._reader))
    assert found["agreed values"] is Outcome.PASSED
    assert found["values"] is found["bracket"] is Outcome.FAILED


def test_numbers_that_are_none_never_agree() -> None:
    def change(values: Any) -> None:
        values[2] = np.nan

    found = alter(agents(), "plan/agent_1", change)
    assert found["plans obey models and bounds"] is Outcome.FAILED


def test_fallbacks_are_followed_step_by_step() -> None:
    run = blocked()
    kinds = run.controllers["mpc"]["applied_kind"].tolist()
    assert {Applied.FRESH, Applied.SHIFTED_PLAN, Applied.HELD} == set(kinds)
    assert outcomes(run)["inputs follow from plans"] is Outcome.PASSED
    shifted, held = kinds.index(Applied.SHIFTED_PLAN), kinds.index(Applied.HELD)
    for row in (shifted, held):
        assert alter(blocked(), "output", scaled(row, 0.5))["inputs follow from plans"] is Outcome.FAILED

    def fresh(values: Any) -> None:
        values[shifted] = Applied.FRESH

    assert alter(blocked(), "applied_kind", fresh)["inputs follow from plans"] is Outcome.FAILED

    def told(values: Any) -> None:
        values[held] = 1.0

    assert alter(blocked(), "value", told)["values"] is Outcome.FAILED


def test_records_that_do_not_fit_the_problem_are_an_error() -> None:
    run = agents()
    run._reader._file["controller/mpc/model"].attrs["horizon"] = 4
    with pytest.raises(LogError, match="numbers a row"):
        outcomes(run)


def test_the_terms_of_a_cost_are_at_least_the_cost() -> None:
    run = agents()
    logged = LoggedProblem.of(run._reader, run.controllers["mpc"])
    for point in agent_points(logged.problem, logged.data(3), logged.plans(3), logged.duals(3)):
        assert cost_terms(point) >= sum(abs(cost) for cost in point.costs()) >= abs(sum(point.costs()))
