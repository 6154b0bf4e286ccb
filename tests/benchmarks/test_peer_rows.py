"""Rows against the peer, with stand-ins for it: what they say where it is missing, or solves another problem."""

import math
import sys
from typing import Any

import numpy as np
import pytest

from benchmarks import peer_rows
from benchmarks.__main__ import line
from benchmarks.peer import PeerError, PeerProcess
from benchmarks.peer_rows import PEER_ROWS, published_step, quickest_step, scenario_step, with_peer
from benchmarks.rows import ROWS
from dmpcrl_ctrl.validation.paper_baselines import power_scenario


class FakePeer:
    """Takes two seconds for everything; its central V is off by `value`."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        if do == "train":
            return {"seconds": 2.0}
        if do == "scenario":
            block = power_scenario(len(given["draws"]))
            load = np.array(given["loads"])
            told = np.concatenate([given["state"], load, np.ravel([[0.0, 0.0, d, d] for d in load]), load])
            return {"seconds": 2.0, "V": block.solve(told, given["draws"]).value + self.value}
        path = peer_rows.trajectory(given["example"])
        found = []
        for pair in path.exact:
            here: dict[str, Any] = {}
            for name, exact in zip("VQ", pair, strict=True):
                # as inexact after its iterations as to leave room for ours
                off = 0.1 if do == "solve" else 0.0
                moved = [{key: np.asarray(g + off).tolist() for key, g in own.items()} for own in path.by_theta(exact)]
                here |= {name: exact.value + self.value + off, f"{name}_gradient": moved}
            found.append(here)
        return {"found": found}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of ours take a hundredth of a second; trajectories are short."""
    monkeypatch.setattr(peer_rows, "seconds_per_step", lambda *_, **__: 0.01)
    monkeypatch.setattr(peer_rows, "trajectory", lambda example: trajectory(example, samples=1))
    monkeypatch.setattr(peer_rows, "_SAMPLES", 3)


trajectory = peer_rows.trajectory


def test_the_rows_are_in_the_suite() -> None:
    assert set(PEER_ROWS) == {"peer-chain", "peer-power", "peer-chain-any", "peer-power-any", "peer-scenario"}
    assert set(PEER_ROWS) <= set(ROWS)


@pytest.mark.parametrize("key", PEER_ROWS)
def test_without_the_peer_a_row_says_why_it_has_no_number(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    def missing() -> str:
        raise PeerError("the peer needs Python 3.11")

    monkeypatch.setattr(peer_rows, "interpreter", missing)
    row = PEER_ROWS[key]()
    assert math.isnan(row.value) and row.reached is None and row.goal.startswith(">= ")
    assert line(row) == f"| {row.name} | {row.goal} | nan |  | the peer needs Python 3.11 |"


def test_a_peer_that_fails_on_the_way_gives_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = 'import sys; sys.stdin.readline(); print(\'{"error": "RuntimeError: IPOPT"}\', flush=True)'
    monkeypatch.setattr(peer_rows, "start_peer", lambda: PeerProcess([sys.executable, "-c", failing]))
    row = with_peer("a row", 100.0, scenario_step)
    assert math.isnan(row.value) and row.note == "the peer cannot scenario: RuntimeError: IPOPT"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("example", ["chain", "power"])
def test_steps_are_compared(example: str) -> None:
    peer: Any = FakePeer()
    row = published_step(example, peer, "step", 800.0)
    assert row.value == pytest.approx(200.0) and row.reached is False and row.goal == ">= 800"
    assert row.note.startswith("peer 2.00 s, ours 10.0 ms; as one program V and its gradient agree to 0.0e+00 and ")


@pytest.mark.usefixtures("quick")
def test_the_quickest_way_that_is_as_exact_is_compared() -> None:
    peer: Any = FakePeer()
    row = quickest_step("chain", peer, "step", 150.0)
    assert row.value == pytest.approx(200.0) and row.reached is True
    assert "errors of values and gradients: peer 1.0e-01 and 1.0e-01, ours " in row.note


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("measure", [published_step, quickest_step])
def test_steps_of_different_problems_are_not(measure: Any) -> None:
    with pytest.raises(
        PeerError, match="the two problems differ: V and its gradient of one program by 5.0e-01 and 0.0e"
    ):
        measure("chain", FakePeer(0.5), "step", 800.0)


@pytest.mark.usefixtures("quick")
def test_scenario_programs_are_compared_where_their_costs_agree() -> None:
    alike: Any = FakePeer()
    row = scenario_step(alike, "scenarios", 1.0)
    assert row.value > 0.0 and row.note.endswith("costs agree to 0.0e+00 of themselves")
    other: Any = FakePeer(1.0)
    with pytest.raises(PeerError, match="the two problems differ: their costs by "):
        scenario_step(other, "scenarios", 1.0)
