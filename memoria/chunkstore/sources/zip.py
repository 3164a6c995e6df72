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
import zipfile
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

_MOST_ENTRIES: Final = 2**18
_MOST_DIRECTORY_BYTES: Final = 2**26
_MOST_NAME: Final = 640
_MOST_PARTS: Final = 12
_HINT: Final = "get the archive again, or export it anew"

_END: Final = struct.Struct("<4s4H2LH")
_END_64_PLACE: Final = struct.Struct("<4sLQL")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_ENTRY_BYTES: Final = 46  # of the directory, without the name
_SIGNATURE: Final = b"PK\1\2"  # with which each begins
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
            self._stored = dict(self._entries(real))
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

    def _entries(self, real: Path) -> Iterator[tuple[str, _Stored]]:
        """Every file of the archive with its name."""
        count, start = self._directory()
        try:
            with zipfile.ZipFile(real) as archive:
                found = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            raise self._odd("its directory is broken") from None
        if len(found) != count:
            raise self._odd("its directory is broken")
        names = set[str]()
        behind = start
        for info in sorted(found, key=lambda info: -info.header_offset):
            name = self._checked_name(info)
            if name in names:
                raise self._odd(f"'{name}' is there twice")
            names.add(name)
            if info.header_offset + _LOCAL.size + len(name) + info.file_size > behind:
                raise self._odd(f"'{name}' lies over something else")
            if not name.endswith("/"):
                yield name, _Stored(info.header_offset, info.file_size, behind)
            behind = info.header_offset

    def _directory(self) -> tuple[int, int]:
        """(entries, offset) of the directory, which must end where its end record begins.

        Checked before `zipfile` allocates what the end record says.
        """
        end = self._zip.size - _END.size
        if end < 0:
            raise self._odd("it is too short")
        signature, disk, first, here, count, size, start, comment = _END.unpack(
            self._bytes(end, _END.size)
        )
        if signature != b"PK\5\6" or comment:
            raise self._odd("there is no end of a zip at its end")
        place = end - _END_64_PLACE.size
        if place >= 0 and self._bytes(place, 4) == b"PK\6\7":
            end = place - _END_64.size
            if end < 0:
                raise self._odd("it is too short")
            _, _, offset, disks = _END_64_PLACE.unpack(self._bytes(place, _END_64_PLACE.size))
            if offset != end or disks != 1:
                raise self._odd("its zip64 end is not where it must be")
            signature, length, _, _, disk, first, here, count, size, start = _END_64.unpack(
                self._bytes(end, _END_64.size)
            )
            if signature != b"PK\6\6" or length != _END_64.size - 12:
                raise self._odd("its zip64 end is broken")
        if disk or first or here != count or start + size != end:
            raise self._odd("its directory is not where it must be")
        if count > _MOST_ENTRIES or size > _MOST_DIRECTORY_BYTES or count * _ENTRY_BYTES > size:
            raise self._odd(f"a directory of {count} entries in {size} bytes")
        if self._bytes(start, size).count(_SIGNATURE) > 2 * count:  # a checksum may look like one
            raise self._odd("its directory is broken")
        return count, start

    def _checked_name(self, info: zipfile.ZipInfo) -> str:
        """The name of an entry that is stored as it is: no compression, no link, no odd path."""
        name = info.orig_filename  # as it stands in the archive
        parts = name.removesuffix("/").split("/")
        if (
            not (name.isascii() and name.isprintable())
            or any(letter in name for letter in "\\:")
            or len(name) > _MOST_NAME
            or len(parts) > _MOST_PARTS
            or any(part in ("", ".", "..") for part in parts)
        ):
            raise self._odd(f"the name {name[:80]!r} does not belong into a store")
        folder = name.endswith("/")
        kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == _UNIX else 0
        if info.flag_bits & ~_UTF8:
            raise self._odd(f"'{name}' is encrypted or was written as a stream")
        if (
            info.compress_type
            or info.compress_size != info.file_size
            or (folder and info.file_size)
        ):
            raise self._odd(f"'{name}' is compressed")
        if info.volume or kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
            raise self._odd(f"'{name}' is no plain file")
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
