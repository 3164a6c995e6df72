"""What stands beside an answer, as the libraries keep it with a document."""

from __future__ import annotations

import os
from typing import Any

from memoria.query.documents import iso_time
from memoria.store.answers import Answer, Answers
from memoria.store.sharing import SharedStore


def ask(store: SharedStore, question: str, top: int, options: dict[str, Any]) -> Answers:
    """The answers of what is committed now that have a text.

    Args:
        store: the memory.
        question: the question.
        top: answers, at most.
        options: what else `MemoryStore.ask` takes.
    """
    with store.reading() as memory:
        found = memory.ask(question, top, **options)
        return Answers(found.step, [one for one in found if one.text is not None], found.notes)


def metadata(answer: Answer) -> dict[str, Any]:
    """Its meta, and its own id, score, confidence, source, line and time."""
    time = None if answer.time is None else iso_time(answer.time)
    own = {"source": answer.source, "line": answer.line, "time": time}
    told = {name: value for name, value in own.items() if value is not None}
    return {
        **(answer.meta or {}),
        **told,
        "id": answer.id,
        "score": answer.score,
        "confidence": answer.confidence,
    }


def as_shared(store: str | os.PathLike[str] | SharedStore) -> SharedStore:
    """The store itself, or that at a path."""
    return store if isinstance(store, SharedStore) else SharedStore(store)
