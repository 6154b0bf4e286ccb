"""Plants and controllers made by name, for tools that start us in a process of our own and can only send text."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.plants.signals import unknown


def made(what: str, given: Any, arguments: Mapping[str, Any] | None) -> Any:
    """What a function makes that is named by text; anything but text is handed on.

    Parameters
    ----------
    what
        For messages.
    given
        "module:function", where the function may be a class or a method of one.
    arguments
        Its keywords.

    Raises
    ------
    WiringError
        A text of another form; a module or function that is not there; arguments that it does not take.

    Examples
    --------
    >>> made("plant", "dmpcrl_ctrl.plants:chain", {"noise": False}).name
    'chain'
    """
    keywords = dict(arguments or {})
    if not isinstance(given, str):
        if keywords:
            raise WiringError(f"{what}: arguments belong to 'module:function', got {type(given).__name__}")
        return given
    module, _, path = given.partition(":")
    if not module or not path:
        raise WiringError(f"{what}: expected 'module:function', got {given!r}")
    try:
        found: Any = import_module(module)
    except ImportError as error:
        raise WiringError(f"{what}: cannot import {module!r}: {error}") from error
    for name in path.split("."):
        if not hasattr(found, name):
            there = [each for each in dir(found) if not each.startswith("_")]
            raise WiringError(unknown(name, there, f"{what}: {given!r}:"))
        found = getattr(found, name)
    if not callable(found):
        raise WiringError(f"{what}: {given!r} is no function but {type(found).__name__}")
    try:
        return found(**keywords)
    except TypeError as error:
        raise WiringError(f"{what}: {given!r}: {error}") from error
