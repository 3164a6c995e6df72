"""A store's files opened although they may be damaged, and what of them can be read."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.chunkstore.disk import Disk
from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.locks import ReaderLease
from memoria.chunkstore.root import Root
from memoria.chunkstore.sources.local import Source
from memoria.errors import DamageError
from memoria.timeline.log import IntArray

_WINDOW_BYTES: Final = 2**21
_NO_WINDOW: Final = (0, np.empty(0))


@dataclass(frozen=True)
class Damage:
    """Rows [first, last) of an array that cannot be read, or (first == last) a file beyond them."""

    kind: str
    path: str
    array: str
    first: int
    last: int
    message: str


class LooseFiles(StoreFiles):
    """`StoreFiles` for reading whatever state they are in; rows known to be damaged are marked.

    Reading forward in small steps, as the digest does, opens each file once.
    """

    def __init__(self, source: Source, lease: ReaderLease | None, root: Root) -> None:
        super().__init__(Path(source.place("")), "r", Disk(), source)
        self._lease = lease
        self._root = root
        self._forget_staged()
        self._holes: dict[str, list[tuple[int, int]]] = {}
        self._windows: dict[str, tuple[int, npt.NDArray[Any]]] = {}

    def mark(self, damages: list[Damage]) -> None:
        """From now on the rows of ``damages`` are known to be unreadable."""
        self._windows.clear()
        for damage in damages:
            if damage.last > damage.first:
                self._holes.setdefault(damage.array, []).append((damage.first, damage.last))
        for name, holes in self._holes.items():
            self._holes[name] = _merged(holes)

    def is_sound(self, name: str, start: int, stop: int) -> bool:
        """Whether rows [start, stop) are there and can be read."""
        if not 0 <= start <= stop <= self.committed_rows(name):
            return False
        holes = self._holes.get(name, [])
        after = bisect_right(holes, (stop, -1))
        return start == stop or after == 0 or holes[after - 1][1] <= start

    def sound_mask(self, name: str, starts: IntArray, stops: IntArray) -> npt.NDArray[np.bool_]:
        """`is_sound` of many ranges."""
        there = (starts >= 0) & (starts <= stops) & (stops <= self.committed_rows(name))
        holes = np.array(self._holes.get(name, []), np.int64).reshape(-1, 2)
        if len(holes) == 0:
            return there
        before = np.searchsorted(holes[:, 0], stops, side="left")  # holes that begin before stop
        last = np.where(before > 0, holes[np.maximum(before - 1, 0), 1], -1)
        sound: npt.NDArray[np.bool_] = there & ((last <= starts) | (starts == stops))
        return sound

    def readable_end(self, name: str) -> int:
        """Behind the last row that can be read: what is missing at the end needs no memory."""
        end = self.committed_rows(name)
        for first, last in reversed(self._holes.get(name, [])):
            if last < end:
                break
            end = first
        return end

    def sound_end(self, name: str) -> int:
        """Behind the last row before the first that cannot be read."""
        holes = self._holes.get(name, [])
        return holes[0][0] if holes else self.committed_rows(name)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        at, window = self._windows.get(name, _NO_WINDOW)
        if stop is not None and at <= start < stop <= at + len(window):  # nearly always
            return window[start - at : stop - at]
        stop = self.rows(name) if stop is None else stop
        if 0 <= start < stop <= self.rows(name) and not self.is_sound(name, start, stop):
            raise DamageError(f"{self.path / name}: rows {start} to {stop} cannot be read")
        spec = self.spec(name)
        size = max(1, _WINDOW_BYTES // (spec.file_rows * spec.row_bytes)) * spec.file_rows
        first = start - start % size
        if not 0 <= start < stop <= min(first + size, self.rows(name)):
            return super().read(name, start, stop)
        last = min(first + size, self.rows(name))
        if not self.is_sound(name, first, last):
            return super().read(name, start, stop)
        window = super().read(name, first, last)
        self._windows[name] = first, window
        return window[start - first : stop - first]

    def gather(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        if len(rows) and int(rows[-1]) - int(rows[0]) == len(rows) - 1:
            ahead = np.arange(int(rows[0]), int(rows[-1]) + 1)
            if (rows == ahead).all():
                return self.read(name, int(rows[0]), int(rows[-1]) + 1)
        return super().gather(name, rows)

    def sound_rows(self, name: str) -> npt.NDArray[Any]:
        """The whole array; `DamageError` where a part of it is known to be unreadable."""
        rows = self.committed_rows(name)
        if not self.is_sound(name, 0, rows):
            raise DamageError(f"{self.path / name}: cannot be read as a whole")
        return super().read(name, 0, rows)


def _merged(holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for first, last in sorted(holes):
        if out and first <= out[-1][1]:
            out[-1] = out[-1][0], max(last, out[-1][1])
        else:
            out.append((first, last))
    return out
