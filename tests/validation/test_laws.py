"""All laws on one controller, found by its name; the smallest example of what fails."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from dmpcrl_ctrl.controllers import CentralizedMPC
from dmpcrl_ctrl.errors import VerificationError
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem
from dmpcrl_ctrl.validation.laws import LAWS, loaded, verify_block, verify_controller
from dmpcrl_ctrl.validation.verdict import Outcome, Verdict
from tests.validation.controllers import chain_problem, flipped_dual, honest, perturbed_value, planted

SOURCE = """
from dmpcrl_ctrl.controllers import CentralizedMPC, DistributedMPC
from dmpcrl_ctrl.model import LocalModel
from dmpcrl_ctrl.problem import MPCProblem

first = LocalModel([[1.0]], [[1.0]], [[1.0]], [[1.0]])
second = LocalModel([[0.9]], [[1.0]], [[1.0]], [[1.0]], A_ij={0: [[0.5]]})
controller = CentralizedMPC(MPCProblem((first, second), 3), 1.0)
number = 3

def build():
    return DistributedMPC(MPCProblem((first, second), 3), 1.0)

def broken():
    raise ValueError("no\\nlicence")
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A user's file."""
    path = tmp_path / "my_controller.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def outcomes(verdicts: list[Verdict]) -> dict[str, Outcome]:
    return {verdict.check: verdict.outcome for verdict in verdicts}


def test_a_controller_in_a_file_is_verified(source: Path) -> None:
    verdicts = verify_block(f"{source}:build", examples=3)
    assert outcomes(verdicts) == dict.fromkeys(LAWS, Outcome.PASSED)
    assert all("largest deviation" in verdict.detail and not verdict.example for verdict in verdicts)


def test_a_controller_in_a_module_is_verified(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(source.parent)
    assert outcomes(verify_block("my_controller:controller", examples=2)) == {
        **dict.fromkeys(LAWS, Outcome.PASSED),
        "privacy": Outcome.SKIPPED,
    }


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nothing", "expected package.module:attribute or path/to/file.py:attribute, got 'nothing'"),
        ("no.such.module:block", "importing no.such.module failed: ModuleNotFoundError"),
        ("no_such_file.py:block", "there is no file no_such_file.py"),
        ("{file}:nothing", "has no attribute 'nothing'; it has .*build, controller"),
        ("{file}:number", "is a int, not a controller with `evaluate` and `problem`"),
        ("{file}:broken", "calling .*:broken failed: ValueError: no licence"),
        ("{file}:CentralizedMPC", "calling .*CentralizedMPC failed: TypeError"),
    ],
)
def test_what_cannot_be_verified_is_told_in_one_line(source: Path, target: str, message: str) -> None:
    with pytest.raises(VerificationError, match=message) as caught:
        loaded(target.format(file=source))
    assert "\n" not in str(caught.value)


def test_a_file_that_does_not_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("1 / 0", encoding="utf-8")
    with pytest.raises(VerificationError, match="bad.py failed: ZeroDivisionError: division by zero"):
        loaded(f"{path}:controller")


@pytest.mark.parametrize(
    ("fault", "law"),
    [(flipped_dual, "optimality (KKT)"), (perturbed_value, "policy: V(s) = Q(s, pi(s))")],
)
def test_a_fault_comes_with_a_small_example(fault: Any, law: str) -> None:
    (verdict,) = verify_controller(planted(fault), examples=10, laws={law: LAWS[law]})
    assert verdict.outcome is Outcome.FAILED
    assert "expected" in verdict.detail and "found" in verdict.detail
    assert verdict.example.startswith("controller.evaluate([")
    state = ast.literal_eval(verdict.example.removeprefix("controller.evaluate(").split("]")[0] + "]")
    assert len(state) == 6 and state.count(0.0) >= 3  # zeros where the fault does not need more


def test_states_may_be_given() -> None:
    seen: list[float] = []

    def note(controller: Any, case: Any) -> float:
        seen.extend(case.state)
        return 0.0

    states = st.lists(st.floats(0.4, 0.5), min_size=6, max_size=6)
    (verdict,) = verify_controller(honest("central", "chain"), examples=5, states=states, laws={"mine": note})
    assert verdict.outcome is Outcome.PASSED and "5 of 5 examples" in verdict.detail
    assert len(seen) == 30 and all(0.4 <= x <= 0.5 for x in seen)


def test_a_controller_that_crashes_is_told() -> None:
    class Crashing(CentralizedMPC):
        def evaluate(self, state: Any, action: Any = None, **given: Any) -> Any:
            raise IndexError("too far")

    (verdict,) = verify_controller(Crashing(chain_problem(), 1.0), examples=2, laws=dict(list(LAWS.items())[:1]))
    assert verdict.outcome is Outcome.FAILED
    assert verdict.detail == "the controller raised IndexError: too far"


def test_a_law_that_never_applies_is_skipped_with_its_reason() -> None:
    stuck = LocalModel(
        [[1.0]], [[1.0]], [[1.0]], [[1.0]], C=[[1.0]], lower=[5.0], upper=[6.0], u_min=[-9.0], u_max=[-9.0]
    )
    verdicts = verify_controller(CentralizedMPC(MPCProblem((stuck,), 2), 1.0), examples=2)
    assert set(outcomes(verdicts).values()) == {Outcome.SKIPPED}
    assert "no plan satisfies the constraints" in verdicts[0].detail


def test_the_seed_determines_the_examples() -> None:
    def drawn(seed: int) -> list[tuple[float, ...]]:
        seen: list[tuple[float, ...]] = []

        def note(controller: Any, case: Any) -> float:
            seen.append(case.state)
            return 0.0

        verify_controller(honest("central", "chain"), examples=5, seed=seed, laws={"mine": note})
        return seen

    assert drawn(1) == drawn(1) and drawn(1) != drawn(2)
    assert all(len(state) == 6 and np.isfinite(state).all() for state in drawn(1))
