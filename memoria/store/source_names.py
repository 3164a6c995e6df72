"""The names of sources by their numbers, and their numbers by name.

A chat of a million lines has a million sources, one a record. So a name is read when it is asked
for, and found by a hash that takes 16 bytes a source. Torch-free.
"""

from __future__ import annotations

from operator import mul
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError
from memoria.store.memory_files import MemoryFiles, may_be_ends
from memoria.store.payloads import encode_text
from memoria.timeline.log import IntArray

Named = tuple[str, str]  # as it was given, and as it was resolved: "" if it was not

_Hashes = npt.NDArray[np.uint64]

_TAIL: Final = 256  # bytes of a name that its hash is of, the last ones
_WORD: Final = (1 << 64) - 1
_POWERS: Final = [pow(0x9E3779B97F4A7C15, power, 1 << 64) for power in range(_TAIL + 1)]
_BLOCK: Final = 1 << 16  # names that are hashed at a time
_HELD: Final = 1 << 12  # names in memory, of those asked for last
_AHEAD: Final = 1 << 8  # names that are read with those before them
_WAITING: Final = 1 << 16  # new names, at least, that are found without a hash


class SourceNames:
    """Sources of a store; new ones are staged.

    Errors: `DamageError` where the arrays are wrong.
    """

    def __init__(self, files: MemoryFiles) -> None:
        self._files = files
        self.forget_staged()

    def forget_staged(self) -> None:
        """What was staged has been dropped."""
        self._held: dict[int, Named] = {}
        self._next = 0  # the source behind those that were read last
        self._hashed = -1  # sources that are found by their hash; -1: not looked at yet
        self._hashes: _Hashes = np.empty(0, np.uint64)  # ascending
        self._order: IntArray = np.empty(0, np.int64)  # the source of each hash
        self._new: dict[str, int] = {}  # later ones
        self._new_pairs: dict[Named, int] = {}
        self._chosen: dict[str, int] = {}  # what a name stands for since it was resolved

    def __len__(self) -> int:
        return self._files.rows("sources/index")

    def all(self) -> list[Named]:
        """All names, in the order in which the sources came."""
        return self._read(np.arange(len(self)))

    def of(self, numbers: IntArray) -> list[Named]:
        """The names of these sources."""
        wanted = numbers.tolist()
        missing = sorted({number for number in wanted if number not in self._held})
        if len(missing) > _HELD:
            found = dict(zip(missing, self._read(np.array(missing, np.int64)), strict=True))
            return [found.get(number) or self._held[number] for number in wanted]
        if missing:
            last = missing[-1] + 1
            if missing[0] == self._next:  # as records come, one after another
                missing += range(last, min(last + _AHEAD, len(self)))
            self._next = missing[-1] + 1
            names = self._read(np.array(missing, np.int64))
            if len(self._held) + len(missing) > _HELD:
                held = {number: self._held[number] for number in wanted if number in self._held}
                self._held = held
            self._held.update(zip(missing, names, strict=True))
        return [self._held[number] for number in wanted]

    def number(self, name: str) -> int | None:
        """The source that a name as it was given stands for now: the last one, or the last named.

        None: there is none.
        """
        found = self._chosen.get(name)
        if found is None:
            self._bring_up_hashes()
            found = self._new.get(name)
        return self._find(name) if found is None else found

    def name(self, name: str, resolved: str = "") -> int:
        """The number of a source, which its name stands for from now on.

        A new one is staged where it is not known, or known to resolve to something else.
        """
        self._bring_up_hashes()
        if resolved:
            found = self._new_pairs.get((name, resolved))
            found = self._find(name, resolved) if found is None else found
        else:
            found = self.number(name)
        if found is None:
            raw, absolute = encode_text(name), encode_text(resolved)
            end = self._files.rows("sources/bytes") + len(raw)
            found = len(self)
            self._files.append("sources/bytes", np.frombuffer(raw + absolute, np.uint8))
            self._files.append("sources/index", np.array([[end, end + len(absolute)]]))
            self._new[name] = found
            if len(self._held) >= _HELD:
                self._held.clear()
            self._held[found] = (name, resolved)
        if resolved:
            self._new_pairs[name, resolved] = self._chosen[name] = found
        return found

    def _find(self, name: str, resolved: str | None = None) -> int | None:
        """The last source of that name, and that resolves so, among those with a hash."""
        hash = np.uint64(_hash_of(encode_text(name)))
        first = int(self._hashes.searchsorted(hash))
        if first == len(self._hashes) or self._hashes[first] != hash:
            return None
        alike = self._order[first : int(self._hashes.searchsorted(hash, side="right"))]
        names = self._read(alike)
        for number, (given, absolute) in zip(alike[::-1], names[::-1], strict=True):
            if given == name and resolved in (None, absolute):
                return int(number)
        return None

    def _bring_up_hashes(self) -> None:
        """Hash what is there; later ones once they are many."""
        if self._hashed >= 0 and len(self._new) <= max(_WAITING, self._hashed // 32):
            return
        known, count = max(0, self._hashed), len(self)
        unsorted = np.empty(count, np.uint64)
        unsorted[self._order] = self._hashes
        for first in range(known, count, _BLOCK):
            last = min(first + _BLOCK, count)
            table = self._files.read("sources/index", max(0, first - 1), last).ravel()
            if not may_be_ends(table, self._files.rows("sources/bytes")):
                raise DamageError("sources/index points outside of sources/bytes")
            ends = np.append(0, table) if first == 0 else table[1:]
            start = int(ends[0])
            raw = self._files.read("sources/bytes", start, int(ends[-1]))
            unsorted[first:last] = _hash_all(raw, ends[:-1:2] - start, ends[1::2] - start)
        self._order = np.argsort(unsorted, kind="stable")
        self._hashes = unsorted[self._order]
        self._hashed = count
        self._new, self._new_pairs = {}, {}

    def _read(self, numbers: IntArray) -> list[Named]:
        """The names of sources, ascending, from the files."""
        if len(numbers) == 0:
            return []
        if len(numbers) > len(self) // 4:  # nearly all
            low, high = int(numbers[0]), int(numbers[-1]) + 1
            table = self._files.read("sources/index", max(0, low - 1), high)
            table = np.concatenate((np.zeros((int(low == 0), 2), np.int64), table))
            rows, before = table[1:][numbers - low], table[:-1][numbers - low]
        else:
            rows = self._files.gather("sources/index", numbers)
            before = self._files.gather("sources/index", np.maximum(numbers - 1, 0))
            before = np.where(numbers[:, None] == 0, 0, before)
        begins, middles, ends = before[:, 1], rows[:, 0], rows[:, 1]
        total = self._files.rows("sources/bytes")
        if not ((begins >= 0) & (begins <= middles) & (middles <= ends) & (ends <= total)).all():
            raise DamageError("sources/index points outside of sources/bytes")
        found = self._files.read_spans("sources/bytes", begins, ends)
        cuts = (middles - begins).tolist()
        return [
            (_decode(raw[:cut]), _decode(raw[cut:])) for raw, cut in zip(found, cuts, strict=True)
        ]


def _hash_of(name: bytes) -> int:
    """A hash of 64 bits: of a name's last bytes, each times a power, and its length."""
    whole: int = sum(map(mul, name[-_TAIL:], _POWERS)) + len(name) * _POWERS[_TAIL]
    return whole & _WORD


def _hash_all(raw: npt.NDArray[Any], begins: IntArray, ends: IntArray) -> _Hashes:
    """`_hash_of` the stretches [begin, end) of ``raw``."""
    sizes = np.minimum(ends - begins, _TAIL)
    last = np.cumsum(sizes)
    within = np.arange(int(last[-1])) - np.repeat(last - sizes, sizes)
    powers = np.array(_POWERS, np.uint64)
    parts = raw[within + np.repeat(ends - sizes, sizes)].astype(np.uint64) * powers[within]
    sums = np.append(np.uint64(0), np.cumsum(parts, dtype=np.uint64))  # modulo 2^64
    found: _Hashes = sums[last] - sums[last - sizes]
    found += (ends - begins).astype(np.uint64) * powers[_TAIL]
    return found


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise DamageError("the store holds a name of a source that is not UTF-8") from None
