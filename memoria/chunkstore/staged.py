"""An array as its writer sees it: the committed rows on disk, and staged rows in memory."""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memoria.chunkstore.codec import encode_file
from memoria.chunkstore.committed import ArrayFiles
from memoria.chunkstore.sources.local import Source
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import InputError, MemoriaError, ShapeError
from memoria.io.progress import Progress

Rows = npt.NDArray[Any]


class LazyRows:
    """Rows [count, ...] that ``read(start, stop)`` brings when they are written, part by part.

    For copies larger than memory. Parts may be asked for from several threads, one at a time.
    """

    def __init__(self, count: int, read: Callable[[int, int], Rows]) -> None:
        self._count = count
        self._read = read
        self._turn = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice) -> Rows:
        start, stop, _ = part.indices(self._count)
        with self._turn:
            return self._read(start, max(start, stop))


def counted_rows(
    arrays: Mapping[str, tuple[ArraySpec, Any]], progress: Progress
) -> dict[str, LazyRows]:
    """The rows of each array; ``progress`` hears how many bytes of all have been taken.

    Args:
        arrays: by name what each is, and its rows, as `StoredArray.append` takes them.
        progress: called with (bytes taken, bytes of all) from the threads that take them.
    """
    total = sum(len(rows) * spec.row_bytes for spec, rows in arrays.values())
    done, turn = 0, threading.Lock()

    def counted(spec: ArraySpec, rows: Any) -> LazyRows:
        def read(start: int, stop: int) -> Rows:
            nonlocal done
            found = np.asarray(rows[start:stop], spec.np_dtype)
            with turn:
                done = min(done + found.nbytes, total)  # the end of an array is taken twice
                progress(done, total)
            return found

        return LazyRows(len(rows), read)

    return {name: counted(spec, rows) for name, (spec, rows) in arrays.items()}


