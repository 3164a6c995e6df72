"""`memoria export`: a memory as one file, or in other programs' formats."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from memoria.errors import UsageError
from memoria_cli.options import Json, StoreAt, at_moment, epilog
from memoria_cli.terminal import output
from memoria_cli.terminal.wording import byte_size

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria export notes notes.memoria.zip",
    "memoria export notes notes.jsonl",
    "memoria export notes notes-tables --format parquet --forgotten --vectors",
    "memoria export notes notes.graphml --edges 8",
    "memoria export notes@2 second.jsonl --vectors --json",
)


class _Format(StrEnum):
    ZIP = "zip"
    ZARR = "zarr"
    PARQUET = "parquet"
    JSONL = "jsonl"
    GRAPHML = "graphml"


def _export(
    store: StoreAt,
    out: Annotated[
        str,
        typer.Argument(metavar="OUT", help="The file or folder to write.", show_default=False),
    ],
    style: Annotated[
        _Format | None,
        typer.Option(
            "--format",
            help="zip (the memory itself, to `import` elsewhere), zarr (a plain copy of it), "
            "parquet (a folder of tables), jsonl (an engram a line), graphml (a graph).",
            show_default="by OUT's extension",
        ),
    ] = None,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="The engrams' vectors too; not in a graph.")
    ] = False,
    forgotten: Annotated[
        bool, typer.Option("--forgotten", help="The forgotten engrams too.")
    ] = False,
    edges: Annotated[
        int,
        typer.Option(
            "--edges", min=0, metavar="N", help="Connections of each engram, the strongest."
        ),
    ] = 64,
    no_history: Annotated[
        bool,
        typer.Option(
            "--no-history", help="Of zip and zarr: only what lives, nothing of the forgotten."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    json: Json = False,
) -> None:
    """Write a memory as one file to ship, as tables, lines or a graph.

    STORE@NAME and STORE@STEP are written as they were. A zip is the same bytes for the same
    state, and reading verbs open it where it lies.
    """
    form = _by_extension(out) if style is None else style
    if form in (_Format.ZIP, _Format.ZARR):
        if vectors or forgotten:
            raise UsageError(f"{form.value} holds all", "leave out --vectors and --forgotten")
        if force and form is _Format.ZARR:
            raise UsageError("--force: a store is never replaced", "name a new folder")
        _ship(store, out, form, not no_history, force, json)
        return
    if no_history:
        raise UsageError(f"--no-history with {form.value}", "it is for zip and zarr")
    from memoria.exports import export_memory
    from memoria.query.inspection import Inspection

    with (
        Inspection.open(*at_moment(store)) as view,
        output.progress("exporting", "rows") as show,
    ):
        document = export_memory(
            view,
            out,
            form.value,
            force=force,
            vectors=vectors,
            forgotten=forgotten,
            edges=edges,
            progress=show,
        )
    human = (
        f"{document['engrams']} engrams and {document['edges']} connections in {out}, "
        f"{byte_size(document['bytes'])}"
    )
    output.result(document, [human], json)


def _ship(store: str, out: str, form: _Format, history: bool, force: bool, json: bool) -> None:
    from memoria.store.archive import write_archive, write_copy
    from memoria.store.reading import open_files

    path, at = at_moment(store)
    files = open_files(path, at)
    try:
        if form is _Format.ZIP:
            document = write_archive(files, out, history, force)
        else:
            document = write_copy(files, out, history)
    finally:
        files.close()
    human = (
        f"{document['engrams']} engrams at step {document['step']} in {out}, "
        f"{byte_size(document['bytes'])}"
    )
    output.result({"format": form.value, **document}, [human], json)


def _by_extension(out: str) -> _Format:
    for form in _Format:
        if out.lower().rstrip("/").endswith(f".{form.value}"):
            return form
    known = ", ".join(form.value for form in _Format)
    raise UsageError(f"{out}: the extension names no format", f"say --format, one of {known}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("export", epilog=epilog(EXAMPLES))(_export)
