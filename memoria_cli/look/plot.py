"""`memoria plot`: what a memory's life shows, as a picture or as numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from memoria.analysis.kinds import KINDS
from memoria.errors import UsageError
from memoria_cli.options import ROWS, Force, Json, Lane, argument, option, panel
from memoria_cli.options import limit as limit_option
from memoria_cli.stores import StoreAt, split_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_bytes, format_count, format_number
from memoria_cli.terminal.piped import STANDARD_OUTPUT, piped, report, shown_place
from memoria_cli.verbs import verb

if TYPE_CHECKING:
    from memoria.analysis import Analysis


_KINDS: Final = "\n\n".join(f"{name}: {kind.summary}" for name, kind in KINDS.items())
_HELP: Final = f"""Show what a memory's life tells, as a picture or as numbers.

STORE@NAME and STORE@STEP show it as it was. The same state makes the same file, byte for byte.

The kinds:

{_KINDS}"""
_SOME: Final = "Of some kinds"
_some: Final = panel(_SOME)
_FLAGS: Final = {"engrams": "engram", "first": "from", "last": "to"}


def _complete(incomplete: str) -> list[tuple[str, str]]:
    return [(name, kind.summary) for name, kind in KINDS.items() if name.startswith(incomplete)]


@verb(
    "plot",
    "memoria plot notes survival -o survival.png",
    "memoria plot notes contiguity --max-lag 20 --people -o contiguity.svg",
    "memoria plot notes lifespans --engram 0 --engram 2 -o lifespans.html",
    "memoria plot notes map --colour age -o map.html",
    "memoria plot notes sizes -o sizes.csv",
    "memoria plot notes@2 raster --json",
    help=_HELP,
)
def plot(
    store: StoreAt,
    kind: Annotated[
        str, argument("KIND", "What to show; see the list above.", autocompletion=_complete)
    ],
    out: Annotated[
        str | None,
        option(
            "--output -o",
            "A picture (.png .svg .html), or its numbers (.csv .parquet .json); - for standard "
            "output.",
            "FILE",
            show_default="the numbers, printed",
        ),
    ] = None,
    style: Annotated[
        str | None,
        option(
            "--format",
            "What is written: png, svg, html, csv, parquet, json.",
            "NAME",
            show_default="by FILE's extension; png for -",
        ),
    ] = None,
    lane: Lane = None,
    bins: Annotated[
        int | None,
        _some("--bins", "Runs of steps at most: survival, reminded-age, sizes.", "N", min=1),
    ] = None,
    limit: Annotated[
        int | None,
        limit_option("Engrams at most: raster, lifespans, connections, map", rich_help_panel=_SOME),
    ] = None,
    by: Annotated[
        str | None,
        _some(
            "--by",
            "Which they are. raster: even, fired, newest; lifespans: lived, fired; "
            "connections: fired, newest; map: even, fired, newest.",
            "WORD",
        ),
    ] = None,
    engram: Annotated[
        list[int] | None,
        _some(
            "--engram",
            "This engram, by id: raster, lifespans, connections. Repeatable.",
            "ID",
            min=0,
        ),
    ] = None,
    first: Annotated[
        int | None, _some("--from", "From this step on: raster.", "STEP", min=1)
    ] = None,
    last: Annotated[int | None, _some("--to", "Up to this step: raster.", "STEP", min=1)] = None,
    max_lag: Annotated[
        int | None, _some("--max-lag", "Steps apart: contiguity, autocorrelation.", "N", min=1)
    ] = None,
    forgotten: Annotated[
        bool, _some("--forgotten", "The forgotten engrams too: contiguity, connections, map.")
    ] = False,
    people: Annotated[
        bool,
        _some("--people", "What people recall next, by lag, over it: contiguity."),
    ] = False,
    sample: Annotated[
        int | None,
        _some(
            "--sample",
            "Count so many engrams, drawn at random: contiguity, autocorrelation; unless said, "
            "all of them where that is quick.",
            "N",
            min=1,
        ),
    ] = None,
    seed: Annotated[int | None, _some("--seed", "Of that sample.", "N", min=0)] = None,
    colour: Annotated[
        str | None,
        _some("--colour", "What colours tell: memory, age, lifespan: map.", "WORD"),
    ] = None,
    method: Annotated[
        str | None,
        _some(
            "--method",
            "How engrams are placed: pca, umap, auto (umap where umap-learn is installed): map.",
            "WORD",
        ),
    ] = None,
    frame: Annotated[
        str | None,
        option(
            "--frame",
            "Which table to print or write; `--json` names them all.",
            "NAME",
            show_default="the main one",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """See `_HELP`."""
    given = {
        "lane": lane,
        "bins": bins,
        "limit": limit,
        "by": by,
        "engrams": tuple(engram) if engram else None,
        "first": first,
        "last": last,
        "max_lag": max_lag,
        "forgotten": forgotten or None,
        "people": people or None,
        "sample": sample,
        "seed": seed,
        "colour": colour,
        "method": method,
    }
    options = {name: value for name, value in given.items() if value is not None}
    if kind not in KINDS:
        raise UsageError(f"{kind}: no such kind", f"the kinds are {', '.join(KINDS)}")
    _check_options(kind, options)
    if out is None and style is not None:
        raise UsageError(f"--format {style}: nothing is written", "name a file with -o, or -o -")
    form = None if out is None else _form(out, style, frame)
    from memoria.analysis import analyse, open_chronicle

    path, at = split_store(store)
    with open_chronicle(path, at) as chronicle:
        if out is not None and out != STANDARD_OUTPUT:
            from memoria.io.atomic_write import check_target

            check_target(os.path.abspath(out), force)
        found = analyse(chronicle, kind, **options)
        name, step, first_step = chronicle.name, chronicle.steps, chronicle.first_step
    found.frame(frame)
    written, size = None, 0
    if out is not None and form is not None:
        with piped(out, f".{form}", json) as target:
            _write(found, target, form, frame, force)
            size = os.path.getsize(target)
        written = {"path": os.path.abspath(out), "format": form, "bytes": size}
    document = {
        "path": name,
        "at": at,
        "step": step,
        "first_step": first_step,
        **found.document(),
        "out": written,
    }
    if written is None:
        human = _table(found, frame)
    else:
        place = shown_place(str(out), str(out))
        human = [f"{kind} of {format_count(step, 'step')} in {place}, {format_bytes(size)}"]
        human += [found.note] if found.note else []
    report(document, human, json, out or "")


def _check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Raise for options that this kind does not take, by their names in the command line."""
    taken = KINDS[kind].options
    for name in options:
        if name not in taken:
            flags = ", ".join(_flag(one) for one in taken)
            raise UsageError(f"{_flag(name)}: not for {kind}", f"it takes {flags}")


