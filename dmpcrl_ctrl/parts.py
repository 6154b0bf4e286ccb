"""Parts of a parametrization: parameters theta and the entries of a model that they move, with the adjoint of that map.

A part works on fields, which are named arrays: those of a :class:`~dmpcrl_ctrl.model.LocalModel`, or of whatever stands
in front of it, such as the continuous-time model before its hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dmpcrl_ctrl.arrays import Array, checked
from dmpcrl_ctrl.errors import ModelError

# "A", or ("A_ij", 2) for the block on neighbour 2.
Field = str | tuple[str, int]
Fields = Mapping[Field, Array]
Theta = Mapping[str, Array]
Mask = NDArray[np.bool_]

_WEIGHTS = ("Q", "R", "P", "Q_c")
COUPLINGS = ("A_ij", "C_ij", "G_ij")


@runtime_checkable
class Part(Protocol):
    """Parameters and the entries that they move.

    `base` and `fields` hold all fields there are, results those that the part is about. Two parts may move the same
    entry only if both are additive, so that their order does not matter.
    """

    additive: ClassVar[bool]

    def moved(self, base: Fields) -> dict[Field, Mask]:
        """Field -> which entries the parameters can move; ModelError where the part does not fit the fields."""
        ...

    def initial(self, base: Fields) -> dict[str, Array]:
        """The parameters, by readable names, at which the fields are the base's."""
        ...

    def applied(self, fields: Fields, theta: Theta) -> dict[Field, Array]:
        """The fields at `theta`; entries that are not moved are as in `fields`."""
        ...

    def pullback(self, theta: Theta, gradient: Fields) -> dict[str, Array]:
        """Derivative by each parameter of a value whose derivative by the fields is `gradient`.

        `gradient` has the fields of `moved`, is finite, and is zero at entries that are not moved.
        """
        ...


@dataclass(frozen=True, eq=False)
class Free:
    """The entries of one field, each a parameter of its own.

    Parameters
    ----------
    field
        Such as "A", "V0" or ("A_ij", 2).
    mask
        Booleans of the field's shape: theta is the vector of the entries that are true, row by row. None: theta is the
        field itself. Bounds and prices that are infinite have to be left out.
    name
        Of theta; default "A", "A_ij/2".

    Notes
    -----
    The gradient by a weight (Q, R, P, Q_c) is symmetric, so that steps along it keep the weight symmetric; they do not
    keep it positive semidefinite.
    """

    field: Field
    mask: Mask | None = None
    name: str = ""
    additive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or path(self.field))
        object.__setattr__(self, "mask", None if self.mask is None else np.array(self.mask))

    def moved(self, base: Fields) -> dict[Field, Mask]:
        """All entries, or those of the mask."""
        array = field_of(base, self.field)
        mask = np.ones(array.shape, dtype=bool) if self.mask is None else self.mask
        if mask.dtype != np.bool_ or mask.shape != array.shape:
            raise ModelError(
                f"mask of {label(self.field)} must be booleans of shape {array.shape}, "
                f"got {mask.dtype} of shape {mask.shape}"
            )
        for at in np.argwhere(mask & ~np.isfinite(array)):
            raise ModelError(f"{label(self.field, at)} = {array[tuple(at)]} cannot be free; leave it out by a mask")
        return {self.field: mask}

    def initial(self, base: Fields) -> dict[str, Array]:
        """The entries themselves."""
        return {self.name: self._free(base)}

    def applied(self, fields: Fields, theta: Theta) -> dict[Field, Array]:
        """The field with theta in place of its free entries."""
        array = np.array(fields[self.field])
        array[... if self.mask is None else self.mask] = theta[self.name]
        return {self.field: array}

    def pullback(self, theta: Theta, gradient: Fields) -> dict[str, Array]:
        """The gradient's entries."""
        return {self.name: self._free(gradient)}

    def _free(self, fields: Fields) -> Array:
        return fields[self.field] if self.mask is None else fields[self.field][self.mask]


@dataclass(frozen=True, eq=False, init=False)
class Shared:
    """Parameters that several entries share, also of several fields: field = base + sum_p (theta_p - start_p) basis_p.

    Parameters
    ----------
    name
        Of theta.
    basis
        Field -> array of theta's shape followed by the field's: what one unit of each parameter adds.
    start
        Theta at which the fields are the base's: a number, or an array whose shape is that of theta.

    Raises
    ------
    ModelError
        An entry is not finite.

    Examples
    --------
    One friction coefficient damps two speeds:

    >>> friction = Shared("friction", {"A": [[-0.1, 0.0], [0.0, -0.1]]}, start=0.4)
    """

    name: str
    basis: Fields
    start: Array
    additive: ClassVar[bool] = True

    def __init__(self, name: str, basis: Mapping[Field, ArrayLike], start: ArrayLike = 0.0) -> None:
        arrays = {f: checked(f"basis of {name} in {label(f)}", b, np.shape(b)) for f, b in basis.items()}
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "basis", arrays)
        object.__setattr__(self, "start", checked(f"start of {name}", start, np.shape(start)))

    def moved(self, base: Fields) -> dict[Field, Mask]:
        """Entries where the basis is not zero."""
        for field, basis in self.basis.items():
            expected = self.start.shape + field_of(base, field).shape
            if basis.shape != expected:
                raise ModelError(
                    f"basis of {self.name} in {label(field)} has shape {basis.shape}, expected {expected}: "
                    "the shape of theta, then that of the field"
                )
        parameters = tuple(range(self.start.ndim))
        return {field: np.any(basis != 0.0, axis=parameters) for field, basis in self.basis.items()}

    def initial(self, base: Fields) -> dict[str, Array]:
        """The start."""
        return {self.name: self.start}

    def applied(self, fields: Fields, theta: Theta) -> dict[Field, Array]:
        """The fields, with sum_p (theta_p - start_p) basis_p added to what they are."""
        change = theta[self.name] - self.start
        return {f: fields[f] + np.tensordot(change, b, axes=change.ndim) for f, b in self.basis.items()}

    def pullback(self, theta: Theta, gradient: Fields) -> dict[str, Array]:
        """Sum over the fields of <basis_p, gradient>."""
        each = (np.tensordot(b, gradient[f], axes=gradient[f].ndim) for f, b in self.basis.items())
        return {self.name: sum(each, np.zeros(self.start.shape))}


