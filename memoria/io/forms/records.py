"""A record, such as a JSON object or a row of a table, as sections: its text, time and meta."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from memoria.errors import InputError
from memoria.io.bounds import MOST_META_BYTES
from memoria.io.files import printable
from memoria.io.forms.source import TextSource, check_writable
from memoria.io.text_unit import Section, TextUnit
from memoria.io.times import is_milliseconds, read_time

TEXT_FIELDS: Final = ("text", "content", "message", "message.content", "message.text", "body")
TIME_FIELDS: Final = ("time", "date", "timestamp", "created_at", "datetime")
_TALKS: Final = ("messages", "conversations", "conversation")  # lists of messages
_SAID: Final = ("content", "value", "text", "message", "body")  # the text of one of them
_MOST_VALUE: Final = 2_000  # characters of a value beside the text
_MOST_META: Final = 2**15  # bytes of all of them
_DEPTH: Final = 8  # of objects in objects, whose scalars are meta
_NONE: Final = object()
_KINDS: Final = {
    type(None): "null",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    dict: "an object",
    list: "a list",
}

Record = Mapping[str, Any]


def record_sections(
    source: TextSource, record: Record, line: int, spoken: str
) -> Iterator[Section]:
    """The text of a record as one section; of a conversation, one each message.

    Its other fields that hold a text, texts, a number or a truth value go to meta, those of objects
    in it by path. A record with ``source`` and ``offset``, as `memoria export` writes them, has the
    meta in its field ``meta`` alone. One with an ``offset`` is one unit.

    Args:
        source: the text that the record stands in.
        record: the record.
        line: the line that it begins in, or its number: part of where its text comes from.
        spoken: what errors call it.

    Raises:
        InputError: no text is where it should be, there is no time in a time field that
            was named, or no store can keep its ``meta``.
    """
    named = source.text_field
    talk = None if named else _talk(record)
    if talk is not None:
        yield from _messages(source, record, talk, line, spoken)
        return
    path = named or _usual_field(record)
    found = _NONE if path is None else at_path(record, path)
    if found is _NONE and source.options.unit == "record" and named is None:
        path, found = "", _row_text(record)
    if path is None or found is _NONE:
        names = ", ".join(map(printable, sorted(record)[:12])) or "none"
        raise InputError(
            f"{spoken}: no field {path or 'text'!r}",
            f"it has {names}; choose with {printable(source.path or 'FILE')}:FIELD",
        )
    text = _as_text(found, path, spoken, is_usual=named is None)
    check_writable(text, spoken)
    is_export = "source" in record and "offset" in record
    time, time_path = _time(source, record, spoken, exact="offset" in record)
    own = {} if is_export else plain_fields(record, {path, time_path})
    place, offset = _place(source, record, line, path, spoken)
    if isinstance(record.get("source"), str) and place == record["source"]:
        own.pop("source", None)
    given = record.get("meta")
    if isinstance(given, dict):
        _check_meta({**own, **given}, f"{spoken}: meta")
    meta = {**own, **given} if isinstance(given, dict) else own or None
    unit = TextUnit(text, place, offset, time, meta)
    yield Section(unit, "always" if "offset" in record else "")


def at_path(record: Any, path: str) -> Any:
    """What stands at ``"message.content"``: a field of that name, else along objects and lists."""
    if isinstance(record, Mapping):
        if path in record:
            return record[path]
        head, dot, rest = path.partition(".")
        return at_path(record[head], rest) if dot and head in record else _NONE
    head, _, rest = path.partition(".")
    if isinstance(record, list) and head.isascii() and head.isdigit() and int(head) < len(record):
        return at_path(record[int(head)], rest) if rest else record[int(head)]
    return _NONE


def _usual_field(record: Record) -> str | None:
    """The first of the usual fields that holds a text, else ``text`` if it is there at all."""
    for path in TEXT_FIELDS:
        value = at_path(record, path)
        if isinstance(value, str) or (path != "text" and _is_parts(value)):
            return path
    return next((path for path in TEXT_FIELDS if at_path(record, path) is not _NONE), None)


def _is_parts(value: Any) -> bool:
    """Whether it is a text in parts, as chats have it: texts, and objects with a text."""
    return isinstance(value, list) and all(
        isinstance(one, str) or (isinstance(one, dict) and isinstance(one.get("type"), str))
        for one in value
    )


def _as_text(value: Any, path: str, spoken: str, is_usual: bool) -> str:
    if isinstance(value, str):
        return value
    if value is None and is_usual and path != "text":  # a turn that only calls a tool
        return ""
    if _is_parts(value):
        pieces = [one if isinstance(one, str) else one.get("text") for one in value]
        texts = [one for one in pieces if isinstance(one, str)]
        return ("" if any(isinstance(one, str) for one in value) else "\n\n").join(texts)
    raise InputError(f"{spoken}: field {path!r} is {_KINDS[type(value)]}, not a text")


def _time(
    source: TextSource, record: Record, spoken: str, exact: bool
) -> tuple[int | None, str | None]:
    """The time of a record, and the path where it stands."""
    named = source.options.time_field
    if named is not None:
        value = at_path(record, named)
        if value is _NONE or value in (None, ""):
            return None, None
        time = read_time(value)
        if time is None:
            shown = printable(str(value))[:40]
            raise InputError(
                f"{spoken}: field {named!r} is not a time: {shown!r}",
                "write it like 2025-01-31T12:00, or in seconds or milliseconds since 1970",
            )
        return time, named
    for path in TIME_FIELDS:
        value = at_path(record, path)
        time = value if exact and is_milliseconds(value) else read_time(value)
        if time is not None:
            return time, path
    return None, None


def _place(
    source: TextSource, record: Record, line: int, path: str, spoken: str
) -> tuple[str, int]:
    own, offset = record.get("source"), record.get("offset")
    if isinstance(own, str) and own:
        check_writable(own, spoken)
        return own, offset if is_milliseconds(offset) else 0
    return record_name(source, record, line, path), 0


def record_name(source: TextSource, record: Record, line: int, path: str) -> str:
    """``FILE:LINE``, with the field behind it if it is not the one that is read by default."""
    place = f"{source.name}:{line}"
    return place if path in ("", _usual_field(record)) else f"{place}:{path}"


def plain_fields(record: Record, but: Set[str | None] = frozenset()) -> dict[str, Any]:
    """Texts, lists of texts, finite numbers and truth values by path, as far as there is room.

    Left out are the paths in ``but``, values above 2,000 characters and what no store can keep.
    """
    found: dict[str, Any] = {}
    room = _MOST_META
    for path, value in _walk(record, "", 0):
        if path in but or (isinstance(value, str) and not value):
            continue
        if len(path) + len(str(value)) > _MOST_VALUE or not _is_writable(path, value):
            continue
        size = len(json.dumps({path: value}, ensure_ascii=False).encode("utf-8"))
        if size > room:
            continue
        found[path] = value
        room -= size
    return found


def _walk(record: Record, before: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        path = f"{before}{name}"
        if isinstance(value, dict):
            if path != "meta" and depth < _DEPTH:
                yield from _walk(value, f"{path}.", depth + 1)
        elif (
            isinstance(value, str | bool | int)
            or (isinstance(value, float) and math.isfinite(value))
            or (isinstance(value, list) and value and all(isinstance(one, str) for one in value))
        ):
            yield path, value


def _is_writable(path: str, value: Any) -> bool:
    text = "".join([path, *_texts_in(value)])
    return "\0" not in text and re.search("[\ud800-\udfff]", text) is None


def _check_meta(meta: dict[str, Any], where: str) -> None:
    """Raise `InputError` for what no store keeps beside a text."""
    for text in _texts_in(meta):
        check_writable(text, where)
    try:
        size = len(json.dumps(meta, ensure_ascii=False, allow_nan=False).encode("utf-8"))
    except ValueError:
        raise InputError(f"{where}: a number is not finite") from None
    if size > MOST_META_BYTES:
        raise InputError(f"{where} of {size} bytes, at most {MOST_META_BYTES} are kept")


def _texts_in(value: Any) -> Iterator[str]:
    """All texts within a JSON value; its nest is as deep as the parser of JSON lets it be."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, within in value.items():
            yield name
            yield from _texts_in(within)
    elif isinstance(value, list):
        for within in value:
            yield from _texts_in(within)


