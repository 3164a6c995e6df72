"""`StoreFiles`: arrays in a directory that grow by atomic, durable commits.

Plain Zarr v3: ``zarr.open_group(path)`` reads it. Nothing here knows what the arrays mean.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from memoria.chunkstore.codec import DAMAGE_HINT
from memoria.chunkstore.commit import refresh_children, write_commit
from memoria.chunkstore.disk import Disk, check_vacant, storage_error
from memoria.chunkstore.garbage import collect, remove_tree, survey
from memoria.chunkstore.locks import ReaderLease, WriterLock
from memoria.chunkstore.root import (
    LEASE_NAME,
    ROOT_NAME,
    Expected,
    Root,
    encode_attributes,
    is_store,
    read_root,
    read_root_bytes,
)
from memoria.chunkstore.sources.buckets import SCHEME, Bucket
from memoria.chunkstore.sources.local import LocalSource, Source
from memoria.chunkstore.spares import Spares
from memoria.chunkstore.spec import ArraySpec, check_names
from memoria.chunkstore.staged import LazyRows, StoredArray
from memoria.errors import (
    ConfigError,
    DamageError,
    InputError,
    MemoriaError,
    StateError,
    StorageError,
    StoreNotFoundError,
    UsageError,
)

Mode = Literal["r", "r+"]


class StoreFiles:
    """The arrays of one store, as of one committed root, plus what is staged here.

    Use `create` or `open`, and `close` at the end; staged rows that were not committed are
    dropped. Not for use by several threads at once. Errors: `StoreNotFoundError`,
    `StoreExistsError`, `StoreLockedError`, `OtherFormatError`, `DamageError`, `StorageError`.
    """

    def __init__(self, path: Path, mode: Mode, disk: Disk, source: Source | None = None) -> None:
        self._path = path
        self._source = source or LocalSource(path)
        self._mode = mode
        self._disk = disk
        self._lock: WriterLock | None = None
        self._lease: ReaderLease | None = None
        self._unusable: StateError | None = None
        self._root = Root("{}", {})
        self._root_bytes: tuple[Root, bytes] | None = None  # what `is_current` compares with
        self._arrays: dict[str, StoredArray] = {}
        self._leftover: list[Path] = []  # to be collected
        self._lagging: set[str] = set()  # arrays whose own zarr.json lags behind
        self._spares = Spares()
        self._root_durable = False  # not known: who wrote it may have died before the last fsync

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        specs: Sequence[ArraySpec],
        attributes: Mapping[str, Any],
        disk: Disk | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> StoreFiles:
        """A new store at ``path``, opened for writing; its arrays are empty or hold ``values``.

        It is built beside ``path`` and renamed into place, so it is there as a whole or not at
        all. Anything but an empty directory at ``path`` raises `StoreExistsError`.
        """
        place = Path(os.path.abspath(path))
        check_vacant(place)
        by_name = {spec.name: spec for spec in specs}
        if len(by_name) != len(specs):
            raise ConfigError("two arrays have one name")
        check_names(by_name)
        held = values or {}
        sizes = {name: (by_name[name], len(held.get(name, ()))) for name in by_name}
        root = Root(encode_attributes(attributes), sizes)
        payload = root.encode()
        store = cls(place.with_name(f".memoria-{os.urandom(4).hex()}.tmp"), "r+", disk or Disk())
        try:
            store._build(root, payload, place, held)
        except BaseException as error:
            store._release("closed")
            with contextlib.suppress(OSError):
                remove_tree(store._disk, store._path)
            if isinstance(error, OSError) and not isinstance(error, StorageError):
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    check_vacant(place)
                raise storage_error(place, "cannot create the store", error) from None
            raise
        return store

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | Source,
        mode: Mode = "r",
        expected: Expected | None = None,
        disk: Disk | None = None,
    ) -> StoreFiles:
        """The store at ``path``, for reading (``"r"``) or as its one writer (``"r+"``).

        A reader stays on the state committed now, and writes nothing. ``expected`` gets the
        attributes and returns the arrays that must be there; another set raises `DamageError`.
        An archive is only read.
        """
        if mode not in ("r", "r+"):
            raise ConfigError(f"mode = {mode!r}: must be 'r' or 'r+'")
        source = path if isinstance(path, Source) else source_at(path, mode == "r+")
        place = Path(source.place(""))
        store = cls(place, mode, disk or Disk(), source)
        if mode == "r+":
            store._lock = WriterLock(place)
        elif isinstance(source, LocalSource):
            store._lease = ReaderLease.take(place)  # before the root: what it names must stay
        try:
            store._load(expected)
            store._collect_old()
        except BaseException:
            store._release("closed")
            raise
        return store

    @property
    def path(self) -> Path:
        """The store's directory, absolute."""
        return self._path

    @property
    def mode(self) -> Mode:
        """``"r"`` or ``"r+"``."""
        return self._mode

    @property
    def attributes(self) -> dict[str, Any]:
        """A copy of the committed attributes."""
        self._check_open()
        attributes: dict[str, Any] = json.loads(self._root.attributes)
        return attributes

    @property
    def root(self) -> Root:
        """What is committed."""
        self._check_open()
        return self._root

    @property
    def has_garbage(self) -> bool:
        """Whether there were files that no committed state needs, when it was opened."""
        return bool(self._leftover)

    @property
    def name(self) -> str:
        """The store as messages name it: its path."""
        return self._source.place("")

    def total_bytes(self) -> int:
        """What all files of the store take together."""
        try:
            return self._source.total_bytes()
        except OSError as error:
            raise storage_error(self._path, "cannot read", error) from None

    def names(self) -> list[str]:
        """The arrays, staged generations in place of those they supersede, sorted."""
        self._check_open()
        return sorted(self._arrays)

    def spec(self, name: str) -> ArraySpec:
        """What the array is made of."""
        return self._array(name).spec

    def rows(self, name: str) -> int:
        """Committed plus staged rows."""
        return self._array(name).rows

    def committed_rows(self, name: str) -> int:
        """Rows that every reader sees."""
        return self._array(name).committed

    def read(self, name: str, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """Rows [start, stop), staged ones too. Every chunk touched is verified."""
        array = self._array(name)
        stop = array.rows if stop is None else stop
        _check_span(array, start, stop)
        return array.read(int(start), int(stop))

    def read_spans(self, name: str, spans: Sequence[tuple[int, int]]) -> npt.NDArray[Any]:
        """The rows [start, stop) of each span, one span behind another: as `read` of each."""
        array = self._array(name)
        for start, stop in spans:
            _check_span(array, start, stop)
        return array.read_spans(spans)

    def gather(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """The rows [len(rows), *row_shape] asked for, in any order, duplicates allowed.

        Only the chunks touched are read, and every one of them is verified.
        """
        array = self._array(name)
        wanted = np.asarray(rows)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise InputError(f"rows of '{name}': expected a list of integers [n]")
        if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < array.rows:
            raise InputError(
                f"rows {wanted.min()} to {wanted.max()} of '{name}': it has {array.rows}"
            )
        return array.gather(wanted.astype(np.int64, copy=False))

    def append(self, name: str, values: npt.ArrayLike | LazyRows) -> None:
        """Stage rows [n, *row_shape]; nothing touches the disk before `commit`."""
        self._check_writable()
        self._array(name).append(values)

    def replace_group(
        self,
        prefix: str,
        arrays: Sequence[tuple[ArraySpec, object]],
        instead_of: Sequence[str] = (),
    ) -> None:
        """Stage a new generation: ``prefix`` is ``"state/13"``, the arrays lie below it.

        The next commit switches to it; whatever else lay below ``"state"``, and the arrays
        ``instead_of``, leave the store then. Generations count upwards.
        """
        self._check_writable()
        parent, _, number = prefix.rpartition("/")
        if not parent or not (number.isascii() and number.isdigit() and str(int(number)) == number):
            raise ConfigError(f"generation = {prefix!r}: name it like 'state/13'")
        below = parent + "/"
        old = {name for name in self._arrays if name.startswith(below)} | {*instead_of}
        for name in self._root.arrays:
            earlier = name[len(below) :].partition("/")[0]
            if not name.startswith(below):
                continue
            if not earlier.isdigit() or int(earlier) >= int(number):
                raise ConfigError(f"generation = {prefix!r}: '{name}' is not earlier")
        if not arrays or not all(spec.name.startswith(prefix + "/") for spec, _ in arrays):
            raise ConfigError(f"generation = {prefix!r}: its arrays must lie below it")
        fresh: dict[str, StoredArray] = {}
        for spec, values in arrays:
            if spec.name in fresh:
                raise ConfigError(f"array {spec.name!r} is given twice")
            fresh[spec.name] = StoredArray(spec, self._source, 0, True)
            fresh[spec.name].append(values)
        kept = {name: array for name, array in self._arrays.items() if name not in old}
        check_names({name: array.spec for name, array in (kept | fresh).items()})
        self._arrays = kept | fresh

    def commit(self, attributes: Mapping[str, Any] | None = None) -> None:
        """Make staged rows and ``attributes`` (None: as they are) the store's state.

        Durable when it returns. On an `OSError` everything staged is dropped, the committed
        state is read again, and `StorageError` says what the disk said.
        """
        self._check_writable().check()
        text = self._root.attributes if attributes is None else encode_attributes(attributes)
        root = Root(text, {name: (a.spec, a.rows) for name, a in sorted(self._arrays.items())})
        payload = root.encode()
        if root == self._root and self._root_durable:
            return
        old_groups = set(self._root.groups())
        new_groups = [group for group in root.groups() if group not in old_groups]
        try:
            arrays = self._arrays.values()
            write_commit(self._disk, self._path, arrays, new_groups, payload, self._spares)
        except BaseException as error:
            self._recover()
            if isinstance(error, OSError) and not isinstance(error, StorageError):
                raise storage_error(self._path, "commit failed", error) from None
            raise
        self._accept(root)
        self._collect()

    def is_current(self) -> bool:
        """Whether what is committed at its path is still what is open here."""
        self._check_open()
        try:
            return read_root_bytes(self._source) == self._committed()
        except MemoriaError:
            return False  # opening it again says what is wrong

    def pause(self) -> None:
        """Give the writer's lock back and stay open; what is staged is dropped.

        `resume` takes the lock again. Nothing can be committed in between.
        """
        self._check_writable()
        self._forget_staged()
        self._spares.drop(self._disk)  # another writer collects such files
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    def resume(self) -> bool:
        """Take the lock that `pause` gave back; False where others have committed meanwhile.

        It is held then too, but the store must be opened again. Raises `StoreLockedError`.
        """
        self._check_open()
        if self._lock is None:
            self._lock = WriterLock(self._path)
        return self.is_current()

    def rollback(self) -> None:
        """Drop everything staged."""
        self._check_writable()
        self._forget_staged()

    def close(self) -> None:
        """Release the store; what was not committed is dropped. A second call does nothing."""
        try:
            if self._unusable is None and self._lock is not None and self._root_durable:
                with contextlib.suppress(OSError, StateError):  # they may lag behind the root
                    self._lock.check()
                    self._spares.drop(self._disk)
                    self.rollback()
                    refresh_children(self._disk, [self._arrays[n] for n in sorted(self._lagging)])
                    self._collect()
        finally:
            self._release("closed")

    def _build(self, root: Root, payload: bytes, place: Path, values: Mapping[str, Any]) -> None:
        """Write the store under a temporary name, then rename it to ``place``."""
        self._disk.mkdir(self._path)
        self._lock = WriterLock(self._path)
        flags = os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(self._path / LEASE_NAME, flags, 0o666))
        arrays = [StoredArray(spec, self._source, 0, True) for spec, _ in root.arrays.values()]
        for array in arrays:
            if array.spec.name in values:
                array.append(values[array.spec.name])
        write_commit(self._disk, self._path, arrays, root.groups(), payload, Spares())
        self._disk.rename(self._path, place)
        self._path = place
        self._source = LocalSource(place)
        self._lock.moved_to(place)
        self._disk.fsync_dir(place.parent)
        self._load()
        self._root_durable = True

    def _load(self, expected: Expected | None = None) -> None:
        """Read the committed root and check it against the files; nothing is staged after."""
        self._source.close()  # what was held of the files before holds no more
        self._root = read_root(self._source, expected)
        self._leftover = [self._path / name for name in survey(self._source, self._root)]
        self._arrays = {}
        self._lagging = set()
        self._root_durable = False
        self._forget_staged()
        if isinstance(self._source, LocalSource):  # others are switched as a whole
            for name, array in self._arrays.items():
                if array.is_cut_short():
                    raise DamageError(
                        f"{self._path}: {name} ends before its {array.committed} rows", DAMAGE_HINT
                    )

    def _forget_staged(self) -> None:
        arrays = {}
        for name, (spec, rows) in self._root.arrays.items():
            array = self._arrays.get(name) or StoredArray(spec, self._source, rows, False)
            array.forget_staged()
            arrays[name] = array
        self._arrays = arrays

    def _accept(self, root: Root) -> None:
        """``root`` is committed and durable."""
        if root.arrays.keys() != self._root.arrays.keys():
            named = {*root.groups(), *root.arrays}
            in_use = {self._path / name for name in named}  # may have been left over before
            before = (*self._root.groups(), *self._root.arrays)
            gone = [self._path / name for name in before if name not in named]
            self._leftover = [place for place in self._leftover if place not in in_use] + gone
            self._spares.drop(self._disk, gone)
        for name, array in self._arrays.items():
            if array.rows > array.committed and not array.fresh:
                self._lagging.add(name)
            array.accept()
        self._lagging &= self._arrays.keys()
        self._root = root
        self._root_durable = True

    def _committed(self) -> bytes:
        """The committed root as it lies on the disk."""
        if self._root_bytes is None or self._root_bytes[0] is not self._root:
            self._root_bytes = (self._root, self._root.encode())
        return self._root_bytes[1]

    def _recover(self) -> None:
        """After a failed commit: back to what the disk holds, or unusable."""
        try:
            self._load()
        except MemoriaError as error:
            self._unusable = StateError(f"{self._path}: unusable since a failed commit: {error}")

    def _collect_old(self) -> None:
        """What earlier writers left over. Their root may not be durable yet: make it so first."""
        if self._lock is not None and self._leftover:
            with contextlib.suppress(OSError):  # garbage can wait
                self._disk.fsync_dir(self._path)
                self._leftover = collect(self._disk, self._path, self._leftover)

    def _collect(self) -> None:
        self._leftover = collect(self._disk, self._path, self._leftover)

    def _release(self, why: str) -> None:
        if self._unusable is None:
            self._unusable = StateError(f"{self._path}: the store is {why}", "open it again")
        self._arrays = {}
        self._disk.close()
        self._source.close()
        for lock in (self._lock, self._lease):
            if lock is not None:
                lock.release()
        self._lock = self._lease = None

    def _check_open(self) -> None:
        if self._unusable is not None:
            raise self._unusable

    def _check_writable(self) -> WriterLock:
        self._check_open()
        if self._lock is None:
            raise StateError(f"{self._path}: opened for reading", "open it with mode='r+'")
        return self._lock

    def _array(self, name: str) -> StoredArray:
        self._check_open()
        if name not in self._arrays:
            raise InputError(f"array = {name!r}: not in {self._path}")
        return self._arrays[name]


def _check_span(array: StoredArray, start: int, stop: int) -> None:
    if not 0 <= start <= stop <= array.rows:
        raise InputError(f"rows {start}:{stop} of '{array.spec.name}': it has {array.rows}")


_ZIP: Final = ".zip"


def source_at(path: str | os.PathLike[str], writable: bool) -> Source:
    """The store at ``path``: a directory, or, to be read only, a zip file or an s3:// URL.

    Raises `StoreNotFoundError` where there is none, `UsageError` for one that cannot be written.
    """
    if isinstance(path, str) and path.startswith(SCHEME):
        if writable:
            raise UsageError(
                f"{path}: a store on object storage is only read", "`memoria pull` brings it here"
            )
        from memoria.chunkstore.sources.s3 import ObjectSource

        remote = ObjectSource(Bucket(path))
        return _with_root(remote, f"{remote.place('')}: no store")
    place = Path(os.path.abspath(path))
    try:
        found = place.is_dir() and is_store(place)
        archive = not found and place.suffix.lower() == _ZIP and place.is_file()
    except OSError as error:
        raise storage_error(place, "cannot open the store", error) from None
    if found:
        return LocalSource(place)
    if not archive:
        raise StoreNotFoundError(f"{place}: no store", "create one with `memoria init`")
    if writable:
        raise UsageError(
            f"{place}: an archive is only read", "`memoria import` makes a store of it"
        )
    from memoria.chunkstore.sources.zip import ZipSource

    source = ZipSource(place)
    return _with_root(source, f"{place}: an archive, but not of a memory")


def _with_root(source: Source, otherwise: str) -> Source:
    try:
        source.entry(ROOT_NAME)
    except FileNotFoundError:
        source.close()
        raise StoreNotFoundError(otherwise) from None
    return source
