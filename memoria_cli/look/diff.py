"""`memoria diff`: what changed between two states of a memory, or two memories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from memoria_cli.options import ROWS, Json, argument, option
from memoria_cli.options import limit as limit_option
from memoria_cli.stores import split_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_change, format_engram, format_number, shorten
from memoria_cli.verbs import verb

_ALL: Final = 2**62  # rows, and more than there are
_TEXT: Final = 72


_RELATIONS: Final = {
    "same": "B is the same as A",
    "continues": "B goes on from A",
    "precedes": "A goes on from B",
    "diverged": "A and B parted after step {common_step}",
    "unrelated": "A and B are not related",
}
_ENGRAM: Final[Mapping[str, output.Column]] = {
    "id": "id",
    "type": "type",
    "fired": "fire_count",
    "text": lambda one: shorten(one["text"], _TEXT),
}
# Lists of the document: their titles, their columns, whether they are shown when empty.
_LISTS: Final[Mapping[str, tuple[str, Mapping[str, output.Column], bool]]] = {
    "born": ("born", _ENGRAM, True),
    "forgotten": ("forgotten", _ENGRAM, True),
    "returned": ("in B, forgotten in A", _ENGRAM, False),
    "only_in_a": ("in A only", _ENGRAM, False),
    "moved": (
        "moved",
        {"id": "id", "from": "from", "to": "to", "text": _ENGRAM["text"]},
        True,
    ),
    "pinned": (
        "pinned or unpinned",
        {
            "id": "id",
            "now": lambda one: "pinned" if one["b"] else "unpinned",
            "text": _ENGRAM["text"],
        },
        False,
    ),
    "lifespan": (
        "lifespans changed",
        {
            "id": "id",
            "A": lambda one: format_number(one["a"]),
            "B": lambda one: format_number(one["b"]),
            "beyond ageing": lambda one: format_change(one["change"]),
            "text": _ENGRAM["text"],
        },
        True,
    ),
}
_CONNECTIONS: Final[Mapping[str, output.Column]] = {
    "weight A": lambda one: f"{one['weight']['a']:.3f}",
    "weight B": lambda one: f"{one['weight']['b']:.3f}",
    "together A": lambda one: one["cofire_count"]["a"],
    "together B": lambda one: one["cofire_count"]["b"],
}


def _state(letter: str) -> Any:
    return argument(letter, "A store, STORE@NAME or STORE@STEP.")


@verb(
    "diff",
    "memoria diff notes@1 notes",
    "memoria diff notes@2 notes@4 --limit 5 --json",
)
def diff(
    a: Annotated[str, _state("A")],
    b: Annotated[str, _state("B")],
    limit: Annotated[int, limit_option("Rows of each list")] = ROWS,
    connections: Annotated[
        bool, option("--connections", "Compare connections however long that takes.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare two states of a memory, or two memories.

    Shows what became of A's engrams in B: born, forgotten, moved; lifespans and connections. Says
    whether B goes on from A. Changes nothing.
    """
    from memoria.query.diff import COMPARED_PAIRS, compare
    from memoria.query.inspection import Inspection

    most = math.inf if connections else COMPARED_PAIRS
    with (
        Inspection.open(*split_store(a)) as one,
        Inspection.open(*split_store(b)) as other,
        output.progress("comparing connections of", "engrams") as show,
    ):
        document = compare(one, other, limit or _ALL, most, show)
    output.result(document, [] if json else _describe(document), json)


def _describe(document: Mapping[str, Any]) -> list[output.Part]:
    sides = [{"name": side.upper(), **document[side]} for side in "ab"]
    parts: list[output.Part] = [
        output.table(
            _RELATIONS[document["relation"]].format(**document),
            sides,
            {
                "": "name",
                "step": "step",
                "engrams": "engrams",
                "digest": lambda side: side["digest"][:12],
                "path": lambda side: (
                    side["path"] if side["at"] is None else f"{side['path']}@{side['at']}"
                ),
            },
        )
    ]
    if document["config"]:
        settings = [{"setting": name, **values} for name, values in document["config"].items()]
        columns = {"setting": "setting", "A": "a", "B": "b"}
        parts.append(output.table("settings that differ", settings, columns))
    for name, (title, rows, always) in _LISTS.items():
        if document[name] or always:
            parts.append(_table(title, document["counts"][name], rows, document[name]))
    found = document["connections"]
    if found is not None:
        count = document["counts"]["connections"]
        width = max(
            (len(str(one[end])) for one in found for end in ("source", "target")), default=1
        )
        ends: dict[str, output.Column] = {
            "when this fires": lambda one: format_engram(one["source"], one["texts"][0], width),
            "this fires too": lambda one: format_engram(one["target"], one["texts"][1], width),
        }
        parts.append(_table("connections changed", count, {**_CONNECTIONS, **ends}, found))
    elif document["relation"] != "unrelated":
        parts.append("connections: too many to compare unasked; --connections does")
    return parts


def _table(
    title: str, count: int, columns: Mapping[str, output.Column], rows: Sequence[Any]
) -> output.Table:
    first = "" if len(rows) == count else f", the first {len(rows)}"
    return output.table(f"{title}: {count or 'none'}{first}", rows, columns, none="")
