"""`memoria diff`: what changed between two states of a memory, or two memories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from memoria_cli.options import Json, at_moment, epilog
from memoria_cli.terminal import output
from memoria_cli.terminal.wording import number, shortened

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria diff notes@1 notes",
    "memoria diff notes@2 notes@4 --limit 5 --json",
)

_LIMIT: Final = 20
_TEXT: Final = 72


def _state(letter: str) -> Any:
    return typer.Argument(
        metavar=letter, help="A store, STORE@NAME or STORE@STEP.", show_default=False
    )


def _diff(
    a: Annotated[str, _state("A")],
    b: Annotated[str, _state("B")],
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="Rows of each list.")
    ] = _LIMIT,
    connections: Annotated[
        bool,
        typer.Option("--connections", help="Compare connections however long that takes."),
    ] = False,
    json: Json = False,
) -> None:
    """Show what became of A's engrams in B: born, forgotten, moved; lifespans and connections.

    Says whether B goes on from A. Changes nothing.
    """
    from memoria.query.diff import COMPARED_PAIRS, compare
    from memoria.query.inspection import Inspection

    most = math.inf if connections else COMPARED_PAIRS
    with (
        Inspection.open(*at_moment(a)) as one,
        Inspection.open(*at_moment(b)) as other,
        output.progress("comparing connections of", "engrams") as show,
    ):
        document = compare(one, other, limit, most, show)
    output.result(document, [] if json else _told(document), json)


def _told(document: Mapping[str, Any]) -> list[str | output.Table]:
    counts, a, b = document["counts"], document["a"], document["b"]
    relation = {
        "same": "B is the same as A",
        "continues": "B goes on from A",
        "precedes": "A goes on from B",
        "diverged": f"A and B parted after step {document['common_step']}",
        "unrelated": "A and B are not related",
    }[document["relation"]]
    sides = [
        (
            name,
            str(side["step"]),
            str(side["engrams"]),
            side["digest"][:12],
            side["path"] if side["at"] is None else f"{side['path']}@{side['at']}",
        )
        for name, side in (("A", a), ("B", b))
    ]
    parts: list[str | output.Table] = [
        output.Table(relation, ("", "step", "engrams", "digest", "path"), sides)
    ]
    if document["config"]:
        settings = [(name, str(x["a"]), str(x["b"])) for name, x in document["config"].items()]
        parts.append(output.Table("settings that differ", ("setting", "A", "B"), settings))
    for name, title in (
        ("born", "born"),
        ("forgotten", "forgotten"),
        ("returned", "in B, forgotten in A"),
        ("only_in_a", "in A only"),
    ):
        rows: list[tuple[str, ...]] = [
            (str(one["id"]), one["type"], str(one["fire_count"]), shortened(one["text"], _TEXT))
            for one in document[name]
        ]
        if rows or name in ("born", "forgotten"):
            parts.append(_table(title, counts[name], ("id", "type", "fired", "text"), rows))
    rows = [
        (str(one["id"]), one["from"], one["to"], shortened(one["text"], _TEXT))
        for one in document["moved"]
    ]
    parts.append(_table("moved", counts["moved"], ("id", "from", "to", "text"), rows))
    if document["pinned"]:
        rows = [
            (str(one["id"]), "pinned" if one["b"] else "unpinned", shortened(one["text"], _TEXT))
            for one in document["pinned"]
        ]
        parts.append(_table("pinned or unpinned", counts["pinned"], ("id", "now", "text"), rows))
    rows = [
        (
            str(one["id"]),
            number(one["a"]),
            number(one["b"]),
            "" if one["change"] is None else f"{one['change']:+.4g}",
            shortened(one["text"], _TEXT),
        )
        for one in document["lifespan"]
    ]
    heads = ("id", "A", "B", "beyond ageing", "text")
    parts.append(_table("lifespans changed", counts["lifespan"], heads, rows))
    if document["connections"] is None:
        if document["relation"] != "unrelated":
            parts.append("connections: too many to compare unasked; --connections does")
        return parts
    rows = [
        (
            *(f"{one['weight'][side]:.3f}" for side in "ab"),
            *(str(one["cofire_count"][side]) for side in "ab"),
            *(
                f"{one[end]} {shortened(text)}".rstrip()
                for end, text in zip(("source", "target"), one["texts"], strict=True)
            ),
        )
        for one in document["connections"]
    ]
    columns = ("weight A", "B", "together A", "B", "when this fires", "this fires too")
    return [*parts, _table("connections changed", counts["connections"], columns, rows)]


def _table(
    title: str, count: int, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> output.Table:
    shown = "" if len(rows) == count else f", the first {len(rows)}"
    return output.Table(f"{title}: {count or 'none'}{shown}", columns, rows)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("diff", epilog=epilog(EXAMPLES))(_diff)
