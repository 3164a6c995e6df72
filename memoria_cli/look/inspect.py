"""`memoria inspect`: what a memory holds, in documents and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from memoria.analysis.palette import MEMORY_COLOURS
from memoria.errors import UsageError
from memoria.timeline.lifespan import PLAINLY_ENDLESS
from memoria_cli.options import ROWS, Json, Lane, argument, bound, option
from memoria_cli.options import limit as limit_option
from memoria_cli.stores import StoreAt, split_store
from memoria_cli.terminal import charts, output
from memoria_cli.terminal.charts import Branch, Picture
from memoria_cli.terminal.formatting import (
    format_bytes,
    format_change,
    format_count,
    format_engram,
    format_lifespan,
    format_minute,
)
from memoria_cli.verbs import verb

if TYPE_CHECKING:
    from memoria.query.inspection import Inspection


_Document: TypeAlias = Mapping[str, Any]

_LANES: Final = 20  # rows
_HUBS: Final = 5
_DIGEST: Final = 16  # characters of a digest that tell it from others
_SPARK: Final = 60  # columns of a curve
_ENGRAMS: Final[Mapping[str, output.Column]] = {
    **{name: name for name in ("id", "lane", "index", "type")},
    "lifespan": lambda one: format_lifespan(one["lifespan"]),
    "age": "age",
    "fired": "fire_count",
    "text": lambda one: one["text"] or "",
}
_STEPS: Final[Mapping[str, output.Column]] = {
    **{name: name for name in ("step", "added", "reminded", "fired", "forgotten", "living")},
    "ended": lambda one: format_minute(one["time"]),
}
_FORGOTTEN: Final[Mapping[str, output.Column]] = {
    "forgotten at step": "step",
    "age": "age",
    "fired": "fire_count",
    "lane": "lane",
    "id": "id",
    "text": _ENGRAMS["text"],
}
_WEIGHT: Final[Mapping[str, output.Column]] = {
    "weight": lambda one: f"{one['weight']:.3f}",
    "together": "cofire_count",
}
_KINDS: Final = ("working", "shortterm", "longterm", "forgotten")
_NEXT: Final = {
    "working": "a step is under way: `memoria remind` comes next",
    "reminded": "a step is under way: `memoria adjust` comes next",
}


@verb(
    "inspect",
    "memoria inspect notes",
    "memoria inspect notes --full",
    "memoria inspect notes 12",
    "memoria inspect notes --engrams --edges --limit 5",
    "memoria inspect notes --history --forgotten --json",
)
def inspect(
    store: StoreAt,
    engram: Annotated[
        int | None, argument("ENGRAM", "The id of one engram: tell its life.", min=0)
    ] = None,
    engrams: Annotated[
        bool, option("--engrams", "List the living engrams, the oldest first.")
    ] = False,
    edges: Annotated[bool, option("--edges", "List the strongest connections.")] = False,
    history: Annotated[
        bool, option("--history", "List what each step did, the last ones for people.")
    ] = False,
    forgotten: Annotated[
        bool, option("--forgotten", "List what was forgotten, the last first.")
    ] = False,
    full: Annotated[
        bool,
        option("--full", "Draw lifespans, ages, survival and connections too, and every lane."),
    ] = False,
    lane: Lane = None,
    limit: Annotated[
        int | None,
        limit_option(
            "Rows of each list",
            show_default=f"{ROWS}; with --json all, for --edges each engram's 64 strongest",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show what a memory holds, or with ENGRAM the life of that one.

    Changes nothing, and a writer may go on meanwhile. Steps are numbered from 1. STORE@NAME shows
    what a snapshot names, STORE@STEP what a step left behind.
    """
    from memoria.query.inspection import Inspection
    from memoria.query.summary_statistics import hubs, pyramid, survival

    lists = engrams or edges or history or forgotten
    if engram is not None and (lists or full or lane is not None):
        raise UsageError(f"engram {engram} is told alone", "leave out the lists, --full and --lane")
    most = bound(limit, None if json else ROWS)
    with Inspection.open(*split_store(store)) as view:
        if engram is not None:
            life = view.engram(engram)
            output.result(life, [] if json else _life(life, most), json)
            return
        document: dict[str, Any] = {**view.summary(), "histograms": view.histograms(lane)}
        if json or full or not lists:
            document["pyramid"] = pyramid(view, lane)
            document["survival"] = survival(view, lane)
            document["hubs"] = hubs(view, lane, bound(limit, _HUBS) or document["engrams"])
        if engrams:
            document["engram_list"] = view.engram_list(most, lane)
        if edges:
            with output.progress("connections of", "engrams") as show:
                document["edges"] = view.edges(most, lane, progress=show)
        if history:
            document["history"] = view.history(most, lane)
        if forgotten:
            document["forgotten_list"] = view.forgotten_list(most, lane)
        human: list[output.Part] = []
        if not json:
            human = [] if lists and not full else _overview(document) if full else _short(document)
            human += _lists(document, view) if lists else []
    output.result(document, human, json)


