"""What mem0 returns of all memories, as JSON: ``{"results": [{"memory": ...}]}`` or the list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from memoria.imports.texts import ImportedText, objects, text_of
from memoria.io.forms.records import plain_fields
from memoria.io.times import read_time

_LISTS: Final = ("results", "memories")
_KEPT: Final = ("id", "user_id", "agent_id", "app_id", "run_id", "actor_id", "role")


def is_mem0(document: Any) -> bool:
    """Whether it is a list of memories in the form of mem0."""
    return any("memory" in one for one in objects(_memories(document)))


def read_mem0(document: Any) -> Iterator[ImportedText]:
    """Every memory, one after another, the oldest first where they say when they were made."""
    found = [one for one in objects(_memories(document)) if text_of(one.get("memory"))]
    for number, one in enumerate(sorted(found, key=_made)):
        beside = {key: one[key] for key in _KEPT if isinstance(one.get(key), str)}
        kinds = one.get("categories")
        if isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds) and kinds:
            beside["categories"] = kinds
        told = one.get("metadata")
        meta = plain_fields({**(told if isinstance(told, dict) else {}), **beside})
        source = f"mem0/{one['id']}" if isinstance(one.get("id"), str) else f"mem0/{number}"
        time = read_time(one.get("created_at"))
        yield ImportedText(text_of(one["memory"]), source, 0, time, meta)


def _memories(document: Any) -> Any:
    if isinstance(document, dict):
        return next((document[name] for name in _LISTS if name in document), None)
    return document


def _made(one: dict[str, Any]) -> int:
    return read_time(one.get("created_at")) or 0
