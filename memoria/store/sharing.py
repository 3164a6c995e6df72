"""A store that stays open in a process while others read it and write to it.

A server, an agent's tools and whoever watches a folder live for days. Each of their writes takes
the writer's lock and gives it back, each of their reads is of what is committed then, and what is
loaded stays loaded: the backbone, the index of texts, the memory itself as long as nobody else has
written.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from memoria.chunkstore.locks import exclusive_lease
from memoria.errors import MemoriaError, StateError, StoreLockedError
from memoria.store.reading import open_files
from memoria.store.store import MemoryStore

_FIRST_PAUSE: Final = 0.005  # seconds between two tries to get the lock, twice as long each time
_LONGEST_PAUSE: Final = 0.25

_T = TypeVar("_T")


class SharedStore:
    """The store at ``path``, read and written beside others; its methods may be called by threads.

    ```python
    with SharedStore("notes") as shared:
        with shared.reading() as store:
            answers = store.ask("where are the bees?")
        with shared.writing("remember") as store:
            store.pin([8])
    ```

    One thread reads at a time, and one writes; a reader never waits for a writer.
    """

    def __init__(self, path: str | os.PathLike[str], patience: float = 10.0) -> None:
        """``patience``: seconds for which a write waits where another process holds the lock.

        Raises:
            StoreNotFoundError, OtherFormatError, DamageError: as the store is.
        """
        self._path = path
        self._patience = patience
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._reader: MemoryStore | None = MemoryStore.open(path)
        self._writer: MemoryStore | None = None
        self._closed = False

    @contextmanager
    def reading(self) -> Iterator[MemoryStore]:
        """The store as it is committed now, open for reading until the block ends."""
        with self._reading:
            yield self._current_reader()

    @contextmanager
    def writing(self, words: str) -> Iterator[MemoryStore]:
        """The store, open for writing until the block ends, which commits what was done.

        A block that ends with an error leaves the store as it was.

        Args:
            words: what is done, as `memoria undo` names it.

        Raises:
            StoreLockedError: another process has held the lock for longer than ``patience``.
        """
        with self._writing:
            store = self._current_writer()
            try:
                store.begin_command(words)
                yield store
                store.commit()
            except BaseException:
                self._drop_writer()
                raise
            self._pause(store)

    def refresh(self) -> bool:
        """Take over what others have committed, and remove the files of before.

        Whoever reads or writes takes it over anyway; but a store that is always open keeps what a
        compaction or `erase` left behind from being removed, until this is called now and then.

        Returns:
            Whether others have committed since the last look.

        Raises:
            StoreNotFoundError, OtherFormatError, DamageError: as the store has become.
        """
        with self._writing, self._reading:
            if self._writer is not None and not self._writer.files.store.is_current():
                self._drop_writer()
            before = self._reader
            reader = self._current_reader()
            if reader.files.store.has_garbage:
                self._collect(reader)
            return reader is not before

    def close(self) -> None:
        """Release the store. What is written is committed already; a second call does nothing."""
        with self._writing, self._reading:
            self._closed = True
            self._finish_writer()
            if self._reader is not None:
                self._reader.close()
            self._reader = None

    def __repr__(self) -> str:
        return f"SharedStore({os.fspath(self._path)!r}{', closed' if self._closed else ''})"

    def __enter__(self) -> SharedStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _current_reader(self) -> MemoryStore:
        known = self._reader
        if known is not None and known.files.store.is_current():
            return known
        self._check_open()
        opened = MemoryStore.open(self._path)
        if known is not None:
            opened.take_over(known)
            known.close()
        self._reader = opened
        return opened

    def _collect(self, reader: MemoryStore) -> None:
        """Remove what no committed state needs, if nobody else reads or writes."""
        self._reader = None
        reader.close()
        lease = exclusive_lease(reader.path)
        if lease is not None:
            lease.release()
            with suppress(MemoriaError):
                open_files(self._path, mode="r+").close()  # a writer removes it
        opened = MemoryStore.open(self._path)
        opened.take_over(reader)
        self._reader = opened

    def _current_writer(self) -> MemoryStore:
        """The store with the lock held; opened anew if others have written meanwhile."""
        self._check_open()
        known = self._writer
        if known is not None:
            if self._when_free(known.files.store.resume):
                return known
            self._drop_writer()
        files = self._when_free(lambda: open_files(self._path, mode="r+"))
        try:
            opened = MemoryStore(files)
        except BaseException:
            files.close()
            raise
        if self._reader is not None:
            opened.take_over(self._reader, with_texts=False)
        self._writer = opened
        return opened

    def _pause(self, store: MemoryStore) -> None:
        try:
            store.files.store.pause()
        except MemoriaError:  # such as a directory that was moved away: open it anew
            self._drop_writer()

    def _finish_writer(self) -> None:
        """Let the last commit write the state out, so that the next opening has little to fold."""
        known = self._writer
        with suppress(MemoriaError, OSError):
            if known is not None and known.files.store.resume():
                known.__exit__(None)
        self._drop_writer()

    def _drop_writer(self) -> None:
        known, self._writer = self._writer, None
        if known is not None:
            with suppress(MemoriaError, OSError):
                known.close()

    def _when_free(self, action: Callable[[], _T]) -> _T:
        """What ``action`` returns, tried again for a while where another process writes."""
        until, pause = time.monotonic() + self._patience, _FIRST_PAUSE
        while True:
            try:
                return action()
            except StoreLockedError:
                left = until - time.monotonic()
                if left <= 0:
                    raise
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _check_open(self) -> None:
        if self._closed:
            raise StateError(f"{os.fspath(self._path)}: the store is closed", "open it again")
