"""Where a store's bytes are read from: one small interface, and the local directory behind it.

Paths inside a source are relative and have ``/`` between their parts; ``""`` is the store itself.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable
from weakref import WeakSet

LOCAL_BATCH: Final = 2**18  # stays in a processor's cache while it is verified and copied
_SHARE_OF_DESCRIPTORS: Final = 2  # stores together keep at most one in so many of a process
_MOST_DESCRIPTORS: Final = 2**14  # more than a million vectors of 768 numbers have files
_MOST_DIRECTORIES: Final = 1024


class Entry(NamedTuple):
    """What stands under a name. The size, in bytes, is that of a file."""

    kind: Literal["file", "directory", "link", "other"]
    size: int


class NotAFileError(OSError):
    """There is something else than a file under the name; the text says what."""


class FileReplacedError(Exception):
    """Another file has taken the place of ``file``: what was known of its bytes holds no more."""

    def __init__(self, file: SourceFile) -> None:
        super().__init__()
        self.file = file


class SourceFile(Protocol):
    """A file of a source, of ``size`` bytes."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from ``offset`` on; fewer than ``length`` where the file ends."""

    def close(self) -> None:
        """Give back what the file holds. Reading it again is allowed."""


Span = tuple[SourceFile, int, int]  # file, offset, length


@runtime_checkable
class Source(Protocol):
    """A directory of files, wherever it lies.

    Every method raises `OSError`: `FileNotFoundError` for what is not there, `NotAFileError` for
    a link or a directory opened as a file. Copies read several arrays at once, so that several
    threads may use a source, but not one file. ``batch_bytes`` are best read at a time.
    """

    batch_bytes: int

    def place(self, path: str) -> str:
        """``path`` as messages name it."""

    def entries(self, directory: str) -> dict[str, Entry]:
        """What lies in the directory, by name."""

    def entry(self, path: str) -> Entry:
        """What lies at ``path``."""

    def open(self, path: str) -> SourceFile:
        """The file at ``path``, as it is now."""

    def read_many(self, spans: Sequence[Span]) -> list[bytes]:
        """`SourceFile.read` of every span, as fast as the source can."""

    def total_bytes(self) -> int:
        """What all files take together."""

    def close(self) -> None:
        """Give back what is held. Reading again is allowed."""


def read_spans(spans: Iterable[Span]) -> list[bytes]:
    """`SourceFile.read` of every span, one after another."""
    return [file.read(offset, length) for file, offset, length in spans]