def _short(document: _Document) -> list[output.Part]:
    """What fits a small screen: counts, dates, and who is connected most."""
    parts: list[output.Part] = [_summary(document, short=True)]
    if document["phase"] in _NEXT:
        parts.append(_NEXT[document["phase"]])
    if document["engrams"]:
        columns: dict[str, output.Column] = {
            "id": "id",
            "connections": "partners",
            "text": lambda one: one["text"] or "",
        }
        parts.append(output.table("most connected", document["hubs"], columns, fit=True))
    parts.append("--full draws lifespans, ages, survival and connections; --json has all")
    return parts


def _overview(document: _Document) -> list[output.Part]:
    parts: list[output.Part] = [_summary(document)]
    if document["phase"] in _NEXT:
        parts.append(_NEXT[document["phase"]])
    parts.append(_lanes(document["lanes"]))
    if document["engrams"]:
        if document["histograms"]["lifespan"][0]["from"] > PLAINLY_ENDLESS:
            parts.append("lifespan: no end, nothing is forgotten with time")
        else:
            parts.append(_lifespans(document["histograms"]["lifespan"]))
        parts.append(_pyramid(document["pyramid"]))
    if document["survival"]["engrams"]:
        parts.append(_survival(document["survival"]))
    if document["engrams"]:
        parts.append(_tree(document["hubs"]))
    return parts


def _lists(document: _Document, view: Inspection) -> list[output.Part]:
    parts: list[output.Part] = []
    if "engram_list" in document:
        title = "living engrams, the oldest first"
        parts.append(output.table(title, document["engram_list"], _ENGRAMS, fit=True))
    if "edges" in document:
        parts.append(_edges(document["edges"], view))
    if "history" in document:
        parts.append(output.table("steps", document["history"], _STEPS))
    if "forgotten_list" in document:
        title = "forgotten, the last first"
        parts.append(output.table(title, document["forgotten_list"], _FORGOTTEN, fit=True))
    return parts


def _summary(document: _Document, short: bool = False) -> output.Table:
    config = document["config"]
    count = document["connections"]
    rows = [
        ("step", str(document["step"])),
        ("engrams", _counted(document) if short else f"{document['engrams']:,}"),
        ("connections", "too many to count" if count is None else f"{count:,}"),
        ("lanes", str(config["lanes"])),
        ("vectors", f"{config['hidden_dim']} numbers, backbone {config['backbone']}"),
        ("on disk", f"{format_bytes(document['bytes'])}, format {document['format']}"),
    ]
    if document["last_step_time"] is not None:
        rows.append(("first step", format_minute(document["first_step_time"])))
        rows.append(("last step", format_minute(document["last_step_time"])))
    rows.append(("digest", document["digest"][:_DIGEST] if short else document["digest"]))
    moment = "" if document["at"] is None else f"@{document['at']}"
    return output.Table(f"{document['path']}{moment}", ("", ""), rows, framed=True)


def _counted(document: _Document) -> str:
    """The living engrams by memory, and the forgotten, over all lanes."""
    sums = {kind: sum(one[kind] for one in document["lanes"]) for kind in _KINDS}
    named = ", ".join(f"{count:,} {kind}" for kind, count in sums.items() if count)
    return f"{document['engrams']:,}" + (f" ({named})" if named else "")


def _lanes(lanes: Sequence[_Document]) -> output.Table:
    shown = lanes[:_LANES]
    title = "engrams by memory"
    if len(shown) < len(lanes):
        title += f" (the first {len(shown)} of {len(lanes)} lanes)"
    return output.table(title, shown, {name: name for name in ("lane", *_KINDS)})


def _lifespans(bins: Sequence[_Document]) -> Picture:
    rows = [(_span(one["from"], one["to"]), int(one["count"])) for one in bins]
    return Picture("lifespan: steps left", charts.bars(rows, output.page()))


def _pyramid(bands: Sequence[_Document]) -> Picture:
    """Draw ages, the oldest above; the working memory counts as short-term."""
    rows = [
        (
            f"{one['from']}" if one["from"] == one["to"] else f"{one['from']} to {one['to']}",
            one["working"] + one["shortterm"],
            one["longterm"],
        )
        for one in reversed(bands)
    ]
    styles = (MEMORY_COLOURS["shortterm"], MEMORY_COLOURS["longterm"])
    titles = ("short-term", "age", "long-term")
    return Picture("age: steps lived", charts.pyramid(titles, rows, output.page(), styles))


