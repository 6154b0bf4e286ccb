"""What a file from here can say about a plant or a controller of Python's: who makes it, and from which arguments.

Nothing is pickled: a file holds the name of a function that can be imported, and arguments that are JSON.
"""

import importlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.messages import one_line, unknown

_WHERE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Factory:
    """A function by its name, with the arguments that it will be called with.

    Parameters
    ----------
    where
        "module:function"; the function may stand in a class ("module:Class.function").
    arguments
        Keyword arguments, of what JSON knows: texts, finite numbers, true and false, None, lists, mappings by text.

    Raises
    ------
    WiringError
        Names the argument that is not JSON, or what is wrong with the name.

    Examples
    --------
    >>> make = Factory("dmpcrl_ctrl.plants:power_network", {"scenario": 2})
    >>> len(make().agents)
    5
    """

    where: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.where, str) or not _WHERE.fullmatch(self.where):
            raise WiringError(f"{self.where!r}: expected 'module:function'")
        if self.where.startswith("__main__:"):
            raise WiringError(f"{self.where!r}: a script cannot be imported elsewhere; put the function in a module")
        for name, value in self.arguments.items():
            if not isinstance(name, str) or not _is_json(value):
                raise WiringError(
                    f"{self.where}: argument {name!r} is not JSON: texts, finite numbers, true, false, None, lists and "
                    f"mappings by text are, got {one_line(repr(value))[:80]}"
                )

    @classmethod
    def of(
        cls, function: "str | Callable[..., Any] | Factory", arguments: Mapping[str, Any] | None = None
    ) -> "Factory":
        """From a name, or from a function that can be imported by its name."""
        if isinstance(function, Factory):
            if arguments:
                raise WiringError(f"{function.where}: give the arguments to the Factory")
            return function
        if isinstance(function, str):
            return cls(function, dict(arguments or {}))
        where = f"{getattr(function, '__module__', None)}:{getattr(function, '__qualname__', None)}"
        made = cls(where, dict(arguments or {})) if _WHERE.fullmatch(where) else None
        if made is None or made.function() != function:
            raise WiringError(f"{one_line(repr(function))} cannot be imported by a name; put it in a module")
        return made

    def function(self) -> Callable[..., Any]:
        """The function itself.

        Raises
        ------
        WiringError
            Module or function cannot be found.
        """
        module, _, path = self.where.partition(":")
        try:
            found: Any = importlib.import_module(module)
        except (ImportError, SyntaxError) as error:
            raise WiringError(f"{self.where!r}: cannot import {module!r}: {' '.join(str(error).split())}") from error
        for name in path.split("."):
            if not hasattr(found, name):
                there = [each for each in dir(found) if not each.startswith("_")]
                raise WiringError(unknown(name, there, f"{self.where!r}:"))
            found = getattr(found, name)
        if not callable(found):
            raise WiringError(f"{self.where!r} is no function: {type(found).__name__}")
        return found

    def __call__(self) -> Any:
        """What the function makes of the arguments."""
        function = self.function()
        try:
            return function(**self.arguments)
        except TypeError as error:
            raise WiringError(f"{self.where!r}: {' '.join(str(error).split())}") from error


def made(what: str, given: Any, arguments: Mapping[str, Any] | None = None) -> Any:
    """What a :class:`Factory` of that name makes; anything but text is handed on.

    Raises
    ------
    WiringError
        Those of the factory, after `what`; arguments for what is no text.

    Examples
    --------
    >>> made("plant", "dmpcrl_ctrl.plants:chain", {"noise": False}).name
    'chain'
    """
    if not isinstance(given, str):
        if arguments:
            raise WiringError(f"{what}: arguments belong to 'module:function', got {type(given).__name__}")
        return given
    try:
        return Factory(given, dict(arguments or {}))()
    except WiringError as error:
        raise WiringError(f"{what}: {error}") from error


def _is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False
