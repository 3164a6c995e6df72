"""A store for LangGraph: values by namespace and key, kept as engrams and found by `ask`.

Each value is one engram: its text is what is indexed of the value, and namespace, key and value
stand in its meta. What a graph puts is remembered, edited and forgotten as anything else.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from memoria.adapters.answers import as_shared
from memoria.errors import InputError, MissingExtraError
from memoria.query.inspection import Inspection
from memoria.query.listing import EngramFilter
from memoria.store.remembering import edit, remember
from memoria.store.sharing import SharedStore
from memoria.store.store import MemoryStore

try:
    from langgraph.store.base import (
        BaseStore,
        GetOp,
        Item,
        ListNamespacesOp,
        MatchCondition,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        validate_op_namespace,
    )
except ImportError:
    raise MissingExtraError("the store for LangGraph", "adapters") from None

_META: Final = "langgraph"  # the key of what this store keeps in an engram's meta
_TEXTS: Final = ("key", "created", "updated")
_Name = tuple[tuple[str, ...], str]


class MemoriaStore(BaseStore):
    """A LangGraph store in a memory of one lane: ``MemoriaStore("notes")``.

    Operations of one batch happen in order; what they change is one commit. There is no time to
    live: what should go is deleted.
    """

    supports_ttl = False

    def __init__(self, store: str | os.PathLike[str] | SharedStore) -> None:
        self.store = as_shared(store)
        self._known: tuple[MemoryStore, dict[_Name, tuple[int, dict[str, Any]]]] | None = None

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do one operation after another."""
        every = list(ops)
        for op in every:
            validate_op_namespace(op)
        if not any(isinstance(op, PutOp) for op in every):
            with self.store.reading() as memory:
                held = self._held(memory)
                return [self._read(memory, held, op) for op in every]
        results: list[Result] = []
        with self.store.writing("put") as memory:
            held = _values(memory)
            for op in every:
                if isinstance(op, PutOp):
                    _put(memory, held, op)
                    results.append(None)
                else:
                    results.append(self._read(memory, held, op))
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """`batch`, in a thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    def _held(self, memory: MemoryStore) -> dict[_Name, tuple[int, dict[str, Any]]]:
        """The values by name; kept as long as nothing is committed."""
        if self._known is None or self._known[0] is not memory:
            self._known = (memory, _values(memory))
        return self._known[1]

    def _read(
        self, memory: MemoryStore, held: dict[_Name, tuple[int, dict[str, Any]]], op: Op
    ) -> Result:
        if isinstance(op, GetOp):
            found = held.get((op.namespace, op.key))
            return None if found is None else Item(**_item(op.namespace, op.key, found[1]))
        if isinstance(op, SearchOp):
            return _search(memory, held, op)
        if isinstance(op, ListNamespacesOp):
            return _namespaces(held, op)
        raise InputError(f"{type(op).__name__}: no operation of this store")


def _values(memory: MemoryStore) -> dict[_Name, tuple[int, dict[str, Any]]]:
    """Id and record of each value, by namespace and key."""
    found: dict[_Name, tuple[int, dict[str, Any]]] = {}
    for one in Inspection(memory.files).listing(EngramFilter()).documents():
        record = (one["meta"] or {}).get(_META)
        if _is_record(record):
            found[tuple(record["namespace"]), record["key"]] = (one["id"], record)
    return found


def _is_record(record: Any) -> TypeGuard[dict[str, Any]]:
    """Whether it is what `_put` writes; others may write meta under the same key."""
    if not isinstance(record, dict) or not isinstance(record.get("value"), dict):
        return False
    namespace, texts = record.get("namespace"), (record.get(name) for name in _TEXTS)
    return isinstance(namespace, list) and all(isinstance(one, str) for one in (*namespace, *texts))


def _put(memory: MemoryStore, held: dict[_Name, tuple[int, dict[str, Any]]], op: PutOp) -> None:
    name = (op.namespace, op.key)
    known = held.pop(name, None)
    if op.value is None:
        if known is not None:
            memory.forget([known[0]])
        return
    now = datetime.now(UTC).isoformat()
    record = {
        "namespace": [*op.namespace],
        "key": op.key,
        "value": dict(op.value),
        "created": now if known is None else known[1]["created"],
        "updated": now,
    }
    text = _text(op.value, op.index)
    if known is None:
        (id_,) = remember(memory, text, meta={_META: record}, unit="record").tolist()
    else:
        id_ = known[0]
        edit(memory, id_, text, {_META: record})
    held[name] = (id_, record)


def _text(value: Mapping[str, Any], index: Any) -> str:
    """What is indexed of a value: the fields named, or all of it."""
    fields = list(value) if not isinstance(index, list) or "$" in index else index
    words = [_spoken(_at(value, field)) for field in fields]
    if index is False or not any(words):
        return json.dumps(value, ensure_ascii=False, default=str) or "{}"
    return "\n".join(filter(None, words))


def _at(value: Any, path: str) -> Any:
    """What stands under a path such as ``author.name``."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    for part in path.replace("[*]", "").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _spoken(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _search(
    memory: MemoryStore, held: dict[_Name, tuple[int, dict[str, Any]]], op: SearchOp
) -> list[SearchItem]:
    prefix = op.namespace_prefix
    wanted = {
        id_: (namespace, key, record)
        for (namespace, key), (id_, record) in held.items()
        if namespace[: len(prefix)] == prefix and _fits(record["value"], op.filter or {})
    }
    scores: list[tuple[int, float | None]]
    if op.query:
        found = memory.ask(op.query, max(1, memory.files.created))
        scores = [(one.id, one.score) for one in found if one.id in wanted]
    else:
        scores = [(id_, None) for id_ in wanted]
    page = scores[op.offset : op.offset + op.limit]
    return [SearchItem(**_item(*wanted[id_]), score=score) for id_, score in page]


