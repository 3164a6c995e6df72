"""What a stream has read of text files, told to the store that steps through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memoria.io.inputs import WorkingMemory
from memoria.store.sources import Unit, hash_unit

if TYPE_CHECKING:
    from memoria.backbones.streams import InputStream
    from memoria.store.store import MemoryStore


class ReadingRecorder:
    """Records in a store each text file of a stream, once all units of it are remembered.

    To be made before the stream is read: a file that changes meanwhile has the hash of before, so
    that it is found changed.
    """

    def __init__(self, store: MemoryStore, stream: InputStream) -> None:
        self._store, self._stream = store, stream
        self._begun, self._created = store.timestep, store.files.created
        self._files = {file.name: file for file in stream.text_files()}
        self._units: dict[str, list[Unit]] = {name: [] for name in self._files}
        for file in self._files.values():
            store.name_source(file.name, file.path)

    def __iter__(self) -> Iterator[WorkingMemory]:
        """The working memories of the stream, each to be stepped through before the next."""
        for memory in self._stream:
            first, lanes = self._store.files.created, len(memory.inputs)
            yield memory
            for lane, names in enumerate(memory.inputs):
                for at, name in enumerate(names):
                    if name:
                        text, (_, offset) = memory.texts[lane][at], memory.places[lane][at]
                        unit = Unit(first + at * lanes + lane, offset, hash_unit(text or ""))
                        self._units[name].append(unit)

    def document(self) -> dict[str, Any]:
        """What has come of the stream so far, as JSON tells it."""
        return {
            "path": str(self._store.path),
            "steps": self._store.timestep - self._begun,
            "timestep": self._store.timestep,
            "engrams_added": self._store.files.created - self._created,
            "skipped": self._stream.skipped,
            "digest": self._store.digest(),
        }

    def finish(self) -> None:
        """Stage the readings of what was read to its end, unless nothing is new since the last."""
        known = {one.source: one.content for one in self._store.readings()}
        passed = self._stream.passed
        engrams = self._store.engrams_at([piece.place for piece in passed]) if passed else []
        units: dict[str, list[Unit]] = {name: [] for name in self._files}
        for piece, engram in zip(passed, engrams, strict=True):
            unit = Unit(engram, piece.place[1], hash_unit(piece.text or ""))
            units[piece.input].append(unit)
        for name, file in self._files.items():
            found, new = units[name] + self._units[name], self._units[name]
            is_whole = len(found) == self._stream.totals.get(name)
            if is_whole and (new or known.get(name) != file.content):
                self._store.record_reading(name, file.content, found)
