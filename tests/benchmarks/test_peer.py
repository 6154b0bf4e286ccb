"""The peer's process is asked line by line, and says what it cannot do."""

import sys

import pytest

from benchmarks.peer import PeerError, PeerProcess

ECHO = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "end":
        break
    print("a solver's own words", file=sys.stderr)
    answer = {"error": "ValueError: no"} if asked["do"] == "fail" else {"seconds": 2.5, "asked": asked}
    print(json.dumps(answer), flush=True)
"""


def test_a_question_is_answered() -> None:
    with PeerProcess([sys.executable, "-c", ECHO]) as peer:
        for steps in (1, 2):
            answer = peer.ask("train", example="chain", steps=steps)
            assert answer == {"seconds": 2.5, "asked": {"do": "train", "example": "chain", "steps": steps}}


def test_what_the_peer_cannot_do_is_told_and_the_next_question_answered() -> None:
    with PeerProcess([sys.executable, "-c", ECHO]) as peer:
        with pytest.raises(PeerError, match="the peer cannot fail: ValueError: no"):
            peer.ask("fail")
        assert peer.ask("train")["seconds"] == 2.5


def test_a_process_that_ends_is_no_endless_wait() -> None:
    with PeerProcess([sys.executable, "-c", ECHO]) as peer:
        with pytest.raises(PeerError, match="ended without an answer to end"):
            peer.ask("end")
        with pytest.raises(PeerError, match="has ended before it was asked to train|without an answer to train"):
            peer.ask("train")


def test_a_command_that_does_not_run_is_named() -> None:
    with pytest.raises(PeerError, match="cannot be started: .*no-such-python"):
        PeerProcess(["no-such-python"])
