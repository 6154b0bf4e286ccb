"""What a check says: passed or not, in which words, and with which example."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Of one check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # it does not apply; the detail says why


@dataclass(frozen=True)
class Verdict:
    """One check's outcome.

    Attributes
    ----------
    check
        What was checked, in a few words.
    outcome
        Passed, failed or skipped.
    detail
        The largest deviation found and its tolerance, where it was found, or why it does not apply; one line.
    example
        The smallest example on which it fails, as text that can be run or read; empty where it passed.
    """

    check: str
    outcome: Outcome
    detail: str
    example: str = ""
