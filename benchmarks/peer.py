"""The peer from our side: its process, which is asked line by line."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]


class PeerError(Exception):
    """The peer is not there, cannot do what it was asked for, or does something else: there is nothing to compare."""


class PeerProcess:
    """A process that answers questions, one JSON object a line; close it, or use it in a `with` statement.

    Parameters
    ----------
    command
        What to run: the peer's interpreter and "-m", "benchmarks.peer_process".

    Raises
    ------
    PeerError
        The command cannot be run.
    """

    def __init__(self, command: Sequence[str]) -> None:
        # one thread each, as the agents of a network would have
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        try:
            self._process = subprocess.Popen(command, cwd=ROOT, env=os.environ | alone, text=True, **pipes)
        except OSError as error:
            raise PeerError(f"the peer's process cannot be started: {error}") from error

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        """The answer to one question.

        Raises
        ------
        PeerError
            The peer says that it cannot, or does not answer any more.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise PeerError(f"the peer's process has ended before it was asked to {do}") from error
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(f"the peer's process ended without an answer to {do}: run it by hand to see why")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(f"the peer cannot {do}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
