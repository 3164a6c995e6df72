"""A store on object storage, read where it lies: ranges of objects, several at once, and a cache.

What was listed when it was opened is what is read, each object by its tag, so that one that a
push replaces meanwhile is noticed and not mixed with what was read before.
"""

from __future__ import annotations

import errno
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, cast

from memoria.chunkstore.sources.buckets import Bucket, ChangedError, Stored
from memoria.chunkstore.sources.local import Entry, FileReplacedError, NotAFileError, Span, Tree
from memoria.errors import DamageError

_BLOCK: Final = 2**16  # read at least
_MOST_BLOCKS: Final = 64  # in one request
_CACHE_BLOCKS: Final = 2**11
_REQUESTS: Final = 16  # at a time


class ObjectFile(NamedTuple):
    """An object as it was when it was opened."""

    source: ObjectSource
    path: str
    stored: Stored

    @property
    def size(self) -> int:
        return self.stored.size

    def read(self, offset: int, length: int) -> bytes:
        return self.source.read_many([(self, offset, length)])[0]

    def close(self) -> None:
        """Nothing is held."""


Run = tuple[ObjectFile, int, int]  # blocks [first, last) of an object


class ObjectSource:
    """The store in ``bucket``. Raises `StorageError`, and `DamageError` for an odd listing."""

    batch_bytes = 2**25

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.objects = bucket.objects()
        try:
            self._tree = Tree({path: one.size for path, one in self.objects.items()})
        except ValueError as error:
            raise DamageError(f"{bucket.url}: not a store: {error}") from None
        self._cache: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()
        self._turn = threading.Lock()  # of the cache
        self._pool: ThreadPoolExecutor | None = None

    def place(self, path: str) -> str:
        return f"{self.bucket.url}/{path}" if path else self.bucket.url

    def entries(self, directory: str) -> dict[str, Entry]:
        return self._tree.entries(directory)

    def entry(self, path: str) -> Entry:
        return self._tree.entry(path)

    def open(self, path: str) -> ObjectFile:
        if self.entry(path).kind != "file":
            raise NotAFileError(errno.EISDIR, "not a file", self.place(path))
        return ObjectFile(self, path, self.objects[path])

    def read_many(self, spans: Sequence[Span]) -> list[bytes]:
        wanted = [(cast(ObjectFile, file), offset, length) for file, offset, length in spans]
        found = self._blocks(wanted)
        return [self._cut(found, file, offset, length) for file, offset, length in wanted]

    def total_bytes(self) -> int:
        return sum(one.size for one in self.objects.values())

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _blocks(self, wanted: list[tuple[ObjectFile, int, int]]) -> dict[tuple[str, int], bytes]:
        """Every block that the spans touch, from the cache or else from afar."""
        found: dict[tuple[str, int], bytes] = {}
        missing: dict[tuple[str, int], ObjectFile] = {}
        for file, offset, length in wanted:
            end = min(offset + length, file.size)
            for block in range(offset // _BLOCK, -(-end // _BLOCK)):
                known = self._remembered((file.path, file.stored.tag, block))
                if known is None:
                    missing[file.path, block] = file
                else:
                    found[file.path, block] = known
        runs: list[Run] = []
        for (path, block), file in sorted(missing.items(), key=lambda one: one[0]):
            last = runs[-1] if runs else None
            if (
                last
                and last[0].path == path
                and last[2] == block
                and block - last[1] < _MOST_BLOCKS
            ):
                runs[-1] = (file, last[1], block + 1)
            else:
                runs.append((file, block, block + 1))
        for run, data in zip(runs, self._fetched(runs), strict=True):
            file, first, last_block = run
            for block in range(first, last_block):
                piece = data[(block - first) * _BLOCK : (block - first + 1) * _BLOCK]
                found[file.path, block] = piece
                self._remember((file.path, file.stored.tag, block), piece)
        return found

    def _remembered(self, key: tuple[str, str, int]) -> bytes | None:
        with self._turn:
            if key in self._cache:
                self._cache.move_to_end(key)
            return self._cache.get(key)

    def _remember(self, key: tuple[str, str, int], piece: bytes) -> None:
        with self._turn:
            self._cache[key] = piece
            if len(self._cache) > _CACHE_BLOCKS:
                self._cache.popitem(last=False)

    def _fetched(self, runs: list[Run]) -> list[bytes]:
        if len(runs) < 2:
            return [self._fetch(run) for run in runs]
        with self._turn:
            pool = self._pool = self._pool or ThreadPoolExecutor(_REQUESTS)
        return list(pool.map(self._fetch, runs))

    def _fetch(self, run: Run) -> bytes:
        file, first, last = run
        begin, end = first * _BLOCK, min(last * _BLOCK, file.size)
        try:
            return self.bucket.get(file.path, file.stored.tag, begin, end - begin)
        except ChangedError:
            self.objects[file.path] = self.bucket.stored(file.path)
            raise FileReplacedError(file) from None

    def _cut(
        self, found: dict[tuple[str, int], bytes], file: ObjectFile, offset: int, length: int
    ) -> bytes:
        end = min(offset + length, file.size)
        first = offset // _BLOCK
        blocks = [found[file.path, block] for block in range(first, -(-end // _BLOCK))]
        whole = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        return whole[offset - first * _BLOCK : end - first * _BLOCK]
