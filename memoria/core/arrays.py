"""The operations on arrays that the core is written on, and what they are in numpy.

The algorithm (state, recall, similarity, connections) is written once. What numpy and torch spell
alike (arithmetic, comparisons, slices, ``sum``, ``cumsum``, ``any``) it writes as it is; all else
goes through an `ArrayOps`: `NUMPY` here, on the CPU, and `memoria/core/torch_arrays.py` on a GPU.

Shapes: B lanes, C columns, N of them asked about. *Columns* int64 [B, N] name columns of an array
[B, C]; -1 names none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

_LARGE_EXPONENT: Final = 80.0  # exp of it and of its negative are normal float32 numbers

Array: TypeAlias = Any  # a numpy array or a torch tensor: what the `ArrayOps` at hand makes


class ArrayOps(Protocol):
    """Arrays of one library, on one device. Types are named as numpy names them."""

    device: Any  # where the arrays lie
    is_host: bool  # whether that is the memory of the CPU

    # -- making -----------------------------------------------------------------------------------

    def full(self, shape: tuple[int, ...], value: float, dtype: str) -> Array:
        """An array of ``value``."""

    def arange(self, stop: int) -> Array:
        """0 to ``stop`` - 1, int64."""

    def array(self, values: Any) -> Array:
        """Of a numpy array or an array of this library, copied only where it must be."""

    def numpy(self, array: Array) -> npt.NDArray[Any]:
        """``array`` as numpy sees it, copied only where it must be."""

    def cast(self, array: Array, dtype: str) -> Array:
        """``array`` in another type; itself where it has it."""

    def copy(self, array: Array) -> Array:
        """A copy that shares no memory."""

    def concatenate(self, parts: Sequence[Array], axis: int) -> Array:
        """``parts`` one after another."""

    # -- elements ---------------------------------------------------------------------------------

    def where(self, condition: Array, first: Any, second: Any) -> Array:
        """``first`` where ``condition``, else ``second``."""

    def fill(self, array: Array, mask: Array, value: float) -> Array:
        """``array`` with ``value`` written where ``mask``, which broadcasts to its shape."""

    def maximum(self, array: Array, least: float) -> Array:
        """The greater of each element and ``least``."""

    def finite(self, array: Array) -> Array:
        """Which elements are neither NaN nor Inf."""

    # -- rows -------------------------------------------------------------------------------------

    def least(self, array: Array) -> Array:
        """Least element of each row, [B]."""

    def greatest(self, array: Array) -> Array:
        """Greatest element along the last axis."""

    def argmax(self, array: Array) -> Array:
        """The first of the greatest along the last axis, int64."""

    def sort(self, array: Array) -> Array:
        """Each row ascending."""

    def argsort(self, array: Array) -> Array:
        """The order of each row, ascending; equal elements in their order. int64."""

    def kth_greatest(self, array: Array, count: int) -> Array:
        """The ``count``-th greatest element of each row, [B, 1]."""

    def search(self, array: Array, wanted: Array, lengths: Array | None = None) -> Array:
        """How many elements of each row, which ascends, are below each of ``wanted`` [B, N].

        Only the first ``lengths`` [B] of a row count. Without them, all, and also those that are
        equal to what is wanted.
        """

    def unique(self, array: Array) -> Array:
        """The distinct elements, ascending, [N]."""

    # -- columns ----------------------------------------------------------------------------------

    def nonzero(self, mask: Array) -> tuple[Array, Array]:
        """Row and column of each true entry of ``mask`` [B, C], row by row."""

    def columns(self, mask: Array) -> Array:
        """Columns of the true entries of ``mask`` [B, C], ascending; -1 after a row's last."""

    def mask(self, columns: Array, width: int) -> Array:
        """Bool [B, width], true at ``columns``."""

    def mark(self, mask: Array, columns: Array) -> None:
        """Make ``mask`` [B, C] true at ``columns``."""

    def distinct(self, columns: Array) -> Array:
        """Each of ``columns`` once, ascending; -1 after a row's last."""

    def take(self, array: Array, columns: Array, null: float) -> Array:
        """``array`` [B, C] at ``columns``; ``null`` where -1."""

    def add_at(self, array: Array, columns: Array, amounts: Array) -> None:
        """Add ``amounts`` [B, N] to ``array`` [B, C] at ``columns``; repeats add up."""

    def add_cells(self, array: Array, rows: Array, columns: Array, amount: int) -> None:
        """Add ``amount`` to ``array`` [B, C] at the cells (``rows``, ``columns``), [N] both."""

    def take_rows(self, array: Array, columns: Array) -> Array:
        """``array`` [B, C, D] at ``columns``, [B, N, D]; zeros where -1."""

    def add_pairs(self, array: Array, columns: Array) -> None:
        """+1 in ``array`` [B, C, C] for each pair of distinct ``columns`` of a row."""

    def take_pairs(self, array: Array, columns: Array, out: Array) -> None:
        """Write ``array`` [C, C] between all of ``columns`` [N] into ``out`` [N, N].

        Columns ascend, so that ``out`` may be the first rows and columns of ``array``.
        """

    # -- vectors ----------------------------------------------------------------------------------

    @property
    def exact_products(self) -> bool:
        """Whether float32 products keep float32's digits."""

    def squares(self, vectors: Array) -> Array:
        """Squared lengths of ``vectors`` [B, N, D], [B, N]."""

    def distances(self, cue: Array, keys: Array, cue_square: Array, key_square: Array) -> Array:
        """Squared distances [B, W, N] of [B, W, D] and [B, N, D], 0 or more, by one product."""

    def log_sum_exp(self, array: Array) -> Array:
        """``log(sum over w of exp(array))`` of [B, W, N], [B, N]."""

    def log_kernel_sum(
        self, cue: Array, keys: Array, cue_square: Array, key_square: Array
    ) -> Array:
        """``log(sum over w of exp(-||cue_w - key_n||^2))`` [B, N], as fast as the library can.

        Arguments as of `distances`. NaN or Inf where a square overflows.
        """


