"""`memoria list`: the engrams that pass all filters, as a table, JSON lines or CSV."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from memoria.errors import UsageError
from memoria.timeline.lifespan import PLAINLY_ENDLESS
from memoria_cli.options import (
    FILTER_PANEL,
    ROWS,
    FilterLane,
    Json,
    Meta,
    Since,
    Until,
    bound,
    option,
    panel,
    parse_pairs,
)
from memoria_cli.options import limit as limit_option
from memoria_cli.stores import StoreAt, split_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_count, format_lifespan, format_minute
from memoria_cli.verbs import verb

_Kind: TypeAlias = Literal["living", "working", "shortterm", "longterm", "forgotten", "all"]
_Order: TypeAlias = Literal["id", "age", "lifespan", "fires"]
_Style: TypeAlias = Literal["table", "jsonl", "csv"]
_filter: Final = panel(FILTER_PANEL)


@verb(
    "list",
    "memoria list notes",
    "memoria list notes --type longterm --text cat --sort lifespan --reverse",
    "memoria list notes --source '*.txt' --since 30d --format csv",
    "memoria list notes --type all --fired 2.. --json",
)
def list_(
    store: StoreAt,
    kind: Annotated[
        _Kind, _filter("--type", "In which memory they are.", show_default=True)
    ] = "living",
    lane: FilterLane = None,
    id_: Annotated[
        list[str] | None,
        _filter("--id", "First digits of the id, or a range like 10..20. Repeatable.", "ID"),
    ] = None,
    age: Annotated[
        str | None, _filter("--age", "Steps lived; either end may be left out.", "MIN..MAX")
    ] = None,
    lifespan: Annotated[str | None, _filter("--lifespan", "Steps left.", "MIN..MAX")] = None,
    fired: Annotated[str | None, _filter("--fired", "How often they fired.", "MIN..MAX")] = None,
    since: Since = None,
    until: Until = None,
    text: Annotated[
        str | None, _filter("--text", "With this in the text, in capitals or not.", "PART")
    ] = None,
    source: Annotated[
        str | None, _filter("--source", "From a source like this: * and ? stand for any.", "GLOB")
    ] = None,
    meta: Meta = None,
    pinned: Annotated[
        bool | None, _filter("--pinned/--not-pinned", "Only what is pinned, or is not.")
    ] = None,
    sort: Annotated[_Order, option("--sort", "From the least on.")] = "id",
    reverse: Annotated[bool, option("--reverse", "From the greatest on.")] = False,
    full: Annotated[
        bool, option("--full", "All columns of a table, which leave less room for the text.")
    ] = False,
    limit: Annotated[
        int | None,
        limit_option("Engrams listed", show_default=f"{ROWS} in a table, else all"),
    ] = None,
    style: Annotated[
        _Style | None, option("--format", "How to print them.", show_default="table")
    ] = None,
    json: Json = False,
) -> None:
    """List the engrams that pass all filters.

    Changes nothing. Lines of JSON and CSV hold whole texts, a table their beginnings.
    """
    from memoria.io.progress import counted
    from memoria.query.engram_table import FIELDS
    from memoria.query.inspection import Inspection
    from memoria.query.listing import EngramFilter, NumberRange, parse_time

    if json and style is not None:
        raise UsageError(f"--json and --format {style} exclude each other", "choose one")
    spans = {
        name: None if span is None else NumberRange.parse(name, span)
        for name, span in (("age", age), ("lifespan", lifespan), ("fired", fired))
    }
    wanted = EngramFilter(
        kind=kind,
        lane=lane,
        ids=tuple(id_ or ()),
        since=None if since is None else parse_time("since", since),
        until=None if until is None else parse_time("until", until, end=True),
        text=text,
        source=source,
        meta=parse_pairs("--meta", meta or ()) or None,
        pinned=pinned,
        **spans,
    )
    as_table = not json and style in (None, "table")
    most = bound(limit, ROWS if as_table else None)
    with Inspection.open(*split_store(store)) as view:
        found = view.listing(wanted, sort, reverse, most)
        head = {"step": found.step, "count": found.count}
        if as_table:
            engrams = [*found.documents()]
            asked = {name for name, span in spans.items() if span} | {sort}
            asked |= {"created"} if since or until else set()
            columns = _columns(engrams, None if full else asked)
            title = "engrams" if kind == "all" else f"{kind} engrams"
            if len(engrams) < found.count:
                title += f", {len(engrams):,} of {found.count:,}; -n 0 lists all"
            table = output.table(title, engrams, columns, fit=True)
            output.result(head, [table], as_json=False)
        else:
            form = "json" if json or style is None else style
            with output.progress("listing", "engrams") as show:
                documents = counted(found.documents(), show, len(found.table))
                output.records(documents, form, FIELDS, head, "engrams")
    left_out = found.count - len(found.table)
    if left_out and limit is not None:
        verb = "is" if left_out == 1 else "are"
        output.note(f"{format_count(left_out, 'more engram')} {verb} left out; -n 0 lists all")


def _columns(
    engrams: Sequence[Mapping[str, Any]], asked: Collection[str] | None
) -> dict[str, output.Column]:
    """The columns of a table: those in which the engrams differ, those ``asked`` for; None: all."""
    columns: dict[str, output.Column] = {
        "id": "id",
        "lane": "lane",
        "type": "type",
        "lifespan": lambda one: (
            format_lifespan(one["lifespan"]) + (", pinned" if one["pinned"] else "")
        ),
        "age": "age",
        "fired": "fire_count",
        "created": lambda one: format_minute(one["created_time"]),
        "text": lambda one: one["text"] or "",
    }
    if asked is None:
        return columns
    lanes = {one["lane"] for one in engrams}
    is_ageing = any(one["pinned"] or one["lifespan"] <= PLAINLY_ENDLESS for one in engrams)
    shown = {"id", "type", "text", *asked, *({"fired"} if "fires" in asked else ())}
    shown |= ({"lane"} if len(lanes) > 1 else set()) | ({"lifespan"} if is_ageing else set())
    return {name: column for name, column in columns.items() if name in shown}