class Tree:
    """Directories made of the paths of files, for sources that only know those.

    `ValueError` for a file inside of another, or more directories than any store has.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._directories: dict[str, dict[str, Entry]] = {"": {}}
        for path, size in sizes.items():
            self._add(path, Entry("file", size))

    def entries(self, directory: str) -> dict[str, Entry]:
        """As `Source.entries`."""
        if directory not in self._directories:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), directory)
        return self._directories[directory]

    def entry(self, path: str) -> Entry:
        """As `Source.entry`."""
        directory, _, name = path.rpartition("/")
        found = self._directories.get(directory, {}).get(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return found

    def _add(self, path: str, entry: Entry) -> None:
        directory, _, name = path.rpartition("/")
        if directory not in self._directories:
            if len(self._directories) >= _MOST_DIRECTORIES:
                raise ValueError(f"over {_MOST_DIRECTORIES} directories")
            self._add(directory, Entry("directory", 0))
            self._directories[directory] = {}
        if name in self._directories[directory]:
            raise ValueError(f"'{path}' is there twice")
        self._directories[directory][name] = entry


class LocalSource:
    """The directory ``path``. Links in it are not followed.

    Files stay open as long as there are descriptors for them, so that one that is replaced by a
    rename is read to the end as it was.
    """

    batch_bytes = LOCAL_BATCH

    def __init__(self, path: Path) -> None:
        self.path = path
        self._most = _MOST_DESCRIPTORS
        _open_sources.add(self)
        self._held: dict[LocalFile, None] = {}  # files with a descriptor, the first opened first
        self.turn = threading.Lock()  # no descriptor is closed while another thread reads from it

    def place(self, path: str) -> str:
        return f"{self.path}/{path}" if path else str(self.path)

    def entries(self, directory: str) -> dict[str, Entry]:
        found = {}
        with os.scandir(self.path / directory) as inside:
            for one in inside:
                try:
                    found[one.name] = _entry_of(one.stat(follow_symlinks=False))
                except FileNotFoundError:  # removed or renamed meanwhile
                    continue
        return found

    def entry(self, path: str) -> Entry:
        return _entry_of(os.lstat(self.path / path))

    def open(self, path: str) -> LocalFile:
        with self.turn:
            return LocalFile(self, self.place(path))

    def read_many(self, spans: Sequence[Span]) -> list[bytes]:
        found = []
        with self.turn:
            for file, offset, length in spans:
                if not isinstance(file, LocalFile):
                    found.append(file.read(offset, length))
                    continue
                descriptor = file.descriptor  # what nearly always is enough comes without a call
                data = b"" if descriptor < 0 else os.pread(descriptor, length, offset)
                found.append(data if len(data) == length else file.read_in_turn(offset, length))
        return found

    def total_bytes(self) -> int:
        return _bytes_below(os.fspath(self.path))

    def close(self) -> None:
        with self.turn:
            self.make_room()

    def hold(self, file: LocalFile) -> None:
        """``file`` has got a descriptor. This and what follows: in the thread whose turn it is."""
        most = min(self._most, _share_of_descriptors())
        while len(self._held) >= most:
            next(iter(self._held)).release()
        self._held[file] = None

    def let_go(self, file: LocalFile) -> None:
        """``file`` has closed its descriptor."""
        self._held.pop(file, None)

    def make_room(self) -> bool:
        """Close every descriptor, as there are too many; False if there are none."""
        some = list(self._held)
        for file in some:
            file.release()
        return bool(some)


class LocalFile:
    """A regular file that is opened again when its descriptor was given back."""

    __slots__ = ("_identity", "_place", "_source", "descriptor", "size")

    def __init__(self, source: LocalSource, place: str) -> None:
        self._source, self._place = source, place
        self.descriptor = -1
        status = self._open()
        self._identity = _identity(status)
        self.size = status.st_size

    def read(self, offset: int, length: int) -> bytes:
        with self._source.turn:
            return self.read_in_turn(offset, length)

    def read_in_turn(self, offset: int, length: int) -> bytes:
        """As `read`, in the thread whose turn it is."""
        if self.descriptor < 0 and _identity(self._open()) != self._identity:
            self.release()
            raise FileReplacedError(self)
        data = os.pread(self.descriptor, length, offset)
        while 0 < len(data) < length:  # a signal, or the limit of one call
            more = os.pread(self.descriptor, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def close(self) -> None:
        with self._source.turn:
            self.release()

    def release(self) -> None:
        """Give the descriptor back, if there is one."""
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            self._source.let_go(self)
            os.close(descriptor)

    def __del__(self) -> None:
        descriptor = getattr(self, "descriptor", -1)
        if descriptor >= 0:
            os.close(descriptor)

    def _open(self) -> os.stat_result:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self._place, flags)
        except OSError as error:
            if error.errno == errno.EMFILE and self._source.make_room():
                descriptor = os.open(self._place, flags)
            elif os.path.islink(self._place):
                raise NotAFileError(error.errno, "a symbolic link", self._place) from None
            else:
                raise
        self.descriptor = descriptor
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise NotAFileError(errno.EINVAL, "not a file", self._place)
        except BaseException:
            self.release()
            raise
        self._source.hold(self)
        return status


def _bytes_below(path: str) -> int:
    """The size of all files below a directory; what a writer removes meanwhile counts nothing."""
    total = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _bytes_below(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return total
    return total


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _entry_of(status: os.stat_result) -> Entry:
    if stat.S_ISREG(status.st_mode):
        return Entry("file", status.st_size)
    if stat.S_ISDIR(status.st_mode):
        return Entry("directory", 0)
    return Entry("link" if stat.S_ISLNK(status.st_mode) else "other", 0)


def _share_of_descriptors() -> int:
    """Descriptors that each of the open sources may keep."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_DESCRIPTORS
    return max(8, soft // _SHARE_OF_DESCRIPTORS // len(_open_sources))


_open_sources: WeakSet[LocalSource] = WeakSet()
