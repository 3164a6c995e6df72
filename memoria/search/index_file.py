"""A `TextIndex` in a file beside its texts: derived, checked when read, never waited for.

One SQLite file: the table ``parts`` holds arrays, each part with a checksum. What is damaged, of
another version or of other texts is no error but absent; what cannot be written is left.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.backbones.base import WordTable
from memoria.search.first_pass import INT8
from memoria.search.languages import Language
from memoria.search.postings import Postings
from memoria.search.quantized import QuantizedRows
from memoria.search.text_index import TextIndex, Turn

_VERSION: Final = 3
_SCHEMA: Final = (
    "CREATE TABLE parts (kind TEXT, number INTEGER, name TEXT, first INTEGER, dtype TEXT, "
    "width INTEGER, size INTEGER, crc INTEGER, data BLOB, "
    "PRIMARY KEY (kind, number, name, first))"
)
_LOCK: Final = ".lock"
_BUSY_SECONDS: Final = 0.5
_BLOCK: Final = 16_384  # texts of one part
_PIECE: Final = 2**22  # bytes of one row

_Arrays = dict[str, npt.NDArray[Any]]


@dataclass
class IndexFile:
    """Where an index is kept, and what of it lies there already.

    Attributes:
        path: the file.
        identity: what else must be alike for the file to be of use: settings, encoder, version.
    """

    path: Path
    identity: Mapping[str, Any]
    rows: int = 0  # texts that the file is known to hold
    _words: int = 0
    _postings: dict[int, Postings] = field(default_factory=dict)
    _stamp: str = ""

    def load(
        self,
        language: Language,
        table: WordTable | None,
        dimension: int,
        first_pass: str = INT8,
    ) -> tuple[TextIndex, dict[str, Any]] | None:
        """The index and what was saved with it; None where there is none of use."""
        try:
            with closing(_opened(self.path)) as database:
                make = partial(TextIndex, language, table, dimension, first_pass)
                return self._read(database, make)
        except (OSError, sqlite3.Error, ValueError, KeyError, TypeError, IndexError, OverflowError):
            return None

    def save(self, index: TextIndex, beside: Mapping[str, Any]) -> bool:
        """Write what the file lacks, or all of it; False where that is not possible.

        Another process that is writing is not waited for. ``beside`` is what `load` gives back.
        """
        try:
            self.path.parent.mkdir(exist_ok=True)
            if self.path.is_symlink() or self.path.parent.is_symlink():
                return False
            with _locked(self.path.parent / _LOCK):
                if not self._extend(index, beside):
                    self._replace(index, beside)
        except (OSError, sqlite3.Error):
            return False
        return True

    def _read(
        self, database: sqlite3.Connection, make: Callable[..., TextIndex]
    ) -> tuple[TextIndex, dict[str, Any]] | None:
        head = _head(database)
        if head is None or head["identity"] != {**self.identity, "version": _VERSION}:
            return None
        speakers = [str(name) for name in head["speakers"]]
        turn = Turn(**{name: int(value) for name, value in head["turn"].items()})
        index = make(speakers=speakers, turn=turn)
        for arrays in _parts(database, "words"):
            _take_words(index, arrays)
        most = self.path.stat().st_size // max(1, index.dimension // 8)  # whatever the head says
        index.reserve(min(int(head["texts"]), most))
        for arrays in _parts(database, "texts"):
            index.take(arrays)
            if index.dimension:
                index.vectors.append_codes(*(arrays[name] for name in index.vectors.names))
        (counts,) = _parts(database, "counts")
        index.vocabulary.count(
            {name: counts[name] for name in ("texts", "own")},
            {name: counts[f"stem_{name}"] for name in ("texts", "own")},
        )
        index.postings = [_postings(arrays) for arrays in _parts(database, "postings")]
        _check(index)
        numbers = [row[0] for row in database.execute(_NUMBERS, ("postings",))]
        self._remember(index, head["stamp"], numbers)
        beside: dict[str, Any] = head["beside"]
        return index, beside

    def _extend(self, index: TextIndex, beside: Mapping[str, Any]) -> bool:
        """Add to the file what has come since it was loaded or saved; False if it is another."""
        if not self._stamp:
            return False
        with closing(_opened(self.path, writable=True)) as database:
            head = _head(database)
            if head is None or head["stamp"] != self._stamp:
                return False
            with database:
                database.execute("BEGIN IMMEDIATE")
                numbers = self._write(database, index, beside, self.rows, self._words)
        self._remember(index, self._next_stamp, numbers)
        return True

    def _replace(self, index: TextIndex, beside: Mapping[str, Any]) -> None:
        """Write the whole index aside, and put it in the place of what was there."""
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        try:
            aside.unlink(missing_ok=True)
            with closing(_connection(aside, "rwc")) as database:
                database.execute(_SCHEMA)
                self._postings = {}
                with database:
                    database.execute("BEGIN IMMEDIATE")
                    numbers = self._write(database, index, beside, 0, 0)
            os.replace(aside, self.path)
        finally:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
        self._remember(index, self._next_stamp, numbers)

    def _write(
        self,
        database: sqlite3.Connection,
        index: TextIndex,
        beside: Mapping[str, Any],
        rows: int,
        words: int,
    ) -> list[int]:
        """Write the rows and words from these on, and what has changed; numbers of postings."""
        for first in range(rows, len(index), _BLOCK):
            part = slice(first, min(first + _BLOCK, len(index)))
            arrays = {name: values[part] for name, values in index.columns().items()}
            if index.dimension:
                vectors = zip(index.vectors.names, index.vectors.arrays, strict=True)
                arrays |= {name: values[part] for name, values in vectors}
            _put(database, "texts", first, arrays)
        if len(index.vocabulary) > words:
            _put(database, "words", words, _word_arrays(index, words))
        vocabulary = index.vocabulary
        counts = {name: vocabulary[name] for name in ("texts", "own")}
        counts |= {f"stem_{name}": vocabulary.of_stem(name) for name in ("texts", "own")}
        _put(database, "counts", 0, counts)
        numbers = self._write_postings(database, index)
        self._next_stamp = os.urandom(16).hex()
        head = {
            "identity": {**self.identity, "version": _VERSION},
            "stamp": self._next_stamp,
            "speakers": index.speakers,
            "turn": vars(index.turn),
            "texts": len(index),
            "beside": dict(beside),
        }
        _put_head(database, head)
        return numbers

    def _write_postings(self, database: sqlite3.Connection, index: TextIndex) -> list[int]:
        kept = {id(part): number for number, part in self._postings.items()}
        current = {id(part) for part in index.postings}
        for number, part in self._postings.items():
            if id(part) not in current:
                database.execute(
                    "DELETE FROM parts WHERE kind = 'postings' AND number = ?", (number,)
                )
        numbers: list[int] = []
        last = max(self._postings, default=-1)
        for part in index.postings:
            if id(part) not in kept:
                last += 1
                _put(database, "postings", last, dict(vars(part)))
            numbers.append(kept.get(id(part), last))
        return numbers

    def _remember(self, index: TextIndex, stamp: str, numbers: list[int]) -> None:
        self.rows, self._words, self._stamp = len(index), len(index.vocabulary), stamp
        self._postings = dict(zip(numbers, index.postings, strict=True))


_NUMBERS: Final = "SELECT DISTINCT number FROM parts WHERE kind = ? ORDER BY number"


def _connection(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    database = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA synchronous = OFF")
    return database


def _opened(path: Path, writable: bool = False) -> sqlite3.Connection:
    """The file, if it is one of ours; a file from elsewhere may be anything."""
    if path.is_symlink() or not path.is_file():
        raise FileNotFoundError(path)
    database = _connection(path, "rw" if writable else "ro")
    try:
        found = [row[0] for row in database.execute("SELECT sql FROM sqlite_master")]
        if found != [_SCHEMA, None]:  # the index of the key has no words
            raise ValueError("another schema")
    except BaseException:
        database.close()
        raise
    return database


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of those who write; raises OSError where another does."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _put(database: sqlite3.Connection, kind: str, number: int, arrays: _Arrays) -> None:
    """One part: arrays [n] or [n, width] by name, in pieces, so that memory is bounded."""
    database.execute("DELETE FROM parts WHERE kind = ? AND number = ?", (kind, number))
    for name, values in arrays.items():
        whole = np.ascontiguousarray(values)
        told = whole.dtype.str, whole.shape[1] if whole.ndim == 2 else 0, whole.nbytes
        raw = whole.reshape(-1).view(np.uint8)
        for first in range(0, max(1, len(raw)), _PIECE):
            piece = raw[first : first + _PIECE].data
            row = (kind, number, name, first, *told, zlib.crc32(piece), piece)
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO parts VALUES ({marks})", row)


def _parts(database: sqlite3.Connection, kind: str) -> Iterator[_Arrays]:
    """The parts of a kind by number. Raises ValueError for one that is damaged."""
    rows = database.execute(
        "SELECT number, name, first, dtype, width, size, crc, data FROM parts WHERE kind = ? "
        "ORDER BY number, name, first",
        (kind,),
    )
    for _, part in groupby(rows, key=itemgetter(0)):
        named = groupby(part, key=itemgetter(1))
        yield {name: _array(row[2:] for row in pieces) for name, pieces in named}


def _array(pieces: Iterator[tuple[Any, ...]]) -> npt.NDArray[Any]:
    raw, done, dtype, width = bytearray(), 0, "", 0
    for first, dtype, width, size, crc, data in pieces:
        if not isinstance(data, bytes) or zlib.crc32(data) != crc or first != done:
            raise ValueError("a piece is damaged")
        if len(data) == size:
            return _shaped(np.frombuffer(data, np.dtype(dtype)), width)
        raw += data
        done += len(data)
    if done != size:
        raise ValueError("a piece is missing")
    return _shaped(np.frombuffer(raw, np.dtype(dtype)), width)


def _shaped(values: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    return values.reshape(-1, width) if width else values


def _put_head(database: sqlite3.Connection, head: Mapping[str, Any]) -> None:
    raw = json.dumps(head).encode("utf-8", "surrogatepass")
    _put(database, "head", 0, {"json": np.frombuffer(raw, np.uint8)})


def _head(database: sqlite3.Connection) -> dict[str, Any] | None:
    for arrays in _parts(database, "head"):
        raw = arrays["json"].tobytes().decode("utf-8", "surrogatepass")
        head: dict[str, Any] = json.loads(raw)
        return head
    return None


def _word_arrays(index: TextIndex, first: int) -> _Arrays:
    """The words from ``first`` on, and the stems that come with them."""
    vocabulary = index.vocabulary
    stems = list(vocabulary.stems)
    known = int(vocabulary["stem"][:first].max(initial=-1)) + 1  # stems come in order
    arrays = {
        "words": _joined(vocabulary.words[first:]),
        "stems": _joined(stems[known:]),
        "stem": vocabulary["stem"][first:],
        "flags": vocabulary["flags"][first:],
        "letters": vocabulary["letters"][first:],
    }
    if vocabulary.rows is not None:
        codes, scales = vocabulary.rows.arrays
        arrays |= {"codes": codes[first:], "scales": scales[first:]}
    return arrays


def _take_words(index: TextIndex, arrays: _Arrays) -> None:
    vocabulary = index.vocabulary
    words, stems = _split(arrays["words"]), _split(arrays["stems"])
    for numbers, new in ((vocabulary.numbers, words), (vocabulary.stems, stems)):
        first = len(numbers)
        numbers.update(zip(new, range(first, first + len(new)), strict=True))
    rows = None
    if "codes" in arrays:
        rows = QuantizedRows(arrays["codes"].shape[1])
        rows.append_codes(arrays["codes"], arrays["scales"])
    vocabulary.take(words, arrays["stem"], rows, (arrays["letters"], arrays["flags"]))


def _joined(words: list[str]) -> npt.NDArray[np.uint8]:
    """Words have no line breaks, so they stand one a line."""
    return np.frombuffer("\n".join(words).encode("utf-8", "surrogatepass"), np.uint8)


def _split(raw: npt.NDArray[np.uint8]) -> list[str]:
    text = raw.tobytes().decode("utf-8", "surrogatepass")
    return text.split("\n") if text else []


def _postings(arrays: _Arrays) -> Postings:
    return Postings(*(arrays[name] for name in ("words", "ends", "texts", "counts")))


def _check(index: TextIndex) -> None:
    """Raise ValueError for numbers that point at what is not there."""
    vocabulary, count = index.vocabulary, len(index)
    words, stems = len(vocabulary), len(vocabulary.stems)
    lengths = {len(vocabulary.numbers), len(vocabulary["stem"]), len(vocabulary["texts"]), words}
    sound = len(lengths) == 1 and _within(vocabulary["stem"], stems)
    sound &= vocabulary.rows is None or len(vocabulary.rows) == words
    sound &= (vocabulary.rows is None) == (index.table is None or words == 0)
    sound &= not index.dimension or len(index.vectors) == count
    sound &= _within(index["speaker"], len(index.speakers)) and _ascend(index["keys"])
    for part in index.postings:
        sound &= len(part.words) == len(part.ends) and len(part.texts) == len(part.counts)
        sound &= _within(part.words, words) and _ascend(part.words)
        sound &= _ascend(part.ends) and int(part.ends[-1:].sum()) == len(part.texts)
        sound &= _within(part.texts, count) and _within(part.ends, len(part.texts) + 1)
    if not sound:
        raise ValueError("an index that points at what is not there")


def _within(values: npt.NDArray[Any], count: int) -> bool:
    return len(values) == 0 or bool(0 <= int(values.min()) <= int(values.max()) < count)


def _ascend(values: npt.NDArray[Any]) -> bool:
    return bool((values[1:] > values[:-1]).all())
