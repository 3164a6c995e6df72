"""`memoria step --watch-folder`: files are read again whenever they change."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from memoria.errors import MemoriaError, MissingExtraError, StoreLockedError, UsageError
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_count

if TYPE_CHECKING:
    from memoria.backbones import Backbone
    from memoria.config import MemoriaConfig
    from memoria.store.sharing import SharedStore

_TURN: Final = 10.0  # seconds of steps after which others may write
_LOOK: Final = 1_000  # milliseconds after which what was left is tried again
_COUNTED: Final = ("steps", "engrams_added", "forgotten", "moved")


def watch_folders(
    store: str,
    inputs: Sequence[str],
    step: Mapping[str, Any],
    options: Callable[[MemoriaConfig], dict[str, Any]],
    json: bool,
) -> None:
    """Sync ``inputs`` now and whenever one of them changes, until Ctrl-C.

    Args:
        store: the store's directory; the writer's lock is held only while something is read.
        inputs: folders, patterns and files.
        step: ``rule`` and ``commit_every``.
        options: what `FileReading` takes besides, for a store of this configuration.
        json: print one JSON document in the end.
    """
    from memoria.store.sharing import SharedStore

    roots = _roots(inputs)
    totals = Counter[str]()
    rounds = 0
    with SharedStore(store) as shared:
        watcher = _Watcher(shared, inputs, step, options)
        try:
            for _ in _changes(roots, store, watcher):
                if (document := watcher.read()) is not None:
                    rounds += 1
                    totals.update({key: document.get(key, 0) for key in _COUNTED})
                    if document["steps"] or document["forgotten"]:
                        added = format_count(document["engrams_added"], "engram")
                        output.note(f"{added} added, {document['forgotten']} forgotten")
        except KeyboardInterrupt:
            pass  # the way to end it: what was read is committed
    document = {"path": os.path.abspath(store), "rounds": rounds}
    document |= {key: totals[key] for key in _COUNTED}
    added = format_count(totals["engrams_added"], "engram")
    said = f"ended after {format_count(rounds, 'round')}: {added} added"
    output.result(document, [f"{said}, {totals['forgotten']} forgotten"], json)


class _Watcher:
    """Reads what has changed; ``is_due``: something is left to be read."""

    def __init__(
        self,
        shared: SharedStore,
        inputs: Sequence[str],
        step: Mapping[str, Any],
        options: Callable[[MemoriaConfig], dict[str, Any]],
    ) -> None:
        self._shared, self._inputs, self._step, self._options = shared, inputs, step, options
        self._backbone: Backbone | None = None
        self._told: dict[str, str] = {}
        self.is_due = True

    def read(self) -> dict[str, Any] | None:
        """What came of reading what has changed; None where that was not possible."""
        from memoria.store.file_reading import FileReading

        try:
            with self._shared.writing("step") as store:
                reading = FileReading(
                    store, self._inputs, loaded=self._backbone, **self._options(store.config)
                )
                total, end = reading.begin(), time.monotonic() + _TURN
                reading.step(total=total, until=lambda: time.monotonic() > end, **self._step)
                reading.finish()
                self._backbone = reading.stream.backbone
                document = reading.document()
                self.is_due = not reading.is_done
        except StoreLockedError:
            self.is_due = True
            return None
        except MemoriaError as error:
            self.is_due = False
            self._tell({"": str(error)})
            return None
        self._tell({name: str(error) for name, error in reading.faults.items()})
        return document

    def _tell(self, faults: dict[str, str]) -> None:
        """Warn of what could not be read, once."""
        for name, words in faults.items():
            if self._told.get(name) != words:
                output.warn(f"not read: {words}")
        self._told = faults


def _roots(inputs: Sequence[str]) -> list[str]:
    """The folders that are watched."""
    from memoria.io.folders import list_inputs

    if "-" in inputs or not inputs:
        raise UsageError("--watch-folder: nothing is named that can change", "name a folder")
    found = list_inputs(inputs)
    roots = {scope.root for scope in found.scopes}
    return sorted(roots | {os.path.dirname(one.path) for one in found.inputs if not one.listed})


def _changes(roots: Sequence[str], store: str, watcher: _Watcher) -> Iterator[None]:
    """Once watching has begun, and whenever something has changed or is left to be read."""
    try:
        from watchfiles import watch
    except ImportError:
        raise MissingExtraError("--watch-folder", "read") from None
    own = os.path.join(os.path.realpath(store), "")

    def is_other(_: object, path: str) -> bool:
        return not os.path.join(os.path.realpath(path), "").startswith(own)

    turns = watch(
        *roots,
        watch_filter=is_other,
        rust_timeout=_LOOK,
        yield_on_timeout=True,
        raise_interrupt=True,
    )
    for changed in turns:
        if changed or watcher.is_due:
            yield
