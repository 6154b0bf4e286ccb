"""What all rooms say in the same words: a name that is not there and the nearest one that is, an error as one line."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def listed(names: Sequence[str]) -> str:
    """The names, or the first dozen of them, for a message."""
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") or "none"


def unknown(name: object, known: Iterable[str], what: str) -> str:
    """Message for a name that is not among `known`: it ends with the nearest one, or lists them."""
    names = list(known)
    near = get_close_matches(str(name), names, n=1)
    if near:
        return f"{what} {name!r} does not exist; did you mean {near[0]!r}?"
    return f"{what} {name!r} does not exist; there are {listed(names)}"


def one_line(said: object) -> str:
    """Its text with every run of white space as one blank."""
    return " ".join(str(said).split())