class StoredArray:
    """Rows [0, committed) lie in files of ``source``, rows [committed, rows) in memory.

    ``fresh`` marks an array whose directory no commit has made yet.
    """

    def __init__(self, spec: ArraySpec, source: Source, committed: int, fresh: bool) -> None:
        self.spec = spec
        self.directory = Path(source.place(spec.name))  # where a writer's source is local
        self._files = ArrayFiles(source, spec)
        self.committed = committed
        self.fresh = fresh
        self._blocks: list[Rows | LazyRows] = []
        self._starts: list[int] = []
        self.rows = committed
        self._tail: Rows | None = None  # the last file's rows, when it is not full
        self._next_tail: Rows | None = None

    def append(self, values: Any) -> None:
        """Stage a copy of ``values`` [n, *row_shape]."""
        spec = self.spec
        if isinstance(values, LazyRows):
            self._stage(values)
            return
        block = np.asarray(values)
        if block.ndim != 1 + len(spec.row_shape) or block.shape[1:] != spec.row_shape:
            expected = "[" + ", ".join(["n", *map(str, spec.row_shape)]) + "]"
            raise ShapeError(f"array '{spec.name}'", expected, list(block.shape))
        if block.size and not np.can_cast(block.dtype, spec.np_dtype, "safe"):
            raise InputError(
                f"array '{spec.name}': {block.dtype} does not fit {spec.np_dtype}",
                f"convert it with .astype('{spec.dtype}')",
            )
        self._stage(np.array(block, spec.np_dtype, order="C", copy=True))

    def read(self, start: int, stop: int) -> Rows:
        """Rows [start, stop), wherever they are. Every chunk read is verified."""
        on_disk = min(stop, self.committed)
        out = self.spec.empty(stop - start)
        if start < on_disk:
            self._files.read(start, on_disk, out[: on_disk - start])
        self._copy_staged(max(start, self.committed), stop, out[max(0, on_disk - start) :])
        return out

    def read_spans(self, spans: Sequence[tuple[int, int]]) -> Rows:
        """The rows [start, stop) of each span, one span behind another."""
        if any(stop > self.committed for _, stop in spans):
            return np.concatenate([self.read(start, stop) for start, stop in spans])
        out = self.spec.empty(sum(stop - start for start, stop in spans))
        self._files.read_spans(spans, out)
        return out

    def gather(self, rows: npt.NDArray[np.int64]) -> Rows:
        """Rows [len(rows), *row_shape] in the order asked for; each chunk is read once."""
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            return self.read(int(rows[0]), int(rows[-1]) + 1)
        spec = self.spec
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        on_disk = int(np.searchsorted(ordered, self.committed))
        out = spec.empty(len(rows))
        if on_disk:
            self._files.gather(ordered[:on_disk], order[:on_disk], out)
        if on_disk < len(rows):
            blocks = np.searchsorted(self._starts, ordered[on_disk:], side="right") - 1
            for block, part in _runs(blocks):
                positions = order[on_disk:][part]
                staged = self._blocks[block][:]
                out[positions] = staged[ordered[on_disk:][part] - self._starts[block]]
        return out

    def is_cut_short(self) -> bool:
        """Whether the last committed row is what pads a chunk, which no data are.

        So it is where a file is older than the root: in a folder that has arrived in part. Another
        damage is not told here but where it is read.
        """
        if not self.committed:
            return False
        try:
            last = self.read(self.committed - 1, self.committed)
        except MemoriaError:
            return False
        finally:  # whoever reads it comes anew
            self._files.forget([(self.committed - 1) // self.spec.file_rows])
        empty = np.isnan(last) if math.isnan(self.spec.fill) else last == self.spec.fill
        return bool(empty.all())

    def changed_files(self) -> range:
        """Indices of the files that staged rows fall into."""
        spec = self.spec
        if self.rows == self.committed:
            return range(0)
        return range(self.committed // spec.file_rows, spec.file_count(self.rows))

    def load_tail(self) -> None:
        """Bring the committed rows of the last, partly filled file into memory."""
        spec = self.spec
        used = self.committed % spec.file_rows
        if used and self._tail is None:
            tail = np.full((spec.file_rows, *spec.row_shape), spec.fill, spec.np_dtype)
            self._files.forget([self.committed // spec.file_rows])  # verify what is written anew
            tail[:used] = self.read(self.committed - used, self.committed)
            self._tail = tail

    def encode(self, index: int, padded: bool = False) -> list[Any]:
        """The buffers of file ``index`` with its staged rows. `load_tail` comes first.

        ``padded``: chunks without rows too, so that the file has the size that it will have.
        """
        spec = self.spec
        first = index * spec.file_rows
        stop = min(self.rows, first + spec.file_rows)
        low = max(first, self.committed)
        block = bisect_right(self._starts, low) - 1
        offset = low - self._starts[block]
        whole = self._blocks[block][offset : offset + spec.file_rows]
        if low == first and len(whole) == spec.file_rows:
            return encode_file(spec, whole, spec.file_rows)
        if low > first and self._tail is not None:
            rows = self._tail
        else:
            rows = np.full((spec.file_rows, *spec.row_shape), spec.fill, spec.np_dtype)
        self._copy_staged(low, stop, rows[low - first :])
        if stop < first + spec.file_rows:
            self._next_tail = rows
        return encode_file(spec, rows, spec.file_rows if padded else stop - first)

    def accept(self) -> None:
        """The staged rows are committed now."""
        if self.rows > self.committed:
            self._files.forget(self.changed_files())
            self._tail, self._next_tail = self._next_tail, None
            self.committed = self.rows
            self._blocks, self._starts = [], []
        self.fresh = False

    def forget_staged(self) -> None:
        """Drop the staged rows."""
        self._blocks, self._starts = [], []
        self.rows = self.committed

    def _stage(self, block: Rows | LazyRows) -> None:
        if len(block):
            self._starts.append(self.rows)
            self._blocks.append(block)
            self.rows += len(block)

    def _copy_staged(self, start: int, stop: int, out: Rows) -> None:
        """Copy the staged rows [start, stop) to the beginning of ``out``."""
        block = bisect_right(self._starts, start) - 1
        done = start
        while done < stop:
            first = done - self._starts[block]
            rows = self._blocks[block][first : first + stop - done]
            out[done - start : done - start + len(rows)] = rows
            done += len(rows)
            block += 1


def _runs(keys: npt.NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """The stretches of equal ``keys``, with that value."""
    cuts = (np.flatnonzero(np.diff(keys)) + 1).tolist()
    for start, stop in zip([0, *cuts], [*cuts, len(keys)], strict=True):
        yield int(keys[start]), slice(start, stop)
