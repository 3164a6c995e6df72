"""What stands between two rules at the beginning of a text: ``---`` (YAML) or ``+++`` (TOML).

Of YAML only plain fields are read: a text, number, truth value or list of them each, and objects
by path. No YAML library is used: theirs expand aliases without bound.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from datetime import time as clock_time
from typing import Any, Final

from memoria.io.forms.records import plain_fields
from memoria.io.times import read_time

_MOST: Final = 1 << 16  # characters
_OPENING: Final = re.compile(r"(---|\+\+\+)[ \t]*(?:\r\n|\r|\n)")
_FIELD: Final = re.compile(
    r"([ \t]*)([^\s#:\-\[{][^:\r\n]*?|\"[^\"\r\n]+\")[ \t]*:(?:[ \t]+(.*))?\Z"
)
_ITEM: Final = re.compile(r"[ \t]*-[ \t]+(.+)\Z")
_TIMES: Final = ("date", "time", "timestamp", "created", "published", "updated")


def front_matter(text: str) -> tuple[int | None, dict[str, Any], int]:
    """Time and meta that a text begins with, and where the text itself begins."""
    opening = _OPENING.match(text)
    if opening is None:
        return None, {}, 0
    mark = re.escape(opening[1]) if opening[1] == "+++" else r"(?:---|\.\.\.)"
    closing = re.compile(rf"(?<=[\r\n]){mark}[ \t]*(?:\r\n|\r|\n|\Z)").search(
        text, opening.end(), opening.end() + _MOST
    )
    if closing is None:
        return None, {}, 0
    inside = text[opening.end() : closing.start()]
    try:
        fields = list(_toml(inside) if opening[1] == "+++" else _yaml(inside))
    except ValueError:
        return None, {}, 0
    if not fields and inside.strip():
        return None, {}, 0
    found = dict(fields)
    time = None
    for name in _TIMES:
        key = next((one for one in found if one.lower() == name), None)
        if key is not None and (time := read_time(found[key])) is not None:
            del found[key]
            break
    plain = {
        key: str(value) if isinstance(value, date | datetime | clock_time) else value
        for key, value in found.items()
    }
    return time, plain_fields(plain), closing.end()


def _toml(text: str) -> Iterator[tuple[str, Any]]:
    try:
        document = tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    yield from _flat(document, "")


def _flat(document: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            if value and all(isinstance(one, str | int | float) for one in value):
                yield f"{before}{name}", [str(one) for one in value]
        else:
            yield f"{before}{name}", value


def _yaml(text: str) -> Iterator[tuple[str, Any]]:
    """Fields by path. Raises `ValueError` for a line that is neither field, item nor comment."""
    above: list[tuple[int, str]] = []  # indent and name of the objects that a line is in
    items: list[str] = []
    for line in [*re.split(r"\r\n|\r|\n", text), ""]:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if found := _ITEM.match(line):
            items.append(str(_scalar(found[1])))
            continue
        if items and above:
            yield ".".join(name for _, name in above), items
        items = []
        field = _FIELD.match(line)
        if field is None:
            if above and line[:1] in " \t":  # goes on with a text of several lines
                continue
            raise ValueError(line)
        indent, name = len(field[1].expandtabs(4)), field[2].strip().strip("\"'")
        above = [one for one in above if one[0] < indent]
        above.append((indent, name))
        value = (field[3] or "").strip()
        if value and value not in ("|", ">", "|-", ">-"):
            yield ".".join(part for _, part in above), _scalar(value)
    if items and above:
        yield ".".join(name for _, name in above), items


def _scalar(text: str) -> Any:
    text = text.strip()
    if text[:1] in "\"'" and len(text) > 1 and text[-1] == text[0]:
        return text[1:-1]
    if text.startswith("[") and text.endswith("]"):
        return [str(_scalar(one)) for one in text[1:-1].split(",") if one.strip()]
    text = re.split(r"[ \t]#", text, maxsplit=1)[0].rstrip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]{1,15}", text):
        return int(text)
    if re.fullmatch(r"[-+]?[0-9]{1,15}\.[0-9]{1,15}", text):
        return float(text)
    return text