class NumpyOps:
    """`ArrayOps` of numpy. One lane, the usual case of a store, takes fewer calls."""

    def __reduce__(self) -> str:
        return "NUMPY"  # copied or unpickled it is the same one

    device: Any = "cpu"
    is_host: bool = True

    def full(self, shape: tuple[int, ...], value: float, dtype: str) -> Array:
        return np.full(shape, value, dtype)

    def arange(self, stop: int) -> Array:
        return np.arange(stop)

    def array(self, values: Any) -> Array:
        return np.asarray(values)

    def numpy(self, array: Array) -> npt.NDArray[Any]:
        return np.asarray(array)

    def cast(self, array: Array, dtype: str) -> Array:
        return array.astype(dtype, copy=False)

    def copy(self, array: Array) -> Array:
        return array.copy()

    def concatenate(self, parts: Sequence[Array], axis: int) -> Array:
        return np.concatenate(parts, axis)

    def where(self, condition: Array, first: Any, second: Any) -> Array:
        return np.where(condition, first, second)

    def fill(self, array: Array, mask: Array, value: float) -> Array:
        np.copyto(array, value, where=mask, casting="unsafe")
        return array

    def maximum(self, array: Array, least: float) -> Array:
        return np.maximum(array, least)

    def finite(self, array: Array) -> Array:
        return np.isfinite(array)

    def least(self, array: Array) -> Array:
        return array.min(1)

    def greatest(self, array: Array) -> Array:
        return array.max(-1)

    def argmax(self, array: Array) -> Array:
        return array.argmax(-1)

    def sort(self, array: Array) -> Array:
        return np.sort(array, 1)

    def argsort(self, array: Array) -> Array:
        return array.argsort(1, kind="stable")

    def kth_greatest(self, array: Array, count: int) -> Array:
        at = array.shape[1] - count
        return np.partition(array, at, 1)[:, at : at + 1]

    def search(self, array: Array, wanted: Array, lengths: Array | None = None) -> Array:
        if lengths is None:
            found = [
                row.searchsorted(mine, "right") for row, mine in zip(array, wanted, strict=True)
            ]
        else:
            rows = zip(array, lengths.tolist(), wanted, strict=True)
            found = [row[:length].searchsorted(mine) for row, length, mine in rows]
        return found[0][None] if len(found) == 1 else np.stack(found)

    def unique(self, array: Array) -> Array:
        return _distinct(array.ravel())

    def nonzero(self, mask: Array) -> tuple[Array, Array]:
        lane, column = mask.nonzero()
        return lane, column

    def columns(self, mask: Array) -> Array:
        if len(mask) == 1:
            return mask[0].nonzero()[0][None]
        counts = np.count_nonzero(mask, 1)
        lane, column = mask.nonzero()
        out = np.full((len(mask), counts.max(initial=0)), -1)
        out[lane, np.arange(len(lane)) - (counts.cumsum() - counts)[lane]] = column
        return out

    def mask(self, columns: Array, width: int) -> Array:
        mask = np.zeros((len(columns), width), np.bool_)
        self.mark(mask, columns)
        return mask

    def mark(self, mask: Array, columns: Array) -> None:
        for lane, row in zip(mask, columns, strict=True):
            here = row >= 0
            lane[row if np.count_nonzero(here) == len(row) else row[here]] = True

    def distinct(self, columns: Array) -> Array:
        rows = [_distinct(row) for row in columns]
        rows = [row[1:] if len(row) and row[0] < 0 else row for row in rows]
        return padded(rows)

    def take(self, array: Array, columns: Array, null: float) -> Array:
        if array.shape[1] == 0:
            return np.full(columns.shape, null, array.dtype)
        if len(array) == 1:
            taken = array[0].take(columns[0])[None]  # of -1 the last one
        else:
            taken = array[np.arange(len(array))[:, None], columns]
        missing = columns < 0
        if np.count_nonzero(missing):
            taken[missing] = null
        return taken

    def add_at(self, array: Array, columns: Array, amounts: Array) -> None:
        for lane, row, more in zip(array, columns, amounts, strict=True):
            here = row >= 0
            if np.count_nonzero(here) < len(row):
                row, more = row[here], more[here]
            np.add.at(lane, row, more)

    def add_cells(self, array: Array, rows: Array, columns: Array, amount: int) -> None:
        np.add.at(array.reshape(-1), rows * array.shape[1] + columns, amount)

    def take_rows(self, array: Array, columns: Array) -> Array:
        if len(array) == 1:
            taken = array[0].take(columns[0], 0)[None]
        else:
            taken = array[np.arange(len(array))[:, None], columns]
        missing = columns < 0
        if np.count_nonzero(missing):
            taken[missing] = 0
        return taken

    def add_pairs(self, array: Array, columns: Array) -> None:
        for counts, row in zip(array, self.distinct(columns), strict=True):
            at = row[row >= 0]
            counts[at[:, None], at] += 1

    def take_pairs(self, array: Array, columns: Array, out: Array) -> None:
        for row, column in zip(out, columns.tolist(), strict=True):
            array[column].take(columns, out=row, mode="clip")  # a fourth of one big gather

    @property
    def exact_products(self) -> bool:
        return True

    def squares(self, vectors: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.vecdot(vectors, vectors)

    def distances(self, cue: Array, keys: Array, cue_square: Array, key_square: Array) -> Array:
        with np.errstate(all="ignore"):  # what overflows is Inf or NaN, and the caller looks
            found = cue @ keys.swapaxes(1, 2)
            found *= -2.0
            found += cue_square[:, :, None]
            found += key_square[:, None, :]
            return np.maximum(found, 0.0, out=found)

    def log_sum_exp(self, array: Array) -> Array:
        if array.shape[1] == 1:
            return array[:, 0]
        with np.errstate(all="ignore"):
            most = array.max(1)
            most[np.isinf(most)] = 0.0
            return np.log(np.exp(array - most[:, None]).sum(1)) + most

    def log_kernel_sum(
        self, cue: Array, keys: Array, cue_square: Array, key_square: Array
    ) -> Array:
        with np.errstate(all="ignore"):
            found = keys @ (2.0 * cue).swapaxes(1, 2)  # a fifth faster than cue @ keys
            found -= cue_square[:, None, :]
            most = None
            if not (found.min() > -_LARGE_EXPONENT and found.max() < _LARGE_EXPONENT):
                most = found.max(2)
                found -= most[:, :, None]
            np.exp(found, out=found)
            total = np.log(found @ np.ones(cue.shape[1], found.dtype))
            if most is not None:
                total += most
            total -= key_square
            return total


def padded(rows: Sequence[Array]) -> Array:
    """Columns of each lane, ``rows`` [B][n], as one array, -1 on the right."""
    if len(rows) == 1:
        return rows[0][None]
    out = np.full((len(rows), max(map(len, rows), default=0)), -1)
    for lane, row in enumerate(rows):
        out[lane, : len(row)] = row
    return out


def _distinct(row: Array) -> Array:
    """The distinct elements of ``row`` [N], ascending; `numpy.unique` takes thrice as long."""
    ordered = np.sort(row)
    new = np.empty(len(ordered), np.bool_)
    new[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]


NUMPY: Final[ArrayOps] = NumpyOps()
