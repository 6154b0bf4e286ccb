"""What people write about named signals (vectors, weights, limits), as arrays; a misspelt name is an error."""

import re
from collections.abc import Mapping, Sequence

import control as ct
import numpy as np
from numpy.typing import ArrayLike

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.errors import ModelError, PlantError
from dmpcrl_ctrl.messages import listed, unknown

Named = ArrayLike | Mapping[str, float]


def plant_name(system: ct.InputOutputSystem, name: str | None) -> str:
    """Name of a plant: as given, or the system's own, or "plant" where the system has only a serial number."""
    if name is None:
        name = "plant" if re.fullmatch(r"sys\[\d+\]", system.name or "sys[0]") else system.name
    if not name or "/" in name or "." in name:
        raise PlantError(f"the plant's name {name!r} must not be empty or contain '/' or '.'; pass name=")
    return name


def signal_names(system: ct.InputOutputSystem, plant: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names of the states, inputs and outputs of a system; PlantError where two signals share one.

    python-control keeps labels in a dictionary, so that of two equal names one silently disappears: the counts tell.
    """
    kinds = (
        ("state", system.nstates or 0, tuple(system.state_labels or ())),
        ("input", system.ninputs or 0, tuple(system.input_labels or ())),
        ("output", system.noutputs or 0, tuple(system.output_labels or ())),
    )
    for kind, count, names in kinds:
        if len(set(names)) != count:
            raise PlantError(f"{plant}: {count} {kind}s need as many different names, got {listed(names)}")
    states, inputs, outputs = (names for _, _, names in kinds)
    shared = sorted(set(states) & set(inputs))
    if shared:
        raise PlantError(f"{plant}: {shared[0]!r} names both a state and an input; give them different names")
    return states, inputs, outputs


def vector(value: Named | None, names: Sequence[str], what: str, default: float = 0.0) -> Array:
    """(len(names),): a full vector, or a mapping name -> number with `default` for the names it leaves out."""
    if value is None or isinstance(value, Mapping):
        given = value or {}
        _require_known(given, names, what)
        value = [given.get(name, default) for name in names]
    return _checked(what, value, (len(names),), names)


def weight(value: Named | None, names: Sequence[str], what: str) -> Array:
    """(n, n) symmetric positive semidefinite: a matrix, a diagonal, or a mapping (others 0); default identity."""
    size = len(names)
    if value is None:
        return np.eye(size)
    if isinstance(value, Mapping) or np.ndim(value) == 1:
        return np.diag(_non_negative(vector(value, names, what), names, what))
    matrix = _checked(what, value, (size, size), names)
    if np.array_equal(matrix, np.diag(np.diag(matrix))):
        _non_negative(np.diag(matrix), names, what)
        return matrix
    scale = max(float(np.abs(matrix).max()), 1.0)
    if np.abs(matrix - matrix.T).max() > 1e-10 * scale or np.linalg.eigvalsh(matrix)[0] < -1e-9 * scale:
        raise PlantError(f"{what} must be symmetric and positive semidefinite")
    return matrix


def prices(value: float | Named | None, names: Sequence[str], what: str, default: float = 0.0) -> Array:
    """(len(names),) of non-negative prices: one number for all, a vector, or a mapping (others `default`)."""
    if value is not None and not isinstance(value, Mapping) and np.ndim(value) == 0:
        value = np.full(len(names), value)
    return _non_negative(vector(value, names, what, default), names, what)


def limits(given: Mapping[str, tuple[float, float]] | None, names: Sequence[str], what: str) -> Array:
    """(len(names), 2) of lower and upper limits; a signal that is not mentioned has none (-inf, inf)."""
    table = np.tile([-np.inf, np.inf], (len(names), 1))
    _require_known(given or {}, names, what)
    for name, pair in (given or {}).items():
        low, high = pair if np.shape(pair) == (2,) else (np.nan, np.nan)
        if np.isnan(low) or np.isnan(high) or low > high or low == np.inf or high == -np.inf:
            raise PlantError(f"{what} of {name!r} must be a pair (low, high) with low <= high, got {pair!r}")
        table[names.index(name)] = low, high
    table.flags.writeable = False
    return table


def rates(given: Mapping[str, float] | None, names: Sequence[str], what: str) -> Array:
    """(len(names),) of positive rate limits per second; inf where none is given."""
    _require_known(given or {}, names, what)
    table = np.array([(given or {}).get(name, np.inf) for name in names], dtype=np.float64)
    for name, rate in zip(names, table, strict=True):
        if not rate > 0.0:
            raise PlantError(f"{what} of {name!r} must be positive, got {rate}")
    table.flags.writeable = False
    return table


def _require_known(given: Mapping[str, object], names: Sequence[str], what: str) -> None:
    for name in given:
        if name not in names:
            raise PlantError(unknown(name, names, f"{what}: signal"))


def _checked(what: str, value: ArrayLike, shape: tuple[int, ...], names: Sequence[str]) -> Array:
    try:
        return checked(what, value, shape)
    except ModelError as error:
        raise PlantError(f"{error} (for {listed(names)})") from error


def _non_negative(values: Array, names: Sequence[str], what: str) -> Array:
    for name, value in zip(names, values, strict=True):
        if value < 0.0:
            raise PlantError(f"{what} of {name!r} must not be negative, got {value:g}")
    return values