def _fits(held: Any, wanted: Any) -> bool:
    """Whether a value has what a filter wants: equal, or by ``$eq $ne $gt $gte $lt $lte``."""
    if isinstance(wanted, Mapping):
        if any(key.startswith("$") for key in wanted):
            return all(_compares(held, name, other) for name, other in wanted.items())
        return isinstance(held, Mapping) and all(
            _fits(held.get(key), one) for key, one in wanted.items()
        )
    return bool(held == (list(wanted) if isinstance(wanted, tuple) else wanted))


def _compares(held: Any, name: str, other: Any) -> bool:
    if name in ("$eq", "$ne"):
        return bool((held == other) == (name == "$eq"))
    if name not in ("$gt", "$gte", "$lt", "$lte"):
        raise InputError(f"filter {name!r}: unknown", "one of $eq, $ne, $gt, $gte, $lt, $lte")
    try:
        first, second = float(held), float(other)
    except (TypeError, ValueError, OverflowError):
        return False
    return {
        "$gt": first > second,
        "$gte": first >= second,
        "$lt": first < second,
        "$lte": first <= second,
    }[name]


def _namespaces(
    held: dict[_Name, tuple[int, dict[str, Any]]], op: ListNamespacesOp
) -> list[tuple[str, ...]]:
    found = {namespace for namespace, _ in held}
    for condition in op.match_conditions or ():
        found = {one for one in found if _matches(one, condition)}
    if op.max_depth is not None:
        found = {one[: op.max_depth] for one in found}
    return sorted(found)[op.offset : op.offset + op.limit]


def _matches(namespace: tuple[str, ...], condition: MatchCondition) -> bool:
    path = tuple(condition.path)
    if len(namespace) < len(path):
        return False
    if condition.match_type == "prefix":
        part = namespace[: len(path)]
    else:
        part = namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", one) for one, wanted in zip(part, path, strict=True))


def _item(namespace: tuple[str, ...], key: str, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "key": key,
        "value": record["value"],
        "created_at": datetime.fromisoformat(record["created"]),
        "updated_at": datetime.fromisoformat(record["updated"]),
    }
