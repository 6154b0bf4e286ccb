"""One running FMU behind plain numbers; FMPy stands behind this file and `fmu_file.py`.

What an FMU says to its logger is kept, and is part of the error when a call of it fails.
"""

import contextlib
import ctypes
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dmpcrl_ctrl.arrays import Array
from dmpcrl_ctrl.cosim.adapters.fmu_file import Description, Variable, unpack
from dmpcrl_ctrl.errors import FMUError
from dmpcrl_ctrl.messages import one_line, unknown

_WARNING, _FATAL = 1, 4
_READERS = {"Real": "getReal", "Integer": "getInteger", "Boolean": "getBoolean"}
_WRITERS = {"Real": "setReal", "Integer": "setInteger", "Boolean": "setBoolean", "String": "setString"}
_TYPES: dict[str, tuple[type, ...]] = {"Real": (int, float), "Integer": (int,), "Boolean": (bool,), "String": (str,)}


class FMUInstance:
    """An FMU in the state after its initialisation, unpacked into a folder of its own until it is closed.

    Parameters
    ----------
    description
        From :func:`~dmpcrl_ctrl.cosim.adapters.fmu_file.describe`.
    start_values
        Variable -> value that it starts from: parameters and inputs.

    Raises
    ------
    FMUError
        A start value of an unknown variable, of another type, or not finite; the FMU has no binary for this machine, or
        refuses.
    """

    def __init__(self, description: Description, start_values: Mapping[str, Any]) -> None:
        self._what, self._start_values = description, dict(start_values)
        for name, value in self._start_values.items():
            _check_start(description, name, value)
        self._messages: list[str] = []
        self._folder = Path(tempfile.mkdtemp(prefix="fmu-"))
        self._end = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._slave: Any = None
        self._callbacks = _callbacks(self._messages)
        try:
            unpack(description, self._folder)
            self._instantiate()
        except BaseException:
            self.close()
            raise

    def restart(self) -> None:
        """To the beginning; as a new instance where the FMU cannot be reset."""
        try:
            self._call("reset")
        except FMUError:  # it cannot, or has failed
            self._free()
            self._instantiate()
        else:
            self._initialise()

    def read(self, variables: Sequence[Variable]) -> Array:
        """Values of variables, as floats."""
        values = np.empty(len(variables))
        for kind, reader in _READERS.items():
            chosen = [k for k, variable in enumerate(variables) if variable.kind == kind]
            if chosen:
                values[chosen] = self._call(reader, [variables[k].reference for k in chosen])
        return values

    def write(self, variables: Sequence[Variable], values: Sequence[float] | Array) -> None:
        """Set real variables."""
        if variables:
            self._call("setReal", [variable.reference for variable in variables], [float(value) for value in values])

    def step(self, time: float, step: float) -> None:
        """One communication step, in seconds."""
        self._call("doStep", time, step)

    def keep(self) -> Any:
        """The FMU's state; it stays valid until it is forgotten, or the FMU is restarted or closed."""
        return self._call("getFMUstate")

    def restore(self, state: Any) -> None:
        """Go back to a state that was kept."""
        self._call("setFMUstate", state)

    def forget(self, state: Any) -> None:
        """Give the memory of a kept state back."""
        self._call("freeFMUstate", state)

    def close(self) -> None:
        """End the FMU, and remove what was unpacked; it cannot be used afterwards."""
        self._free()
        # a bridge to Python leaves its folder on the path
        sys.path[:] = [entry for entry in sys.path if not str(entry).startswith(str(self._folder))]
        self._end()

    def _instantiate(self) -> None:
        from fmpy.fmi2 import FMU2Slave

        what = self._what
        here = Path.cwd()
        try:
            slave = self._guarded(
                "its binary",
                lambda: FMU2Slave(
                    guid=what.guid,
                    modelIdentifier=what.identifier,
                    unzipDirectory=str(self._folder),
                    instanceName=what.identifier,
                ),
            )
            try:
                self._guarded("instantiate", lambda: slave.instantiate(callbacks=self._callbacks, loggingOn=True))
            except FMUError:
                slave.freeLibrary()
                raise
            finally:
                self._keep_script()
        finally:
            os.chdir(here)  # FMPy leaves it where a binary cannot be loaded
        self._slave = slave
        self._initialise()

    def _keep_script(self) -> None:
        """The bridge of pythonfmu (0.7) gives back a reference to its script's names that it does not have.

        After a few instances in one process the names would be gone, and the process with them.
        """
        file = self._folder / "resources" / "slavemodule.txt"
        module = sys.modules.get(file.read_text(encoding="utf-8").strip()) if file.is_file() else None
        if module is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(module.__dict__))

    def _initialise(self) -> None:
        self._call("setupExperiment", startTime=0.0)
        for name, value in self._start_values.items():
            variable = self._what.variables[name]
            self._call(_WRITERS[variable.kind], [variable.reference], [value])
        self._call("enterInitializationMode")
        self._call("exitInitializationMode")

    def _free(self) -> None:
        slave, self._slave = self._slave, None
        if slave is not None:
            with contextlib.suppress(Exception):  # what a failed FMU says at its end does not matter any more
                slave.terminate()
            with contextlib.suppress(Exception):
                slave.freeInstance()

    def _call(self, function: str, *arguments: Any, **keywords: Any) -> Any:
        if self._slave is None:
            raise FMUError(f"{self._what.file}: the FMU {'has failed' if self._end.alive else 'is closed'}")
        call = getattr(self._slave, function)
        return self._guarded(function, lambda: call(*arguments, **keywords))

    def _guarded(self, what: str, call: Callable[[], Any]) -> Any:
        self._messages.clear()
        try:
            return call()
        except Exception as error:
            said = "; ".join(map(one_line, self._messages))
            reason = said or one_line(error)
            if getattr(error, "status", None) == _FATAL:
                self._slave = None  # no function may be called any more, not even to free it
            raise FMUError(f"{self._what.file}: {what}: {reason}") from error


def _check_start(description: Description, name: str, value: Any) -> None:
    if name not in description.variables:
        raise FMUError(unknown(name, list(description.variables), f"{description.file}: start_values: variable"))
    kind = description.variables[name].kind
    good = isinstance(value, _TYPES[kind]) and (kind == "Boolean" or not isinstance(value, bool))
    if not good or (kind == "Real" and not np.isfinite(value)):
        raise FMUError(f"{description.file}: start_values: {name!r} is {kind}, got {value!r}")


def _callbacks(messages: list[str]) -> Any:
    """FMPy's, with a logger that keeps warnings and errors."""
    from ctypes import byref

    from fmpy import fmi2
    from fmpy.logging import addLoggerProxy

    def log(component: Any, instance: bytes, status: int, category: bytes, message: bytes) -> None:
        if status > _WARNING:
            messages.append(message.decode("utf-8", "replace"))

    callbacks = fmi2.fmi2CallbackFunctions()
    callbacks.logger = fmi2.fmi2CallbackLoggerTYPE(log)
    callbacks.allocateMemory = fmi2.defaultCallbacks.allocateMemory
    callbacks.freeMemory = fmi2.defaultCallbacks.freeMemory
    addLoggerProxy(byref(callbacks))
    return callbacks
