"""The committed rows of one array, read from its files.

Every chunk is verified when it is met for the first time; from then on only the bytes asked for
are read. What is known of a file is dropped as soon as another one has taken its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from memoria.chunkstore.codec import CRC_BYTES, DAMAGE_HINT, ChunkFile
from memoria.chunkstore.sources.local import (
    FileReplacedError,
    NotAFileError,
    Source,
    SourceFile,
    Span,
)
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import DamageError, MemoriaError, StorageError

Rows = npt.NDArray[Any]
Index = npt.NDArray[np.int64]

_BATCH_BYTES: Final = 2**25  # read at a time
_FEW_ROWS: Final = 4  # of one chunk: copied one by one
_GAP_BYTES: Final = 2**13  # so many bytes more cost no more than another read
_TRIES: Final = 16


class _Run(NamedTuple):
    """Rows [low, high) of a file, in chunks that lie one behind the other, as bytes to read."""

    file: ChunkFile
    low: int
    high: int
    begin: int
    end: int


class _Pick(NamedTuple):
    """Numbers [first, last) of the rows asked for, of one chunk; bytes begin at row ``low``."""

    file: ChunkFile
    chunk: int
    first: int
    last: int
    low: int
    verified: bool


class ArrayFiles:
    """Files of the array ``spec`` in ``source``. Errors: `DamageError`, `StorageError`."""

    def __init__(self, source: Source, spec: ArraySpec) -> None:
        self._source, self._spec = source, spec
        self._known: dict[int, ChunkFile] = {}
        self._rows, self._row_bytes = spec.chunk_rows, spec.row_bytes  # of a chunk, of a row
        self._chunks = spec.file_chunks  # of a file
        self._length = spec.chunk_bytes + CRC_BYTES  # of a chunk as it lies in its file

    def read(self, start: int, stop: int, out: Rows) -> None:
        """Copy rows [start, stop) into ``out`` [stop - start, *row_shape]."""
        spec = self._spec
        files = max(1, _BATCH_BYTES // (spec.chunk_bytes * spec.file_chunks))
        rows = files * spec.file_rows
        for first in range(start - start % rows, stop, rows):
            low, high = max(start, first), min(stop, first + rows)
            self._retried(partial(self._read, [(low, high)], out[low - start : high - start]))

    def read_spans(self, spans: Sequence[tuple[int, int]], out: Rows) -> None:
        """Copy the rows [start, stop) of each span into ``out``, one span behind another."""
        self._retried(partial(self._read, spans, out))

    def gather(self, ordered: Index, into_rows: Index, out: Rows) -> None:
        """Copy the rows ``ordered`` [n], ascending, to ``places`` [n] of ``out``."""
        step = max(1, _BATCH_BYTES // self._spec.chunk_bytes)
        for first in range(0, len(ordered), step):
            part = slice(first, first + step)
            self._retried(partial(self._gather, ordered[part], into_rows[part], out))

    def forget(self, indices: Iterable[int]) -> None:
        """These files are about to be replaced."""
        for index in indices:
            known = self._known.pop(index, None)
            if known is not None:
                known.file.close()

    def _read(self, rows: Sequence[tuple[int, int]], out: Rows) -> None:
        size = self._spec.file_rows
        parts = [
            (index, max(0, start - index * size), min(size, stop - index * size))
            for start, stop in rows
            for index in range(start // size, -(-stop // size))
        ]
        self._open([index for index, _, _ in parts])
        runs: list[_Run] = []
        for index, low, high in parts:
            runs += self._runs(self._known[index], low, high)
        spans = [(run.file.file, run.begin, run.end - run.begin) for run in runs]
        target, done = out.reshape(-1).view(np.uint8).data, 0
        for run, data in zip(runs, self._contents(spans), strict=True):
            self._copy(run, data, target[done:])
            done += (run.high - run.low) * self._row_bytes

    def _runs(self, file: ChunkFile, low: int, high: int) -> Iterator[_Run]:
        """Rows [low, high) of the file. Of chunks verified before, only the bytes needed."""
        rows, size, length = self._rows, self._row_bytes, self._length
        first, last = low // rows, (high - 1) // rows
        while first <= last:
            offset, end = file.offset(first), first
            while end < last and file.offset(end + 1) == offset + (end + 1 - first) * length:
                end += 1
            a, b = max(low, first * rows), min(high, (end + 1) * rows)
            behind = offset + (end - first) * length
            begin = offset + (a - first * rows) * size if file.verified[first] else offset
            stop = behind + (b - end * rows) * size if file.verified[end] else behind + length
            yield _Run(file, a, b, begin, stop)
            first = end + 1

    def _copy(self, run: _Run, data: bytes, target: memoryview) -> None:
        """Verify the chunks of ``run`` that were not yet, and copy its rows."""
        file, rows, size, length = run.file, self._rows, self._row_bytes, self._length
        if len(data) != run.end - run.begin:
            raise file.damage(f"chunk {run.low // rows} cut short")
        content, view, done = np.frombuffer(data, np.uint8), memoryview(data), 0
        for chunk in range(run.low // rows, -(-run.high // rows)):
            at = file.offset(chunk) - run.begin  # below 0 where the first chunk is not read whole
            if not file.verified[chunk]:
                file.check(chunk, content[at : at + length])
            a = max(run.low - chunk * rows, 0) * size
            b = min(run.high - chunk * rows, rows) * size
            target[done : done + b - a] = view[at + a : at + b]
            done += b - a

    def _gather(self, ordered: Index, into_rows: Index, out: Rows) -> None:
        rows, size = self._rows, self._row_bytes
        local, into = (ordered % rows).tolist(), into_rows.tolist()
        alone, row_spans, picks, spans = self._picks(ordered, local)
        target = out.reshape(-1).view(np.uint8).data
        for k, span, data in zip(alone, row_spans, self._contents(row_spans), strict=True):
            to = into[k] * size
            if len(data) != size:
                raise self._cut_short(span)
            target[to : to + size] = data
        for pick, span, data in zip(picks, spans, self._contents(spans), strict=True):
            if not pick.verified:
                pick.file.check(pick.chunk, data)
            elif len(data) != span[2]:
                raise pick.file.damage(f"chunk {pick.chunk} cut short")
            if pick.last - pick.first <= _FEW_ROWS:
                view = memoryview(data)
                for k in range(pick.first, pick.last):
                    at, to = (local[k] - pick.low) * size, into[k] * size
                    target[to : to + size] = view[at : at + size]
            else:
                part = slice(pick.first, pick.last)
                count = len(data) // size
                found = np.frombuffer(data, self._spec.np_dtype, count * size // out.itemsize)
                found = found.reshape(count, *self._spec.row_shape)
                out[into_rows[part]] = found[ordered[part] % rows - pick.low]

    def _picks(
        self, ordered: Index, local: list[int]
    ) -> tuple[list[int], list[Span], list[_Pick], list[Span]]:
        """What to read for the rows ``ordered``, which are ``local`` in their chunks.

        Returns:
            Numbers of those that are alone in a verified chunk, and where each lies; then, of the
            others, each chunk once, or the rows of a verified one.
        """
        size, length = self._row_bytes, self._length
        chunks = ordered // self._rows
        starts = np.flatnonzero(np.diff(chunks, prepend=-1))
        numbers = chunks[starts]
        indices, inside = (numbers // self._chunks).tolist(), (numbers % self._chunks).tolist()
        self._open(indices)
        cuts = [*starts.tolist(), len(chunks)]
        known = self._known
        alone: list[int] = []
        row_spans: list[Span] = []
        picks: list[_Pick] = []
        spans: list[Span] = []
        for index, chunk, first, last in zip(indices, inside, cuts, cuts[1:], strict=False):
            file = known[index]
            offset = file.offset(chunk)
            if not file.verified[chunk]:
                picks.append(_Pick(file, chunk, first, last, 0, False))
                spans.append((file.file, offset, length))
                continue
            if last - first == 1:
                alone.append(first)
                row_spans.append((file.file, offset + local[first] * size, size))
                continue
            begin = first
            for k in range(first + 1, last + 1):  # rows far from each other are read apart
                if k == last or (local[k] - local[k - 1]) * size > _GAP_BYTES + size:
                    low, high = local[begin], local[k - 1] + 1
                    picks.append(_Pick(file, chunk, begin, k, low, True))
                    spans.append((file.file, offset + low * size, (high - low) * size))
                    begin = k
        return alone, row_spans, picks, spans

    def _cut_short(self, span: Span) -> DamageError:
        """The error for a file that ends before ``span`` does, though it was longer."""
        file = next(known for known in self._known.values() if known.file is span[0])
        return file.damage(f"chunk {span[1] // self._length} cut short")

    def _contents(self, spans: Sequence[Span]) -> Iterator[bytes]:
        """What lies in the spans, as many at a time as suit the source."""
        first = size = 0
        for k, (_, _, length) in enumerate(spans):
            if size and size + length > self._source.batch_bytes:
                yield from self._source.read_many(spans[first:k])
                first, size = k, 0
            size += length
        yield from self._source.read_many(spans[first:])

    def _open(self, indices: Iterable[int]) -> None:
        """Make the files of these numbers known."""
        spec = self._spec
        opened: dict[int, ChunkFile] = {}
        for index in indices:
            if index not in self._known and index not in opened:
                path = f"{spec.name}/{spec.file_name(index)}"
                file = self._source.open(path)
                opened[index] = ChunkFile(file, spec, self._source.place(path))
        spans = [span for file in opened.values() if (span := file.index_span()) is not None]
        if spans:
            found = self._source.read_many(spans)
            for known, data in zip(opened.values(), found, strict=True):
                known.take_index(data)
        self._known |= opened

    def _retried(self, work: Callable[[], None]) -> None:
        """Do it, from the start where a file was replaced meanwhile."""
        name = self._spec.name
        for _ in range(_TRIES):
            try:
                return work()
            except FileReplacedError as error:
                self._replaced(error.file)
            except MemoriaError:
                raise
            except OSError as error:
                place = error.filename or self._source.place(name)
                if isinstance(error, FileNotFoundError | NotAFileError):
                    said = "missing" if isinstance(error, FileNotFoundError) else error.strerror
                    raise DamageError(f"{place}: {said} (array '{name}')", DAMAGE_HINT) from None
                said = error.strerror or str(error)
                raise StorageError(f"{place}: cannot read: {said}") from None
        raise StorageError(f"{self._source.place(name)}: changes while it is read", "try again")

    def _replaced(self, file: SourceFile) -> None:
        self.forget([index for index, known in self._known.items() if known.file is file])
