"""`memoria forget`: engrams forgotten by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from memoria.errors import InputError, StateError, UsageError
from memoria_cli.options import ROWS, DryRun, Engrams, Json, Yes, confirm, option, panel
from memoria_cli.options import limit as limit_option
from memoria_cli.stores import Store, load_memory_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_engrams, format_lifespan, shorten
from memoria_cli.verbs import verb

if TYPE_CHECKING:
    from memoria.timeline.log import IntArray

_SHOWN_JSON: Final = 1000
_TEXT: Final = 72
_KEYS: Final = ("id", "lane", "lifespan", "text")
_FILTERS: Final = "Filters, for --query, --source and --older-than"
_filter: Final = panel(_FILTERS)


@verb(
    "forget",
    "memoria forget notes --query 'Dinner was late' --dry-run",
    "memoria forget notes --older-than 30d --type longterm --yes",
    "memoria forget notes --source '*.txt' --dry-run --json",
    "memoria forget notes 3 --erase --dry-run",
)
def forget(
    store: Store,
    ids: Engrams = None,
    query: Annotated[
        str | None,
        option(
            "--query",
            "Of all living engrams those most correlated with this text, the best first.",
            "TEXT",
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        option(
            "--older-than",
            "Those of more than N steps ago, or of longer ago than 30d (s, m, h, d, w).",
            "N|30d",
        ),
    ] = None,
    source: Annotated[
        str | None,
        option("--source", "Those from sources of this name; * and ? stand for others.", "PATTERN"),
    ] = None,
    limit: Annotated[
        int | None,
        limit_option(
            "Engrams forgotten at most, the best, or the oldest; up to 1,000 are all told",
            show_default="1 with --query alone",
            rich_help_panel=_FILTERS,
        ),
    ] = None,
    least: Annotated[
        float | None,
        _filter(
            "--least",
            "With --query, only engrams with a correlation of X or more: 0 to 1, or below 0 its "
            "logarithm.",
            "X",
        ),
    ] = None,
    lane: Annotated[int | None, _filter("--lane", "Of this lane.", "N")] = None,
    kind: Annotated[
        Literal["shortterm", "longterm"] | None, _filter("--type", "Of this memory.")
    ] = None,
    erase: Annotated[
        bool,
        option(
            "--erase",
            "Remove them from the store's files too, by a compaction: of the past only what "
            "snapshots name stays. Forgotten engrams may be named.",
        ),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Forget engrams for ever: those named, or those found.

    Says how many and names the first 10 (1,000 with --json), and asks. Only between steps. What is
    pinned goes only when it is named by id. Vectors and texts stay on the disk, and in the past,
    until `memoria compact`, or --erase, which says what still holds them.
    """
    from memoria.query.selection import Selection, select_engrams

    if any(one is not None for one in (query, older_than, source)) == bool(ids):
        raise UsageError(
            "name engrams by id, or find them with --query, --source and --older-than",
            "`memoria list` shows the ids",
        )
    filters = (limit, least, lane, kind)
    if ids and any(one is not None for one in filters):
        found = "--query, --source and --older-than"
        raise UsageError(f"--limit, --least, --lane and --type are for {found}")
    if least is not None and (query is None or not least <= 1):
        raise UsageError(f"--least {least:g}: goes with --query, and is at most 1")
    if query is not None and all(one is None for one in (limit, least, older_than, source)):
        limit = 1
    bound = _SHOWN_JSON if json else ROWS
    shown = bound if limit is None or limit > _SHOWN_JSON else limit
    cue = None if query is None else _encode(store, query)
    search = Selection(older_than, cue, least, lane, kind, limit or None, source)
    chosen = select_engrams(store, ids or search, shown or None, forgotten=erase)
    count = format_engrams(chosen.ids.tolist())
    if len(chosen.ids) and not dry_run:
        question = f"Forget {count}{' and erase them from the store' if erase else ''}?"
        confirm(_plan(chosen.engrams, len(chosen.ids)), question, yes)
        if len(chosen.living):
            _forget(store, chosen.digest, chosen.living)
    document: dict[str, Any] = {
        "step": chosen.step,
        "count": len(chosen.ids),
        "forgotten": [{key: one[key] for key in _KEYS} for one in chosen.engrams],
        "dry_run": dry_run,
    }
    if erase and len(chosen.ids) and not dry_run:
        document["erased"] = _erase(store, chosen.ids)
    title = f"{'would forget' if dry_run else 'forgotten'}: {count}"
    human = _table(title, chosen.engrams) if len(chosen.ids) else "nothing to forget"
    output.result(document, [human], json)
    if more := len(chosen.ids) - len(chosen.engrams):
        way = "; --limit 0 names all" if limit is None else ""
        output.note(f"{more:,} more are not named{way}")


def _encode(store: str, query: str) -> Any:
    """The query as a cue [W, D]."""
    from memoria.backbones.streams import InputStream
    from memoria.store.reading import open_files

    if not query.strip():
        raise InputError("--query is empty", "give some text")
    with closing(open_files(store)) as files:
        config, place = files.config, files.attributes.settings.backbone
    return InputStream(config, (), texts=[query], place=place).single(as_cue=True).data[0]


def _forget(store: str, digest: str, ids: IntArray) -> None:
    from memoria.store.reading import open_files

    with (
        closing(open_files(store, mode="r+")) as files,
        load_memory_store(files, "forget") as opened,
    ):
        if opened.digest() != digest:
            raise StateError("the memory has changed meanwhile", "look again at what would go")
        opened.forget(ids)


def _erase(store: str, ids: IntArray) -> dict[str, Any]:
    """Erase what was forgotten; what is told of it, and what a person must know in words."""
    from memoria.store.compacting import erase

    with output.progress("erasing", "bytes") as show:
        found = erase(store, ids.tolist(), progress=show)
    if found.held:
        names = ", ".join(found.snapshots)
        output.note(
            f"{len(found.held):,} are held by the snapshots {names}: delete these and erase again"
        )
    if found.waiting:
        output.note("readers hold files of before, which the next writer removes")
    output.note("copies, archives and buckets made of the store are not known to it")
    return {
        "count": len(found.erased),
        "held": list(found.held[:_SHOWN_JSON]),
        "snapshots": list(found.snapshots),
        "waiting": found.waiting,
    }


def _plan(engrams: Sequence[Mapping[str, Any]], count: int) -> list[str]:
    lines = [
        f"  {one['id']} ({one['type']}, lifespan {format_lifespan(one['lifespan'])}"
        f"{', pinned' if one['pinned'] else ''}) {shorten(one['text'], _TEXT)}".rstrip()
        for one in engrams
    ]
    more = count - len(lines)
    return ["will be forgotten:", *lines, *([f"  and {more:,} more"] if more else [])]


def _table(title: str, engrams: Sequence[Mapping[str, Any]]) -> output.Table:
    columns: dict[str, output.Column] = {}
    if "log_correlation" in engrams[0]:
        columns["log correlation"] = lambda one: f"{one['log_correlation']:.4g}"
    columns |= {
        "id": "id",
        "lane": "lane",
        "type": "type",
        "lifespan": lambda one: format_lifespan(one["lifespan"]),
        "text": lambda one: shorten(one["text"], _TEXT),
    }
    return output.table(title, engrams, columns)