@dataclass(frozen=True, eq=False)
class SemidefiniteFactor:
    """A weight that stays positive semidefinite wherever its factor goes: W = L L' + floor I.

    Parameters
    ----------
    field
        "Q", "R", "P" or "Q_c".
    floor
        Least eigenvalue that W can have.
    triangular
        L is lower triangular: entries of theta above the diagonal are not used, and the derivative by them is zero.
        False: all entries of L are parameters.
    name
        Of theta (L, of the shape of W); default "Q/factor".

    Notes
    -----
    A column of L that is zero has a zero derivative where it stands alone: a weight of zero cannot be learned this way.
    """

    field: str
    floor: float = 0.0
    triangular: bool = True
    name: str = ""
    additive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"{self.field}/factor")
        if self.field not in _WEIGHTS:
            raise ModelError(f"only a weight ({', '.join(_WEIGHTS)}) has a factor, got {self.field!r}")
        if not 0.0 <= self.floor < np.inf:
            raise ModelError(f"floor of {self.field} must be finite and not negative, got {self.floor}")

    def moved(self, base: Fields) -> dict[Field, Mask]:
        """All entries."""
        return {self.field: np.ones(field_of(base, self.field).shape, dtype=bool)}

    def initial(self, base: Fields) -> dict[str, Array]:
        """The lower triangular factor of W - floor I with a non-negative diagonal; ModelError where there is none."""
        W = base[self.field] - self.floor * np.eye(len(base[self.field]))
        try:
            return {self.name: np.asarray(np.linalg.cholesky(W), dtype=np.float64)}
        except np.linalg.LinAlgError:
            values, vectors = np.linalg.eigh(W)
        if values[0] < -1e-9 * np.abs(base[self.field]).max():
            raise ModelError(
                f"{self.field} has an eigenvalue {values[0] + self.floor:.3g} below its floor {self.floor:g}; "
                "lower the floor"
            )
        # Singular: S = V sqrt(D), S' = O U by QR, so that S S' = U'U.
        U = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T, mode="r")
        return {self.name: (np.where(np.diag(U) < 0.0, -1.0, 1.0)[:, None] * U).T}

    def applied(self, fields: Fields, theta: Theta) -> dict[Field, Array]:
        """L L' + floor I."""
        L = self._factor(theta)
        return {self.field: L @ L.T + self.floor * np.eye(len(L))}

    def pullback(self, theta: Theta, gradient: Fields) -> dict[str, Array]:
        """(W_bar + W_bar') L, of which the lower triangle if L is triangular."""
        W_bar = gradient[self.field]
        L_bar = (W_bar + W_bar.T) @ self._factor(theta)
        return {self.name: np.tril(L_bar) if self.triangular else L_bar}

    def _factor(self, theta: Theta) -> Array:
        return np.tril(theta[self.name]) if self.triangular else theta[self.name]


def label(field: Field, at: ArrayLike = ()) -> str:
    """What messages call a field or one of its entries: A, A_ij[2], A_ij[2][0, 1]."""
    where = ", ".join(str(k) for k in np.asarray(at).tolist())
    name = field if isinstance(field, str) else f"{field[0]}[{field[1]}]"
    return f"{name}[{where}]" if where else name


def path(field: Field) -> str:
    """What logs call it: A, A_ij/2."""
    return field if isinstance(field, str) else f"{field[0]}/{field[1]}"


def field_of(fields: Fields, field: Field) -> Array:
    """The field; ModelError that names the nearest one where there is none of that name."""
    if field in fields:
        return fields[field]
    labels = [label(known) for known in fields]
    if isinstance(field, tuple) and field[0] in COUPLINGS:
        raise ModelError(
            f"there is no block {label(field)}; give the model one, of zeros if need be, and declare its columns"
        )
    if str(field).partition("[")[0] in COUPLINGS:
        name = str(field).partition("[")[0]
        blocks = ", ".join(str(known) for known in fields if isinstance(known, tuple) and known[0] == name)
        raise ModelError(f"{name} has a block for each neighbour: {blocks or 'this model has none'}; got {field!r}")
    near = get_close_matches(label(field), labels, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(labels)}"
    raise ModelError(f"field {label(field)!r} does not exist; {hint}")
