"""The array types of the package, and the one check that every array from outside passes."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from dmpcrl_ctrl.errors import ModelError

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Matrix: TypeAlias = Array | sparse.csc_array
# values, rows, columns
Entries: TypeAlias = tuple[Array, Index, Index]


def checked(name: str, value: ArrayLike, shape: tuple[int, ...], may_be_infinite: bool = False) -> Array:
    """Read-only float64 copy of `value` with the given shape (-1: any length); ModelError names what does not fit."""
    try:
        raw = np.asarray(value)
        if np.iscomplexobj(raw):
            raise ModelError(f"{name} has complex entries; only real models are supported")
        array = np.array(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{name} is not an array of numbers: {error}") from error
    if array.ndim != len(shape) or any(want not in (-1, have) for want, have in zip(shape, array.shape, strict=True)):
        sizes = ["any" if want == -1 else str(want) for want in shape]
        wanted = f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
        raise ModelError(f"{name} has shape {array.shape}, expected {wanted}")
    if np.isnan(array).any() or (not may_be_infinite and not np.isfinite(array).all()):
        where = np.argwhere(np.isnan(array) if may_be_infinite else ~np.isfinite(array))[0]
        at = "".join(f"[{k}]" for k in where)
        raise ModelError(f"{name}{at} is {array[tuple(where)]}, expected a finite number")
    array.flags.writeable = False
    return array


def dense(matrix: Matrix) -> Array:
    """The matrix as an array."""
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def entries(matrix: Matrix) -> Entries:
    """What is not zero."""
    if isinstance(matrix, np.ndarray):
        rows, columns = np.nonzero(matrix)
        return matrix[rows, columns], rows, columns
    found = matrix.tocoo()
    return found.data, *found.coords


def by_columns(matrix: Matrix) -> sparse.csc_matrix:
    """The matrix as sparse solvers want it; of a dense one several times as quick as scipy's own way."""
    if not isinstance(matrix, np.ndarray):
        return sparse.csc_matrix(matrix)
    columns, rows = np.nonzero(matrix.T)
    ends = np.cumsum(np.bincount(columns, minlength=matrix.shape[1]))
    starts = np.concatenate([[0], ends]).astype(np.int32)
    return sparse.csc_matrix((matrix[rows, columns], rows.astype(np.int32), starts), shape=matrix.shape)


def summed(entries: Entries, shape: tuple[int, int], small: bool) -> Matrix:
    """The matrix with these entries, those at one place added up; dense where it is small."""
    values, rows, columns = entries
    if small:
        flat = np.bincount(rows * shape[1] + columns, weights=values, minlength=shape[0] * shape[1])
        return flat.reshape(shape).astype(np.float64, copy=False)  # of no entries the counts are whole numbers
    matrix = sparse.csc_array(sparse.coo_array((values, (rows, columns)), shape=shape))
    matrix.eliminate_zeros()
    return matrix


def existing(bounds: Array) -> Array:
    """The bounds, with zero where there is none: a bound that does not exist adds nothing to a sum or a size."""
    return np.where(np.isfinite(bounds), bounds, 0.0)
