"""Plants and controllers made by name, for tools that start us in a process of our own and can only send text."""

from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from typing import Any

from dmpcrl_ctrl.errors import WiringError
from dmpcrl_ctrl.plants.signals import unknown


def made(what: str, given: Any, arguments: Mapping[str, Any] | None) -> Any:
    """What "module:function" makes; anything else is what was meant."""
    if not isinstance(given, str):
        if arguments:
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
        signature(found).bind(**(arguments or {}))
    except TypeError as error:
        raise WiringError(f"{what}: {given!r}: {error}") from error
    return found(**(arguments or {}))