def _survival(curve: _Document) -> Picture:
    page = output.page()
    shares = [one["share"] for one in curve["points"]]
    width = min(_SPARK, page.width - 4)
    line = charts.sparkline(shares, page, width, top=1.0)
    last = f"age {curve['points'][-1]['age']:,}"
    median = curve["median"]
    half = "more than half live on" if median is None else f"half live to {median:,}"
    ends = f"{'0':<{max(1, len(line) - len(last))}}{last}"
    since = f" made after step {curve['since']}" if curve["since"] else ""
    count = format_count(curve["engrams"], "engram")
    title = f"survival: share that lives beyond each age, {count}{since}"
    lines: list[charts.Line] = [
        [("  ", ""), (line, MEMORY_COLOURS["longterm"])],
        [(f"  {ends}", "dim")],
        [(f"  {shares[-1]:.0%} at the end, {half}", "")],
    ]
    return Picture(title, lines)


def _tree(found: Sequence[_Document]) -> Picture:
    page = output.page()
    width = max((len(str(way["id"])) for one in found for way in one["connections"]), default=1)
    roots = [
        Branch(
            f"{one['id']}",
            f"({format_count(one['partners'], 'connection')}) {one['text'] or ''}",
            MEMORY_COLOURS[one["type"]],
            [
                Branch(f"{way['weight']:.2f} {way['id']:>{width}}", way["text"] or "")
                for way in one["connections"]
            ],
        )
        for one in found
    ]
    title = "most connected, and with what: the chance that it fires too"
    return Picture(title if roots else f"{title}: none", charts.tree(roots, page))


def _edges(edges: Sequence[_Document], view: Inspection) -> output.Table:
    ends = [view.texts([one[end] for one in edges]) for end in ("source", "target")]
    width = max((len(str(one[end])) for one in edges for end in ("source", "target")), default=1)
    rows = [
        {
            **one,
            "when": format_engram(one["source"], a, width),
            "then": format_engram(one["target"], b, width),
        }
        for one, a, b in zip(edges, *ends, strict=True)
    ]
    columns: dict[str, output.Column] = {
        **_WEIGHT,
        "lane": "lane",
        "when this fires": "when",
        "this fires too": "then",
    }
    return output.table("strongest connections", rows, columns)


def _life(life: _Document, most: int | None) -> list[output.Part]:
    from memoria.query.documents import iso_time

    head = [("type", life["type"]), ("lane", str(life["lane"]))]
    if life["type"] != "forgotten":
        left = format_lifespan(life["lifespan"])
        head.append(("lifespan", f"{left}, pinned" if life["pinned"] else left))
    fired = "once" if life["fire_count"] == 1 else f"{life['fire_count']} times"
    head += [("age", str(life["age"])), ("fired", fired)]
    if life["text"] is not None:
        head.append(("text", " ".join(life["text"].split())))
    if life["source"] is not None:
        head.append(("from", f"{life['source']}, character {life['offset']}"))
    if life["time"] is not None:
        head.append(("time", format_minute(iso_time(life["time"]))))
    if life["meta"] is not None:
        head.append(("meta", dumps(life["meta"], ensure_ascii=False)))
    parts: list[output.Part] = [output.Table(f"engram {life['id']}", ("", ""), head, framed=True)]
    events = _events(life)
    if most is not None and len(events) > most:
        first = most // 2
        left_out = ("", f"... {len(events) - most} more events ...", "", "")
        events = [*events[:first], left_out, *events[len(events) - (most - first) :]]
    parts.append(output.Table("its life", ("step", "what", "gained", "lifespan"), events))
    partners = [*life["outgoing"], *life["incoming"]]
    width = max((len(str(one["id"])) for one in partners), default=1)
    columns: dict[str, output.Column] = {
        **_WEIGHT,
        "engram": lambda one: format_engram(one["id"], one["text"], width),
    }
    parts.append(output.table("when it fires, so do", life["outgoing"], columns))
    parts.append(output.table("it fires when these do", life["incoming"], columns))
    return parts


def _events(life: _Document) -> list[tuple[str, str, str, str]]:
    """Rows of an engram's firings and moves, in order."""
    created = life["created"]["step"]
    firings = [
        (one["step"], 0, "created" if one["step"] == created else "reminded", one)
        for one in life["firings"]
    ]
    if not firings:
        firings = [(created, 0, "created", {"gain": None, "lifespan": life["lifespan"]})]
    moves: list[tuple[int, int, str, _Document]] = [
        (life[name], 1, what, {})
        for name, what in (
            ("shortterm", "into short-term memory"),
            ("longterm", "into long-term memory"),
        )
        if life[name] is not None
    ]
    happened = [one["what"] for one in life["events"]]
    moves += [
        (one["step"], 2, one["what"] + (" by hand" if one["what"] != "displaced" else ""), {})
        for one in life["events"]
    ]
    if life["forgotten"] is not None and not {"forgotten", "displaced"} & {*happened}:
        moves.append((life["forgotten"]["step"], 2, "forgotten", {}))
    return [
        (str(step), what, format_change(one.get("gain")), format_lifespan(one.get("lifespan")))
        for step, _, what, one in sorted(firings + moves, key=lambda event: event[:2])
    ]


def _span(low: float, high: float) -> str:
    return f"{low:g}" if high - low == 1 else f"{low:g} to {high:g}"
