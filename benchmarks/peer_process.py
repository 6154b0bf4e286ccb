"""The peer at work: what its own interpreter runs.

One JSON object a line comes in and one goes out: {"do": "train", "example": "chain", "steps": 2} is answered by
{"seconds": 2.5}, and what cannot be done by {"error": "..."}. Whatever the peer prints goes to the standard error.
Only this file and what it imports, `peer_agents` and `peer_scenario`, need the peer.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TextIO

from benchmarks.peer_agents import Peer
from benchmarks.peer_numbers import EXAMPLES
from benchmarks.peer_scenario import PeerScenario


@cache
def _peer(example: str) -> Peer:
    return Peer(EXAMPLES[example]())


@cache
def _scenario(samples: int) -> PeerScenario:
    return PeerScenario(samples)


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "train": lambda example, **given: _peer(example).train(**given),
    "central": lambda example, **given: _peer(example).central(**given),
    "solve": lambda example, **given: _peer(example).solve(**given),
    "scenario": lambda draws, **given: _scenario(len(draws)).solve(draws, **given),
}


# what a question, or the peer, can go wrong by: who asked is to hear of it
_WRONG = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def serve(questions: TextIO, answers: TextIO) -> None:
    """Answer line by line, until there are no more."""
    for line in questions:
        try:
            asked = json.loads(line)
            answer = TASKS[asked.pop("do")](**asked)
        except _WRONG as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    # IPOPT writes to the descriptor itself: the answers get one of their own
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as only:
        os.dup2(2, 1)
        serve(sys.stdin, only)
