"""The array types of the package, and the one check that every array from outside passes."""

from typing import Any, TypeAlias

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
        if raw.dtype.kind == "c":
            raise ModelError(f"{name} has complex entries; only real models are supported")
        array = np.array(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{name} is not an array of numbers: {error}") from error
    if array.shape != shape and (
        array.ndim != len(shape) or any(want not in (-1, have) for want, have in zip(shape, array.shape, strict=True))
    ):
        sizes = ["any" if want == -1 else str(want) for want in shape]
        wanted = f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
        raise ModelError(f"{name} has shape {array.shape}, expected {wanted}")
    finite = np.isfinite(array).all()
    if not finite and (not may_be_infinite or np.isnan(array).any()):
        where = np.argwhere(np.isnan(array) if may_be_infinite else ~np.isfinite(array))[0]
        at = "".join(f"[{k}]" for k in where)
        raise ModelError(f"{name}{at} is {array[tuple(where)]}, expected a finite number")
    array.flags.writeable = False
    return array


def others(size: int, index: Index) -> Index:
    """The numbers below `size` that are not in `index`, ascending."""
    kept = np.ones(size, dtype=np.bool_)
    kept[index] = False
    return np.flatnonzero(kept)


def or_zero(array: Array) -> Array:
    """The array, with zeros where it holds no number."""
    return np.where(np.isnan(array), 0.0, array)


def dense(matrix: Matrix) -> Array:
    """The matrix as an array."""
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def frozen(matrix: Matrix) -> Matrix:
    """The matrix, which is not to be changed any more."""
    if not isinstance(matrix, np.ndarray):
        # what scipy would do to it later on
        matrix.sum_duplicates()
        # not views of what somebody else may have
        for name in ("data", "indices", "indptr"):
            setattr(matrix, name, getattr(matrix, name).copy())
    for part in _memory(matrix):
        part.flags.writeable = False
    return matrix


def is_frozen(matrix: Matrix) -> bool:
    """Whether nobody can change it: neither it nor what it is a view of."""
    for part in _memory(matrix):
        owner: object = part
        while isinstance(owner, np.ndarray):
            if owner.flags.writeable:
                return False
            owner = owner.base
    return True


def same(one: Matrix, other: Matrix) -> bool:
    """Whether two matrices are of one form and have the same entries."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and np.array_equal(one, other)
    parts = ("shape", "indptr", "indices", "data")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in parts)


def _memory(matrix: Matrix) -> list[NDArray[Any]]:
    return [matrix] if isinstance(matrix, np.ndarray) else [matrix.data, matrix.indices, matrix.indptr]


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
    # by columns in one row: scipy and numpy take several times as long to find entries in two dimensions
    columns, rows = np.divmod(np.flatnonzero(matrix.ravel(order="F")), max(len(matrix), 1))
    ends = np.cumsum(np.bincount(columns, minlength=matrix.shape[1]))
    starts = np.concatenate([[0], ends]).astype(np.int32)
    return sparse.csc_matrix((matrix[rows, columns], rows.astype(np.int32), starts), shape=matrix.shape)


class BlockSum:
    """A matrix put together from blocks, those at one place added up.

    Parameters
    ----------
    shape
        Of the matrix.
    small
        Whether it is dense.
    """

    def __init__(self, shape: tuple[int, int], small: bool) -> None:
        self._shape = shape
        self._dense = np.zeros(shape) if small else None
        self._entries: list[Entries] = [(np.zeros(0), np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))]

    def add(self, rows: Index, columns: Index, blocks: Array) -> None:
        """Add blocks (..., a, b) at rows (..., a) x columns (..., b), or one block at all of them.

        No two of them may have a place in common; what is added before or after may.
        """
        at = rows[..., :, None], columns[..., None, :]
        if self._dense is not None:
            self._dense[at] += blocks
            return
        shape = np.broadcast_shapes(blocks.shape, (*rows.shape, columns.shape[-1]))
        down, along = (np.broadcast_to(part, shape).ravel() for part in at)
        self._entries.append((np.broadcast_to(blocks, shape).ravel(), down, along))

    def put(self, matrix: Matrix, rows: Index, columns: Index) -> None:
        """Add a matrix at rows x columns, without its zeros where the sum is sparse."""
        if self._dense is not None:
            self.add(rows, columns, dense(matrix))
            return
        values, down, along = entries(matrix)
        self._entries.append((values, rows[down], columns[along]))

    def matrix(self) -> Matrix:
        """The sum."""
        if self._dense is not None:
            return self._dense
        values, rows, columns = map(np.concatenate, zip(*self._entries, strict=True))
        matrix = sparse.csc_array(sparse.coo_array((values, (rows, columns)), shape=self._shape))
        matrix.eliminate_zeros()
        return matrix


def existing(bounds: Array) -> Array:
    """The bounds, with zero where there is none: a bound that does not exist adds nothing to a sum or a size."""
    return np.where(np.isfinite(bounds), bounds, 0.0)