def _flag(name: str) -> str:
    return f"--{_FLAGS.get(name, name).replace('_', '-')}"


def _form(out: str, style: str | None, frame: str | None) -> str:
    """What ``out`` is to be, by ``style`` or its extension."""
    from memoria.analysis import TABLES
    from memoria.plots import PICTURES

    form = Path(out).suffix.lower().removeprefix(".")
    if style is not None and form not in ("", style):
        raise UsageError(f"--format {style}: {out} ends otherwise", f"name it .{style}")
    form = style or form or ("png" if out == STANDARD_OUTPUT else "")
    if form not in (*PICTURES, *TABLES):
        known = f"a picture is .{', .'.join(PICTURES)}, numbers are .{', .'.join(TABLES)}"
        raise UsageError(f"{out}: the extension says neither picture nor numbers", known)
    if frame is not None and form in (*PICTURES, "json"):
        raise UsageError(f"--frame with .{form}: it holds all", "it is for .csv and .parquet")
    return form


def _write(found: Analysis, out: str, form: str, frame: str | None, force: bool) -> None:
    from memoria.analysis import TABLES, write_table
    from memoria.plots import draw

    if form in TABLES:
        write_table(found, out, frame, force=force)
    else:
        draw(found, out, force=force)


def _table(found: Analysis, frame: str | None) -> list[output.Part]:
    """The first rows as a table."""
    columns = found.frame(frame)
    rows = len(next(iter(columns.values())))
    first = [column[:ROWS].tolist() for column in columns.values()]
    cells = [[_cell(value) for value in row] for row in zip(*first, strict=True)]
    head = f"{found.title} ({found.note})" if found.note else found.title
    human: list[output.Part] = [output.Table(head, list(columns), cells)]
    if rows == 0:
        human.append("nothing to show")
    if rows > ROWS:
        human.append(f"... {rows - ROWS:,} more rows: --json, or -o FILE.csv, has all")
    return human


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return format_number(value) if value == value else ""
    return str(value)
