"""A store inside a zip file, read where it lies.

Only plain archives are taken, as `memoria export` writes them: entries stored without
compression, one beside the other, the directory right behind them. Whatever else a zip may hold
is refused before anything of its size is allocated: an archive may come from anywhere.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from memoria.chunkstore.sources.local import (
    LOCAL_BATCH,
    Entry,
    FileReplacedError,
    LocalFile,
    LocalSource,
    NotAFileError,
    Span,
    Tree,
    read_spans,
)
from memoria.errors import DamageError, StorageError

__all__ = ["ZipSource"]

_MOST_ENTRIES: Final = 2**18
_MOST_DIRECTORY_BYTES: Final = 2**26
_MOST_NAME: Final = 640
_MOST_PARTS: Final = 12
_HINT: Final = "get the archive again, or export it anew"

_END: Final = struct.Struct("<4s4H2LH")
_END_64_PLACE: Final = struct.Struct("<4sLQL")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_UTF8: Final = 0x800
_FULL: Final = 0xFFFFFFFF  # the number stands in a field of its own
_UNIX: Final = 3


class _Stored(NamedTuple):
    """An entry: where its local header begins, its size, and where it must have ended."""

    header: int
    size: int
    limit: int


class ZipSource:
    """The store in the zip file ``path``. Raises `DamageError` for a zip that is not plain."""

    batch_bytes = LOCAL_BATCH

    def __init__(self, path: Path) -> None:
        self.path = path
        real = Path(os.path.realpath(path))
        try:
            self._zip = LocalSource(real.parent).open(real.name)
            self._stored = dict(self._entries())
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"{path}: cannot read: {error.strerror or error}") from None
        try:
            self._tree = Tree({name: one.size for name, one in self._stored.items()})
        except ValueError as error:
            raise self._odd(str(error)) from None

    def place(self, path: str) -> str:
        return f"{self.path}/{path}" if path else str(self.path)

    def entries(self, directory: str) -> dict[str, Entry]:
        return self._tree.entries(directory)

    def entry(self, path: str) -> Entry:
        return self._tree.entry(path)

    def open(self, path: str) -> ZipEntry:
        if self.entry(path).kind != "file":
            raise NotAFileError(errno.EISDIR, "not a file", self.place(path))
        header, size, limit = self._stored[path]
        start = header + _LOCAL.size
        (signature, _, flags, method, _, _, _, packed, plain, name_length, extra_length) = (
            _LOCAL.unpack(self._bytes(header, _LOCAL.size))
        )
        name = self._bytes(start, name_length)
        begin = start + name_length + extra_length
        sizes_match = packed == plain and plain in (size, _FULL)
        if (
            signature != b"PK\3\4"
            or flags & ~_UTF8
            or method
            or name != path.encode()
            or not sizes_match
            or begin + size > limit
        ):
            raise self._odd(f"'{path}' is not what the directory says")
        return ZipEntry(self._zip, begin, size)

    def read_many(self, spans: Sequence[Span]) -> list[bytes]:
        return read_spans(spans)

    def total_bytes(self) -> int:
        return self._zip.size

    def close(self) -> None:
        self._zip.close()

    def _entries(self) -> Iterator[tuple[str, _Stored]]:
        """Every file of the archive with its name."""
        count, start, size = self._directory()
        raw = self._bytes(start, size)
        found: dict[str, tuple[int, int]] = {}
        at = 0
        for _ in range(count):
            if at + _CENTRAL.size > len(raw) or raw[at : at + 4] != b"PK\1\2":
                raise self._odd("its directory is broken")
            at, name, header, length = self._central(raw, at)
            if name in found:
                raise self._odd(f"'{name}' is there twice")
            found[name] = header, length
        if at != len(raw):
            raise self._odd("its directory is broken")
        behind = start
        for name, (header, length) in sorted(found.items(), key=lambda one: -one[1][0]):
            least = _LOCAL.size + len(name) + length
            if header + least > behind:
                raise self._odd(f"'{name}' lies over something else")
            if not name.endswith("/"):
                yield name, _Stored(header, length, behind)
            behind = header

    def _directory(self) -> tuple[int, int, int]:
        """(entries, offset, bytes) of the directory, which must end where its end record begins."""
        end = self._zip.size - _END.size
        if end < 0:
            raise self._odd("it is too short")
        signature, disk, first, here, count, size, start, comment = _END.unpack(
            self._bytes(end, _END.size)
        )
        if signature != b"PK\5\6" or comment:
            raise self._odd("there is no end of a zip at its end")
        if _FULL in (size, start) or count == 0xFFFF:
            place = end - _END_64_PLACE.size
            end = place - _END_64.size
            if end < 0:
                raise self._odd("it is too short")
            mark, _, offset, disks = _END_64_PLACE.unpack(self._bytes(place, _END_64_PLACE.size))
            if mark != b"PK\6\7" or offset != end or disks != 1:
                raise self._odd("its zip64 end is not where it must be")
            signature, length, _, _, disk, first, here, count, size, start = _END_64.unpack(
                self._bytes(end, _END_64.size)
            )
            if signature != b"PK\6\6" or length != _END_64.size - 12:
                raise self._odd("its zip64 end is broken")
        if disk or first or here != count or start + size != end:
            raise self._odd("its directory is not where it must be")
        if count > _MOST_ENTRIES or size > _MOST_DIRECTORY_BYTES or count * _CENTRAL.size > size:
            raise self._odd(f"a directory of {count} entries in {size} bytes")
        return count, start, size

    def _central(self, raw: bytes, at: int) -> tuple[int, str, int, int]:
        """(end of the directory's record at ``at``, name, offset of its file, size)."""
        fields = _CENTRAL.unpack_from(raw, at)
        _, version, _, flags, method, _, _, _, packed, plain = fields[:10]
        name_length, extra_length, comment_length, disk, _, attributes, header = fields[10:]
        begin = at + _CENTRAL.size
        extra_begin = begin + name_length
        end = extra_begin + extra_length + comment_length
        if end > len(raw):
            raise self._odd("its directory is broken")
        name = self._checked_name(raw[begin:extra_begin])
        packed, plain, header = self._wide(
            name, raw[extra_begin : extra_begin + extra_length], packed, plain, header
        )
        kind = stat.S_IFMT(attributes >> 16) if version >> 8 == _UNIX else 0
        folder = name.endswith("/")
        if flags & ~_UTF8:
            raise self._odd(f"'{name}' is encrypted or was written as a stream")
        if method or packed != plain or (folder and plain):
            raise self._odd(f"'{name}' is compressed")
        if disk or kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
            raise self._odd(f"'{name}' is no plain file")
        return end, name, header, plain

    def _wide(self, name: str, extra: bytes, *numbers: int) -> list[int]:
        """``numbers``, those that did not fit taken from the zip64 field of ``extra``."""
        found = list(numbers)
        missing = [k for k, number in enumerate(numbers) if number == _FULL]
        at = 0
        while missing and at + 4 <= len(extra):
            kind, length = struct.unpack_from("<2H", extra, at)
            if kind == 1 and 8 * len(missing) <= length <= len(extra) - at - 4:
                for k, number in zip(
                    missing, struct.unpack_from(f"<{len(missing)}Q", extra, at + 4), strict=True
                ):
                    found[k] = number
                return found
            at += 4 + length
        if missing:
            raise self._odd(f"'{name}' has no size")
        return found

    def _checked_name(self, raw: bytes) -> str:
        try:
            name = raw.decode("ascii")
        except UnicodeDecodeError:
            name = ""
        parts = name.removesuffix("/").split("/")
        sound = name.isprintable() and not any(letter in name for letter in "\\:")
        sound = sound and len(name) <= _MOST_NAME and len(parts) <= _MOST_PARTS
        if (
            not sound
            or len(name) > 640
            or len(parts) > 12
            or any(part in ("", ".", "..") for part in parts)
        ):
            raise self._odd(f"the name {raw[:80]!r} does not belong into a store")
        return name

    def _bytes(self, offset: int, length: int) -> bytes:
        try:
            data = self._zip.read(offset, length)
        except FileReplacedError:
            raise StorageError(f"{self.path}: was replaced while it was open") from None
        if len(data) != length:
            raise self._odd("it is cut short")
        return data

    def _odd(self, what: str) -> DamageError:
        return DamageError(f"{self.path}: not an archive of a memory: {what}", _HINT)


class ZipEntry:
    """A file inside the zip: ``size`` bytes from ``begin`` on."""

    __slots__ = ("_begin", "_zip", "size")

    def __init__(self, zip_: LocalFile, begin: int, size: int) -> None:
        self._zip, self._begin, self.size = zip_, begin, size

    def read(self, offset: int, length: int) -> bytes:
        return self._zip.read(self._begin + offset, max(0, min(length, self.size - offset)))

    def close(self) -> None:
        """Nothing: the zip stays open for the others."""
