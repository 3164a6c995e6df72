"""What may be done with a memory from outside, each as one call that takes and gives plain values.

The JSON API and the tools of agents call these. Reads are of what is committed; writes are one
commit each, undone by `MemoryOperations.undo`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

from memoria.errors import InputError
from memoria.query.inspection import Inspection
from memoria.query.listing import EngramFilter, parse_time
from memoria.store.compacting import undo as undo_command
from memoria.store.remembering import edit, remember
from memoria.store.sharing import SharedStore
from memoria.store.store import MemoryStore

Document = dict[str, Any]
Kind = Literal["living", "working", "shortterm", "longterm", "forgotten", "all"]

MOST_ANSWERS: Final = 100
MOST_CONTEXT: Final = 20
MOST_LISTED: Final = 200
MOST_STEPS: Final = 2000


class MemoryOperations:
    """The operations on the store at ``path``; may be called by several threads.

    Attributes:
        path: where the store lies.
        shared: the store itself.
    """

    def __init__(self, path: str | os.PathLike[str], patience: float = 10.0) -> None:
        self.path = os.path.abspath(path)
        self.shared = SharedStore(path, patience)
        self._view: tuple[MemoryStore, Inspection] | None = None

    def warm_up(self) -> None:
        """Load what the first question would wait for: the backbone and the index."""
        with self.shared.reading() as store:
            if store.files.created and store.config.backbone != "array":
                store.ask("warm", top=1)

    def close(self) -> None:
        """Release the store."""
        self.shared.close()

    def memory(self) -> Document:
        """What the memory is and holds, in numbers."""
        with self._viewing() as view:
            about = view.summary()
        about["name"] = os.path.basename(self.path.rstrip("/")) or "memory"
        return about

    def ask(
        self,
        question: str,
        top: int = 10,
        context: int = 0,
        lane: int | None = None,
        source: Sequence[str] | None = None,
        since: str | None = None,
        until: str | None = None,
        type: Sequence[str] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Document:
        """Answers to a question, best first, as `memoria ask --json` has them."""
        with self.shared.reading() as store:
            found = store.ask(
                question,
                top,
                context=context,
                lane=lane,
                sources=source or None,
                since=None if since is None else parse_time("since", since),
                until=None if until is None else parse_time("until", until, end=True),
                types=type or None,
                meta=dict(meta) if meta else None,
            )
        return {
            **found.document(),
            "seems_answered": found.seems_answered,
            "notes": list(found.notes),
        }

    def engrams(
        self,
        text: str | None = None,
        source: str | None = None,
        type: Kind = "living",
        before: int | None = None,
        limit: int = 50,
    ) -> Document:
        """Engrams that pass the filters, the newest first, as `memoria list --json` has them.

        ``before``: only with ids below it, for the next page.

        Raises:
            InputError: ``before`` is 0.
        """
        ids = () if before is None else (f"0..{before - 1}",)
        if before == 0:
            raise InputError("before = 0: no id is below", "give the last id of the page before")
        with self._viewing() as view:
            wanted = EngramFilter(kind=type, text=text, source=source, ids=ids)
            found = view.listing(wanted, "id", reverse=True, limit=limit)
            listed = [*found.documents()]
        return {"step": found.step, "count": found.count, "engrams": listed}

    def engram(self, id: int) -> Document:
        """The life of one engram, forgotten ones too, as `memoria inspect STORE ID --json`."""
        with self._viewing() as view:
            return view.engram(id)

    def timeline(self, limit: int = 100) -> Document:
        """What the last steps did, oldest first."""
        with self._viewing() as view:
            return {"step": view.step, "steps": view.history(limit)}

    def remember(
        self,
        text: str,
        source: str | None = None,
        time: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Document:
        """One committed step that remembers a text: ``ids`` of its engrams."""
        own = None if time is None else parse_time("time", time)
        with self.shared.writing("remember") as store:
            ids = remember(store, text, source=source, time=own, meta=meta or None)
            step = store.timestep
        return {"step": step, "ids": ids.tolist()}

    def used(self, ids: Sequence[int], question: str | None = None) -> Document:
        """Engrams that answered gain lifespan, and the question is kept beside them."""
        with self.shared.writing("used") as store:
            taught = store.used(ids, question)
            step = store.timestep
        return {"step": step, "used": taught.tolist()}

    def edit(
        self, id: int, text: str | None = None, meta: Mapping[str, Any] | None = None
    ) -> Document:
        """Another text, or other values of its meta, for an engram."""
        with self.shared.writing("edit") as store:
            edit(store, id, text, meta)
            step = store.timestep
        return {"step": step, "id": id}

    def pin(self, id: int) -> Document:
        """Let an engram lose no lifespan."""
        with self.shared.writing("pin") as store:
            store.pin([id])
            step = store.timestep
        return {"step": step, "id": id, "pinned": True}

    def unpin(self, id: int) -> Document:
        """Let a pinned engram age again."""
        with self.shared.writing("unpin") as store:
            store.unpin([id])
            step = store.timestep
        return {"step": step, "id": id, "pinned": False}

    def forget(self, ids: Sequence[int]) -> Document:
        """Forget engrams; `undo` brings them back as long as it is the last command."""
        with self.shared.writing("forget") as store:
            gone = store.forget(ids)
            step = store.timestep
        return {"step": step, "forgotten": gone.tolist()}

    def undo(self) -> Document:
        """Go back to the state before the last command that changed the memory."""
        with self.shared.writing("undo") as store:
            return store.undo()

    def would_undo(self) -> Document:
        """What `undo` would take back, without doing it."""
        return undo_command(self.path, dry_run=True)

    @contextmanager
    def _viewing(self) -> Iterator[Inspection]:
        """The store as documents, kept as long as nothing is committed."""
        with self.shared.reading() as store:
            if self._view is None or self._view[0] is not store:
                self._view = (store, Inspection(store.files))
            yield self._view[1]
