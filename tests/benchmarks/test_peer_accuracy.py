"""Errors are those against one program of the network, and another problem is not taken for ours."""

from typing import Any

import numpy as np
import pytest

from benchmarks.peer import PeerError
from benchmarks.peer_accuracy import Errors, Trajectory, trajectory
from benchmarks.training import LEARNING


class ExactPeer:
    """Answers with the exact values and gradients, moved by as much as is said."""

    def __init__(self, path: Trajectory, value: float = 0.0, gradient: float = 0.0) -> None:
        self.path, self.value, self.gradient = path, value, gradient

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        found = []
        for pair in self.path.exact:
            here: dict[str, Any] = {}
            for name, exact in zip("VQ", pair, strict=True):
                moved = [
                    {key: np.asarray(g + self.gradient).tolist() for key, g in own.items()}
                    for own in self.path.by_theta(exact)
                ]
                here |= {name: exact.value + self.value, f"{name}_gradient": moved}
            found.append(here)
        return {"found": found}


@pytest.fixture(scope="module", params=["chain", "power"])
def path(request: pytest.FixtureRequest) -> Trajectory:
    return trajectory(request.param, samples=2)


def test_samples_are_solved_exactly(path: Trajectory) -> None:
    assert len(path.exact) == len(path.data) == len(path.actions) == 2
    assert all(found.residual < 1e-9 for pair in path.exact for found in pair)
    for (v, q), action in zip(path.exact, path.actions, strict=True):
        assert q.value >= v.value - 1e-12
        np.testing.assert_allclose(np.concatenate(q.action), np.concatenate(action), atol=1e-12)


def test_one_program_of_ours_is_exact_and_agents_nearly_so(path: Trajectory) -> None:
    central = path.ours(LEARNING[path.example](variant="published", distributed=False))
    agents = path.ours(LEARNING[path.example](variant="published"))
    assert central.within(Errors(1e-10, 1e-8))
    assert agents.within(Errors(1e-7, 1e-5))


def test_errors_are_the_largest(path: Trajectory) -> None:
    found = path.theirs(ExactPeer(path, 1e-3, 1e-2).ask("solve")["found"])
    assert found.value == pytest.approx(1e-3) and found.gradient == pytest.approx(1e-2)
    assert str(found) == "1.0e-03 and 1.0e-02"


def test_the_better_of_the_peers_two_values_counts(path: Trajectory) -> None:
    found = ExactPeer(path, 1e-3).ask("solve")["found"]
    for here, (v, q) in zip(found, path.exact, strict=True):
        here |= {"V_cost": v.value - 1e-5, "Q_cost": q.value + 2e-5}
    assert path.theirs(found).value == pytest.approx(2e-5)


@pytest.mark.parametrize(("value", "gradient"), [(1.0, 0.0), (0.0, 1.0)])
def test_another_problem_is_not_taken_for_ours(path: Trajectory, value: float, gradient: float) -> None:
    other: Any = ExactPeer(path, value, gradient)
    with pytest.raises(PeerError, match="the two problems differ: V and its gradient of one program by "):
        path.require_same(other)


def test_what_ipopt_leaves_open_is_no_other_problem(path: Trajectory) -> None:
    peer: Any = ExactPeer(path, 1e-6, 1e-6)
    assert path.require_same(peer).value == pytest.approx(1e-6)