def _row_text(record: Record) -> Any:
    """A record without a text as one: ``name: value`` a line."""
    rows = [f"{path}: {value}" for path, value in _walk(record, "", 0) if value != ""]
    return "\n".join(rows) if rows else _NONE


def _talk(record: Record) -> str | None:
    """The field that holds a list of messages, of a record that is a conversation."""
    if any(isinstance(record.get(name), str) for name in ("text", "content")):
        return None
    for name in _TALKS:
        value = record.get(name)
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            return name
    return None


def _messages(
    source: TextSource, record: Record, talk: str, line: int, spoken: str
) -> Iterator[Section]:
    shared_time, time_path = _time(source, record, spoken, exact=False)
    shared = plain_fields({k: v for k, v in record.items() if k != talk}, {time_path})
    place, offset = f"{source.name}:{line}", 0
    for number, message in enumerate(record[talk], 1):
        where = f"{spoken}, message {number}"
        field = next((name for name in _SAID if name in message), None)
        if field is None:
            continue
        text = _as_text(message[field], field, where, is_usual=True)
        check_writable(text, where)
        time, path = _time(source, message, where, exact=False)
        meta = {**shared, **plain_fields(message, {field, path})}
        yield Section(
            TextUnit(text, place, offset, shared_time if time is None else time, meta or None)
        )
        offset += len(text) + 1
