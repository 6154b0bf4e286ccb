"""What all sections of an experiment file have in common: strict types, and no key that is not known."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2)]
Seed = Annotated[int, Field(ge=0)]
BlockName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=60)]


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known word that `key` was probably meant to be."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def hint(key: str, known: Iterable[str], otherwise: str = "there are") -> str:
    """How a message on an unknown word ends: with the nearest one, or with all of them."""
    names = list(known)
    near = nearest(key, names)
    return f"did you mean {near}?" if near else f"{otherwise} {', '.join(names) or 'none'}"


class Section(BaseModel):
    """A table of an experiment file: strict types, no key that is not known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, str_max_length=10_000)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, table: Any) -> Any:
        for key in table if isinstance(table, dict) else ():
            if key not in cls.model_fields:
                meant = hint(key, cls.model_fields, "known here:")
                raise PydanticCustomError("unknown_key", "unknown key; {hint}", {"key": key, "hint": meant})
        return table

    @classmethod
    def line(cls) -> str:
        """The one line that describes this kind in a list."""
        return (cls.__doc__ or "").strip().splitlines()[0].rstrip(".")
